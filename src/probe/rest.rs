//! The few REST calls that the probe and the load generator need.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::tls;
use crate::id::MeetingId;

/// A client of one organisation.
#[derive(Debug, Clone)]
pub struct Rest {
    http: reqwest::Client,
    base: String,
    organization_id: String,
    api_key: String,
}

/// A REST call failed.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The server was not reached or its reply is none.
    #[error("{0}")]
    Transport(String),
    /// The server refused.
    #[error("{status} from {path}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What was asked.
        path: String,
        /// The error's message, or the start of the body.
        message: String,
    },
}

impl From<reqwest::Error> for RestError {
    fn from(error: reqwest::Error) -> Self {
        // The causes say what went wrong ("connection refused"); the error itself does not.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Self::Transport(text)
    }
}

#[derive(Deserialize)]
struct Reply<T> {
    data: T,
}

#[derive(Deserialize)]
struct Created {
    id: MeetingId,
}

#[derive(Deserialize)]
struct Invited {
    token: String,
}

impl Rest {
    /// A client for `base` (without `/v2`).
    pub fn new(
        base: &str,
        organization_id: &str,
        api_key: &str,
        accept_any_certificate: bool,
    ) -> Result<Self, RestError> {
        tls::install_provider();
        Ok(Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(10))
                .danger_accept_invalid_certs(accept_any_certificate)
                .build()?,
            base: base.to_owned(),
            organization_id: organization_id.to_owned(),
            api_key: api_key.to_owned(),
        })
    }

    /// Creates a meeting.
    pub async fn create_meeting(&self, title: &str) -> Result<MeetingId, RestError> {
        let created: Created = self.post("meetings", json!({ "title": title })).await?;
        Ok(created.id)
    }

    /// Adds a participant to a meeting; its join token.
    pub async fn join_token(&self, meeting: MeetingId, name: &str) -> Result<String, RestError> {
        let path = format!("meetings/{meeting}/participants");
        let invited: Invited = self.post(&path, json!({ "name": name })).await?;
        Ok(invited.token)
    }

    /// Address of the signalling WebSocket.
    pub fn signal_url(&self) -> String {
        let base = match self.base.strip_prefix("http") {
            Some(rest) => format!("ws{rest}"),
            None => self.base.clone(),
        };
        format!("{base}/v2/signal")
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, RestError> {
        let reply = self
            .http
            .post(format!("{}/v2/{path}", self.base))
            .basic_auth(&self.organization_id, Some(&self.api_key))
            .json(&body)
            .send()
            .await?;
        let status = reply.status();
        if !status.is_success() {
            let body = reply.text().await?;
            let parsed: Option<Value> = serde_json::from_str(&body).ok();
            let message = parsed
                .as_ref()
                .and_then(|value| value.pointer("/error/message"))
                .and_then(Value::as_str)
                .map_or_else(|| body.chars().take(200).collect(), str::to_owned);
            return Err(RestError::Refused {
                status: status.as_u16(),
                path: path.to_owned(),
                message,
            });
        }
        let reply: Reply<T> = reply.json().await?;
        Ok(reply.data)
    }
}
