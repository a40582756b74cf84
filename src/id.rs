//! Identifiers: every id is a type of its own, so that a meeting can never be taken for a call.
//!
//! All are UUIDs in their canonical lower-case, hyphenated form in text; parsing ignores case,
//! because phones change the case of what they dial.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct InvalidId;

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// From 128 random bits; the shell draws them, tests pass fixed ones.
            pub const fn from_random(bits: u128) -> Self {
                Self(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }
    )*};
}

uuid_ids! {
    /// The tenant that owns meetings, API keys and SIP credentials.
    OrganizationId
    /// A durable, reusable meeting; what `sip:<meetingId>@host` names.
    MeetingId
    /// One live instance of a Meeting.
    SessionId
    /// Someone or something in a Session. A second join with the same id replaces the first.
    ParticipantId
    /// One phone's life with us, from the first authorised INVITE to its end.
    CallId
    /// One set of SIP credentials.
    CredentialId
    /// A preset as the REST API names it; inside an organisation its name is as good.
    PresetId
    /// A carrier's connection.
    TrunkId
    /// A rule from what was dialled to a meeting.
    RoutingRuleId
    /// Where events are posted.
    WebhookId
    /// One event on its way to one webhook.
    DeliveryId
    /// One message of a session's chat.
    ChatMessageId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_id_is_read_in_any_case_and_written_in_lower_case() {
        let id: MeetingId = "6F9619FF-8B86-4D01-B42D-00CF4FC964FF".parse().unwrap();
        assert_eq!(id.to_string(), "6f9619ff-8b86-4d01-b42d-00cf4fc964ff");
        assert_eq!("not-a-uuid".parse::<MeetingId>(), Err(InvalidId));
    }
}
