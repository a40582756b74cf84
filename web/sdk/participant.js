import { Emitter } from './emitter.js';
import { meterPosition } from './level.js';

/** @typedef {import('./media.js').Source} Source */

/**
 * What a participant's methods need of the client.
 *
 * @typedef {object} Actions
 * @property {(message: object) => void} send
 * @property {(participant: Participant, pinned: boolean) => void} pin
 * @property {(id: string, source: Source, view: View) => void} view
 */

/**
 * How a video is shown.
 *
 * @typedef {object} View
 * @property {number} [width] in pixels of the screen; the largest there is without
 * @property {boolean} visible
 */

/** How long the server's word on somebody's level counts. */
const LEVEL_LIFE_MS = 600;

/**
 * Someone else in the meeting: a person at a browser, or a phone.
 *
 * Events: `audioUpdate` ({audioEnabled, audioTrack}), `videoUpdate` ({videoEnabled, videoTrack}),
 * `screenShareUpdate` ({screenShareEnabled, screenShareTracks}), `participantUpdate` (this),
 * `pinned` and `unpinned` (this).
 */
export class Participant extends Emitter {
  name = '';
  /** @type {string | undefined} */
  picture;
  /** @type {'browser' | 'robo'} */
  kind = 'browser';
  /** @type {string | undefined} */
  customParticipantId;
  /** @type {string | undefined} */
  presetName;
  /** The phone put the meeting on hold. */
  onHold = false;
  /** @type {Record<string, string>} facts from the phone's side */
  attributes = {};
  /** @type {Partial<Record<Source, { muted: boolean }>>} */
  #sources = {};
  /** @type {Map<Source, MediaStreamTrack>} */
  #tracks = new Map();
  #level = { position: 0, at: -Infinity };
  #actions;

  /** @param {any} view the server's @param {Actions} actions */
  constructor(view, actions) {
    super();
    this.#actions = actions;
    /** @type {string} */
    this.id = view.id;
    /** Kept in view by oneself; nobody else is told. */
    this.isPinned = false;
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
    return performance.now() - this.#level.at < LEVEL_LIFE_MS ? this.#level.position : 0;
  }

  /** Keeps them in view. */
  pin() {
    this.#actions.pin(this, true);
  }

  unpin() {
    this.#actions.pin(this, false);
  }

  /**
   * Says how their video is shown here, so that the server sends no more than that: the layer that
   * fits the width, or nothing. Without a word it sends the largest.
   *
   * @param {View} view
   * @param {'camera' | 'screen'} [source]
   */
  setVideoView(view, source = 'camera') {
    this.#actions.view(this.id, source, view);
  }

  /** Removes them from the meeting; takes the permission `kickParticipant`. */
  kick() {
    this.#actions.send({ type: 'kick', participant_ids: [this.id] });
  }

  /** Mutes them for everyone; takes the permission `disableParticipantAudio`. */
  disableAudio() {
    this.#actions.send({ type: 'mute_participant', participant_id: this.id, source: 'microphone' });
  }

  /** Lifts a phone's mute, which its holder cannot; takes `disableParticipantAudio`. */
  enableAudio() {
    this.#actions.send({ type: 'mute_participant', participant_id: this.id, source: 'microphone', muted: false });
  }

  /** Turns their camera off for everyone; takes the permission `disableParticipantVideo`. */
  disableVideo() {
    this.#actions.send({ type: 'mute_participant', participant_id: this.id, source: 'camera' });
  }

  /** For the client: takes over what the server says; emits what changed. @param {any} view */
  update(view) {
    const before = this.#flags();
    this.name = view.name;
    this.picture = view.picture;
    this.kind = view.kind;
    this.customParticipantId = view.custom_participant_id;
    this.presetName = view.preset_name;
    this.onHold = view.on_hold ?? false;
    this.attributes = view.attributes ?? {};
    this.#sources = view.sources ?? {};
    this.#emitChanges(before);
    this.emit('participantUpdate', this);
  }

  /** For the client. @param {Map<Source, MediaStreamTrack>} tracks all the server sends of them */
  setTracks(tracks) {
    const before = this.#flags();
    this.#tracks = tracks;
    this.#emitChanges(before);
  }

  /** For the client. @param {number} level −dBov, 0 loudest, 127 silence */
  setLevel(level) {
    this.#level = { position: meterPosition(-level), at: performance.now() };
  }

  /** For the client. @param {boolean} pinned */
  setPinned(pinned) {
    if (this.isPinned === pinned) return;
    this.isPinned = pinned;
    this.emit(pinned ? 'pinned' : 'unpinned', this);
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

/** @param {{ muted: boolean } | undefined} source */
function enabled(source) {
  return source !== undefined && !source.muted;
}
