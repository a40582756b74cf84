//! What is known of a call when it begins: its profile, its rights, and the meeting it may enter.

use std::net::IpAddr;
use std::sync::Arc;

use rand::RngCore;
use tracing::warn;

use crate::call::caller::Caller;
use crate::call::end::Refusal;
use crate::call::machine::{CallProfile, CallStart, FoundMeeting};
use crate::config::Profile;
use crate::config::profile::{DtmfForm, Peer};
use crate::id::{CallId, CredentialId, MeetingId, ParticipantId};
use crate::rtp::srtp::KEYING_BYTES_MAX;
use crate::run::call_task::CallContext;
use crate::run::clock;
use crate::run::directory::MeetingInfo;
use crate::sip::auth::CredentialSource;
use crate::sip::endpoint::Invite;
use crate::store::Store;
use crate::store::credential::CredentialGrant;
use crate::store::meeting::MeetingStatus;
use crate::store::preset::PRESET_PHONE;

/// What a call task needs to know of its peer.
pub(super) struct PeerFacts {
    /// Where SIP comes from.
    pub(super) source: IpAddr,
    /// DTMF by INFO counts.
    pub(super) info_dtmf: bool,
    /// `X-Ringbridge-…` headers go on final responses.
    pub(super) report_headers: bool,
}

/// Everything a call is made of, from its INVITE; `None` if its credentials are gone.
pub(super) fn start_of(
    context: &CallContext,
    invite: Invite,
) -> Option<((CallStart, PeerFacts), Arc<CredentialGrant>)> {
    let source = invite.flow.remote.ip();
    let book = context.store.credentials();
    // A trunk known by its address acts as the credentials its profile names.
    let credential: CredentialId = match (invite.credential, &invite.trunk) {
        (Some(credential), _) => credential,
        (None, Some(username)) => book.credential(username)?.id,
        (None, None) => return None,
    };
    let grant = book.grant(credential)?;
    let profile: &Profile = context.config.profiles.choose(&Peer {
        source,
        user_agent: invite.user_agent.as_deref(),
        username: invite.username.as_deref().or(invite.trunk.as_deref()),
    });
    let user = invite.request_uri.user().unwrap_or_default();
    let start = CallStart {
        id: CallId::from_random(rand::random()),
        participant: ParticipantId::from_random(rand::random()),
        sdp_session_id: rand::random::<u64>() >> 1,
        srtp_keying: fresh_keying(),
        started_at_unix_ns: clock::unix_ns(),
        dialled: profile.dialled_meeting(user, &invite.headers),
        caller: Caller {
            display_name: invite.caller.display_name,
            user: invite.caller.user,
            private: invite.caller.privacy,
        },
        call_id_header: invite.call_id,
        credential: invite.credential,
        organization: grant.organization,
        attributes: profile.attributes(&invite.headers),
        offer: invite.offer,
        profile: CallProfile {
            name: profile.name.clone(),
            codecs: profile.codecs.clone(),
            dtmf_events: profile.accepts(DtmfForm::Rfc4733),
            srtp: profile.srtp,
        },
    };
    let peer = PeerFacts {
        source,
        info_dtmf: profile.accepts(DtmfForm::Info),
        report_headers: profile.quirks.report_headers,
    };
    Some(((start, peer), grant))
}

/// Octets nobody can guess.
fn fresh_keying() -> [u8; KEYING_BYTES_MAX] {
    let mut keying = [0; KEYING_BYTES_MAX];
    rand::rng().fill_bytes(&mut keying);
    keying
}

/// The meeting the credentials open, and what a phone may do there.
pub(super) async fn look_up(
    store: &Store,
    grant: &CredentialGrant,
    id: MeetingId,
) -> Result<(FoundMeeting, MeetingInfo), Refusal> {
    let meeting = match store.meeting(id).await {
        Ok(Some(meeting)) if grant.opens(meeting.organization, id) => meeting,
        // A meeting of others looks exactly like none.
        Ok(_) => return Err(Refusal::UnknownMeeting),
        Err(error) => {
            warn!(%error, "A meeting could not be looked up");
            return Err(Refusal::Unavailable);
        }
    };
    if meeting.status == MeetingStatus::Inactive {
        return Err(Refusal::MeetingInactive);
    }
    let preset = match store.preset(meeting.organization, PRESET_PHONE).await {
        Ok(Some(preset)) => preset,
        Ok(None) => return Err(Refusal::PresetForbidsPhone),
        Err(error) => {
            warn!(%error, "A preset could not be looked up");
            return Err(Refusal::Unavailable);
        }
    };
    let info = MeetingInfo {
        id,
        organization: meeting.organization,
        title: meeting.title,
    };
    Ok((FoundMeeting { id, preset }, info))
}
