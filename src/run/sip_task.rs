//! The one task that owns the SIP endpoint: feeds it datagrams, stream messages, commands and
//! time, and carries out what it says. It never waits for anybody (towards calls it only
//! `try_send`s), so that one stuck call cannot hold up the others.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant as TokioInstant;
use tracing::{debug, warn};

use crate::call::trace::Direction;
use crate::limits;
use crate::net::stream::StreamEvent;
use crate::run::bans::SharedGate;
use crate::run::call_tap::{CallTap, SharedTrace};
use crate::run::clock;
use crate::run::registrations::Registrations;
pub use crate::run::sip_command::{SipCommand, SipHandle};
use crate::run::sip_connector::Connector;
pub use crate::run::sip_connector::TlsNames;
use crate::run::sip_listener::{SipListeners, StreamDoor, canonical};
use crate::sip::auth::{AuthFailure, CredentialSource};
use crate::sip::endpoint::{CommandError, Counters, DialogId, Endpoint, Event, Invite, Output};
use crate::sip::flow::{Flow, FlowId, Transport};
use crate::sip::gate::{Admission, Bucket};
use crate::telemetry::metric::sip::SipMetrics;
use crate::telemetry::sip_event::{AuthenticationFailed, SourceBanned};

/// Takes a new call: called on the SIP task, must only spawn.
pub type OnInvite = Box<dyn Fn(Box<Invite>, mpsc::Receiver<Event>, SharedTrace) + Send>;

/// Everything the task needs.
pub struct SipTask<C> {
    /// The core.
    pub endpoint: Endpoint,
    /// Where SIP arrives.
    pub listeners: SipListeners,
    /// How stream connections come in, and what they bring.
    pub streams: (StreamDoor, mpsc::Receiver<StreamEvent>),
    /// From call tasks.
    pub commands: mpsc::Receiver<SipCommand>,
    /// A current view of the credentials.
    pub credentials: C,
    /// Starts a call task.
    pub on_invite: OnInvite,
    /// False while draining.
    pub available: watch::Receiver<bool>,
    /// Who must answer where we open TLS connections.
    pub tls_names: TlsNames,
    /// Whose messages are read at all.
    pub gate: SharedGate,
    /// Registered phones, for others to see.
    pub registrations: Registrations,
    /// Counters.
    pub metrics: SipMetrics,
}

const UDP_FLOW: FlowId = FlowId(0);

/// The way to one call's task.
struct CallDoor {
    events: mpsc::Sender<Event>,
    /// INFO and REFER that it was told of lately.
    asides: Bucket,
}

impl<C, S> SipTask<C>
where
    C: Fn() -> Arc<S> + Send,
    S: CredentialSource + Send + Sync + 'static,
{
    /// Runs until every [`SipHandle`] is gone.
    pub async fn run(self) {
        let SipListeners {
            udp,
            tcp,
            tls,
            address,
        } = self.listeners;
        let (door, stream_events) = self.streams;
        let (flows, events) = (door.flows(), door.events());
        let mut acceptors = JoinSet::new();
        acceptors.spawn(door.clone().accept(tcp, None));
        if let Some((listener, acceptor)) = tls {
            acceptors.spawn(door.accept(listener, Some(acceptor)));
        }
        let mut running = Running {
            endpoint: self.endpoint,
            udp,
            address,
            writers: HashMap::new(),
            dialogs: HashMap::new(),
            connector: Connector::new(address, flows, events, self.tls_names),
            on_invite: self.on_invite,
            credentials: self.credentials,
            gate: self.gate,
            registrations: self.registrations,
            tap: CallTap::default(),
            counted: Counters::default(),
            failure_lines: FailureLines::default(),
            metrics: self.metrics,
        };
        running
            .run(self.commands, stream_events, self.available)
            .await;
        acceptors.shutdown().await;
    }
}

struct Running<C> {
    endpoint: Endpoint,
    udp: UdpSocket,
    address: SocketAddr,
    /// Queues towards open stream connections.
    writers: HashMap<FlowId, mpsc::Sender<Bytes>>,
    /// Ways to call tasks.
    dialogs: HashMap<DialogId, CallDoor>,
    connector: Connector,
    on_invite: OnInvite,
    credentials: C,
    gate: SharedGate,
    registrations: Registrations,
    tap: CallTap,
    /// What the metrics have of the endpoint's counters.
    counted: Counters,
    failure_lines: FailureLines,
    metrics: SipMetrics,
}

impl<C, S> Running<C>
where
    C: Fn() -> Arc<S> + Send,
    S: CredentialSource + Send + Sync + 'static,
{
    async fn run(
        &mut self,
        mut commands: mpsc::Receiver<SipCommand>,
        mut stream_events: mpsc::Receiver<StreamEvent>,
        mut available: watch::Receiver<bool>,
    ) {
        let mut datagram = vec![0u8; 65_536];
        loop {
            let due = self.endpoint.next_timeout().map(TokioInstant::from_std);
            tokio::select! {
                readable = self.udp.readable() => {
                    if let Err(error) = readable {
                        warn!(%error, "The SIP socket failed");
                    }
                    self.receive_datagrams(&mut datagram);
                }
                Some(event) = stream_events.recv() => self.handle_stream(event),
                command = commands.recv() => match command {
                    Some(command) => self.handle_command(command),
                    None => return,
                },
                changed = available.changed() => {
                    if changed.is_ok() {
                        self.endpoint.set_available(*available.borrow());
                    }
                }
                () = sleep_until(due) => self.endpoint.handle_timeout(clock::now()),
            }
            self.drain();
            let counters = self.endpoint.counters();
            self.metrics.note(&counters, &self.counted);
            self.counted = counters;
        }
    }

    fn receive_datagrams(&mut self, buffer: &mut [u8]) {
        for _ in 0..limits::SIP_DATAGRAMS_PER_TURN_MAX {
            let (length, remote) = match self.udp.try_recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // ICMP errors of earlier sends surface here; they concern one peer only.
                Err(error) => {
                    debug!(%error, "A SIP datagram could not be received");
                    continue;
                }
            };
            self.metrics.datagrams_received.inc();
            let flow = Flow {
                id: UDP_FLOW,
                transport: Transport::Udp,
                local: self.address,
                remote: canonical(remote),
            };
            self.handle_message(flow, &buffer[..length]);
            self.drain();
        }
    }

    /// Nothing of a message is read before the gate has let it in.
    fn handle_message(&mut self, flow: Flow, bytes: &[u8]) {
        let now = clock::now();
        match self.gate.admit(now, flow.remote.ip()) {
            Admission::Pass => {
                self.tap.saw(now, Direction::Ingress, bytes);
                let credentials = (self.credentials)();
                self.endpoint
                    .handle_datagram(now, flow, bytes, &*credentials);
            }
            Admission::Refuse => self.endpoint.handle_excess(flow, bytes),
            Admission::Drop(excess) => self.metrics.dropped(excess),
        }
    }

    fn handle_stream(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Opened { flow, writer } => {
                self.writers.insert(flow.id, writer);
                self.metrics.connections.set(gauge(self.writers.len()));
            }
            StreamEvent::Message { flow, bytes } => self.handle_message(flow, &bytes),
            StreamEvent::Closed { flow } => {
                self.writers.remove(&flow);
                self.connector.handle_closed(flow);
                self.metrics.connections.set(gauge(self.writers.len()));
                self.endpoint.handle_flow_closed(clock::now(), flow);
            }
        }
    }

    fn handle_command(&mut self, command: SipCommand) {
        let now = clock::now();
        let endpoint = &mut self.endpoint;
        let done: Result<(), CommandError> = match command {
            SipCommand::Ring(dialog) => endpoint.ring(now, dialog),
            SipCommand::Progress { dialog, sdp } => endpoint.progress(now, dialog, &sdp),
            SipCommand::AcceptRefer(dialog) => endpoint.accept_refer(now, dialog),
            SipCommand::RefuseRefer { dialog, refusal } => {
                endpoint.refuse_refer(now, dialog, refusal.status, &refusal.reason)
            }
            SipCommand::FinishRefer { dialog, status } => {
                endpoint.finish_refer(now, dialog, status)
            }
            SipCommand::Answer {
                dialog,
                sdp,
                headers,
            } => endpoint.answer(now, dialog, &sdp, &headers),
            SipCommand::Refuse { dialog, refusal } => {
                self.dialogs.remove(&dialog);
                endpoint.refuse(now, dialog, &refusal)
            }
            SipCommand::AcceptReinvite { dialog, sdp } => {
                endpoint.accept_reinvite(now, dialog, sdp.as_deref())
            }
            SipCommand::RefuseReinvite { dialog, refusal } => {
                endpoint.refuse_reinvite(now, dialog, refusal.status, &refusal.reason)
            }
            SipCommand::Bye { dialog, reason } => {
                self.dialogs.remove(&dialog);
                endpoint.bye(now, dialog, Some(&reason))
            }
            SipCommand::Locks(reply) => {
                // Whoever asked may have given up.
                let _ = reply.send(endpoint.locks(now));
                Ok(())
            }
            SipCommand::Unlock {
                source,
                username,
                reply,
            } => {
                let _ = reply.send(endpoint.unlock(now, source, username.as_deref()));
                Ok(())
            }
        };
        if let Err(error) = done {
            // CANCEL or BYE crossed the command; the call task learns it from the event.
            debug!(%error, "A command came too late for its dialog");
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => self.transmit(&flow, bytes),
                Output::Connect {
                    transport,
                    host,
                    port,
                    bytes,
                } => {
                    self.connector.send(transport, host, port, bytes);
                }
                Output::Event(event) => self.dispatch(event),
            }
        }
    }

    fn transmit(&mut self, flow: &Flow, bytes: Bytes) {
        self.tap.saw(clock::now(), Direction::Egress, &bytes);
        if flow.transport == Transport::Udp {
            self.metrics.datagrams_sent.inc();
            if let Err(error) = self.udp.try_send_to(&bytes, flow.remote) {
                // Retransmission covers it, as it covers loss on the way.
                debug!(%error, "A SIP datagram could not be sent");
            }
            return;
        }
        let Some(writer) = self.writers.get(&flow.id) else {
            return;
        };
        if writer.try_send(bytes).is_err() {
            // Stuck or closing. Dropping our sender does not close it; its own writer gives up
            // after STREAM_WRITE_MAX and reports the end.
            debug!("A SIP connection does not take what is sent");
        }
    }

    fn dispatch(&mut self, event: Event) {
        let (dialog, is_last) = match &event {
            Event::Invite(_) => {
                let Event::Invite(invite) = event else { return };
                self.gate.prove(clock::now(), invite.flow.remote.ip());
                let (events, queue) = mpsc::channel(limits::DIALOG_EVENTS_MAX);
                let door = CallDoor {
                    events,
                    asides: Bucket::default(),
                };
                self.dialogs.insert(invite.dialog, door);
                let trace = self.tap.begin(clock::now(), &invite.call_id);
                (self.on_invite)(invite, queue, trace);
                return;
            }
            Event::Registered(_) => {
                let Event::Registered(registration) = event else {
                    return;
                };
                self.gate.prove(clock::now(), registration.flow.remote.ip());
                self.metrics.registrations_received.inc();
                self.registrations.note(registration);
                return;
            }
            Event::Unregistered(registration) => {
                self.registrations.forget(registration);
                return;
            }
            Event::AuthFailed {
                source, failure, ..
            } => {
                self.note_failure(*source, *failure);
                return;
            }
            Event::Cancelled { dialog, .. }
            | Event::Bye { dialog, .. }
            | Event::AckTimeout { dialog }
            | Event::Terminated { dialog, .. } => (*dialog, true),
            Event::Acked { dialog, .. }
            | Event::Reinvite { dialog, .. }
            | Event::ReinviteAnswered { dialog, .. }
            | Event::Info { dialog, .. }
            | Event::Refer { dialog, .. }
            | Event::ReferRefused { dialog } => (*dialog, false),
        };
        let Some(door) = self.dialogs.get_mut(&dialog) else {
            return;
        };
        let is_aside = matches!(event, Event::Info { .. } | Event::ReferRefused { .. });
        let rate = limits::DIALOG_ASIDES_PER_SECOND;
        if is_aside && !door.asides.take(clock::now(), rate, 1.0) {
            // Answered, and no more: a flood of them must not push out what ends the call.
            return;
        }
        let delivered = door.events.try_send(event).is_ok();
        if is_last || !delivered {
            self.dialogs.remove(&dialog);
        }
        if !delivered && !is_last {
            // Full or gone: a call that does not listen must not go on unheard.
            warn!("A call did not take its dialog's events and is hung up");
            let _ = self.endpoint.bye(clock::now(), dialog, None);
        }
    }
}

/// How many log lines wrong passwords may still have.
#[derive(Debug, Default)]
struct FailureLines {
    budget: Bucket,
    /// Not written since the last line.
    suppressed: u64,
}

impl<C> Running<C> {
    fn note_failure(&mut self, source: IpAddr, failure: AuthFailure) {
        let now = clock::now();
        let lines = &mut self.failure_lines;
        self.metrics.auth_failures.inc();
        match lines
            .budget
            .take(now, limits::SIP_FAILURE_LINES_PER_SECOND, 5.0)
        {
            true => AuthenticationFailed {
                source,
                failure,
                suppressed: std::mem::take(&mut lines.suppressed),
            }
            .emit(),
            false => lines.suppressed += 1,
        }
        // The rest are a phone's or a clock's mistakes, not guesses.
        let is_guess = matches!(failure, AuthFailure::Rejected | AuthFailure::LockedOut);
        if is_guess && let Some(ban) = self.gate.count_failure(now, source) {
            SourceBanned {
                source: ban.source,
                length: ban.until.saturating_duration_since(now),
                count: ban.count,
            }
            .emit(&self.metrics);
        }
    }
}

async fn sleep_until(due: Option<TokioInstant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn gauge(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
