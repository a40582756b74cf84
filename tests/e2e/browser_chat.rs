//! Writing to each other in the browser: to all, to one, late, without the permission, after a cut.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Baresip, Cable, Chromium, Fakes, Page, Server};

const CONNECTED: &str = "document.querySelector('#connection').textContent === 'Connected'";

/// Opens the chat if need be, and writes.
fn write(page: &Page<'_>, to: Option<&str>, text: &str) {
    if page.evaluate("document.querySelector('#chat-panel').hidden") == json!(true) {
        page.click("#chat");
    }
    let value = to.map_or(Value::from(""), |name| {
        page.wait(&format!(
            "[...document.querySelector('#chat-to').options].find((o) => o.text === '{name}')?.value"
        ))
    });
    page.select("#chat-to", value.as_str().expect("an id"));
    page.fill("#chat-text", text);
    page.click("#chat-send");
}

/// Waits until the chat holds just these texts.
fn wait_for_messages(page: &Page<'_>, texts: &[&str]) {
    let shown = "[...document.querySelectorAll('.message-text')].map((m) => m.textContent)";
    page.wait(&format!(
        "JSON.stringify({shown}) === {}",
        json!(json!(texts).to_string())
    ));
}

#[test]
fn what_is_written_reaches_all_or_the_one_it_is_for_and_those_who_come_late() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, Fakes::default());
    let bob = chromium.join("Bob", &server, Fakes::default());
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    ada.wait_for_tiles("robo", 1);

    let markup = "<img src=x onerror=\"window.harmed=1\"> see https://example.com/a?b=1.";
    write(&ada, None, markup);
    wait_for_messages(&ada, &[markup]);
    bob.wait("document.querySelector('#chat-badge').textContent === '1'");
    bob.click("#chat");
    wait_for_messages(&bob, &[markup]);
    bob.wait("document.querySelector('#chat-badge').hidden");
    assert_eq!(
        bob.evaluate("window.harmed ?? 'unharmed'"),
        json!("unharmed")
    );
    let link = "document.querySelector('.message-text a').href";
    assert_eq!(bob.evaluate(link), json!("https://example.com/a?b=1"));

    let cleo = chromium.join("Cleo", &server, Fakes::default());
    cleo.click("#chat");
    wait_for_messages(&cleo, &[markup]);
    write(&bob, Some("Ada"), "between us");
    wait_for_messages(&ada, &[markup, "between us"]);
    ada.wait_for_text("to you alone");
    bob.wait_for_text("to Ada alone");
    write(&cleo, None, "hello");
    wait_for_messages(&cleo, &[markup, "hello"]);
    wait_for_messages(&bob, &[markup, "between us", "hello"]);

    // A phone cannot read, so nobody is offered to write to it alone.
    let offered = "[...document.querySelector('#chat-to').options].map((o) => o.text).join()";
    assert_eq!(bob.evaluate(offered), json!("Everyone,Ada,Cleo"));
    let found = bob.barriers();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_reaction_is_seen_by_everyone() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, Fakes::default());
    let bob = chromium.join("Bob", &server, Fakes::default());
    ada.click("#react");
    ada.wait("document.activeElement.dataset.reaction");
    ada.click("[data-reaction='👏']");
    ada.wait("document.querySelector('.reaction')?.textContent === '👏You'");
    bob.wait("document.querySelector('.reaction')?.textContent === '👏Ada'");
    bob.wait_for_text("Ada reacted with applause");
}

#[test]
fn who_may_not_write_has_nothing_to_write_with_and_is_refused_by_the_server_too() {
    let server = Server::start();
    let chat = json!({ "public": { "can_send": false }, "private": { "can_send": false } });
    let preset = json!({ "name": "silent", "permissions": { "chat": chat } });
    let reply = server.rest("POST", "/presets", Some(&preset));
    assert_eq!(reply.status / 100, 2, "{}", reply.body);
    let path = format!("/meetings/{}/participants", server.card.meeting_id);
    let body = json!({ "name": "Sil", "preset_name": "silent" });
    let reply = server.rest("POST", &path, Some(&body));
    let token = reply.json()["data"]["token"].clone();
    let url = format!(
        "http://{}/join#token={}",
        server.http(),
        token.as_str().expect("a token")
    );

    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, Fakes::default());
    let sil = chromium.open("Sil", &url, Fakes::default());
    sil.join();
    sil.wait("document.querySelector('#chat').hidden");
    sil.wait("document.querySelector('#react').hidden");
    write(&ada, None, "can you read this?");
    sil.wait("!document.querySelector('#chat').hidden");
    sil.click("#chat");
    wait_for_messages(&sil, &["can you read this?"]);
    sil.wait("document.querySelector('#composer').hidden");
    sil.close();

    // A client of its own that asks nobody.
    let rogue = chromium.open("rogue", &url, Fakes::default());
    let script = format!(
        "new Promise((done) => {{ \
            const socket = new WebSocket(location.origin.replace('http', 'ws') + '/v2/signal'); \
            const say = (message) => socket.send(JSON.stringify(message)); \
            const codes = []; \
            socket.onopen = () => say({{ type: 'join', token: {token}, name: 'Sil' }}); \
            socket.onmessage = ({{ data }}) => {{ \
                const message = JSON.parse(data); \
                if (message.type === 'joined') {{ \
                    say({{ type: 'chat_send', text: 'spam' }}); \
                    say({{ type: 'reaction', emoji: '💥' }}); \
                    say({{ type: 'broadcast', kind: 'spam', payload: 1 }}); \
                    const participant_ids = message.participants.map((p) => p.id); \
                    say({{ type: 'kick', participant_ids }}); \
                    say({{ type: 'mute_all' }}); \
                }} \
                if (message.type === 'error' && codes.push(message.code) === 5) done(codes); \
            }}; \
        }})"
    );
    assert_eq!(rogue.evaluate(&script), json!(vec!["not_allowed"; 5]));
    wait_for_messages(&ada, &["can you read this?"]);
    ada.wait(CONNECTED);
}

#[test]
fn after_a_cut_one_is_back_in_the_same_seat_and_reads_what_was_written_meanwhile() {
    let server = Server::start();
    let chromium = Chromium::start();
    let bob = chromium.join("Bob", &server, Fakes::tone(1490.0));
    let cable = Cable::to(server.http());
    let by_cable = server
        .card
        .join_url
        .replace(&server.http().to_string(), &cable.address.to_string());
    assert_ne!(by_cable, server.card.join_url);
    let ada = chromium.open("Ada", &by_cable, Fakes::tone(440.0));
    ada.join();
    write(&ada, None, "before");
    wait_for_messages(&bob, &["before"]);
    write(&bob, Some("Ada"), "a secret");
    wait_for_messages(&ada, &["before", "a secret"]);
    let seat =
        ada.evaluate("document.querySelector('.tile[data-kind=self]').dataset.participantId");

    cable.cut();
    ada.wait_for_text("Trying to get back in");
    write(&ada, None, "into the void");
    ada.wait_for_text("The message was not sent");
    write(&bob, None, "meanwhile");
    cable.mend();
    ada.wait_within(CONNECTED, Duration::from_secs(30));
    wait_for_messages(&ada, &["before", "a secret", "meanwhile"]);
    let after =
        ada.evaluate("document.querySelector('.tile[data-kind=self]').dataset.participantId");
    assert_eq!(seat, after);
    bob.wait_for_tiles("browser", 1);
    ada.wait_to_hear(&[1490.0], Duration::from_secs(15));
    bob.wait_to_hear(&[440.0], Duration::from_secs(15));
    // What could not be sent is still there to be sent.
    assert_eq!(
        ada.evaluate("document.querySelector('#chat-text').value"),
        json!("into the void")
    );
    ada.click("#chat-send");
    wait_for_messages(&bob, &["before", "a secret", "meanwhile", "into the void"]);
}
