//! kill -9 while the store is written: what was confirmed is there after the next start, and what
//! was live is ended.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ringbridge::probe::phone::Dial;
use ringbridge::probe::sound::Voice;
use serde_json::{Value, json};

use crate::harness::{Server, http, wait};

const SOON: Duration = Duration::from_secs(10);
/// Writers at a time, so that a kill finds several writes under way.
const WRITERS: usize = 4;
/// Confirmed writes before each kill.
const WRITES: usize = 60;
const KILLS: usize = 3;

/// Tells the writers to stop, also when the test fails: else its scope would wait for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes meetings until told to stop, and says which were confirmed.
fn write(
    address: std::net::SocketAddr,
    key: &(String, String),
    stop: &AtomicBool,
    confirmed: &mpsc::Sender<String>,
) {
    while !stop.load(Ordering::Relaxed) {
        let body = json!({ "title": "Kept" });
        let basic = (key.0.as_str(), key.1.as_str());
        let reply = http::request(address, "POST", "/v2/meetings", Some(basic), Some(&body));
        // Half a reply confirms nothing.
        let Ok(reply) = reply else { continue };
        let whole = serde_json::from_str::<Value>(&reply.body).ok();
        if let Some(body) = whole.filter(|_| reply.status == 201) {
            let id = body["data"]["id"].as_str().expect("an id").to_owned();
            if confirmed.send(id).is_err() {
                return;
            }
        }
    }
}

fn all_meetings(server: &Server) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for page in 1.. {
        let path = format!("/meetings?per_page=100&page_no={page}");
        let listed = server.rest("GET", &path, None).json();
        let items = listed["data"].as_array().expect("a list");
        if items.is_empty() {
            break;
        }
        ids.extend(
            items
                .iter()
                .filter_map(|item| item["id"].as_str())
                .map(str::to_owned),
        );
    }
    ids
}

#[test]
fn what_was_confirmed_survives_kills_at_any_moment() {
    let mut server = Server::start();
    let address = server.http();
    let key = (
        server.card.organization_id.clone(),
        server.card.api_key.clone(),
    );
    let stop = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    let mut confirmed = BTreeSet::new();
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..WRITERS {
            let sender = sender.clone();
            let (key, stop) = (&key, &stop);
            scope.spawn(move || write(address, key, stop, &sender));
        }
        for _ in 0..KILLS {
            for _ in 0..WRITES {
                let id = receiver.recv_timeout(SOON).expect("writes go on");
                confirmed.insert(id);
            }
            server.crash_and_restart();
        }
    });
    confirmed.extend(receiver.try_iter());
    assert!(confirmed.len() >= KILLS * WRITES);
    let kept = all_meetings(&server);
    let lost: Vec<_> = confirmed.difference(&kept).collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost",
        lost.len(),
        confirmed.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_cut_off_by_a_crash_is_ended_by_the_next_start() {
    let mut server = Server::start();
    let card = &server.card;
    let dial = Dial::new(&card.sip_uri, &card.sip_username, &card.sip_password);
    let mut call = dial.call().await.expect("the call is answered");
    let _media = call.media(Voice::tone(550.0, 8_000)).unwrap();
    let sessions = |server: &Server| {
        let listed = server.rest("GET", "/sessions", None).json();
        listed["data"].as_array().expect("a list").clone()
    };
    wait::until("the session's row", SOON, || {
        sessions(&server)
            .iter()
            .any(|s| s["live_participants"] == 1)
    });
    server.crash_and_restart();
    let after = sessions(&server);
    assert_eq!(after.len(), 1);
    assert_eq!(after[0]["status"], "ENDED");
    assert_eq!(after[0]["interrupted"], true);
    assert_eq!(after[0]["live_participants"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_progress_are_ended_by_the_next_start_and_ended_ones_are_kept() {
    let mut server = Server::start();
    let card = &server.card;
    let dial = Dial::new(&card.sip_uri, &card.sip_username, &card.sip_password);
    let mut over = Vec::new();
    for _ in 0..8 {
        over.push(dial.call().await.expect("the call is answered"));
    }
    let mut up = Vec::new();
    for _ in 0..4 {
        up.push(dial.call().await.expect("the call is answered"));
    }
    let ended = |server: &Server| {
        let listed = server.rest("GET", "/sip/calls?status=ENDED&per_page=100", None);
        listed.json()["data"].as_array().expect("a list").clone()
    };
    for call in over {
        assert_eq!(call.hang_up().await.unwrap(), 200);
    }
    wait::until("their records", SOON, || ended(&server).len() == 8);
    // Told, so on the disk: the kill comes at once.
    let told = ended(&server);
    server.crash_and_restart();
    let after = ended(&server);
    for call in &told {
        let kept = after.iter().find(|kept| kept["id"] == call["id"]);
        assert_eq!(kept, Some(call), "as it was told");
    }
    let cut_off: Vec<_> = after
        .iter()
        .filter(|c| c["reason"] == "interrupted")
        .collect();
    assert_eq!((after.len(), cut_off.len()), (12, 4));
    assert!(cut_off.iter().all(|call| call["outcome"] == "server_error"));
    let log = server.log();
    assert!(
        log.contains("ended calls that an earlier process left open calls=4"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_tells_what_happened_in_it_while_it_lasts_and_afterwards() {
    let server = Server::start();
    let card = &server.card;
    let dial = Dial::new(&card.sip_uri, &card.sip_username, &card.sip_password);
    let mut call = dial.call().await.expect("the call is answered");
    let media = call.media(Voice::tone(550.0, 8_000)).unwrap();
    let listed = server.rest("GET", "/sip/calls", None).json();
    let id = listed["data"][0]["id"].as_str().expect("an id").to_owned();
    let facts = || {
        let shown = server.rest("GET", &format!("/sip/calls/{id}"), None).json();
        let facts = shown["data"]["timeline"]["facts"]
            .as_array()
            .expect("facts")
            .clone();
        let texts: Vec<String> = facts
            .iter()
            .map(|fact| {
                let part = |name: &str| fact[name].as_str().expect("text").to_owned();
                format!("{} {}", part("direction"), part("text"))
            })
            .collect();
        texts
    };
    wait::until("its media", SOON, || {
        facts().contains(&"inside first RTP packet".to_owned())
    });
    drop(media);
    assert_eq!(call.hang_up().await.unwrap(), 200);
    wait::until("its end", SOON, || {
        facts()
            .last()
            .is_some_and(|fact| fact.starts_with("inside ended: caller_hung_up"))
    });
    let facts = facts();
    let expected = [
        "in INVITE",
        "out 100 Trying",
        "inside meeting found",
        "out 180 Ringing (INVITE)",
        "inside in the session",
        "out 200 OK (INVITE)",
        "in ACK",
        "in BYE",
        "out 200 OK (BYE)",
    ];
    let mut rest = facts.iter();
    for step in expected {
        assert!(
            rest.any(|fact| fact == step),
            "{step} is missing in {facts:#?}"
        );
    }
    assert!(
        facts
            .iter()
            .all(|fact| !fact.contains("@") && !fact.contains("sip:"))
    );
}
