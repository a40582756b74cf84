//! Writes what happens in sessions into the store, for `GET /sessions` and after a restart, and
//! tells it to webhooks.

use std::collections::HashMap;

use serde_json::json;
use tokio::sync::mpsc;

use crate::id::{ParticipantId, SessionId};
use crate::run::clock;
use crate::run::directory::{SessionChange, SessionEvent};
use crate::run::webhook::{Webhooks, meeting_event, participant};
use crate::store::{Store, StoreError};

/// Follows the directory's events until it shuts down. A store that fails loses that event's row,
/// says so, and disturbs nobody's meeting.
pub async fn follow(store: Store, webhooks: Webhooks, mut events: mpsc::Receiver<SessionEvent>) {
    let mut live: HashMap<SessionId, Live> = HashMap::new();
    while let Some(event) = events.recv().await {
        let session = event.session;
        if let Err(error) = tell(&store, &webhooks, &mut live, &event).await {
            tracing::error!(%session, %error, "a session's history could not be told");
        }
        if let Err(error) = write(&store, event).await {
            tracing::error!(%session, %error, "a session's history could not be written");
        }
    }
}

/// What is known of a session from its earlier events. One for each live session, one entry for
/// each of its participants: bounded as they are.
#[derive(Default)]
struct Live {
    started_at: Option<i128>,
    joined_at: HashMap<ParticipantId, i128>,
    ended_by_host: bool,
}

async fn tell(
    store: &Store,
    webhooks: &Webhooks,
    live: &mut HashMap<SessionId, Live>,
    event: &SessionEvent,
) -> Result<(), StoreError> {
    let at = clock::unix_ns_at(event.at);
    let (session, organization) = (event.session, event.organization);
    let known = live.entry(session).or_default();
    let name = match &event.what {
        SessionChange::Started => {
            known.started_at = Some(at);
            "meeting.started"
        }
        SessionChange::EndedByHost => {
            known.ended_by_host = true;
            return Ok(());
        }
        SessionChange::Ended => "meeting.ended",
        SessionChange::ParticipantJoined(who) => {
            known.joined_at.insert(who.id, at);
            "meeting.participantJoined"
        }
        SessionChange::ParticipantLeft(_) => "meeting.participantLeft",
        SessionChange::Dtmf { .. } => return Ok(()),
    };
    let meeting = match webhooks.wants(organization, name) {
        true => store.meeting(event.meeting).await?,
        false => None,
    };
    if let Some(meeting) = meeting {
        let ended_at = (event.what == SessionChange::Ended).then_some(at);
        let times = (known.started_at, ended_at);
        let mut body = meeting_event(name, at, &meeting, session, times);
        match &event.what {
            SessionChange::ParticipantJoined(who) => {
                body["participant"] = participant(who, Some(at), None);
            }
            SessionChange::ParticipantLeft(who) => {
                let joined_at = known.joined_at.get(&who.id).copied();
                body["participant"] = participant(who, joined_at, Some(at));
            }
            SessionChange::Ended => {
                body["reason"] = match known.ended_by_host {
                    true => json!("HOST_ENDED_MEETING"),
                    false => json!("ALL_PARTICIPANTS_LEFT"),
                };
            }
            _ => {}
        }
        webhooks.tell(organization, name, || body);
    }
    match &event.what {
        SessionChange::Ended => {
            live.remove(&session);
        }
        SessionChange::ParticipantLeft(who) => {
            if let Some(known) = live.get_mut(&session) {
                known.joined_at.remove(&who.id);
            }
        }
        _ => {}
    }
    Ok(())
}

async fn write(store: &Store, event: SessionEvent) -> Result<(), StoreError> {
    let SessionEvent {
        meeting,
        organization,
        session,
        at,
        what,
    } = event;
    let at = clock::unix_ns_at(at);
    match what {
        SessionChange::Started => {
            let title = store.meeting(meeting).await?.map(|meeting| meeting.title);
            let title = title.unwrap_or_default();
            store
                .session_started(session, organization, meeting, title, at)
                .await
        }
        SessionChange::Ended => store.session_ended(session, at).await,
        SessionChange::ParticipantJoined(who) => {
            store
                .session_joined(
                    session,
                    who.id,
                    who.name,
                    who.kind,
                    who.custom_participant_id,
                    at,
                )
                .await
        }
        SessionChange::ParticipantLeft(who) => store.session_left(session, who.id, at).await,
        SessionChange::EndedByHost | SessionChange::Dtmf { .. } => Ok(()),
    }
}
