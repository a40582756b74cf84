//! Session timers (RFC 4028): who refreshes, how often, and when silence means the end.

use std::time::Duration;

use super::dialog::seconds;
use super::header::Params;
use super::headers::Headers;

/// Who refreshes the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// We do.
    Us,
    /// The peer does.
    Peer,
}

/// An agreed session interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimer {
    /// Session-Expires.
    pub interval: Duration,
    /// Who refreshes.
    pub refresher: Refresher,
}

/// The interval asked for is below our minimum: 422 with Min-SE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntervalTooSmall;

impl SessionTimer {
    /// What a request asks of us as its UAS (RFC 4028 §9). `None`: no timer.
    pub fn from_request(
        headers: &Headers,
        min: Duration,
    ) -> Result<Option<Self>, IntervalTooSmall> {
        let Some((interval, refresher)) = read(headers) else {
            return Ok(None);
        };
        let knows_timers = headers.has_token("Supported", "timer");
        if interval < min && knows_timers {
            return Err(IntervalTooSmall);
        }
        let refresher = match (refresher.as_deref(), knows_timers) {
            // A proxy asked on behalf of a caller who knows nothing of it: we refresh.
            (_, false) | (Some("uas"), true) => Refresher::Us,
            (_, true) => Refresher::Peer,
        };
        Ok(Some(Self {
            interval: interval.max(min),
            refresher,
        }))
    }

    /// What a 2xx to our own request says (RFC 4028 §7.2): there, we are the UAC.
    pub fn from_response(headers: &Headers) -> Option<Self> {
        let (interval, refresher) = read(headers)?;
        let refresher = match refresher.as_deref() {
            Some("uas") => Refresher::Peer,
            _ => Refresher::Us,
        };
        Some(Self {
            interval,
            refresher,
        })
    }

    /// Headers of our 2xx to the peer's request.
    pub fn response_headers(self) -> Vec<(&'static str, String)> {
        let interval = self.interval.as_secs();
        match self.refresher {
            Refresher::Peer => vec![
                ("Require", "timer".to_owned()),
                ("Session-Expires", format!("{interval};refresher=uac")),
            ],
            Refresher::Us => vec![("Session-Expires", format!("{interval};refresher=uas"))],
        }
    }

    /// Value of Session-Expires in a refresh of ours.
    pub fn request_value(self) -> String {
        let refresher = match self.refresher {
            Refresher::Us => "uac",
            Refresher::Peer => "uas",
        };
        format!("{};refresher={refresher}", self.interval.as_secs())
    }

    /// When we refresh, counted from the last refresh.
    pub fn refresh_after(self) -> Option<Duration> {
        (self.refresher == Refresher::Us).then_some(self.interval / 2)
    }

    /// When the session is over without a refresh: somewhat early, so that our BYE still finds the
    /// proxies' state (RFC 4028 §10).
    pub fn expires_after(self) -> Duration {
        self.interval - (self.interval / 3).min(Duration::from_secs(32))
    }
}

fn read(headers: &Headers) -> Option<(Duration, Option<String>)> {
    let value = headers.get("Session-Expires")?;
    let interval = Duration::from_secs(u64::from(seconds(value)?));
    let (_, params) = value.split_once(';').unwrap_or((value, ""));
    let params = Params::parse(params).unwrap_or_default();
    Some((
        interval,
        params.get("refresher").map(str::to_ascii_lowercase),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(90);

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in pairs {
            headers.push(name, *value);
        }
        headers
    }

    #[test]
    fn the_refresher_is_whom_the_request_names_else_the_caller_if_it_can() {
        for (value, supported, refresher) in [
            ("1800", "timer", Refresher::Peer),
            ("1800;refresher=UAC", "timer", Refresher::Peer),
            ("1800 ; refresher=uas", "timer", Refresher::Us),
            ("1800;refresher=uac", "100rel", Refresher::Us),
        ] {
            let headers = headers(&[("Session-Expires", value), ("Supported", supported)]);
            let timer = SessionTimer::from_request(&headers, MIN).unwrap().unwrap();
            assert_eq!(timer.refresher, refresher, "{value}");
            assert_eq!(timer.interval, Duration::from_secs(1800));
        }
        assert_eq!(SessionTimer::from_request(&headers(&[]), MIN), Ok(None));
    }

    #[test]
    fn too_small_an_interval_is_refused_only_to_those_who_understand() {
        let small = headers(&[("Session-Expires", "60"), ("Supported", "timer")]);
        assert_eq!(
            SessionTimer::from_request(&small, MIN),
            Err(IntervalTooSmall)
        );
        let ignorant = headers(&[("Session-Expires", "60")]);
        let timer = SessionTimer::from_request(&ignorant, MIN).unwrap().unwrap();
        assert_eq!((timer.interval, timer.refresher), (MIN, Refresher::Us));
    }

    #[test]
    fn the_end_comes_a_third_early_but_at_most_32_seconds() {
        let timer = |secs| SessionTimer {
            interval: Duration::from_secs(secs),
            refresher: Refresher::Peer,
        };
        assert_eq!(timer(90).expires_after(), Duration::from_secs(60));
        assert_eq!(timer(1800).expires_after(), Duration::from_secs(1768));
        assert_eq!(timer(90).refresh_after(), None);
    }
}
