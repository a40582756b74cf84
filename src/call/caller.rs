//! Who calls, and what they dialled.

use std::collections::BTreeMap;

use crate::id::MeetingId;
use crate::limits;

/// Name shown for a caller who withholds theirs (RFC 3323 `Privacy: id`, `anonymous`).
pub const ANONYMOUS: &str = "Anonymous caller";

/// Name shown for a caller who has none.
pub const NAMELESS: &str = "Phone";

/// Who calls, from P-Asserted-Identity, Remote-Party-ID or From, in that order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// Display name as the phone sent it.
    pub display_name: Option<String>,
    /// User part: a number or a name.
    pub user: Option<String>,
    /// The caller asked to stay unknown.
    pub private: bool,
}

impl Caller {
    /// The name every browser sees.
    pub fn shown_name(&self) -> String {
        if self.private {
            return ANONYMOUS.to_owned();
        }
        [&self.display_name, &self.user]
            .into_iter()
            .flatten()
            .map(|text| clean(text))
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| NAMELESS.to_owned())
    }
}

/// The meeting a Request-URI's user part names. Phones add parameters and change case.
pub fn dialled_meeting(user: &str) -> Option<MeetingId> {
    let bare = user.split(';').next().unwrap_or(user);
    bare.trim().parse().ok()
}

/// Attributes of the robo participant: the headers the profile names, as the phone sent them.
///
/// `rules` maps lower-case header names to attribute names; a rule that ends in `*` takes every
/// header with that prefix and appends the rest of its name.
pub fn attributes(
    headers: &[(String, String)],
    rules: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in headers {
        if found.len() == limits::PHONE_ATTRIBUTES_MAX {
            break;
        }
        let name = name.to_ascii_lowercase();
        let attribute = rules.get(&name).cloned().or_else(|| {
            rules.iter().find_map(|(rule, target)| {
                let rest = name.strip_prefix(rule.strip_suffix('*')?)?;
                Some(format!("{target}{rest}"))
            })
        });
        if let Some(attribute) = attribute {
            found.entry(attribute).or_insert_with(|| clean(value));
        }
    }
    found
}

/// Printable, on one line, not longer than a name tag.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(limits::DISPLAY_NAME_CHARS_MAX)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_caller_is_anonymous_and_a_nameless_one_is_a_phone() {
        let mut caller = Caller {
            display_name: Some("  Ann\r\n Example ".to_owned()),
            user: Some("+15550100".to_owned()),
            private: false,
        };
        assert_eq!(caller.shown_name(), "Ann Example");
        caller.display_name = Some(" ".to_owned());
        assert_eq!(caller.shown_name(), "+15550100");
        caller.private = true;
        assert_eq!(caller.shown_name(), ANONYMOUS);
        assert_eq!(Caller::default().shown_name(), NAMELESS);
    }

    #[test]
    fn a_dialled_meeting_is_found_in_any_case_and_behind_user_parameters() {
        let id = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
        assert_eq!(dialled_meeting(id), id.parse().ok());
        assert_eq!(
            dialled_meeting(&format!("{};verstat=none", id.to_uppercase())),
            id.parse().ok()
        );
        assert_eq!(dialled_meeting("1000"), None);
    }

    #[test]
    fn headers_become_attributes_by_exact_rule_or_prefix() {
        let headers = [
            ("X-Twilio-CallSid".to_owned(), "CA1".to_owned()),
            ("Diversion".to_owned(), "<sip:1@example.com>".to_owned()),
            ("Subject".to_owned(), "hi".to_owned()),
        ];
        let rules = BTreeMap::from([
            ("x-twilio-*".to_owned(), "twilio.".to_owned()),
            ("diversion".to_owned(), "diversion".to_owned()),
        ]);
        let found = attributes(&headers, &rules);
        assert_eq!(found["twilio.callsid"], "CA1");
        assert_eq!(found["diversion"], "<sip:1@example.com>");
        assert_eq!(found.len(), 2);
    }
}
