import { Emitter } from './emitter.js';
import { meterPosition } from './level.js';
import { Participant } from './participant.js';

/** @typedef {import('./participant.js').Actions} Actions */

/** Participants' events that a map of them repeats, with the participant as first argument. */
const FORWARDED = ['audioUpdate', 'videoUpdate', 'screenShareUpdate', 'participantUpdate', 'pinned', 'unpinned'];
/** Those that already say whose they are. */
const SELF_NAMING = new Set(['participantUpdate', 'pinned', 'unpinned']);
/** Shown at a time unless the page says otherwise. */
const ACTIVE_MAX = 9;
/** Quieter than this, 0 to 1, nobody takes the place of an earlier speaker. */
const SPEAKING_LEVEL = 0.3;

/**
 * Participants by id, in the order they came; read it like a `Map`.
 *
 * Events: `participantJoined`, `participantLeft`, `participantsCleared`, `participantsUpdate`, and
 * each participant's own with the participant as first argument.
 */
export class ParticipantMap extends Emitter {
  /** @type {Map<string, Participant>} */
  #byId = new Map();
  /** @type {Map<string, () => void>} */
  #unhook = new Map();

  get size() {
    return this.#byId.size;
  }

  /** @param {string} id @returns {Participant | undefined} */
  get(id) {
    return this.#byId.get(id);
  }

  /** @param {string} id */
  has(id) {
    return this.#byId.has(id);
  }

  keys() {
    return this.#byId.keys();
  }

  values() {
    return this.#byId.values();
  }

  entries() {
    return this.#byId.entries();
  }

  [Symbol.iterator]() {
    return this.#byId.entries();
  }

  /** @param {(participant: Participant, id: string) => void} visit */
  forEach(visit) {
    this.#byId.forEach(visit);
  }

  /** @returns {Participant[]} */
  toArray() {
    return [...this.#byId.values()];
  }

  /** For the client. @param {Participant} participant */
  add(participant) {
    if (this.#byId.has(participant.id)) return;
    const hooks = FORWARDED.map((event) => {
      const tell = (...args) => this.emit(event, participant, ...(SELF_NAMING.has(event) ? [] : args));
      participant.on(event, tell);
      return () => participant.off(event, tell);
    });
    this.#unhook.set(participant.id, () => hooks.forEach((unhook) => unhook()));
    this.#byId.set(participant.id, participant);
    this.emit('participantJoined', participant);
    this.emit('participantsUpdate');
  }

  /** For the client. @param {string} id */
  remove(id) {
    const participant = this.#byId.get(id);
    if (!participant) return;
    this.#byId.delete(id);
    this.#unhook.get(id)?.();
    this.#unhook.delete(id);
    this.emit('participantLeft', participant);
    this.emit('participantsUpdate');
  }

  /** For the client. */
  clear() {
    for (const id of [...this.#byId.keys()]) this.remove(id);
    this.emit('participantsCleared');
  }
}

/**
 * Everyone but oneself.
 *
 * Events: `activeSpeaker` ({peerId, volume}), `dtmf` ({participant, digit}), `reaction`
 * ({participantId, participant, emoji}), `broadcastedMessage` ({type, payload, participantId,
 * timestamp}).
 */
export class Participants extends Emitter {
  /** In the meeting. */
  joined = new ParticipantMap();
  /** Waiting to be let in; known only to those who may let them in. */
  waitlisted = new ParticipantMap();
  /** Those worth showing: the latest speakers, at most `maxActiveParticipantsCount`. */
  active = new ParticipantMap();
  /** Pinned by oneself. */
  pinned = new ParticipantMap();
  /** Id of whoever spoke last. @type {string | undefined} */
  lastActiveSpeaker;

  /** @type {Map<string, number>} */
  #spokeAt = new Map();
  #activeMax = ACTIVE_MAX;
  /** How videos are shown, by participant and source: said again after a reconnect. */
  #views = new Map();
  #send;
  /** @type {Actions} */
  #actions;

  #ownId;

  /** @param {(message: object) => void} send @param {() => string | undefined} ownId */
  constructor(send, ownId) {
    super();
    this.#send = send;
    this.#ownId = ownId;
    this.#actions = {
      send,
      pin: (participant, on) => this.#pin(participant, on),
      view: (id, source, view) => this.#view(id, source, view),
    };
  }

  /** How many are in the meeting, oneself not counted. */
  get count() {
    return this.joined.size;
  }

  get maxActiveParticipantsCount() {
    return this.#activeMax;
  }

  /** @param {number} limit how many `active` may hold, at least 1 */
  setMaxActiveParticipantsCount(limit) {
    this.#activeMax = Math.max(1, Math.floor(limit));
    for (const id of this.#quietest().slice(0, Math.max(0, this.active.size - this.#activeMax))) {
      this.active.remove(id);
    }
    this.#fillActive();
  }

  /** Lets someone in. Takes the permission `acceptWaitingRequests`. @param {string} id */
  acceptWaitingRoomRequest(id) {
    this.#send({ type: 'admit', participant_ids: [id] });
  }

  /** Lets these in, or all. @param {string[]} [ids] */
  acceptAllWaitingRoomRequest(ids = [...this.waitlisted.keys()]) {
    if (ids.length) this.#send({ type: 'admit', participant_ids: ids });
  }

  /** Sends someone away. Takes the permission `acceptWaitingRequests`. @param {string} id */
  rejectWaitingRoomRequest(id) {
    this.#send({ type: 'deny', participant_ids: [id] });
  }

  /** Removes someone from the meeting. Takes the permission `kickParticipant`. @param {string} id */
  kick(id) {
    this.#send({ type: 'kick', participant_ids: [id] });
  }

  /** Removes everyone else. */
  kickAll() {
    if (this.joined.size) this.#send({ type: 'kick', participant_ids: [...this.joined.keys()] });
  }

  /** Mutes someone for everyone. Takes `disableParticipantAudio`. @param {string} id */
  disableAudio(id) {
    this.#send({ type: 'mute_participant', participant_id: id, source: 'microphone' });
  }

  /** Turns someone's camera off for everyone. Takes `disableParticipantVideo`. @param {string} id */
  disableVideo(id) {
    this.#send({ type: 'mute_participant', participant_id: id, source: 'camera' });
  }

  /** Mutes everyone else. Takes the permission `disableParticipantAudio`. */
  disableAllAudio() {
    this.#send({ type: 'mute_all' });
  }

  /**
   * Tells the other browsers something of the page's own; they get it as `broadcastedMessage`.
   *
   * @param {string} type of the page's choosing
   * @param {unknown} payload at most 4 KiB as JSON
   */
  broadcastMessage(type, payload) {
    this.#send({ type: 'broadcast', kind: type, payload });
  }

  /** Shows everyone a reaction, oneself included. @param {string} emoji */
  sendReaction(emoji) {
    this.#send({ type: 'reaction', emoji });
    this.emit('reaction', { participantId: this.#ownId(), participant: undefined, emoji });
  }

  /** For the client: someone came, or changed. @param {any} view */
  put(view) {
    const known = this.joined.get(view.id);
    if (known) {
      known.update(view);
      return;
    }
    this.joined.add(new Participant(view, this.#actions));
    this.#fillActive();
  }

  /** For the client. @param {string} id */
  remove(id) {
    this.pinned.remove(id);
    this.active.remove(id);
    this.#spokeAt.delete(id);
    for (const source of ['camera', 'screen']) this.#views.delete(`${id} ${source}`);
    const participant = this.joined.get(id);
    this.joined.remove(id);
    participant?.removeAllListeners();
    this.#fillActive();
  }

  /** For the client: after a (re)join, the maps say what the server says. @param {any[]} views */
  replaceAll(views) {
    const present = new Set(views.map((view) => view.id));
    for (const { id } of this.joined.toArray()) if (!present.has(id)) this.remove(id);
    for (const view of views) this.put(view);
    this.waitlisted.clear();
    for (const message of this.#views.values()) this.#send(message);
  }

  /** For the client. */
  clear() {
    for (const { id } of this.joined.toArray()) this.remove(id);
    for (const map of [this.joined, this.waitlisted, this.active, this.pinned]) map.clear();
  }

  /** For the client: the whole list of those who wait. @param {any[]} views */
  setWaiting(views) {
    const present = new Set(views.map((view) => view.id));
    for (const { id } of this.waitlisted.toArray()) if (!present.has(id)) this.waitlisted.remove(id);
    for (const view of views) {
      const known = this.waitlisted.get(view.id);
      if (known) known.update(view);
      else this.waitlisted.add(new Participant(view, this.#actions));
    }
  }

  /** For the client. @param {import('./media.js').RemoteTrack[]} tracks */
  setTracks(tracks) {
    for (const participant of this.joined.values()) {
      const own = tracks.filter((t) => t.participantId === participant.id);
      participant.setTracks(new Map(own.map((t) => [t.source, t.track])));
    }
  }

  /** For the client. @param {{ participant_id: string, level: number }[]} levels */
  setLevels(levels) {
    let loudest;
    for (const { participant_id: id, level } of levels) {
      const participant = this.joined.get(id);
      participant?.setLevel(level);
      if (!participant || (loudest && level >= loudest.level)) continue;
      loudest = { id, level };
    }
    if (!loudest) return;
    const volume = meterPosition(-loudest.level);
    this.lastActiveSpeaker = loudest.id;
    if (volume >= SPEAKING_LEVEL) this.#spoke(loudest.id);
    this.emit('activeSpeaker', { peerId: loudest.id, volume });
  }

  #spoke(id) {
    this.#spokeAt.set(id, performance.now());
    const participant = this.joined.get(id);
    if (!participant || this.active.has(id)) return;
    if (this.active.size >= this.#activeMax) {
      const out = this.#quietest().find((other) => !this.pinned.has(other));
      if (out === undefined) return;
      this.active.remove(out);
    }
    this.active.add(participant);
  }

  #fillActive() {
    for (const participant of this.joined.values()) {
      if (this.active.size >= this.#activeMax) return;
      this.active.add(participant);
    }
  }

  /** Ids of the active, the one who spoke longest ago first. */
  #quietest() {
    const at = (id) => this.#spokeAt.get(id) ?? -1;
    return [...this.active.keys()].sort((a, b) => at(a) - at(b));
  }

  #view(id, source, { width, visible }) {
    if (!this.joined.has(id)) return;
    const message = {
      type: 'subscribe',
      participant_id: id,
      source,
      ...(width === undefined ? {} : { max_width: Math.min(65_535, Math.max(1, Math.ceil(width))) }),
      visible,
    };
    const before = this.#views.get(`${id} ${source}`);
    if (before?.visible === visible && before?.max_width === message.max_width) return;
    this.#views.set(`${id} ${source}`, message);
    try {
      this.#send(message);
    } catch {
      // Between two connections: said with the next.
    }
  }

  #pin(participant, on) {
    if (!this.joined.has(participant.id)) return;
    if (on) this.pinned.add(participant);
    else this.pinned.remove(participant.id);
    participant.setPinned(on);
  }
}
