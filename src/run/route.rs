//! From what was dialled to a meeting, by an organisation's routing rules.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::profile::Profiles;
use crate::id::{MeetingId, OrganizationId};
use crate::sip::endpoint::Invite;
use crate::store::routing_rule::{Rule, RuleDocument};
use crate::store::trunk::{Trunk, TrunkBook};

/// Begins the name of a stored trunk among those of profiles, which are SIP user names.
const STORED: &str = "trunk:";

/// The name of the trunk that admits calls from `source` by its address alone: a stored one, or
/// the SIP user name of a profile.
pub fn trusted(profiles: &Profiles, book: &TrunkBook, source: IpAddr) -> Option<String> {
    match book.by_source(source).next() {
        Some(trunk) => Some(format!("{STORED}{}", trunk.id)),
        None => profiles.trusted(source).map(str::to_owned),
    }
}

/// Whether [`trusted`] gave this name to stored trunks.
pub(super) fn is_stored(name: &str) -> bool {
    name.starts_with(STORED)
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Preset of the caller, if the rule says so.
    pub preset_name: Option<String>,
    /// Digits the caller must press first.
    pub pin: Option<String>,
}

/// What was dialled, as rules ask for it.
pub(super) struct Dialled<'a> {
    /// User part of the Request-URI, or the number of a `tel:` URI.
    pub user: &'a str,
    /// Every header, canonical names.
    pub headers: &'a [(String, String)],
    /// Parameter of the Request-URI, by name.
    pub parameter: &'a dyn Fn(&str) -> Option<String>,
}

/// Where the organisation's rules lead this call; `None`: none fits.
pub(super) fn route(
    book: &TrunkBook,
    organization: OrganizationId,
    trunk: Option<&Trunk>,
    dialled: &Dialled<'_>,
) -> Option<Destination> {
    let country = trunk.and_then(|trunk| trunk.document.country_code.as_deref());
    let number = e164_digits(dialled.user, country);
    let concerns = |rule: &&Arc<Rule>| {
        let wanted = rule.document.trunk_id;
        wanted.is_none() || wanted == trunk.map(|trunk| trunk.id)
    };
    let mut rules = book.rules(organization).iter().filter(concerns);
    rules.find_map(|rule| destination(&rule.document, number.as_deref(), dialled))
}

fn destination(
    rule: &RuleDocument,
    number: Option<&str>,
    dialled: &Dialled<'_>,
) -> Option<Destination> {
    let found = if let Some(header) = &rule.header {
        let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(header);
        let value = dialled
            .headers
            .iter()
            .find(named)
            .map(|(_, value)| value.trim().to_owned());
        Some(value.filter(|value| fits(rule, value))?)
    } else if let Some(parameter) = &rule.uri_parameter {
        Some((dialled.parameter)(parameter).filter(|value| fits(rule, value))?)
    } else if let Some(wanted) = &rule.number {
        (digits(wanted) == number?).then_some(None)?
    } else if let Some(prefix) = &rule.prefix {
        number?.starts_with(&digits(prefix)).then_some(None)?
    } else {
        None
    };
    let meeting = match rule.meeting_id {
        Some(meeting) => meeting,
        None => found?.parse().ok()?,
    };
    Some(Destination {
        meeting,
        preset_name: rule.preset_name.clone(),
        pin: rule.pin.clone(),
    })
}

fn fits(rule: &RuleDocument, value: &str) -> bool {
    rule.value.as_ref().is_none_or(|wanted| wanted == value)
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// The digits of a number's E.164 form, however a carrier writes it: `+1415…`, `1415…`, `001415…`,
/// with separators, and with `country` also nationally with a leading 0. `None`: no number.
pub(super) fn e164_digits(user: &str, country: Option<&str>) -> Option<String> {
    // Number parameters may follow (RFC 3966 §3): `+1…;phone-context=…`.
    let number = user.split(';').next().unwrap_or_default();
    let bare: String = number.chars().filter(|c| !"-. ()".contains(*c)).collect();
    let (international, rest) = match bare.strip_prefix('+').or_else(|| bare.strip_prefix("00")) {
        Some(rest) => (true, rest),
        None => (false, bare.as_str()),
    };
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let national = rest.strip_prefix('0').filter(|_| !international);
    Some(match (national, country) {
        (Some(national), Some(country)) => format!("{country}{national}"),
        _ => rest.to_owned(),
    })
}

impl<'a> Dialled<'a> {
    /// Of an INVITE.
    pub fn of(invite: &'a Invite, parameter: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            user: invite.request_uri.user().unwrap_or_default(),
            headers: &invite.headers,
            parameter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        for written in [
            "+14155550100",
            "14155550100",
            "0014155550100",
            "+1 (415) 555-0100",
            "+1.415.555.0100;phone-context=example.com",
        ] {
            assert_eq!(
                e164_digits(written, None).as_deref(),
                Some("14155550100"),
                "{written}"
            );
        }
        assert_eq!(
            e164_digits("030123456", Some("49")).as_deref(),
            Some("4930123456")
        );
        assert_eq!(e164_digits("030123456", None).as_deref(), Some("030123456"));
        assert_eq!(
            e164_digits("+4930123456", Some("1")).as_deref(),
            Some("4930123456")
        );
        for no_number in [
            "",
            "+",
            "support",
            "11111111-1111-4111-8111-11111111111a",
            "*70",
        ] {
            assert_eq!(e164_digits(no_number, Some("49")), None, "{no_number}");
        }
    }
}
