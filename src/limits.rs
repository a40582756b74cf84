//! Every bound of the process, its reason, and what happens when it is reached.
//!
//! Units and the bound stand last in a name (`…_BYTES_MAX`). Relations between bounds are proved
//! by const assertions below them. One section per module, in the order of `lib.rs`.

use std::time::Duration;

// ── sip ───────────────────────────────────────────────────────────────────────────────────────

/// One SIP message, head and body. UDP cannot carry more; on a stream the connection is closed
/// after a 400.
pub const SIP_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Start line and headers. No carrier sends more than 8 KiB, but a whole message of headers is
/// legal and costs no more than one of body; on a stream, a head that does not end within this
/// closes the connection.
pub const SIP_HEAD_BYTES_MAX: usize = SIP_MESSAGE_BYTES_MAX;

/// Header fields of one message after lists are cut. Twilio and IMS send below 60; the RFC's own
/// torture message has 40 Via alone. More gets 400.
pub const SIP_HEADER_FIELDS_MAX: usize = 256;

/// Transactions that wait for something: an answer of ours or of a phone, or the ACK of a refusal;
/// only those of authenticated peers or of dialogs, some 6 KiB each. When full, a new request gets
/// a stateless 503 with Retry-After.
pub const SIP_TRANSACTIONS_MAX: usize = 16_384;

/// Requests that have had their final answer, remembered for their copies for 64·T1 = 32 s, some
/// 100 octets each: 8,000 calls a second make so many with INVITE and BYE. When full, the oldest
/// are forgotten, whose copies, if ever, have come long before.
pub const SIP_FINISHED_MAX: usize = 512 * 1024;

/// Octets of the answers kept with them, those to REGISTER above all: phones refresh every half
/// minute. Beyond, they are answered without being remembered: a copy gets `stale=true` and is
/// repeated by the phone.
pub const SIP_FINISHED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Dialogs, early ones included: one per call. When full, a new INVITE gets 503 with Retry-After.
pub const SIP_DIALOGS_MAX: usize = 8_192;

/// Digest nonces whose `nc` is remembered: one per authenticated transaction within the nonce's
/// lifetime. When full, the oldest is forgotten and refused with `stale=true` when it comes again.
pub const SIP_NONCES_MAX: usize = 131_072;

/// How far behind its highest count a nonce's `nc` may arrive: requests overtake each other on UDP.
pub const SIP_NONCE_WINDOW: u32 = 64;

/// (source, user name) pairs whose failed logins are counted. When full, the oldest is forgotten:
/// an attacker who can send from that many addresses is not stopped by a count per address.
pub const SIP_AUTH_FAILURES_MAX: usize = 16_384;

/// A lock of one (source, user name) pair starts at a minute and doubles with each further one, up
/// to this: a guesser gets some hundred tries a day, a person who mistyped waits a minute.
pub const SIP_LOCK_MAX: Duration = Duration::from_secs(3600);

/// Sources (IPv4 addresses, IPv6 /64 networks) that have proved nothing and whose messages are
/// counted: 6 MiB. When full, those that were quiet longest are forgotten and start anew; the bound
/// on all strangers together holds whatever is forged.
pub const SIP_SOURCES_MAX: usize = 65_536;

/// Sources known by right credentials. Only those can get in, so that no flood pushes them out.
/// When full, those that were quiet longest count as strangers again.
pub const SIP_KNOWN_SOURCES_MAX: usize = 32_768;

/// How long right credentials make their source known: longer than any registration or session
/// timer, and than most calls.
pub const SIP_KNOWN_LIFE: Duration = Duration::from_secs(12 * 3600);

/// Sources whose wrong passwords are counted, and banned ones. When full, those longest untouched
/// are forgotten.
pub const SIP_BANS_MAX: usize = 16_384;

/// Wrong passwords count together within this time: a guesser slower than that gets nowhere.
pub const SIP_FAILURE_WINDOW: Duration = Duration::from_secs(600);

/// The longest ban: an address may belong to somebody else tomorrow.
pub const SIP_BAN_MAX: Duration = Duration::from_secs(24 * 3600);

/// 503 to one source that sends too much, until it has kept quiet; then silence.
pub const SIP_REFUSALS_PER_SOURCE_MAX: u8 = 3;

/// Such 503 a second to all: to forged sources they are our noise at somebody else's door.
pub const SIP_REFUSALS_PER_SECOND: u32 = 50;

/// Log lines a second about wrong passwords, beyond which they are only counted: a log that fills
/// the disk is an attack of its own. Bans are always written.
pub const SIP_FAILURE_LINES_PER_SECOND: u32 = 20;

/// Bindings of one set of credentials: a person's desk phone, softphone, mobile and their restarts.
/// When full, the binding nearest its end makes room.
pub const SIP_BINDINGS_PER_CREDENTIAL_MAX: usize = 16;

/// Bindings of all. When full, REGISTER gets 503 with Retry-After.
pub const SIP_BINDINGS_MAX: usize = 65_536;

/// Route set of one dialog: more hops than any carrier has. A longer Record-Route gets 400.
pub const SIP_ROUTES_MAX: usize = 32;

/// Headers handed to the owner of a call with its INVITE are bounded by the message itself.
const _: () = assert!(SIP_HEAD_BYTES_MAX <= SIP_MESSAGE_BYTES_MAX);
const _: () = assert!(SIP_DIALOGS_MAX <= SIP_TRANSACTIONS_MAX);
const _: () = assert!(SIP_NONCE_WINDOW <= u64::BITS);

// ── sdp ───────────────────────────────────────────────────────────────────────────────────────

/// Longest session description read. Real ones stay below 4 KiB even with ICE and video; a longer
/// one is refused with 400 before it is parsed.
pub const SDP_BYTES_MAX: usize = 16 * 1024;

/// Lines of a session description; more is refused with 400.
pub const SDP_LINES_MAX: usize = 512;

/// Media descriptions of an offer, all of which must be answered; more is refused with 488.
pub const SDP_MEDIA_MAX: usize = 16;

/// Formats read from one media description; those beyond are ignored, as if never offered.
pub const SDP_FORMATS_MAX: usize = 64;

// ── rtp, audio ────────────────────────────────────────────────────────────────────────────────

/// Keys waiting to be sent to one phone as telephone events: a long number. When full, another is
/// refused to whoever asked.
pub const DTMF_KEYS_WAITING_MAX: usize = 64;

/// Packets waiting in one source's jitter buffer: 1.28 s at 20 ms. When full, the newest is
/// discarded (`buffer_full`): the source is faster than time, or a replay.
pub const PLAYOUT_PACKETS_MAX: usize = 64;

/// Largest payload the jitter buffer takes; a longer one is discarded (`bad_payload`). Opus needs
/// up to 1275 octets, 120 ms of G.711 960.
pub const PLAYOUT_PAYLOAD_BYTES_MAX: usize = 1_500;

/// Payload octets a jitter buffer's slot has room for without allocating: 30 ms of G.711, or Opus
/// at 64 kbit/s. A longer payload grows its slot once.
pub const PLAYOUT_SLOT_BYTES: usize = 240;

/// Longest delay a jitter buffer may build up. Beyond it, audio is skipped: a conversation with
/// half a second more delay is none.
pub const PLAYOUT_DELAY_MS_MAX: u64 = 500;

/// Sources of one SRTP leg that have authenticated: a carrier changes its SSRC a few times in a
/// call. When full, the oldest is forgotten.
pub const SRTP_SOURCES_MAX: usize = 4;

// ── call ──────────────────────────────────────────────────────────────────────────────────────

/// A name tag; longer names are cut.
pub const DISPLAY_NAME_CHARS_MAX: usize = 128;

// ── meeting ───────────────────────────────────────────────────────────────────────────────────

/// Participants of one session, browsers and phones together: a tick and a join are linear in it.
/// Full: the join is refused with `MeetingFull`.
pub const SESSION_PARTICIPANTS_MAX: usize = 500;

/// Browsers decoded at once for the phones of a session: more voices at once nobody understands.
/// More: the quietest are not heard by phones (browsers hear everyone).
pub const MIXED_BROWSERS_MAX: usize = 5;

/// A phone that should send and does not, for this long, is reported (`MediaLost`): the call layer
/// decides. A muted phone may send nothing, so this alone ends no call.
pub const LEG_SILENCE_MAX: Duration = Duration::from_secs(30);

/// Points of a phone leg's quality curve: one each five seconds for the first ten minutes, then two
/// become one. 20 octets each, kept while the call lasts.
pub const QUALITY_POINTS_MAX: usize = 128;

/// Participants a session remembers to have let in, so that they need not wait again after a cut.
/// When full, the one let in longest ago is forgotten and waits again.
pub const ADMITTED_REMEMBERED_MAX: usize = 4 * SESSION_PARTICIPANTS_MAX;

/// Longest stay in the waiting room; then the waiter is sent away (`denied`). A phone costs a port
/// pair while it waits, and nobody listens to a waiting tone for longer.
pub const WAITING_TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// Messages to everyone kept for those who come later. When full, the oldest is forgotten.
pub const CHAT_HISTORY_MESSAGES_MAX: usize = 100;

/// One chat message: a long paragraph. A longer one is refused with `invalid_message`. With the
/// history it bounds what a `joined` carries: 400 KiB.
pub const CHAT_TEXT_BYTES_MAX: usize = 4 * 1024;

/// Name of an application's own message; a longer one is refused.
pub const BROADCAST_KIND_BYTES_MAX: usize = 64;

/// An application's own message as JSON; a longer one is refused. It is copied to everyone.
pub const BROADCAST_PAYLOAD_BYTES_MAX: usize = 4 * 1024;

/// One emoji with its modifiers: a family of four has 25 bytes. A longer one is refused.
pub const REACTION_BYTES_MAX: usize = 64;

/// Chat messages, broadcasts and reactions of one participant in a burst, then
/// [`TALK_PER_SECOND`]: each is copied to everyone. Beyond, it is refused with `too_fast`.
pub const TALK_BURST_MAX: u32 = 20;

/// See [`TALK_BURST_MAX`].
pub const TALK_PER_SECOND: u32 = 4;

/// Longest session description of a browser: hundreds of m-lines of about a kilobyte each. Longer:
/// the message is refused.
pub const PEER_DESCRIPTION_BYTES_MAX: usize = 512 * 1024;

/// m-lines of a browser's first offer: microphone, camera, screen, data, and room to grow. More:
/// the offer is refused.
pub const PEER_FIRST_OFFER_SECTIONS_MAX: usize = 16;

/// Streams known of one source: three simulcast layers, and one that has just been replaced. More:
/// the one silent longest is forgotten.
pub const TRACK_LAYERS_MAX: usize = 4;

/// Packets to one browser whose arrival is waited for: 2 s of 8 Mbit/s, 96 KiB. Reports about
/// earlier ones say nothing; a power of two, as sequence numbers wrap.
pub const CONGESTION_PACKETS_REMEMBERED: usize = 2_048;

/// What a browser's link is thought to carry at least, bit/s: a voice.
pub const ESTIMATE_BPS_MIN: u64 = 50_000;

/// And at most: more is never needed, and a higher estimate takes longer to fall.
pub const ESTIMATE_BPS_MAX: u64 = 8_000_000;

/// Packets kept of each video stream sent to a browser, to be sent again when it asks: 2 s of 2.5
/// Mbit/s, some 32 KiB beside the payloads, which all receivers share. Older ones are forgotten; a
/// power of two, so that the wrap of sequence numbers keeps places.
pub const RESEND_PACKETS_KEPT_MAX: usize = 512;

/// A packet older than this is not sent again: the frame it belonged to is no longer waited for.
pub const RESEND_AGE_MAX: Duration = Duration::from_secs(1);

/// How often one packet is sent again; what is lost so many times needs a keyframe.
pub const RESEND_TIMES_MAX: u8 = 8;

/// Packets of one stream sent again at once, and per second after that: a third of the fastest
/// stream. Beyond, requests are not answered, so a browser cannot make us a cannon.
pub const RESEND_BURST_PACKETS_MAX: u32 = 150;
/// See [`RESEND_BURST_PACKETS_MAX`].
pub const RESEND_PACKETS_PER_SECOND: u32 = 150;

const _: () = assert!(RESEND_PACKETS_KEPT_MAX.is_power_of_two());
const _: () = assert!(CONGESTION_PACKETS_REMEMBERED.is_power_of_two());

// ── config, telemetry, store ──────────────────────────────────────────────────────────────────

/// Attributes a call's headers may give its participant. More are ignored: they are copied to every
/// browser of the meeting.
pub const PROFILE_ATTRIBUTES_MAX: usize = 32;

/// Length of one such attribute's value; longer ones are cut. Twilio allows 1,024 characters for
/// all custom headers together.
pub const PROFILE_ATTRIBUTE_BYTES_MAX: usize = 1_024;

/// Facts kept of one call: some 10 KiB. When full, the middle is counted instead of kept.
pub const TRACE_FACTS_MAX: usize = 96;

/// Facts kept of a call's beginning, whatever follows: set-up with one challenge takes about 20.
pub const TRACE_FIRST_FACTS_KEPT: usize = 32;

/// Length of one fact's text; longer ones are cut.
pub const TRACE_FACT_BYTES_MAX: usize = 96;

const _: () = assert!(TRACE_FIRST_FACTS_KEPT < TRACE_FACTS_MAX);

/// Trunks of one organisation: every INVITE looks through all of them. More is refused with 409.
pub const TRUNKS_PER_ORGANIZATION_MAX: usize = 100;

/// Trunks whose rate of new calls is remembered. When full, all begin anew.
pub const RATED_TRUNKS_MAX: usize = 10_000;

/// Networks of one trunk: the largest carriers name some thirty.
pub const TRUNK_CIDRS_MAX: usize = 64;

/// Routing rules of one organisation: each of its calls looks through them. More is refused with
/// 409; who has more numbers uses prefixes, or a header that names the meeting.
pub const ROUTING_RULES_PER_ORGANIZATION_MAX: usize = 1_000;

/// Wrong PINs after which a caller is sent away: a thousandth of what guessing four digits takes.
pub const PIN_ATTEMPTS_MAX: u32 = 3;

/// Keys pressed for PINs in one session within one tick. More are lost: nobody types that fast.
pub const PIN_KEYS_WAITING_MAX: usize = 256;

/// Webhooks of one organisation: every event looks through them. More is refused with 409.
pub const WEBHOOKS_PER_ORGANIZATION_MAX: usize = 50;

/// Deliveries of one webhook that wait for its receiver: a day of a busy server, some 10 MiB. When
/// full, further events for it are dropped, and the log says so.
pub const WEBHOOK_DELIVERIES_PENDING_MAX: usize = 10_000;

/// Finished deliveries of one webhook that are kept to be looked at and replayed. When full, the
/// oldest are forgotten.
pub const WEBHOOK_DELIVERIES_KEPT_MAX: u32 = 1_000;

/// Requests to one webhook at once, so that a slow one keeps no others waiting.
pub const WEBHOOK_SENDS_AT_ONCE_MAX: u32 = 4;

/// Requests to all webhooks at once. The others wait on the disk.
pub const WEBHOOK_SENDS_MAX: usize = 64;

/// A receiver must have answered in this time; then it is tried again.
pub const WEBHOOK_ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Events on their way to the disk. Full: the event is lost, and the log says so; calls go on.
pub const WEBHOOK_EVENTS_WAITING_MAX: usize = 4_096;

const _: () = assert!((WEBHOOK_SENDS_AT_ONCE_MAX as usize) < WEBHOOK_SENDS_MAX);

/// Jobs waiting for the store's thread. A commit takes a few ms, so this is about a second of
/// work; when full, callers wait up to [`STORE_REPLY_MAX`] and are then told it is busy.
pub const STORE_QUEUE_JOBS_MAX: usize = 256;
/// Call records written in one transaction. A second's worth at the fastest set-up rate; more wait
/// for the next, a few ms later.
pub const STORE_BATCH_CALLS_MAX: usize = 1_024;
/// Records of ended calls that the store refused and that are tried again: some 4 MiB. Beyond, a
/// record is given up, and said so.
pub const CALL_RECORDS_RETRIED_MAX: usize = 2_048;
/// How often and how long such a record is tried again: a disk that was full is emptied by people.
pub const CALL_RECORD_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// See [`CALL_RECORD_RETRY_INTERVAL`].
pub const CALL_RECORD_RETRIES_MAX: u32 = 720;
/// How exactly the end of a call that a crash cut off is known.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);
/// Longest wait for the store. Beyond it an HTTP client or a phone is better served by "busy".
pub const STORE_REPLY_MAX: Duration = Duration::from_secs(2);
/// Longest wait for another program's lock on the database, below the reply's limit.
pub const STORE_LOCK_WAIT_MAX: Duration = Duration::from_secs(1);
/// Meetings kept in memory so that an INVITE or a join needs no disk (≈ 200 bytes each). When
/// full, all are forgotten and read again.
pub const STORE_MEETINGS_CACHED_MAX: usize = 10_000;
/// Presets kept in memory, likewise.
pub const STORE_PRESETS_CACHED_MAX: usize = 1_000;
const _: () = assert!(STORE_LOCK_WAIT_MAX.as_millis() < STORE_REPLY_MAX.as_millis());

// ── net, run ──────────────────────────────────────────────────────────────────────────────────

/// Peers whose route is remembered. When full, all are forgotten and asked for again.
pub const ROUTES_MAX: usize = 4_096;

/// How long: an interface that goes down within this time costs a few calls their sound.
pub const ROUTE_LIFE: Duration = Duration::from_secs(5);

/// A released RTP port pair rests this long: a phone that missed our BYE gives up within 32 s
/// (64·T1), most sooner. When every pair rests or serves, a call is refused with 503.
pub const RTP_PORT_DRAIN: Duration = Duration::from_secs(30);

/// Commands waiting for one media worker. A worker takes them every few milliseconds, so this is
/// seconds of the fastest signalling. Full: the command's sender is told `Overloaded` or
/// `SeatGone`.
pub const WORKER_COMMANDS_MAX: usize = 4_096;

/// Messages of one browser that its worker has not yet taken. A well-behaved page has one or two.
/// Full: the seat is given up, for a browser that floods signalling is not worth more.
pub const SEAT_MESSAGES_IN_FLIGHT_MAX: usize = 32;

/// Messages waiting to be written to one browser's WebSocket. Full: the browser is removed with
/// `ConnectionLost`, because signalling is never lost silently.
pub const SEAT_OUTGOING_MAX: usize = 512;

/// Events of one phone's leg waiting for its call task. Full: the leg is removed.
pub const LEG_EVENTS_MAX: usize = 64;

/// Commands waiting for the directory's task. Full: callers wait.
pub const DIRECTORY_COMMANDS_MAX: usize = 1_024;

/// Session events waiting for their consumer (webhooks, records). Full: new ones are dropped and
/// counted; calls go on.
pub const SESSION_EVENTS_MAX: usize = 4_096;
/// SIP stream connections in all: each costs a descriptor and about 40 KiB. Beyond it a connection
/// is closed as it is accepted.
pub const STREAM_CONNECTIONS_MAX: usize = 4_096;

/// SIP stream connections from one address: a carrier's edge or an office behind one NAT holds
/// dozens, a slow-loris thousands.
pub const STREAM_CONNECTIONS_PER_ADDRESS_MAX: usize = 512;

const _: () = assert!(STREAM_CONNECTIONS_PER_ADDRESS_MAX < STREAM_CONNECTIONS_MAX);

/// Messages that wait to be written to one connection; when full the peer does not read, and the
/// connection is closed.
pub const STREAM_WRITES_MAX: usize = 64;

/// One write to a connection may take this long before the connection is given up.
pub const STREAM_WRITE_MAX: Duration = Duration::from_secs(10);

/// A silent connection is probed by TCP after this long: below the idle time after which NATs
/// forget it, and so seldom that it costs a carrier nothing.
pub const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(100);

/// Connections of our own at one time: each replaces one that a peer closed within a call. Beyond
/// it the message is lost, and its transaction ends as if the peer were gone.
pub const SIP_CONNECTS_MAX: usize = 512;

/// Name, connection and TLS handshake of one of them; the transaction gives up after 32 s.
pub const SIP_CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A connection must bring its first whole message, and finish each message it began, this soon.
pub const STREAM_FIRST_MESSAGE_MAX: Duration = Duration::from_secs(30);

/// A connection that can be framed no further stays open this long for the answer that says why.
pub const STREAM_LINGER: Duration = Duration::from_millis(500);

/// Messages of all stream connections that wait for the SIP task; when full the connections wait,
/// and TCP's own window holds the peers back.
pub const STREAM_EVENTS_MAX: usize = 1_024;

/// Commands of call tasks that wait for the SIP task; when full the call task waits.
pub const SIP_COMMANDS_MAX: usize = 1_024;

/// Events of one dialog that wait for its call task: a dialog makes a handful at a time. When full
/// the event is lost for the call, which is then hung up.
pub const DIALOG_EVENTS_MAX: usize = 32;

/// INFO and REFER a second that a call is told of; nobody presses keys faster. More are answered
/// and forgotten.
pub const DIALOG_ASIDES_PER_SECOND: u32 = 16;

const _: () = assert!((DIALOG_ASIDES_PER_SECOND as usize) < DIALOG_EVENTS_MAX);

/// How long the BYEs of a shutdown may take: a round trip, and a few retransmissions.
pub const HANG_UP_WAIT_MAX: Duration = Duration::from_secs(3);

/// Datagrams the SIP task takes before it looks at its other inputs again.
pub const SIP_DATAGRAMS_PER_TURN_MAX: usize = 64;

/// Calls in one process when nothing is configured: above what one machine's cores can mix, so that
/// the workers' own admission speaks first.
pub const CALLS_MAX_DEFAULT: usize = 10_000;

// ── api ───────────────────────────────────────────────────────────────────────────────────────

/// How long a login to the operator's console holds: a working day.
pub const CONSOLE_SESSION_LIFE: Duration = Duration::from_secs(8 * 60 * 60);

/// Logins to the console at a time: more than operators. One more ends the oldest.
pub const CONSOLE_SESSIONS_MAX: usize = 64;

/// Body of one request. The largest honest one is a preset of a few KiB; more is refused with 413.
pub const API_BODY_BYTES_MAX: usize = 64 * 1024;
/// REST requests of one organisation at once, then [`API_REQUESTS_PER_SECOND`]. Beyond, 429 with
/// Retry-After. Each write costs the disk a commit: this is about what one takes.
pub const API_REQUESTS_BURST_MAX: u32 = 1_000;
/// See [`API_REQUESTS_BURST_MAX`].
pub const API_REQUESTS_PER_SECOND: u32 = 200;
/// Requests with no or wrong credentials from one address at once, then
/// [`API_STRANGER_REQUESTS_PER_SECOND`]. Beyond, 429 instead of 401.
pub const API_STRANGER_REQUESTS_BURST_MAX: u32 = 200;
/// See [`API_STRANGER_REQUESTS_BURST_MAX`].
pub const API_STRANGER_REQUESTS_PER_SECOND: u32 = 10;
/// Callers whose requests are counted. When full, those who have been quiet are forgotten, else
/// all.
pub const API_CALLERS_RATED_MAX: usize = 10_000;
/// Days of one analytics request.
pub const ANALYTICS_DAYS_MAX: i64 = 366;
/// One request, body included; then 503. Nothing we do takes longer than the store's two seconds.
pub const API_REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// Items of one page of a list.
pub const PAGE_ITEMS_MAX: u32 = 100;
/// Items of a page when the caller does not say.
pub const PAGE_ITEMS_DEFAULT: u32 = 20;
/// Meetings one SIP credential may list; who needs more lets it open all of the organisation.
pub const CREDENTIAL_MEETINGS_MAX: usize = 1_000;
/// Characters of a meeting's title and such one-line texts.
pub const API_TEXT_CHARS_MAX: usize = 256;
/// Connections of one HTTP listener; more are closed at once. Each costs about 20 KiB with TLS.
pub const HTTP_CONNECTIONS_MAX: usize = 4_096;
/// Of these, from one address: a quarter, so that none can take them all, while the people behind
/// one proxy or office still fit.
pub const HTTP_CONNECTIONS_PER_ADDRESS_MAX: usize = HTTP_CONNECTIONS_MAX / 4;
/// A request's head, from the connection's start or the last response.
pub const HTTP_HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// A TLS handshake.
pub const TLS_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// What is under way when the listener closes may finish in this time.
pub const HTTP_SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// Signalling WebSockets of the process; an upgrade beyond gets 503.
pub const SIGNAL_SOCKETS_MAX: usize = 8_192;
/// One signalling message. An offer with many m-lines has some 20 KiB.
pub const SIGNAL_MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Read at a time from a signalling WebSocket, and held for its whole life: the library's own 128
/// KiB were a quarter of what a bridged call costs in memory (scripts/bench capacity).
pub const SIGNAL_READ_BYTES: usize = 4 * 1024;
/// From the WebSocket's opening to its `join`.
pub const SIGNAL_JOIN_TIME_MAX: Duration = Duration::from_secs(5);
/// Messages a browser may send in a burst; then [`SIGNAL_MESSAGES_PER_SECOND`]. Beyond, it is
/// told so and disconnected. A busy page sends one or two a second.
pub const SIGNAL_MESSAGES_BURST_MAX: u32 = 60;
/// See [`SIGNAL_MESSAGES_BURST_MAX`].
pub const SIGNAL_MESSAGES_PER_SECOND: u32 = 20;
/// We send a WebSocket ping this often.
pub const SIGNAL_PING_INTERVAL: Duration = Duration::from_secs(15);
/// Nothing at all from the browser for so long: it is gone.
pub const SIGNAL_SILENCE_MAX: Duration = Duration::from_secs(45);
/// One message may take so long to be written; a browser slower than that is disconnected.
pub const SIGNAL_WRITE_TIME_MAX: Duration = Duration::from_secs(10);
/// Requests about one WHIP or WHEP session under way at once. More: 503.
pub const ONE_SHOT_ASKS_MAX: usize = 4;
/// Life of a participant's join token.
pub const PARTICIPANT_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Life of the token a browser gets for coming back to its seat.
pub const RESUME_TOKEN_LIFE: Duration = Duration::from_secs(12 * 3600);
/// Life of an invite token, such as the first-call card's.
pub const INVITE_TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
const _: () = assert!(STORE_REPLY_MAX.as_millis() < API_REQUEST_TIME_MAX.as_millis());
const _: () = assert!(SIGNAL_PING_INTERVAL.as_millis() * 2 < SIGNAL_SILENCE_MAX.as_millis());

// ── probe ─────────────────────────────────────────────────────────────────────────────────────
