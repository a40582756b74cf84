//! Events of a phone's call, posted to a real receiver: one that is not there at first, and a
//! server that is killed meanwhile.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ringbridge::probe::phone::Dial;
use ringbridge::probe::sound::Voice;
use serde_json::{Value, json};

use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(20);
const EVENTS: [&str; 4] = ["call.ringing", "call.answered", "call.dtmf", "call.ended"];

/// Reads one request and answers it; its body.
fn take(stream: TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    reader.into_inner().write_all(answer.as_bytes()).ok()?;
    String::from_utf8(body).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_survives_a_kill_and_comes_when_the_receiver_is_there() {
    let allowed = ["--webhook-networks", "127.0.0.0/8"];
    let mut server = Server::start_with(&allowed);
    // Nobody is there yet, so that nothing of the first server's tries is left in a socket.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{address}/");
    let body = json!({ "name": "Receiver", "url": url, "events": EVENTS });
    let reply = server.rest("POST", "/webhooks", Some(&body));
    assert_eq!(reply.status, 201, "{}", reply.body);
    let id = reply.json()["data"]["id"].as_str().unwrap().to_owned();

    let card = &server.card;
    let dial = Dial::new(&card.sip_uri, &card.sip_username, &card.sip_password);
    let mut call = dial.call().await.expect("the call is answered");
    let media = call.media(Voice::tone(440.0, 8_000)).unwrap();
    wait::until("media to flow", SOON, || media.spoken().packets > 10);
    media.press('7', Duration::from_millis(100)).await;
    let path = format!("/webhooks/{id}/deliveries?status=PENDING");
    let pending = |server: &Server| server.rest("GET", &path, None).json()["paging"].clone();
    wait::until("the key is queued", SOON, || {
        pending(&server)["total_count"] == 3
    });
    assert_eq!(call.hang_up().await.unwrap(), 200);
    wait::until("all is queued", SOON, || {
        pending(&server)["total_count"] == 4
    });
    server.crash_and_restart_with(&allowed);

    let listener = TcpListener::bind(address).unwrap();
    let (bodies, taken) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(body) = take(stream)
                && bodies.send(body).is_err()
            {
                return;
            }
        }
    });
    let mut told: Vec<Value> = Vec::new();
    let names = |told: &[Value]| {
        let mut names: Vec<String> = told
            .iter()
            .filter_map(|body| body["event"].as_str().map(str::to_owned))
            .collect();
        names.sort();
        names.dedup();
        names
    };
    let mut expected = EVENTS.map(str::to_owned).to_vec();
    expected.sort();
    while names(&told) != expected {
        let body = taken
            .recv_timeout(Duration::from_secs(60))
            .expect("all come in time");
        told.push(serde_json::from_str(&body).unwrap());
    }
    let one = |name: &str| told.iter().find(|body| body["event"] == name).unwrap();
    assert_eq!(one("call.dtmf")["call"]["digit"], "7");
    let ended = &one("call.ended")["call"];
    assert_eq!(
        (&ended["sipStatus"], &ended["outcome"]),
        (&json!(200), &json!("success"))
    );
    assert!(
        ended["quality"]["packetsReceived"].as_u64() > Some(10),
        "{ended}"
    );
    assert_eq!(
        one("call.answered")["meeting"]["id"],
        server.card.meeting_id.as_str()
    );
}
