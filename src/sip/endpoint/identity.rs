//! Who calls: read from the headers carriers and phones put it in.

use super::event::CallerIdentity;
use crate::sip::header::NameAddr;
use crate::sip::message::Request;
use crate::sip::normalise::readable;
use crate::sip::uri::Uri;

/// P-Asserted-Identity, else Remote-Party-ID, else From (RFC 3325, RFC 3323).
pub(super) fn caller(request: &Request) -> CallerIdentity {
    let headers = &request.headers;
    let asserted = headers
        .all("P-Asserted-Identity")
        .find_map(|v| NameAddr::parse(v).ok());
    let remote_party = headers
        .get("Remote-Party-ID")
        .and_then(|v| NameAddr::parse(v).ok());
    let wants_privacy = headers.get("Privacy").is_some_and(|privacy| {
        let mut tokens = privacy
            .split([';', ','])
            .map(|token| token.trim().to_ascii_lowercase());
        tokens.any(|token| ["id", "user", "header"].contains(&token.as_str()))
    });
    let remote_privacy = remote_party
        .as_ref()
        .and_then(|party| party.params.get("privacy"));
    let is_anonymous = request
        .from
        .uri
        .to_ascii_lowercase()
        .contains("anonymous.invalid")
        || user_of(&request.from).is_some_and(|user| user.eq_ignore_ascii_case("anonymous"));
    let who = asserted
        .or(remote_party.clone())
        .unwrap_or_else(|| request.from.clone());
    CallerIdentity {
        // An asserted identity often has the number alone, while From has the name.
        display_name: who
            .display_name
            .as_ref()
            .or(request.from.display_name.as_ref())
            .map(|name| readable(name)),
        user: user_of(&who),
        privacy: wants_privacy
            || is_anonymous
            || remote_privacy.is_some_and(|privacy| !privacy.eq_ignore_ascii_case("off")),
        uri: readable(&who.uri),
    }
}

fn user_of(who: &NameAddr) -> Option<String> {
    let uri = Uri::parse(&who.uri).ok()?;
    uri.user().map(readable).filter(|user| !user.is_empty())
}
