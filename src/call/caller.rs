//! Who calls, and what they dialled.

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
}
