//! What is known of a call when it begins: its profile, its rights, and the meeting it may enter.

use std::net::IpAddr;
use std::sync::Arc;

use rand::RngCore;
use tracing::warn;

use crate::call::caller::{Caller, dialled_meeting};
use crate::call::end::Refusal;
use crate::call::machine::{CallProfile, CallStart, FoundMeeting};
use crate::config::Profile;
use crate::config::profile::{DtmfForm, Peer};
use crate::id::{CallId, MeetingId, ParticipantId};
use crate::meeting::leg::LegTaste;
use crate::rtp::srtp::KEYING_BYTES_MAX;
use crate::run::call_task::CallContext;
use crate::run::clock;
use crate::run::directory::MeetingInfo;
use crate::run::route::{Destination, Dialled, is_stored, route};
use crate::sip::auth::CredentialSource;
use crate::sip::endpoint::Invite;
use crate::store::Store;
use crate::store::credential::{CredentialGrant, MeetingScope};
use crate::store::meeting::MeetingStatus;
use crate::store::preset::PRESET_PHONE;
use crate::store::trunk::Trunk;

/// What a call task needs to know of its peer.
pub(super) struct PeerFacts {
    /// Where SIP comes from.
    pub(super) source: IpAddr,
    /// DTMF by INFO counts.
    pub(super) info_dtmf: bool,
    /// `X-Ringbridge-…` headers go on final responses.
    pub(super) report_headers: bool,
    /// What the phone may do in the meeting.
    pub(super) preset_name: String,
    /// Digits it must press before it is let in.
    pub(super) pin: Option<String>,
}

/// Everything a call is made of.
pub(super) struct Start {
    pub(super) call: CallStart,
    pub(super) peer: PeerFacts,
    pub(super) grant: Arc<CredentialGrant>,
    /// The stored trunk it came by.
    pub(super) trunk: Option<Arc<Trunk>>,
}

/// Everything a call is made of, from its INVITE.
///
/// # Errors
/// Its credentials are gone, or its trunk does not take it.
pub(super) fn start_of(context: &CallContext, invite: Invite) -> Result<Start, Refusal> {
    let source = invite.flow.remote.ip();
    let Way {
        grant,
        trunk,
        destination,
    } = way_of(context, &invite, source)?;
    let named = trunk
        .as_ref()
        .and_then(|trunk| trunk.document.profile.as_deref());
    let config = context.config.load();
    let profiles = &config.profiles;
    let chosen = named.and_then(|name| profiles.named(name));
    let profile: &Profile = chosen.unwrap_or_else(|| {
        profiles.choose(&Peer {
            source,
            user_agent: invite.user_agent.as_deref(),
            username: invite.username.as_deref().or(invite.trunk.as_deref()),
        })
    });
    let (dialled, preset_name, pin) = match destination {
        Some(to) => (to.meeting.to_string(), to.preset_name, to.pin),
        None => (dialled(&invite, profile, trunk.as_deref()), None, None),
    };
    let call = CallStart {
        id: CallId::from_random(rand::random()),
        participant: ParticipantId::from_random(rand::random()),
        sdp_session_id: rand::random::<u64>() >> 1,
        srtp_keying: fresh_keying(),
        started_at_unix_ns: clock::unix_ns(),
        dialled,
        caller: Caller {
            display_name: invite.caller.display_name,
            user: invite.caller.user,
            private: invite.caller.privacy,
        },
        call_id_header: invite.call_id,
        credential: invite.credential,
        organization: grant.organization,
        attributes: profile.attributes(&invite.headers, invite.caller.privacy),
        offer: invite.offer,
        profile: CallProfile {
            name: profile.name.clone(),
            codecs: profile.codecs.clone(),
            dtmf_events: profile.accepts(DtmfForm::Rfc4733),
            taste: LegTaste {
                automatic_gain: profile.automatic_gain,
                key_tones: profile.accepts(DtmfForm::Inband),
            },
            srtp: profile.srtp,
            early_media: profile.quirks.early_media,
        },
    };
    let peer = PeerFacts {
        source,
        info_dtmf: profile.accepts(DtmfForm::Info),
        report_headers: profile.quirks.report_headers,
        preset_name: preset_name.unwrap_or_else(|| PRESET_PHONE.to_owned()),
        pin,
    };
    Ok(Start {
        call,
        peer,
        grant,
        trunk,
    })
}

/// By what right a call comes, and where a rule leads it.
struct Way {
    grant: Arc<CredentialGrant>,
    trunk: Option<Arc<Trunk>>,
    destination: Option<Destination>,
}

fn way_of(context: &CallContext, invite: &Invite, source: IpAddr) -> Result<Way, Refusal> {
    let (credentials, trunks) = (context.store.credentials(), context.store.trunk_book());
    let parameter = |name: &str| {
        let value = invite.request_uri.params().get(name);
        value.map(|value| value.to_owned())
    };
    let dialled = Dialled::of(invite, &parameter);
    if invite.credential.is_none() && invite.trunk.as_deref().is_some_and(is_stored) {
        // Several organisations may know a carrier by the same networks: the first whose rules
        // know the number has the call.
        let led = trunks.by_source(source).find_map(|trunk| {
            let to = route(&trunks, trunk.organization, Some(trunk), &dialled)?;
            Some((Arc::clone(trunk), Some(to)))
        });
        let unled = || Some((Arc::clone(trunks.by_source(source).next()?), None));
        let (trunk, destination) = led.or_else(unled).ok_or(Refusal::TrunkForbidden)?;
        let grant = CredentialGrant {
            organization: trunk.organization,
            scope: MeetingScope::Organization,
        };
        return Ok(Way {
            grant: Arc::new(grant),
            trunk: Some(trunk),
            destination,
        });
    }
    // A trunk of a profile acts as the credentials it names.
    let acts_as = |username: &String| credentials.credential(username).map(|found| found.id);
    let credential = invite
        .credential
        .or_else(|| invite.trunk.as_ref().and_then(acts_as));
    let credential = credential.ok_or(Refusal::UnknownMeeting)?;
    // The credentials may have been deleted between the digest check and now.
    let grant = credentials
        .grant(credential)
        .ok_or(Refusal::UnknownMeeting)?;
    let trunk = trunks.by_credential(credential).cloned();
    if let Some(trunk) = &trunk
        && !trunk.document.cidrs.is_empty()
        && !trunk.document.is_from(source)
    {
        return Err(Refusal::TrunkForbidden);
    }
    let by_id = dialled_meeting(dialled.user).is_some() && trunk.is_none();
    let destination = match by_id {
        true => None,
        false => route(&trunks, grant.organization, trunk.as_deref(), &dialled),
    };
    Ok(Way {
        grant,
        trunk,
        destination,
    })
}

/// What no rule knows: the meeting's id, where the caller may dial it.
fn dialled(invite: &Invite, profile: &Profile, trunk: Option<&Trunk>) -> String {
    if trunk.is_some_and(|trunk| !trunk.document.allow_meeting_ids) {
        return String::new();
    }
    let user = invite.request_uri.user().unwrap_or_default();
    profile.dialled_meeting(user, &invite.headers)
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
    preset_name: &str,
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
    let preset = match store.preset(meeting.organization, preset_name).await {
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
