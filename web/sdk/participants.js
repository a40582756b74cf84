import { Emitter } from './emitter.js';
import { meterPosition } from './level.js';

/** @typedef {import('./media.js').Source} Source */

/**
 * Someone else in the meeting: a person at a browser, or a phone.
 *
 * Events: `audioUpdate` ({audioEnabled, audioTrack}), `videoUpdate` ({videoEnabled, videoTrack}),
 * `screenShareUpdate` ({screenShareEnabled, screenShareTracks}), `participantUpdate` (this).
 */
export class Participant extends Emitter {
  /** @type {Partial<Record<Source, { muted: boolean }>>} */
  #sources = {};
  /** @type {Map<Source, MediaStreamTrack>} */
  #tracks = new Map();
  #level = { position: 0, at: 0 };

  constructor(view) {
    super();
    /** @type {string} */
    this.id = view.id;
    this.update(view);
  }

  /** The participant's id under the name Dyte's users know. */
  get userId() {
    return this.id;
  }

  /** True for a robo participant: someone who dialled in. */
  get isPhone() {
    return this.kind === 'robo';
  }

  get audioEnabled() {
    return enabled(this.#sources.microphone);
  }

  get videoEnabled() {
    return enabled(this.#sources.camera);
  }

  get screenShareEnabled() {
    return enabled(this.#sources.screen);
  }

  /** @returns {MediaStreamTrack | undefined} also while muted, so that players keep their place */
  get audioTrack() {
    return this.#tracks.get('microphone');
  }

  /** @returns {MediaStreamTrack | undefined} only while the camera is on */
  get videoTrack() {
    return this.videoEnabled ? this.#tracks.get('camera') : undefined;
  }

  /** @returns {{ video?: MediaStreamTrack }} */
  get screenShareTracks() {
    return { video: this.screenShareEnabled ? this.#tracks.get('screen') : undefined };
  }

  /** The server's word on how loud they are: 0 to 1, back to 0 when it says nothing for a while. */
  get audioLevel() {
    return performance.now() - this.#level.at < 600 ? this.#level.position : 0;
  }

  /** Takes over what the server says; emits what changed. */
  update(view) {
    const before = this.#flags();
    /** @type {string} */
    this.name = view.name;
    /** @type {string | undefined} */
    this.picture = view.picture;
    /** @type {'browser' | 'robo'} */
    this.kind = view.kind;
    /** @type {string | undefined} */
    this.customParticipantId = view.custom_participant_id;
    /** The phone put the meeting on hold. */
    this.onHold = view.on_hold ?? false;
    /** @type {Record<string, string>} facts from the phone's side */
    this.attributes = view.attributes ?? {};
    this.#sources = view.sources ?? {};
    this.#emitChanges(before);
    this.emit('participantUpdate', this);
  }

  /** @param {Map<Source, MediaStreamTrack>} tracks all that the server sends of them now */
  setTracks(tracks) {
    const before = this.#flags();
    this.#tracks = tracks;
    this.#emitChanges(before);
  }

  /** @param {number} level −dBov, 0 loudest, 127 silence */
  setLevel(level) {
    this.#level = { position: meterPosition(-level), at: performance.now() };
  }

  #flags() {
    return {
      audio: [this.audioEnabled, this.audioTrack],
      video: [this.videoEnabled, this.videoTrack],
      screen: [this.screenShareEnabled, this.screenShareTracks.video],
    };
  }

  #emitChanges(before) {
    const now = this.#flags();
    const changed = (what) => now[what].some((value, i) => value !== before[what][i]);
    if (changed('audio')) {
      this.emit('audioUpdate', { audioEnabled: this.audioEnabled, audioTrack: this.audioTrack });
    }
    if (changed('video')) {
      this.emit('videoUpdate', { videoEnabled: this.videoEnabled, videoTrack: this.videoTrack });
    }
    if (changed('screen')) {
      this.emit('screenShareUpdate', {
        screenShareEnabled: this.screenShareEnabled,
        screenShareTracks: this.screenShareTracks,
      });
    }
  }
}

function enabled(source) {
  return source !== undefined && !source.muted;
}

const FORWARDED = ['audioUpdate', 'videoUpdate', 'screenShareUpdate', 'participantUpdate'];

/**
 * The others who are in the meeting, by id, in the order they came.
 *
 * Events: `participantJoined`, `participantLeft`, `participantsCleared`, and each participant's own
 * events with the participant as first argument.
 */
export class ParticipantMap extends Emitter {
  /** @type {Map<string, Participant>} */
  #byId = new Map();

  get size() {
    return this.#byId.size;
  }

  /** @returns {Participant | undefined} */
  get(id) {
    return this.#byId.get(id);
  }

  has(id) {
    return this.#byId.has(id);
  }

  /** @returns {Participant[]} */
  toArray() {
    return [...this.#byId.values()];
  }

  [Symbol.iterator]() {
    return this.#byId.values();
  }

  /** Adds or updates. */
  put(view) {
    const known = this.#byId.get(view.id);
    if (known) {
      known.update(view);
      return known;
    }
    const participant = new Participant(view);
    for (const event of FORWARDED) {
      participant.on(event, (...args) =>
        this.emit(event, participant, ...(event === 'participantUpdate' ? [] : args)),
      );
    }
    this.#byId.set(participant.id, participant);
    this.emit('participantJoined', participant);
    return participant;
  }

  remove(id) {
    const participant = this.#byId.get(id);
    if (!participant) return;
    this.#byId.delete(id);
    this.emit('participantLeft', participant);
    participant.removeAllListeners();
  }

  /** Makes the map say what the server says: after a (re)join. */
  replaceAll(views) {
    const present = new Set(views.map((view) => view.id));
    for (const { id } of this.toArray()) if (!present.has(id)) this.remove(id);
    for (const view of views) this.put(view);
  }

  clear() {
    for (const { id } of this.toArray()) this.remove(id);
    this.emit('participantsCleared');
  }

  /** @param {import('./media.js').RemoteTrack[]} tracks */
  setTracks(tracks) {
    for (const participant of this) {
      const own = tracks.filter((t) => t.participantId === participant.id);
      participant.setTracks(new Map(own.map((t) => [t.source, t.track])));
    }
  }
}

/**
 * Everyone but oneself.
 *
 * Events: `activeSpeaker` ({peerId, volume}), `dtmf` ({participant, digit}).
 */
export class Participants extends Emitter {
  joined = new ParticipantMap();

  /** How many are in the meeting, oneself not counted. */
  get count() {
    return this.joined.size;
  }

  /** @param {{ participant_id: string, level: number }[]} levels */
  setLevels(levels) {
    let loudest;
    for (const { participant_id: id, level } of levels) {
      this.joined.get(id)?.setLevel(level);
      if (!loudest || level < loudest.level) loudest = { id, level };
    }
    if (loudest) {
      this.emit('activeSpeaker', { peerId: loudest.id, volume: meterPosition(-loudest.level) });
    }
  }
}
