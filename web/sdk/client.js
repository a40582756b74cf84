import { Chat } from './chat.js';
import { RingbridgeError } from './errors.js';
import { MediaConnection } from './media.js';
import { Meta } from './meta.js';
import { Participants } from './participants.js';
import { QualityMonitor } from './quality.js';
import { Self } from './self.js';
import { SignalSocket } from './signal.js';
import { Stage } from './stage.js';
import { readToken } from './token.js';

/**
 * @typedef {object} InitOptions
 * @property {string} authToken the participant's or the meeting's join token
 * @property {string} [name] display name; wins over the token's when not empty
 * @property {string} [baseURI] origin of the server; the page's own by default
 * @property {{ audio?: boolean, video?: boolean }} [defaults] what to turn on at once
 */

/**
 * Where one stands.
 * `waitlisted`: in the waiting room, until somebody decides. `left`, `kicked`, `ended`, `replaced`,
 * `rejected`, `failed` and `disconnected` are ends; only after the last two is joining again likely
 * to help.
 *
 * @typedef {'init' | 'connecting' | 'waitlisted' | 'joined' | 'reconnecting' | 'left' | 'kicked'
 *   | 'ended' | 'replaced' | 'rejected' | 'failed' | 'disconnected'} RoomState
 */

/** What was lost first. @typedef {'signalling' | 'media' | 'negotiation' | 'server'} LossReason */

/** Pauses before the attempts to reconnect, in milliseconds; then it is given up. */
const RECONNECT_DELAYS_MS = [0, 500, 1000, 2000, 4000, 8000, 8000, 15000, 15000, 30000, 30000];
/** How long WebRTC may say "disconnected" before everything is set up anew. */
const MEDIA_GRACE_MS = 6000;
/** How long an echo of our own muting may be under way. */
const MUTE_ECHO_MS = 800;
/** Server codes after which another attempt may succeed by itself. */
const PASSING = new Set(['overloaded', 'draining', 'internal', 'shutdown', 'connection_lost']);
/** The server's `bye` reasons that are final, and the state each leads to. */
const FINAL_BYES = {
  left: 'left',
  kicked: 'kicked',
  replaced: 'replaced',
  session_ended: 'ended',
  denied: 'rejected',
};
/** While in one of these there is, or shortly may be, a seat to lose. */
const BUSY = new Set(['connecting', 'waitlisted', 'joined', 'reconnecting']);
/** @type {import('./media.js').Source[]} */
const SOURCES = ['microphone', 'camera', 'screen'];

/**
 * A meeting as one participant sees it.
 *
 * ```js
 * const meeting = await RingbridgeClient.init({ authToken, name: 'Ada', defaults: { audio: true } });
 * meeting.participants.joined.on('participantJoined', (p) => console.log(p.name, p.isPhone));
 * await meeting.join();
 * ```
 */
export class RingbridgeClient {
  #token;
  #resumeToken;
  #url;
  /** @type {SignalSocket | undefined} */
  #signal;
  /** @type {MediaConnection | undefined} */
  #media;
  #mediaTimer = 0;
  #muteTimer = 0;
  /** @type {QualityMonitor} */
  #quality;
  #wake = () => {};
  /** Attempts to reconnect since media was last connected. */
  #attempt = 0;
  /** @type {LossReason | undefined} */
  #lossReason;

  /**
   * Reads the token and prepares; touches no network. Devices asked for in `defaults` are opened in
   * the background: a refusal comes as `self`'s `mediaPermissionError`, and joining works without.
   *
   * @param {InitOptions} options
   * @returns {Promise<RingbridgeClient>}
   * @throws {RingbridgeError} `browser_unsupported`, `token_missing`, `token_malformed`, `token_expired`
   */
  static async init(options) {
    return new RingbridgeClient(options);
  }

  /** @param {InitOptions} options */
  constructor({ authToken, name = '', baseURI = location.origin, defaults = {} }) {
    if (typeof RTCPeerConnection === 'undefined' || typeof WebSocket === 'undefined') {
      throw new RingbridgeError('browser_unsupported', 'this browser has no WebRTC');
    }
    this.#token = authToken;
    checkExpiry(readToken(authToken));
    const url = new URL('/v2/signal', baseURI);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#url = url.href;

    const send = (message) => this.#send(message);
    this.self = new Self(name);
    this.participants = new Participants(send, () => this.self.id);
    this.chat = new Chat(send, this.self.permissions);
    this.stage = new Stage(send, this.self.permissions);
    this.meta = new Meta();
    this.#quality = new QualityMonitor(
      () => this.getStats(),
      (score, stats) => this.self.setMediaScore(score, stats),
    );
    this.self.on('sourceChanged', (source) => this.#sendSource(source));
    this.self.permissions.on('permissionsUpdate', () => {
      this.self.applyPermissions();
      this.stage.permissionsChanged();
    });
    if (defaults.audio) this.self.enableAudio().catch(() => {});
    if (defaults.video) this.self.enableVideo().catch(() => {});
    globalThis.addEventListener?.('online', () => this.#wake());
    globalThis.addEventListener?.('pagehide', () => this.leave());
  }

  /** @returns {RoomState} */
  get roomState() {
    return this.self.roomState;
  }

  /** Everything one may and may not do. */
  get permissions() {
    return this.self.permissions;
  }

  /**
   * Takes the seat. Resolves when the server gave it, which may take a host's word when there is a
   * waiting room (`self` then emits `waitlisted`); media connects meanwhile.
   *
   * @throws {RingbridgeError} with the reason; the state is then `rejected` (by the server) or
   *   `failed` (it could not be reached), and joining again is allowed
   */
  async join() {
    if (BUSY.has(this.roomState)) return;
    this.#setState('connecting');
    try {
      checkExpiry(readToken(this.#token));
      await this.#connect(this.#token);
    } catch (error) {
      const passing = error.code === 'server_unreachable' || PASSING.has(error.serverCode);
      if (passing && this.roomState === 'waitlisted') {
        // Whoever waits has got in already once: come back by itself, as from a seat.
        this.#setState('reconnecting');
        await this.#reconnect();
        return;
      }
      if (this.roomState !== 'connecting' && this.roomState !== 'waitlisted') return;
      this.#end(passing ? 'failed' : 'rejected', error);
      throw error;
    }
  }

  /** Same as {@link RingbridgeClient#join}, under its older name. */
  joinRoom() {
    return this.join();
  }

  /** Gives up the seat and the devices. */
  leave() {
    if (BUSY.has(this.roomState)) {
      this.#signal?.send({ type: 'leave' });
      this.#end('left');
    }
    this.self.releaseMedia();
  }

  /** Same as {@link RingbridgeClient#leave}, under its older name. */
  leaveRoom() {
    this.leave();
  }

  /** The browser's WebRTC statistics, or undefined while not connected. */
  async getStats() {
    return this.#media?.stats();
  }

  async #connect(token) {
    const reconnected = this.roomState === 'reconnecting';
    const signal = new SignalSocket(this.#url);
    this.#signal = signal;
    signal.on('waiting', () => {
      this.#setState('waitlisted');
      this.self.setWaiting();
    });
    const joined = await signal.join(token, this.self.name);
    this.#resumeToken = joined.resume_token;
    this.self.id = joined.participant.id;
    this.self.name = joined.participant.name;
    this.self.picture = joined.participant.picture;
    this.self.customParticipantId = joined.participant.custom_participant_id;
    this.self.setMutedByServer(false);
    this.stage.reset();
    this.self.permissions.update(joined.permissions);
    this.meta.update(joined);
    this.#openMedia(signal);
    signal.on('message', (message) => this.#handle(message));
    signal.on('close', () => this.#lost('signalling'));
    this.#setState('joined');
    this.participants.replaceAll(joined.participants);
    this.chat.replaceAll(joined.chat ?? []);
    this.self.emit('roomJoined', { reconnected });
  }

  /** What the chat, the participants and the stage say. @param {object} message */
  #send(message) {
    if (this.roomState !== 'joined') {
      throw new RingbridgeError('not_joined', `${message.type}: not in the meeting`);
    }
    this.#signal?.send(message);
  }

  #openMedia(signal) {
    const media = new MediaConnection((message) => signal.send(message));
    this.#media = media;
    media.on('tracks', (tracks) => {
      this.#remoteTracks = tracks;
      this.participants.setTracks(tracks);
    });
    media.on('state', (state) => this.#mediaState(state));
    media.on('failure', (error) => {
      console.error('ringbridge: a session description was refused', error);
      this.#lost('negotiation');
    });
    media.start().then(() => {
      for (const source of SOURCES) this.#sendSource(source);
    });
    this.#quality.start();
  }

  #remoteTracks = [];

  #handle(message) {
    switch (message.type) {
      case 'answer':
        this.#media?.handleAnswer(message.sdp);
        break;
      case 'offer':
        this.#media?.handleOffer(message.sdp, message.tracks);
        break;
      case 'participant_joined':
        this.participants.put(message.participant);
        this.participants.setTracks(this.#remoteTracks);
        break;
      case 'participant_updated':
        if (message.participant.id === this.self.id) this.#ownView(message.participant);
        else this.participants.put(message.participant);
        break;
      case 'participant_left':
        this.participants.remove(message.participant_id);
        break;
      case 'dtmf': {
        const participant = this.participants.joined.get(message.participant_id);
        if (participant) this.participants.emit('dtmf', { participant, digit: message.digit });
        break;
      }
      case 'levels':
        this.participants.setLevels(message.levels);
        break;
      case 'chat':
        this.chat.add(message.message);
        break;
      case 'reaction': {
        const participant = this.participants.joined.get(message.participant_id);
        const { participant_id: participantId, emoji } = message;
        this.participants.emit('reaction', { participantId, participant, emoji });
        break;
      }
      case 'broadcast':
        this.participants.emit('broadcastedMessage', {
          type: message.kind,
          payload: message.payload,
          participantId: message.participant_id,
          timestamp: Date.now(),
        });
        break;
      case 'waiting_list':
        this.participants.setWaiting(message.participants);
        break;
      case 'permissions':
        this.self.permissions.update(message.permissions);
        break;
      case 'produce_requests':
        this.stage.setRequests(
          message.requests.map(({ participant_id: participantId, name, source }) => ({ participantId, name, source })),
        );
        break;
      case 'muted':
        this.#muted(message);
        break;
      case 'error':
        this.meta.emit('serverError', { code: message.code, message: message.message });
        break;
      case 'bye':
        if (FINAL_BYES[message.reason]) this.#end(FINAL_BYES[message.reason]);
        else this.#lost('server');
        break;
      default:
      // A newer server may say more than we know.
    }
  }

  /**
   * How the others see us. The server may have muted us; an echo of our own switch that crossed
   * the next switch says so too, so it is believed only when it lasts.
   */
  #ownView(view) {
    const muted = view.sources?.microphone?.muted ?? false;
    clearTimeout(this.#muteTimer);
    if (!muted) this.self.setMutedByServer(false);
    else if (this.self.audioEnabled) {
      this.#muteTimer = setTimeout(() => {
        if (this.self.audioEnabled) this.self.setMutedByServer(true);
      }, MUTE_ECHO_MS);
    }
  }

  /** A participant's mute is ours to undo, the API's is not. */
  #muted({ source, by }) {
    if (by) this.self.disabledBy(source, by);
    else if (source === 'microphone') this.self.setMutedByServer(true);
  }

  #sendSource(source) {
    const track = this.self.sendableTrack(source);
    this.#media?.replace(source, track).catch((error) => {
      console.warn(`ringbridge: ${source} could not be switched`, error);
    });
    if (this.roomState === 'joined') {
      this.#signal?.send({ type: 'mute', source, muted: track === null });
    }
  }

  #mediaState(state) {
    clearTimeout(this.#mediaTimer);
    this.meta.mediaState = state;
    this.meta.emit('mediaConnectionUpdate', { state });
    // Only now is all well again: a server that can be joined but not heard is not.
    if (state === 'connected') this.#attempt = 0;
    if (state === 'failed') this.#lost('media');
    if (state === 'disconnected') {
      this.#mediaTimer = setTimeout(() => this.#lost('media'), MEDIA_GRACE_MS);
    }
  }

  /**
   * The connection is gone for a reason that may pass: start over with the resume token.
   *
   * @param {LossReason} reason
   */
  #lost(reason) {
    if (this.roomState !== 'joined') return;
    console.info(`ringbridge: reconnecting (${reason})`);
    this.#closeConnections();
    this.participants.setTracks([]);
    this.#lossReason = reason;
    this.#setState('reconnecting');
    this.#reconnect();
  }

  async #reconnect() {
    while (this.#attempt < RECONNECT_DELAYS_MS.length) {
      const delay = RECONNECT_DELAYS_MS[this.#attempt];
      this.#attempt += 1;
      this.#emitConnection('reconnecting');
      // Up to a third more, so that a restarted server is not met by everyone at once.
      await this.#pause(delay * (1 + Math.random() / 3));
      if (this.roomState !== 'reconnecting') return;
      try {
        await this.#connect(this.#resumeToken ?? this.#token);
        return;
      } catch (error) {
        // The waiting room may have come between: it is lost like a seat.
        if (this.roomState === 'waitlisted') this.#setState('reconnecting');
        if (this.roomState !== 'reconnecting') return;
        if (error.code === 'server_unreachable' || PASSING.has(error.serverCode)) continue;
        if (this.#resumeToken && error.serverCode !== 'denied') {
          // The seat may be gone for good while the invitation still stands.
          this.#resumeToken = undefined;
          continue;
        }
        this.#end('rejected', error);
        return;
      }
    }
    this.#end('disconnected', new RingbridgeError('connection_lost', 'the server did not come back'));
  }

  /** Waits, or until the browser says that the network is back. */
  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #closeConnections() {
    this.#quality.stop();
    clearTimeout(this.#mediaTimer);
    clearTimeout(this.#muteTimer);
    this.#signal?.close();
    this.#media?.close();
    this.#signal = undefined;
    this.#media = undefined;
    this.#remoteTracks = [];
  }

  /** @param {RoomState} state @param {RingbridgeError} [error] */
  #end(state, error) {
    this.#closeConnections();
    this.#resumeToken = undefined;
    this.#attempt = 0;
    this.#setState(state);
    this.#wake();
    this.participants.clear();
    this.stage.reset();
    this.self.permissions.reset();
    this.self.emit('roomLeft', { state, error });
  }

  #setState(state) {
    this.self.roomState = state;
    const socket = {
      connecting: 'connecting',
      waitlisted: 'connected',
      joined: 'connected',
      reconnecting: 'reconnecting',
    }[state];
    this.#emitConnection(socket ?? 'disconnected');
  }

  #emitConnection(state) {
    this.meta.socketState = state;
    this.meta.emit('socketConnectionUpdate', {
      state,
      reconnectionAttempt: this.#attempt,
      reason: this.#lossReason,
    });
  }
}

function checkExpiry({ expiresAt }) {
  // A minute of grace for clocks that differ; the server has the last word.
  if (expiresAt && expiresAt.getTime() + 60_000 < Date.now()) {
    throw new RingbridgeError('token_expired', `the token expired at ${expiresAt.toISOString()}`);
  }
}
