use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Server, assert_error, send};
use crate::id::{MeetingId, OrganizationId};
use crate::sip::auth::CredentialSource;

/// The members of an object, sorted.
fn members(value: &Value) -> Vec<&str> {
    let mut members: Vec<_> = value.as_object().unwrap().keys().collect();
    members.sort();
    members.into_iter().map(String::as_str).collect()
}

#[tokio::test]
async fn only_the_organisations_own_key_opens_the_api() {
    let server = Server::start().await;
    let url = format!("{}/v2/meetings", server.base);
    let (organization, key) = (server.first.organization_id, &server.first.api_key);
    let get = || server.client.get(&url);
    let stranger = OrganizationId::from_random(1);
    for request in [
        get(),
        get().basic_auth(organization, Some("wrong")),
        get().basic_auth(organization, None::<&str>),
        get().basic_auth(stranger, Some(key)),
        get().basic_auth("not-a-uuid", Some(key)),
        get().bearer_auth(key),
        get().header("authorization", "Basic !!!"),
        get().header("authorization", "Basic"),
    ] {
        assert_error(&send(request).await, 401, "unauthorized");
    }
    let response = get().send().await.unwrap();
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Basic realm="));
    assert_eq!(server.get("/v2/meetings").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_meeting_is_made_shown_and_changed_in_the_known_shape() {
    let server = Server::start().await;
    let body = json!({ "title": "Standup", "preferred_region": "eu-central-1", "unknown": 1 });
    let (status, made) = server.post("/v2/meetings", body).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(members(&made), ["data", "success"]);
    assert_eq!(made["success"], true);
    let data = &made["data"];
    assert_eq!(
        members(data),
        [
            "created_at",
            "id",
            "live_stream_on_start",
            "preferred_region",
            "record_on_start",
            "sip_uri",
            "status",
            "title",
            "updated_at",
        ]
    );
    assert_eq!(data["title"], "Standup");
    assert_eq!(data["preferred_region"], "eu-central-1");
    assert_eq!(data["status"], "ACTIVE");
    assert_eq!(data["record_on_start"], false);
    let id = data["id"].as_str().unwrap();
    assert_eq!(data["sip_uri"], format!("sip:{id}@127.0.0.1:5070"));

    let path = format!("/v2/meetings/{id}");
    assert_eq!(server.get(&path).await, (StatusCode::OK, made.clone()));
    let change = json!({ "title": "Retro", "status": "INACTIVE", "record_on_start": true });
    let (status, changed) = server.patch(&path, change).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(changed["data"]["title"], "Retro");
    assert_eq!(changed["data"]["status"], "INACTIVE");
    assert_eq!(changed["data"]["record_on_start"], true);
    assert_eq!(changed["data"]["preferred_region"], "eu-central-1");
    assert_eq!(changed["data"]["created_at"], data["created_at"]);
    assert_eq!(server.get(&path).await.1, changed);
}

#[tokio::test]
async fn what_cannot_be_a_meeting_is_refused_with_a_stable_code() {
    let server = Server::start().await;
    let create = || server.request(Method::POST, "/v2/meetings");
    let typed = || create().header("content-type", "application/json");
    assert_error(&send(typed().body("{")).await, 400, "invalid_json");
    assert_error(&send(typed().body("")).await, 400, "invalid_json");
    let number = json!({ "title": 5 });
    let answer = server.post("/v2/meetings", number).await;
    assert_error(&answer, 422, "invalid_body");
    let answer = send(create().body("{}")).await;
    assert_error(&answer, 415, "unsupported_media_type");
    let large = json!({ "title": "x".repeat(100_000) });
    let answer = server.post("/v2/meetings", large).await;
    assert_error(&answer, 413, "body_too_large");
    for title in ["x".repeat(257), "two\nlines".to_owned()] {
        let answer = server.post("/v2/meetings", json!({ "title": title })).await;
        assert_error(&answer, 422, "invalid_field");
    }
    let path = format!("/v2/meetings/{}", server.first.meeting_id);
    let answer = server.patch(&path, json!({ "status": "OPEN" })).await;
    assert_error(&answer, 422, "invalid_field");
    assert_error(&server.delete(&path).await, 405, "method_not_allowed");
    assert_error(&server.get("/v2/rooms").await, 404, "not_found");
    assert_error(&server.get("/v2/meetings/5").await, 404, "not_found");
    let absent = format!("/v2/meetings/{}", MeetingId::from_random(1));
    assert_error(&server.get(&absent).await, 404, "not_found");
}

#[tokio::test]
async fn a_participant_gets_a_token_that_says_who_it_is() {
    let server = Server::start().await;
    let meeting = server.first.meeting_id;
    let path = format!("/v2/meetings/{meeting}/participants");
    let body = json!({
        "name": "Ann\u{1b}",
        "picture": "https://example.com/ann.png",
        "preset_name": "group_call_host",
        "custom_participant_id": "user-17",
    });
    let (status, made) = server.post(&path, body).await;
    assert_eq!(status, StatusCode::CREATED);
    let data = &made["data"];
    assert_eq!(
        members(data),
        [
            "created_at",
            "custom_participant_id",
            "id",
            "join_url",
            "name",
            "picture",
            "preset_name",
            "token",
            "updated_at",
        ]
    );
    assert_eq!(data["name"], "Ann");
    assert_eq!(data["custom_participant_id"], "user-17");
    let token = data["token"].as_str().unwrap();
    let claims = server.state.tokens().verify(token).unwrap();
    assert_eq!(claims.org, server.first.organization_id);
    assert_eq!(claims.meeting, meeting);
    assert_eq!(claims.participant.unwrap().to_string(), data["id"]);
    assert_eq!(claims.preset, "group_call_host");
    let join_url = format!("{}/join#token={token}", server.base);
    assert_eq!(data["join_url"], join_url);

    let one = format!("{path}/{}", data["id"].as_str().unwrap());
    let (status, shown) = server.get(&one).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(shown["data"]["name"], "Ann");
    assert!(shown["data"].get("token").is_none());
    let (_, changed) = server.patch(&one, json!({ "name": "Ann B." })).await;
    assert_eq!(changed["data"]["name"], "Ann B.");
    assert_eq!(changed["data"]["picture"], "https://example.com/ann.png");
    let (status, renewed) = server.post(&format!("{one}/token"), json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(members(&renewed["data"]), ["token"]);

    let (status, removed) = server.delete(&one).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(removed["data"]["id"], data["id"]);
    for answer in [
        server.get(&one).await,
        server.delete(&one).await,
        server.post(&format!("{one}/token"), json!({})).await,
        server.patch(&one, json!({})).await,
    ] {
        assert_error(&answer, 404, "not_found");
    }
}

#[tokio::test]
async fn a_participant_needs_a_known_preset_and_a_loadable_picture() {
    let server = Server::start().await;
    let path = format!("/v2/meetings/{}/participants", server.first.meeting_id);
    let answer = server.post(&path, json!({ "preset_name": "nope" })).await;
    assert_error(&answer, 422, "unknown_preset");
    let body = json!({ "picture": "javascript:alert(1)" });
    assert_error(&server.post(&path, body).await, 422, "invalid_field");
    let (status, made) = server.post(&path, json!({})).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(made["data"]["preset_name"], "group_call_participant");
    let elsewhere = format!("/v2/meetings/{}/participants", MeetingId::from_random(1));
    assert_error(&server.post(&elsewhere, json!({})).await, 404, "not_found");
}

#[tokio::test]
async fn presets_are_made_changed_in_part_and_removed() {
    let server = Server::start().await;
    let body = json!({
        "name": "quiet",
        "permissions": {
            "media": { "audio": { "can_produce": "NOT_ALLOWED" } },
            "chat": { "public": { "can_send": true } },
        },
        "ui": { "design_tokens": { "theme": "dark" } },
    });
    let (status, made) = server.post("/v2/presets", body.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    let data = &made["data"];
    assert_eq!(data["config"]["view_type"], "GROUP_CALL");
    let media = &data["permissions"]["media"];
    assert_eq!(media["audio"]["can_produce"], "NOT_ALLOWED");
    assert_eq!(media["video"]["can_produce"], "ALLOWED");
    assert_eq!(data["ui"]["design_tokens"]["theme"], "dark");
    let again = server.post("/v2/presets", body).await;
    assert_error(&again, 409, "preset_name_taken");

    let path = format!("/v2/presets/{}", data["id"].as_str().unwrap());
    let change = json!({
        "permissions": { "media": { "video": { "can_produce": "CAN_REQUEST" } } },
    });
    let (status, changed) = server.patch(&path, change).await;
    assert_eq!(status, StatusCode::OK);
    let permissions = &changed["data"]["permissions"];
    assert_eq!(permissions["media"]["video"]["can_produce"], "CAN_REQUEST");
    assert_eq!(permissions["media"]["audio"]["can_produce"], "NOT_ALLOWED");
    assert_eq!(permissions["chat"]["public"]["can_send"], true);
    assert_eq!(server.get(&path).await.1, changed);

    let wrong = json!({ "permissions": { "media": { "video": { "can_produce": "SURE" } } } });
    assert_error(&server.patch(&path, wrong).await, 422, "invalid_body");
    let nameless = server.post("/v2/presets", json!({ "name": "" })).await;
    assert_error(&nameless, 422, "invalid_field");
    assert_eq!(server.delete(&path).await.0, StatusCode::OK);
    assert_error(&server.get(&path).await, 404, "not_found");

    let (_, all) = server.get("/v2/presets").await;
    let names: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert_eq!(
        names,
        [
            "group_call_host",
            "group_call_participant",
            "phone",
            "webinar_viewer"
        ]
    );
}

#[tokio::test]
async fn a_sip_credentials_password_is_told_once_and_works_at_once() {
    let server = Server::start().await;
    let body = json!({ "name": "Desk", "meetings": [server.first.meeting_id] });
    let (status, made) = server.post("/v2/sip/credentials", body).await;
    assert_eq!(status, StatusCode::CREATED);
    let data = &made["data"];
    assert_eq!(
        members(data),
        [
            "created_at",
            "id",
            "meetings",
            "name",
            "password",
            "realm",
            "username"
        ]
    );
    assert_eq!(data["meetings"], json!([server.first.meeting_id]));
    let [username, password, realm] =
        ["username", "password", "realm"].map(|member| data[member].as_str().unwrap());
    let book = server.state.store().credentials();
    let stored = book.credential(username).unwrap();
    let ha1 = format!(
        "{:x}",
        md5::compute(format!("{username}:{realm}:{password}"))
    );
    assert_eq!(stored.ha1_md5, ha1);

    let path = format!("/v2/sip/credentials/{}", data["id"].as_str().unwrap());
    let (_, shown) = server.get(&path).await;
    assert_eq!(shown["data"]["username"], username);
    assert!(shown["data"].get("password").is_none());
    let (_, listed) = server.get("/v2/sip/credentials").await;
    assert_eq!(listed["paging"]["total_count"], 2);
    assert!(!listed.to_string().contains("password"));

    assert_eq!(server.delete(&path).await.0, StatusCode::OK);
    assert!(
        server
            .state
            .store()
            .credentials()
            .credential(username)
            .is_none()
    );
    assert_error(&server.delete(&path).await, 404, "not_found");
}

#[tokio::test]
async fn a_sip_credential_is_refused_when_taken_weak_or_for_a_foreign_meeting() {
    let server = Server::start().await;
    let path = "/v2/sip/credentials";
    let taken = json!({ "username": server.first.sip_username });
    assert_error(&server.post(path, taken).await, 409, "username_taken");
    for body in [
        json!({ "username": "a b" }),
        json!({ "username": "a" }),
        json!({ "username": "a\"b\"" }),
        json!({ "password": "short" }),
        json!({ "password": "long enough but \n broken" }),
    ] {
        assert_error(&server.post(path, body).await, 422, "invalid_field");
    }
    let foreign = json!({ "meetings": [MeetingId::from_random(1)] });
    assert_error(&server.post(path, foreign).await, 422, "unknown_meeting");
    let chosen = json!({ "username": "twilio-1", "password": "correct horse battery" });
    let (status, made) = server.post(path, chosen).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(made["data"]["username"], "twilio-1");
    assert_eq!(made["data"]["meetings"], Value::Null);
}

#[tokio::test]
async fn a_meeting_without_a_live_session_has_no_active_session() {
    let server = Server::start().await;
    let path = format!("/v2/meetings/{}/active-session", server.first.meeting_id);
    assert_error(&server.get(&path).await, 404, "not_found");
    for command in ["kick", "kick-all", "mute", "mute-all"] {
        let answer = server.post(&format!("{path}/{command}"), json!({})).await;
        assert_error(&answer, 404, "not_found");
    }
}
