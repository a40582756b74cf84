//! REST as any client would speak it, with the key of the data folder's card.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::app::FirstCall;
use crate::net::tls;

/// Nothing an operator asks takes longer.
const REPLY_MAX: Duration = Duration::from_secs(10);

/// What went wrong, for the operator.
#[derive(Debug)]
pub(super) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // The causes say what went wrong ("connection refused"); the error itself does not.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Self(format!("{text} (is the server running?)"))
    }
}

/// A client of the server whose data folder this is.
pub(super) struct Client {
    http: reqwest::Client,
    card: FirstCall,
}

impl Client {
    pub fn new(data_dir: PathBuf) -> Result<Self, Failure> {
        let card = FirstCall::read(&data_dir).ok_or_else(|| {
            Failure(format!(
                "{}: no first-call.json that can be read; give --data DIR of the server",
                data_dir.display()
            ))
        })?;
        tls::install_provider();
        let http = reqwest::Client::builder()
            .timeout(REPLY_MAX)
            .no_proxy()
            .build()?;
        Ok(Self { http, card })
    }

    /// A call of the REST API; `path` begins after `/v2/`.
    pub async fn rest(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let key = self.card.api_key.as_ref().ok_or_else(|| {
            Failure("first-call.json holds no API key any more: it was told at first start".into())
        })?;
        let url = format!("{}/{path}", self.card.api_base);
        let request = self
            .http
            .request(method, url)
            .basic_auth(self.card.organization_id, Some(key));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        send(request).await
    }

    /// A call of the admin listener.
    pub async fn admin(&self, method: Method, path: &str) -> Result<Value, Failure> {
        let url = format!("{}/{path}", self.card.admin_base);
        send(self.http.request(method, url)).await
    }
}

async fn send(request: RequestBuilder) -> Result<Value, Failure> {
    let reply = request.send().await?;
    let status = reply.status();
    let body = reply.text().await?;
    let mut value: Value = serde_json::from_str(&body)
        .map_err(|_| Failure(format!("{status}, and what came is not JSON")))?;
    match status.is_success() {
        true => Ok(value["data"].take()),
        false => {
            let message = value["error"]["message"]
                .as_str()
                .unwrap_or("no reason given");
            Err(Failure(message.to_owned()))
        }
    }
}
