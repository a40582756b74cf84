//! WHIP and WHEP as HTTP: who is refused, and why. Media is shown end to end.

use reqwest::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ETAG, IF_MATCH, LOCATION,
    WWW_AUTHENTICATE,
};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use super::Server;
use super::signal::invite;

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// One voice, as a client that only sends or only receives offers it.
fn offer(direction: &str) -> String {
    let fingerprint = ["AB"; 32].join(":");
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na={direction}\r\n\
        a=ice-ufrag:them\r\na=ice-pwd:theirsecretpasswordoftheirs\r\na=setup:actpass\r\n\
        a=fingerprint:sha-256 {fingerprint}\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
        a=msid:- voice\r\na=ssrc:77 cname:x\r\n"
    )
}

struct Client<'a> {
    server: &'a Server,
    token: String,
}

impl<'a> Client<'a> {
    fn new(server: &'a Server) -> Self {
        let token = server.state.tokens().mint(&invite(server)).unwrap();
        Self { server, token }
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: &str) -> Response {
        self.send_if(method, path, kind, body, None).await
    }

    async fn send_if(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: &str,
        etag: Option<&str>,
    ) -> Response {
        let url = format!("{}{path}", self.server.base);
        let mut request = self.server.client.request(method, url);
        request = request
            .bearer_auth(&self.token)
            .header("content-type", kind);
        if let Some(etag) = etag {
            request = request.header(IF_MATCH, etag);
        }
        request.body(body.to_owned()).send().await.unwrap()
    }
}

async fn assert_refused(response: Response, status: u16, code: &str) {
    assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert_eq!(response.status().as_u16(), status);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], code, "{body}");
}

fn header(response: &Response, name: reqwest::header::HeaderName) -> &str {
    response.headers()[name].to_str().unwrap()
}

async fn people(server: &Server) -> usize {
    let meeting = server.first.meeting_id;
    let snapshot = server.state.directory().snapshot(meeting).await;
    snapshot.map_or(0, |session| session.participants.len())
}

#[tokio::test]
async fn an_offer_is_answered_its_session_patched_and_deleted() {
    let server = Server::start().await;
    for (path, direction, ours) in [
        ("/v2/whip", "sendonly", "a=recvonly"),
        ("/v2/whep", "recvonly", "a=sendonly"),
        ("/v2/whip", "sendrecv", "a=recvonly"),
        ("/v2/whep", "sendrecv", "a=sendonly"),
    ] {
        let client = Client::new(&server);
        let made = client
            .send(Method::POST, path, SDP, &offer(direction))
            .await;
        assert_eq!(made.status(), StatusCode::CREATED);
        assert_eq!(header(&made, reqwest::header::CONTENT_TYPE), SDP);
        let exposed = header(&made, ACCESS_CONTROL_EXPOSE_HEADERS);
        assert!(exposed.contains("Location") && exposed.contains("ETag"));
        let location = header(&made, LOCATION).to_owned();
        assert!(location.starts_with(path), "{location}");
        let etag = header(&made, ETAG).to_owned();
        let answer = made.text().await.unwrap();
        assert!(answer.contains(&format!("{ours}\r\n")), "{answer}");
        assert!(answer.contains("a=candidate:"), "{answer}");
        assert_eq!(people(&server).await, 1);

        let patch = async |body: &str, etag: Option<&str>| {
            let method = Method::PATCH;
            client
                .send_if(method, &location, FRAGMENT, body, etag)
                .await
        };
        let candidate = "a=ice-ufrag:them\r\na=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n";
        let trickled = patch(candidate, Some(&etag)).await;
        assert_eq!(trickled.status(), StatusCode::NO_CONTENT);
        assert_refused(patch(candidate, None).await, 428, "if_match_missing").await;
        assert_refused(
            patch(candidate, Some("\"x\"")).await,
            412,
            "if_match_failed",
        )
        .await;

        let restart = "a=ice-ufrag:anew\r\na=ice-pwd:anotherpasswordthatislong\r\n";
        let restarted = patch(restart, Some("*")).await;
        assert_eq!(restarted.status(), StatusCode::OK);
        assert_eq!(header(&restarted, reqwest::header::CONTENT_TYPE), FRAGMENT);
        let newer = header(&restarted, ETAG).to_owned();
        assert_ne!(newer, etag);
        let fragment = restarted.text().await.unwrap();
        assert!(fragment.contains("a=ice-pwd:"), "{fragment}");
        assert_refused(patch(candidate, Some(&etag)).await, 412, "if_match_failed").await;
        assert_refused(patch("a=ice-ufrag:x", Some("*")).await, 400, "bad_fragment").await;

        let end = client.send(Method::DELETE, &location, SDP, "").await;
        assert_eq!(end.status(), StatusCode::OK);
        assert_eq!(people(&server).await, 0);
        let again = client.send(Method::DELETE, &location, SDP, "").await;
        assert_refused(again, 404, "not_found").await;
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_with_its_reason() {
    let server = Server::start().await;
    let client = Client::new(&server);
    let whip = "/v2/whip";
    let good = offer("sendonly");
    let made = client.send(Method::POST, whip, "text/plain", &good).await;
    assert_refused(made, 415, "unsupported_media_type").await;
    for bad in ["", "nonsense", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"] {
        let made = client.send(Method::POST, whip, SDP, bad).await;
        assert_refused(made, 422, "bad_description").await;
    }
    let stranger = Client {
        server: &server,
        token: "made-up".to_owned(),
    };
    let made = stranger.send(Method::POST, whip, SDP, &good).await;
    assert_eq!(
        header(&made, WWW_AUTHENTICATE),
        "Bearer realm=\"ringbridge\""
    );
    assert_refused(made, 401, "token_invalid").await;
    let bare = server.client.post(format!("{}{whip}", server.base));
    let made = bare.header("content-type", SDP).body(good.clone()).send();
    assert_refused(made.await.unwrap(), 401, "token_missing").await;
    assert_eq!(people(&server).await, 0, "nobody was left behind");

    let made = client.send(Method::POST, whip, SDP, &good).await;
    let location = header(&made, LOCATION).to_owned();
    let end = stranger.send(Method::DELETE, &location, SDP, "").await;
    assert_refused(end, 401, "token_missing").await;
    let other = location.replace("whip", "whep");
    let end = client.send(Method::DELETE, &other, SDP, "").await;
    assert_refused(end, 404, "not_found").await;
    let put = client.send(Method::PUT, &location, SDP, "").await;
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(people(&server).await, 1);
}

#[tokio::test]
async fn a_page_of_another_origin_may_ask_and_a_kicked_publisher_s_session_is_gone() {
    let server = Server::start().await;
    let client = Client::new(&server);
    let asked = client.send(Method::OPTIONS, "/v2/whip", SDP, "").await;
    assert_eq!(asked.status(), StatusCode::NO_CONTENT);
    assert_eq!(asked.headers()["accept-post"], SDP);
    assert_eq!(asked.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");

    let made = client
        .send(Method::POST, "/v2/whip", SDP, &offer("sendonly"))
        .await;
    let location = header(&made, LOCATION).to_owned();
    server
        .state
        .directory()
        .kick_all(server.first.meeting_id)
        .await;
    let deadline = std::time::Instant::now() + super::signal::PATIENCE;
    loop {
        let patched = client.send_if(Method::PATCH, &location, FRAGMENT, "", Some("*"));
        if patched.await.status() == StatusCode::NOT_FOUND {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "it is still there");
        tokio::task::yield_now().await;
    }
}
