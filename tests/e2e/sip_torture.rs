//! The torture messages of RFC 4475 and RFC 5118 to the running server, over UDP and TCP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::harness::raw_sip::{header, status};
use crate::harness::{Server, tool, wait};

const SOON: Duration = Duration::from_secs(5);

/// Messages with what they are answered, `None` where they are swallowed.
fn messages() -> Vec<(String, Vec<u8>, Option<u16>)> {
    let folder = "../../fixtures/torture";
    let table = tool::need_file(&format!("{folder}/answers.txt"), "it belongs to the tests");
    let table = std::fs::read_to_string(table).expect("a table");
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(name, answer)| {
            let file = tool::need_file(&format!("{folder}/{name}.dat"), "it belongs to the tests");
            let answer = match answer {
                "-" => None,
                "call" | "registered" => Some(401),
                status => Some(status.parse().expect("a status")),
            };
            (
                name.to_owned(),
                std::fs::read(file).expect("a message"),
                answer,
            )
        })
        .collect()
}

/// Well-formed, and known by its Call-ID: what follows a message that is swallowed.
fn options(transport: &str, local: SocketAddr) -> String {
    format!(
        "OPTIONS sip:gateway.invalid SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {local};branch=z9hG4bK-after;rport\r\n\
         From: <sip:after@{local}>;tag=after\r\nTo: <sip:gateway.invalid>\r\n\
         Call-ID: after-{local}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn is_after(answer: &str) -> bool {
    status(answer) == 200 && header(answer, "Call-ID").is_some_and(|id| id.starts_with("after-"))
}

#[test]
fn over_udp_each_gets_its_answer_and_nothing_more() {
    let server = Server::start();
    for (number, (name, message, expected)) in messages().into_iter().enumerate() {
        // Each from an address of its own, as from different senders.
        let socket = UdpSocket::bind(format!("127.0.1.{}:0", number + 1)).expect("loopback");
        socket
            .set_read_timeout(Some(SOON))
            .expect("a timeout can be set");
        let mut buffer = [0; 65_536];
        let mut receive = || {
            let length = socket.recv(&mut buffer);
            let length = length.unwrap_or_else(|error| panic!("{name}: no answer: {error}"));
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        socket.send_to(&message, server.sip()).expect("it is sent");
        if let Some(expected) = expected {
            let answer = receive();
            assert_eq!(status(&answer), expected, "{name}: {answer}");
        }
        let local = socket.local_addr().expect("it is bound");
        socket
            .send_to(options("UDP", local).as_bytes(), server.sip())
            .expect("it is sent");
        let after = receive();
        assert!(is_after(&after), "{name} was answered once more: {after}");
    }
    assert!(server.participants().is_empty());
}

#[test]
fn over_tcp_each_gets_its_answer_where_it_can_be_framed() {
    let server = Server::start();
    for (name, message, expected) in messages() {
        let expected = match name.as_str() {
            // No Content-Length: the stream has no next message.
            "rfc4475/inv2543" => Some(400),
            // The head never ends, or the body never comes: the server waits, not for long.
            "rfc4475/baddn" | "rfc4475/clerr" => continue,
            _ if name.starts_with("rfc5118/") => continue,
            _ => expected,
        };
        let mut stream = TcpStream::connect(server.sip()).expect("it accepts");
        stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a timeout can be set");
        stream.write_all(&message).expect("it is sent");
        let local = stream.local_addr().expect("it is connected");
        // The server may have closed what it can frame no further.
        let _ = stream.write_all(options("TCP", local).as_bytes());
        let mut heard = Vec::new();
        wait::until(&format!("the answer to {name}"), SOON, || {
            let mut chunk = [0; 4096];
            let length = stream.read(&mut chunk).unwrap_or(0);
            heard.extend_from_slice(&chunk[..length]);
            let text = String::from_utf8_lossy(&heard);
            text.contains("SIP/2.0 ") && text.ends_with("\r\n\r\n")
        });
        let text = String::from_utf8_lossy(&heard).into_owned();
        match expected {
            Some(expected) => assert_eq!(status(&text), expected, "{name}: {text}"),
            None => assert!(is_after(&text), "{name}: {text}"),
        }
    }
}
