//! What others ask of the SIP task, and the way to it.

use std::net::IpAddr;

use tokio::sync::{mpsc, oneshot};

use crate::limits;
use crate::sip::auth::Lock;
use crate::sip::endpoint::{DialogId, Refusal};

/// What a call task asks of the SIP task.
#[derive(Debug)]
pub enum SipCommand {
    /// 180.
    Ring(DialogId),
    /// 183 with SDP.
    Progress {
        /// Which dialog.
        dialog: DialogId,
        /// Our answer.
        sdp: String,
    },
    /// 200 with SDP.
    Answer {
        /// Which dialog.
        dialog: DialogId,
        /// Our SDP.
        sdp: String,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// Final refusal of the INVITE.
    Refuse {
        /// Which dialog.
        dialog: DialogId,
        /// How.
        refusal: Refusal,
    },
    /// 200 to the re-INVITE or UPDATE.
    AcceptReinvite {
        /// Which dialog.
        dialog: DialogId,
        /// Our SDP.
        sdp: Option<String>,
    },
    /// Refusal of the re-INVITE or UPDATE.
    RefuseReinvite {
        /// Which dialog.
        dialog: DialogId,
        /// How.
        refusal: Refusal,
    },
    /// 202 to the REFER.
    AcceptRefer(DialogId),
    /// Refusal of the REFER.
    RefuseRefer {
        /// Which dialog.
        dialog: DialogId,
        /// How.
        refusal: Refusal,
    },
    /// What became of an accepted REFER.
    FinishRefer {
        /// Which dialog.
        dialog: DialogId,
        /// 200, or why not.
        status: u16,
    },
    /// BYE.
    Bye {
        /// Which dialog.
        dialog: DialogId,
        /// Value of the Reason header.
        reason: String,
    },
    /// Says which user names are locked for which sources.
    Locks(oneshot::Sender<Vec<Lock>>),
    /// Lifts such locks.
    Unlock {
        /// Whose.
        source: IpAddr,
        /// Of one user name, or of all.
        username: Option<String>,
        /// How many were in force.
        reply: oneshot::Sender<usize>,
    },
}

/// The way to the SIP task.
#[derive(Debug, Clone)]
pub struct SipHandle(mpsc::Sender<SipCommand>);

impl SipHandle {
    /// A handle and the queue it fills.
    pub fn new() -> (Self, mpsc::Receiver<SipCommand>) {
        let (commands, queue) = mpsc::channel(limits::SIP_COMMANDS_MAX);
        (Self(commands), queue)
    }

    /// Waits for room in the queue; signalling is never lost silently. After the SIP task has
    /// ended nothing can be told to anybody any more.
    pub async fn send(&self, command: SipCommand) {
        let _ = self.0.send(command).await;
    }
}
