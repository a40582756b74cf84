//! Join tokens: JWT (RFC 7519) with HS256, signed with the store's secret.
//!
//! An *invite* token names no participant: each join with it makes a new guest. A *participant's*
//! token names one that the API made, whose stored name and preset count. A *guest's* token brings
//! a guest back to its seat; everything about the guest stands in it.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::id::{MeetingId, OrganizationId, ParticipantId};
use crate::limits::{INVITE_TOKEN_LIFE, PARTICIPANT_TOKEN_LIFE, RESUME_TOKEN_LIFE};
use crate::run::clock;
use crate::store::participant::StoredParticipant;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Owner of the meeting.
    pub org: OrganizationId,
    /// The meeting it opens.
    pub meeting: MeetingId,
    /// Name of the preset.
    pub preset: String,
    /// Seconds since the Unix epoch; from then on it opens nothing.
    pub exp: i64,
    /// Who joins; without, everyone who does is somebody new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<ParticipantId>,
    /// The participant is a guest, unknown to the store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guest: bool,
    /// A guest's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The participant's serial when it was made; another one since revokes it.
    #[serde(default)]
    pub serial: u32,
}

impl Claims {
    /// Lets anyone in as a guest, for [`INVITE_TOKEN_LIFE`].
    pub fn invite(org: OrganizationId, meeting: MeetingId, preset: &str) -> Self {
        Self {
            org,
            meeting,
            preset: preset.to_owned(),
            exp: expiry(INVITE_TOKEN_LIFE),
            participant: None,
            guest: false,
            name: None,
            serial: 0,
        }
    }

    /// Lets this participant in, for [`PARTICIPANT_TOKEN_LIFE`].
    pub fn participant(org: OrganizationId, participant: &StoredParticipant) -> Self {
        Self {
            org,
            meeting: participant.meeting,
            preset: participant.preset_name.clone(),
            exp: expiry(PARTICIPANT_TOKEN_LIFE),
            participant: Some(participant.id),
            guest: false,
            name: None,
            serial: participant.token_serial,
        }
    }

    /// The same for so long only.
    pub fn lasting(self, life: Duration) -> Self {
        Self {
            exp: expiry(life),
            ..self
        }
    }

    /// Brings who joined with `self` back as `participant`, for [`RESUME_TOKEN_LIFE`], but a
    /// guest not beyond the life of the invitation: its end is the owner's will.
    pub fn resume(&self, participant: ParticipantId, name: &str) -> Self {
        let guest = self.guest || self.participant.is_none();
        Self {
            exp: expiry(RESUME_TOKEN_LIFE).min(self.exp),
            participant: Some(participant),
            guest,
            name: guest.then(|| name.to_owned()),
            ..self.clone()
        }
    }
}

fn expiry(life: Duration) -> i64 {
    unix_seconds().saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX))
}

fn unix_seconds() -> i64 {
    i64::try_from(clock::unix_ns() / 1_000_000_000).unwrap_or(i64::MAX)
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, not ours, or changed by somebody.
    #[error("the token is not valid")]
    Invalid,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It could not be signed: our own failure.
    #[error("the token could not be signed")]
    Unsigned,
}

/// Signs and checks tokens.
#[derive(Clone)]
pub struct TokenKey {
    signing: EncodingKey,
    checking: DecodingKey,
    rules: Validation,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

impl TokenKey {
    /// With the store's `token_secret`.
    pub fn new(secret: &[u8; 32]) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        // Compared by us, with the process's one clock and without the library's leeway.
        rules.validate_exp = false;
        rules.set_required_spec_claims(&["exp"]);
        Self {
            signing: EncodingKey::from_secret(secret),
            checking: DecodingKey::from_secret(secret),
            rules,
        }
    }

    /// Signs `claims`.
    ///
    /// # Errors
    /// [`TokenError::Unsigned`], which HMAC does not give.
    pub fn mint(&self, claims: &Claims) -> Result<String, TokenError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.signing)
            .map_err(|_| TokenError::Unsigned)
    }

    /// Reads a token that is ours and has not expired.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] or [`TokenError::Expired`].
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.rules).map_err(
            |error| match error.kind() {
                ErrorKind::ExpiredSignature => TokenError::Expired,
                _ => TokenError::Invalid,
            },
        )?;
        if data.claims.exp <= unix_seconds() {
            return Err(TokenError::Expired);
        }
        Ok(data.claims)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn claims() -> Claims {
        Claims::invite(
            OrganizationId::from_random(1),
            MeetingId::from_random(2),
            "group_call_host",
        )
    }

    #[test]
    fn a_token_reads_back_as_it_was_made() {
        let key = TokenKey::new(&[7; 32]);
        let token = key.mint(&claims()).unwrap();
        assert_eq!(key.verify(&token), Ok(claims()));
    }

    #[test]
    fn an_expired_token_is_told_from_a_forged_one() {
        let key = TokenKey::new(&[7; 32]);
        let expired = Claims {
            exp: unix_seconds(),
            ..claims()
        };
        let token = key.mint(&expired).unwrap();
        assert_eq!(key.verify(&token), Err(TokenError::Expired));
        let foreign = TokenKey::new(&[8; 32]);
        assert_eq!(foreign.verify(&token), Err(TokenError::Invalid));
    }

    #[test]
    fn a_token_without_signature_or_with_changed_claims_is_invalid() {
        let key = TokenKey::new(&[7; 32]);
        let token = key.mint(&claims()).unwrap();
        let [head, body, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("a JWT has three parts");
        };
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let other = Claims {
            preset: "another".to_owned(),
            ..claims()
        };
        let other = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other).unwrap());
        for forged in [
            format!("{none}.{body}."),
            format!("{none}.{body}.{signature}"),
            format!("{head}.{other}.{signature}"),
            format!("{head}.{body}."),
            String::new(),
            "x".repeat(100_000),
        ] {
            assert_eq!(key.verify(&forged), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn a_guest_comes_back_as_itself_and_not_beyond_its_invitation() {
        let ann = ParticipantId::from_random(3);
        let soon = Claims {
            exp: unix_seconds() + 60,
            ..claims()
        };
        let resume = soon.resume(ann, "Ann");
        assert_eq!((resume.participant, resume.guest), (Some(ann), true));
        assert_eq!(resume.name.as_deref(), Some("Ann"));
        assert_eq!(resume.exp, soon.exp);
    }
}
