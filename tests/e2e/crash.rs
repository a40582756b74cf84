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
