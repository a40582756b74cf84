//! Chat, the waiting room and changed rights, over real WebSockets.

use serde_json::{Value, json};

use super::joined::{active, join};
use super::signal::{Browser, join_as};
use super::{Server, assert_error};

/// A participant with this preset, made by the API: its id and its token.
async fn invite(server: &Server, name: &str, preset: &str) -> (Value, String) {
    let path = format!("/v2/meetings/{}/participants", server.first.meeting_id);
    let body = json!({ "name": name, "preset_name": preset });
    let (_, made) = server.post(&path, body).await;
    let token = made["data"]["token"].as_str().unwrap();
    (made["data"]["id"].clone(), token.to_owned())
}

async fn make_preset(server: &Server, name: &str, permissions: Value) -> String {
    let body = json!({ "name": name, "permissions": permissions });
    let (status, made) = server.post("/v2/presets", body).await;
    assert_eq!(status, 201, "{made}");
    format!("/v2/presets/{}", made["data"]["id"].as_str().unwrap())
}

#[tokio::test]
async fn chat_is_told_to_all_and_to_those_who_come_later() {
    let server = Server::start().await;
    let (mut ann, _) = join(&server, "Ann").await;
    let (mut ben, _) = join(&server, "Ben").await;
    ann.say(r#"{"type":"chat_send","text":"Hello"}"#).await;
    let told = ben.hear_of("chat").await;
    assert_eq!(told["message"]["text"], "Hello");
    assert_eq!(told["message"]["name"], "Ann");
    assert!(told["message"]["to"].is_null());
    let sent_at = told["message"]["sent_at"].as_str().unwrap();
    assert!(
        sent_at.starts_with("20") && sent_at.ends_with('Z'),
        "{sent_at}"
    );
    let (_eve, joined) = join(&server, "Eve").await;
    assert_eq!(joined["chat"], json!([told["message"]]));
    assert_eq!(joined["permissions"]["chat"], true);
    ben.say(r#"{"type":"broadcast","kind":"k","payload":{"a":[1]}}"#)
        .await;
    let told = ann.hear_of("broadcast").await;
    assert_eq!(
        (&told["kind"], &told["payload"]),
        (&json!("k"), &json!({ "a": [1] }))
    );
}

#[tokio::test]
async fn who_waits_is_let_in_by_a_host_or_the_api_and_then_joins() {
    let server = Server::start().await;
    let (mut host, joined) = join(&server, "Host").await;
    assert_eq!(joined["permissions"]["accept_waiting"], true);
    make_preset(
        &server,
        "visitor",
        json!({ "waiting_room_type": "SKIP_ON_ACCEPT" }),
    )
    .await;
    let (id, token) = invite(&server, "Ann", "visitor").await;
    let mut ann = Browser::open(&server).await;
    ann.say(join_as(&token, "")).await;
    let waiting = ann.hear().await;
    assert_eq!(
        (&waiting["type"], &waiting["title"]),
        (&json!("waiting"), &json!("Demo meeting"))
    );
    let list = host.hear_of("waiting_list").await;
    assert_eq!(list["participants"][0]["id"], id);
    let (_, session) = server.get(&active(&server)).await;
    assert_eq!(session["data"]["waiting"][0]["id"], id);
    let admit = json!({ "type": "admit", "participant_ids": [id] });
    host.say(admit.to_string()).await;
    let joined = ann.hear_of("joined").await;
    assert_eq!(joined["permissions"]["kick"], false);
    assert!(joined["sip_uri"].as_str().unwrap().starts_with("sip:"));

    let (id, token) = invite(&server, "Ben", "visitor").await;
    let mut ben = Browser::open(&server).await;
    ben.say(join_as(&token, "")).await;
    ben.hear_of("waiting").await;
    let whom = json!({ "participant_ids": [id] });
    let deny = format!("{}/deny", active(&server));
    let (_, done) = server.post(&deny, whom.clone()).await;
    assert_eq!(done["data"]["action"], "deny");
    assert_eq!(ben.hear_of("bye").await["reason"], "denied");
    assert_error(&server.post(&deny, whom).await, 404, "not_found");
}

#[tokio::test]
async fn a_changed_preset_reaches_who_is_in_a_session() {
    let server = Server::start().await;
    let path = make_preset(&server, "speaker", json!({ "kick_participant": false })).await;
    let (id, token) = invite(&server, "Ann", "speaker").await;
    let mut ann = Browser::open(&server).await;
    ann.say(join_as(&token, "")).await;
    let joined = ann.hear_of("joined").await;
    assert_eq!(joined["permissions"]["audio"], "ALLOWED");
    let media = json!({ "audio": { "can_produce": "NOT_ALLOWED" } });
    server
        .patch(&path, json!({ "permissions": { "media": media } }))
        .await;
    let told = ann.hear_of("permissions").await;
    assert_eq!(told["permissions"]["audio"], "NOT_ALLOWED");
    let one = format!(
        "/v2/meetings/{}/participants/{}",
        server.first.meeting_id,
        id.as_str().unwrap()
    );
    server
        .patch(&one, json!({ "preset_name": "group_call_host" }))
        .await;
    let told = ann.hear_of("permissions").await;
    assert_eq!(told["permissions"]["kick"], true);
}

#[tokio::test]
async fn a_preset_that_means_nothing_is_refused() {
    let server = Server::start().await;
    for permissions in [
        json!({ "waiting_room_type": "SOMETIMES" }),
        json!({ "kick_participant": "yes" }),
        json!({ "chat": { "public": { "can_send": 1 } } }),
    ] {
        let body = json!({ "name": "x", "permissions": permissions });
        assert_error(&server.post("/v2/presets", body).await, 422, "invalid_body");
    }
    let kept = json!({ "chat": { "public": { "files": false } }, "plugins": { "x": 1 } });
    let path = make_preset(&server, "kept", kept).await;
    let (_, preset) = server.get(&path).await;
    let permissions = &preset["data"]["permissions"];
    assert_eq!(permissions["chat"]["public"]["files"], false);
    assert_eq!(permissions["plugins"]["x"], 1);
    assert_eq!(permissions["chat"]["private"]["can_send"], true);
}
