use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Server, ready};
use crate::api::Readiness;
use crate::api::token::{Claims, TokenKey};
use crate::id::{MeetingId, OrganizationId, ParticipantId};
use crate::limits::SIGNAL_MESSAGE_BYTES_MAX;

/// Longest wait for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Browser(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Browser {
    pub(super) async fn open(server: &Server) -> Self {
        let url = format!("{}/v2/signal", server.base.replace("http://", "ws://"));
        let (socket, response) = connect_async(url).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS.as_u16());
        Self(socket)
    }

    pub(super) async fn say(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).await.unwrap();
    }

    /// Fails once the server has closed.
    pub(super) async fn try_say(
        &mut self,
        message: impl Into<Message>,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        self.0.send(message.into()).await
    }

    /// The next message of this type; others before it are passed over.
    pub(super) async fn hear_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == kind {
                return message;
            }
            assert!(
                message["type"].is_string(),
                "closed before {kind}: {message}"
            );
        }
    }

    /// The next message, or the reason in the close frame.
    pub(super) async fn hear(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await;
            match next.expect("the server has fallen silent") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return json!({ "reason": frame.reason.as_str() });
                }
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    /// Expects an error of this code, then the close with it.
    pub(super) async fn expect_refusal(&mut self, code: &str) {
        let error = self.hear().await;
        assert_eq!(error["type"], "error", "{error}");
        assert_eq!(error["code"], code, "{error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert_eq!(self.hear().await["reason"], code);
    }
}

fn join(token: &str) -> String {
    join_as(token, "Ann")
}

pub(super) fn join_as(token: &str, name: &str) -> String {
    json!({ "type": "join", "token": token, "name": name }).to_string()
}

pub(super) fn invite(server: &Server) -> Claims {
    let first = &server.first;
    Claims::invite(first.organization_id, first.meeting_id, "group_call_host")
}

#[tokio::test]
async fn bad_first_messages_are_named_before_the_close() {
    let server = Server::start().await;
    let deep = "[".repeat(10_000);
    for (message, code) in [
        (Message::from("{"), "malformed_message"),
        (Message::from("[]"), "malformed_message"),
        (Message::from(deep), "malformed_message"),
        (Message::from(r#"{"type":"dance"}"#), "malformed_message"),
        (Message::from(r#"{"type":"join"}"#), "malformed_message"),
        (Message::from(vec![0_u8, 159]), "malformed_message"),
        (Message::from(r#"{"type":"ping"}"#), "join_expected"),
        (
            Message::from("x".repeat(SIGNAL_MESSAGE_BYTES_MAX + 1)),
            "message_too_large",
        ),
    ] {
        let mut browser = Browser::open(&server).await;
        browser.say(message).await;
        browser.expect_refusal(code).await;
    }
}

#[tokio::test]
async fn who_never_joins_is_told_so_and_closed() {
    let server = Server::start().await;
    let mut browser = Browser::open(&server).await;
    browser.expect_refusal("join_timeout").await;
}

#[tokio::test]
async fn tokens_that_open_nothing_say_why() {
    let server = Server::start().await;
    let invite = invite(&server);
    let mint = |claims: &Claims| server.state.tokens().mint(claims).unwrap();
    let expired = Claims {
        exp: 1_700_000_000,
        ..invite.clone()
    };
    let stranger = Claims {
        org: OrganizationId::from_random(1),
        ..invite.clone()
    };
    let elsewhere = Claims {
        meeting: MeetingId::from_random(1),
        ..invite.clone()
    };
    let unruled = Claims {
        preset: "nope".to_owned(),
        ..invite.clone()
    };
    let removed = Claims {
        participant: Some(ParticipantId::from_random(1)),
        ..invite.clone()
    };
    for (token, code) in [
        ("garbage".to_owned(), "token_invalid"),
        (
            TokenKey::new(&[1; 32]).mint(&invite).unwrap(),
            "token_invalid",
        ),
        (mint(&expired), "token_expired"),
        (mint(&stranger), "unknown_meeting"),
        (mint(&elsewhere), "unknown_meeting"),
        (mint(&unruled), "unknown_preset"),
        (mint(&removed), "participant_removed"),
    ] {
        let mut browser = Browser::open(&server).await;
        browser.say(join(&token)).await;
        browser.expect_refusal(code).await;
    }
    let path = format!("/v2/meetings/{}", server.first.meeting_id);
    server.patch(&path, json!({ "status": "INACTIVE" })).await;
    let mut browser = Browser::open(&server).await;
    browser.say(join(&mint(&invite))).await;
    browser.expect_refusal("meeting_inactive").await;
}

#[tokio::test]
async fn a_draining_server_takes_nobody_new() {
    let draining = Readiness {
        draining: Box::new(|| true),
        ..ready()
    };
    let server = Server::start_with(draining).await;
    let token = server.state.tokens().mint(&invite(&server)).unwrap();
    let mut browser = Browser::open(&server).await;
    browser.say(join(&token)).await;
    browser.expect_refusal("draining").await;
}

#[tokio::test]
async fn a_plain_request_to_the_signalling_door_is_an_error() {
    let server = Server::start().await;
    let response = server.client.get(format!("{}/v2/signal", server.base));
    let status = response.send().await.unwrap().status();
    assert!(status.is_client_error());
}
