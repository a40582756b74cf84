//! Posts what is queued, again and again until it is taken: at least once, never lost by a crash,
//! since the queue is on the disk and a try is written down after it was made.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use reqwest::{Client, Url, redirect};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::target::Guard;
use crate::id::DeliveryId;
use crate::limits::{WEBHOOK_ANSWER_TIME_MAX, WEBHOOK_SENDS_MAX};
use crate::run::clock;
use crate::store::Store;
use crate::store::webhook::{Delivery, DeliveryStatus, Tried, Webhook};

/// What the signing key begins with (Standard Webhooks).
pub const SECRET_PREFIX: &str = "whsec_";

/// How long after each try the next one comes: within a second for a hiccup, over a night and a
/// day for an outage. After the last, it is given up.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(3_600),
    Duration::from_secs(3 * 3_600),
    Duration::from_secs(8 * 3_600),
    Duration::from_secs(12 * 3_600),
];

/// Looks for due deliveries at least this often.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// Due deliveries looked at in one go: those under way, and as many to follow.
const DUE_AT_ONCE_MAX: u32 = 2 * WEBHOOK_SENDS_MAX as u32;

/// Gone (RFC 9110 §15.5.11): the receiver wants no more of it.
const GONE: u16 = 410;

/// Posts until aborted.
pub async fn run(store: Store, guard: Guard, wake: Arc<Notify>) {
    crate::net::tls::install_provider();
    let client = match client(guard.clone()) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "no webhook can be posted");
            return;
        }
    };
    let mut sending: JoinSet<DeliveryId> = JoinSet::new();
    let mut under_way: HashSet<DeliveryId> = HashSet::new();
    loop {
        let pause = start_due(&store, &client, &guard, &mut sending, &mut under_way).await;
        tokio::select! {
            Some(sent) = sending.join_next() => {
                match sent {
                    Ok(id) => { under_way.remove(&id); }
                    // Its id is unknown; what is not written down is tried again.
                    Err(error) => {
                        tracing::error!(%error, "a webhook's try broke");
                        under_way.clear();
                        sending.shutdown().await;
                    }
                }
            }
            () = wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn client(guard: Guard) -> Result<Client, reqwest::Error> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .dns_resolver(Arc::new(guard))
        .timeout(WEBHOOK_ANSWER_TIME_MAX)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("Ringbridge/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Starts what is due and has room; how long to wait for more.
async fn start_due(
    store: &Store,
    client: &Client,
    guard: &Guard,
    sending: &mut JoinSet<DeliveryId>,
    under_way: &mut HashSet<DeliveryId>,
) -> Duration {
    if under_way.len() >= WEBHOOK_SENDS_MAX {
        return LOOK_AT_LEAST_EVERY;
    }
    let (due, next) = match store.due_deliveries(DUE_AT_ONCE_MAX).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "the queue of webhooks could not be read");
            return LOOK_AT_LEAST_EVERY;
        }
    };
    for delivery in due {
        if under_way.len() >= WEBHOOK_SENDS_MAX {
            break;
        }
        let book = store.webhook_book();
        let webhook = book.find(delivery.organization, delivery.webhook);
        if let Some(webhook) = webhook.filter(|_| under_way.insert(delivery.id)) {
            let (store, client, guard) = (store.clone(), client.clone(), guard.clone());
            let webhook = Arc::clone(webhook);
            sending.spawn(async move {
                attempt(&store, &client, &guard, &webhook, &delivery).await;
                delivery.id
            });
        }
    }
    let until = |next: time::OffsetDateTime| next.unix_timestamp_nanos() - clock::unix_ns();
    let pause = next.map_or(i128::MAX, until).max(0);
    let pause = Duration::from_nanos(u64::try_from(pause).unwrap_or(u64::MAX));
    pause.min(LOOK_AT_LEAST_EVERY)
}

async fn attempt(
    store: &Store,
    client: &Client,
    guard: &Guard,
    webhook: &Webhook,
    delivery: &Delivery,
) {
    let (answer, error) = match post(client, guard, webhook, delivery).await {
        Ok(status) => (Some(status), None),
        Err(error) => (None, Some(error)),
    };
    let tried = judge(delivery.attempts, answer, error, clock::unix_ns());
    if tried.status == DeliveryStatus::Failed {
        tracing::warn!(webhook = %webhook.id, delivery = %delivery.id, "a webhook was given up");
    }
    if let Err(error) = store.delivery_tried(delivery.id, tried).await {
        tracing::warn!(%error, "a webhook's try was not written down; it is made again");
    }
}

/// What an answer, or none, means after so many tries before.
fn judge(tries: u32, answer: Option<u16>, error: Option<String>, now_unix_ns: i128) -> Tried {
    let pause = PAUSES.get(tries as usize);
    let (status, pause) = match (answer, pause) {
        (Some(200..=299), _) => (DeliveryStatus::Delivered, None),
        (Some(GONE), _) | (_, None) => (DeliveryStatus::Failed, None),
        (_, Some(pause)) => (DeliveryStatus::Pending, Some(*pause)),
    };
    // Up to a fifth more, so that receivers coming back are not met by everything at once.
    let jittered = pause.map(|pause| pause.mul_f64(rand::rng().random_range(1.0..1.2)));
    Tried {
        status,
        next_at_unix_ns: jittered.map(|pause| now_unix_ns + pause.as_nanos() as i128),
        answer,
        error,
    }
}

/// One try; the status of the answer, or why there was none.
async fn post(
    client: &Client,
    guard: &Guard,
    webhook: &Webhook,
    delivery: &Delivery,
) -> Result<u16, String> {
    let url = Url::parse(&webhook.document.url).map_err(|error| error.to_string())?;
    guard.check(&url).map_err(|error| error.to_string())?;
    let id = format!("msg_{}", delivery.id);
    let timestamp = clock::unix_ns() / 1_000_000_000;
    let signature = sign(&webhook.document.secret, &id, timestamp, &delivery.payload)
        .ok_or("the webhook's secret is not base64")?;
    let sent = client
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature)
        .body(delivery.payload.clone())
        .send();
    match sent.await {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) => Err(reason(&error)),
    }
}

/// The error and what lies below it, without the address, which may hold a secret.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        let seconds = WEBHOOK_ANSWER_TIME_MAX.as_secs();
        return format!("no answer within {seconds} s");
    }
    let mut source = std::error::Error::source(error);
    let mut last = "the request could not be sent".to_owned();
    while let Some(error) = source {
        last = error.to_string();
        source = error.source();
    }
    last.chars().take(200).collect()
}

/// `v1,` and the HMAC-SHA256 of `id.timestamp.body` (Standard Webhooks).
pub fn sign(secret: &str, id: &str, timestamp: i128, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix(SECRET_PREFIX)?).ok()?;
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body.as_bytes());
    Some(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // From the specification's own example.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signature = sign(
            secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature.as_deref(), Some(expected));
        assert_eq!(sign("plain", "m", 1, ""), None);
    }

    #[test]
    fn what_is_not_taken_is_tried_ever_more_seldom_and_at_last_given_up() {
        let mut last = 0;
        for tries in 0..PAUSES.len() as u32 {
            let tried = judge(tries, Some(500), None, 1_000);
            assert_eq!(tried.status, DeliveryStatus::Pending);
            let next = tried.next_at_unix_ns.unwrap();
            assert!(next > last, "try {tries}");
            last = next;
        }
        let most = PAUSES.len() as u32;
        assert_eq!(judge(most, None, None, 0).status, DeliveryStatus::Failed);
        assert_eq!(
            judge(most, Some(204), None, 0).status,
            DeliveryStatus::Delivered
        );
        assert_eq!(judge(0, Some(410), None, 0).status, DeliveryStatus::Failed);
        assert_eq!(judge(0, Some(302), None, 0).status, DeliveryStatus::Pending);
    }
}
