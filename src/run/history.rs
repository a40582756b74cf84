//! Writes what happens in sessions into the store, for `GET /sessions` and after a restart.

use tokio::sync::mpsc;

use crate::run::clock;
use crate::run::directory::{SessionChange, SessionEvent};
use crate::store::{Store, StoreError};

/// Follows the directory's events until it shuts down. A store that fails loses that event's row,
/// says so, and disturbs nobody's meeting.
pub async fn follow(store: Store, mut events: mpsc::Receiver<SessionEvent>) {
    while let Some(event) = events.recv().await {
        let session = event.session;
        if let Err(error) = write(&store, event).await {
            tracing::error!(%session, %error, "a session's history could not be written");
        }
    }
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
        SessionChange::Dtmf { .. } => Ok(()),
    }
}
