import { listDevices, openTrack } from './devices.js';
import { Emitter } from './emitter.js';
import { RingbridgeError } from './errors.js';
import { Permissions } from './permissions.js';

/** @typedef {import('./media.js').Source} Source */
/** @typedef {import('./client.js').RoomState} RoomState */
/** @typedef {import('./quality.js').ScoreStats} ScoreStats */

/** @type {Source[]} */
const SOURCES = ['microphone', 'camera', 'screen'];

/**
 * Oneself: name, microphone, camera, screen. Usable before joining (a preview) and after leaving.
 *
 * Events: `roomJoined` ({reconnected}), `roomLeft` ({state, error}), `waitlisted`, `audioUpdate`
 * ({audioEnabled, audioTrack}), `videoUpdate` ({videoEnabled, videoTrack}), `screenShareUpdate`
 * ({screenShareEnabled, screenShareTracks}), `mediaPermissionError` ({kind: 'audio' | 'video' |
 * 'screenshare', error}), `deviceUpdate` ({device}), `deviceListUpdate`, `mediaScoreUpdate`
 * ({kind, isScreenshare, score, scoreStats}), `disabledBy` ({source, by}), `mutedByServer`
 * ({muted}), and, for the client, `sourceChanged` (Source).
 */
export class Self extends Emitter {
  /** @type {Map<Source, MediaStreamTrack>} */
  #tracks = new Map();
  /** @type {Record<Source, boolean>} */
  #wanted = { microphone: false, camera: false, screen: false };
  /** @type {Record<Source, Promise<void>>} */
  #turn = { microphone: Promise.resolve(), camera: Promise.resolve(), screen: Promise.resolve() };
  /** @type {Record<string, string | undefined>} device ids, by source or `speaker` */
  #chosen = {};

  /** @param {string} name */
  constructor(name) {
    super();
    /** @type {string | undefined} set by joining */
    this.id = undefined;
    /** @type {string} */
    this.name = name;
    /** @type {string | undefined} */
    this.picture = undefined;
    /** @type {string | undefined} */
    this.customParticipantId = undefined;
    /** @type {RoomState} */
    this.roomState = 'init';
    /** Known once joined. */
    this.permissions = new Permissions();
    /** The API silenced our microphone at the server; only it undoes that. */
    this.mutedByServer = false;
    /** @type {number | undefined} the last `mediaScoreUpdate`'s score */
    this.mediaScore = undefined;
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.emit('deviceListUpdate'));
  }

  /** The participant's id under the name Dyte's users know. */
  get userId() {
    return this.id;
  }

  /** True from the seat being given until it is lost for good. */
  get roomJoined() {
    return this.roomState === 'joined' || this.roomState === 'reconnecting';
  }

  /** @returns {'none' | 'waiting' | 'accepted' | 'rejected'} where one stands with the waiting room */
  get waitlistStatus() {
    if (this.roomState === 'waitlisted') return 'waiting';
    if (this.roomState === 'rejected') return 'rejected';
    return this.#waited ? 'accepted' : 'none';
  }

  #waited = false;

  /** For the client: the server lets one wait. */
  setWaiting() {
    this.#waited = true;
    this.emit('waitlisted');
  }

  /** For the client: what is no longer allowed is let go of. */
  applyPermissions() {
    for (const source of SOURCES) {
      if (this.#allowed(source) || (!this.#wanted[source] && !this.#tracks.has(source))) continue;
      this.#wanted[source] = false;
      this.#drop(source);
      this.#changed(source);
    }
  }

  #allowed(source) {
    return this.permissions.of(source) === 'ALLOWED';
  }

  /** For the client. @param {boolean} muted */
  setMutedByServer(muted) {
    if (this.mutedByServer === muted) return;
    this.mutedByServer = muted;
    this.emit('mutedByServer', { muted });
  }

  /** For the client: another participant turned our source off. @param {Source} source @param {string} by */
  disabledBy(source, by) {
    this.#switch(source, false).catch(() => {});
    this.emit('disabledBy', { source, by });
  }

  /** @param {string} name takes effect at the next join */
  setName(name) {
    this.name = name;
  }

  get audioEnabled() {
    return this.#wanted.microphone && this.#tracks.has('microphone');
  }

  get videoEnabled() {
    return this.#wanted.camera && this.#tracks.has('camera');
  }

  get screenShareEnabled() {
    return this.#wanted.screen && this.#tracks.has('screen');
  }

  /** @returns {MediaStreamTrack | undefined} also while muted */
  get audioTrack() {
    return this.#tracks.get('microphone');
  }

  /** @returns {MediaStreamTrack | undefined} */
  get videoTrack() {
    return this.#tracks.get('camera');
  }

  /** @returns {{ video?: MediaStreamTrack }} */
  get screenShareTracks() {
    return { video: this.#tracks.get('screen') };
  }

  /** What is to be sent of a source now: null while muted or off. @param {Source} source */
  sendableTrack(source) {
    return (this.#wanted[source] && this.#tracks.get(source)) || null;
  }

  /** Unmutes, asking for the microphone if there is none yet. Rejects with a RingbridgeError. */
  enableAudio() {
    return this.#switch('microphone', true);
  }

  /** Mutes. The microphone stays open, so that unmuting is instant. */
  disableAudio() {
    return this.#switch('microphone', false);
  }

  enableVideo() {
    return this.#switch('camera', true);
  }

  disableVideo() {
    return this.#switch('camera', false);
  }

  enableScreenShare() {
    return this.#switch('screen', true);
  }

  disableScreenShare() {
    return this.#switch('screen', false);
  }

  /** @returns {Promise<MediaDeviceInfo[]>} */
  getAllDevices() {
    return listDevices();
  }

  /** @returns {Promise<MediaDeviceInfo[]>} */
  async getAudioDevices() {
    return (await listDevices()).filter((d) => d.kind === 'audioinput');
  }

  /** @returns {Promise<MediaDeviceInfo[]>} */
  async getVideoDevices() {
    return (await listDevices()).filter((d) => d.kind === 'videoinput');
  }

  /** @returns {Promise<MediaDeviceInfo[]>} where sound can go; empty where the browser decides */
  async getSpeakerDevices() {
    return (await listDevices()).filter((d) => d.kind === 'audiooutput');
  }

  /** @returns {Promise<{ audio?: MediaDeviceInfo, video?: MediaDeviceInfo, speaker?: MediaDeviceInfo }>} */
  async getCurrentDevices() {
    const all = await listDevices();
    const find = (kind, id) => all.find((d) => d.kind === kind && d.deviceId === id);
    return {
      audio: find('audioinput', this.audioTrack?.getSettings().deviceId ?? this.#chosen.microphone),
      video: find('videoinput', this.videoTrack?.getSettings().deviceId ?? this.#chosen.camera),
      speaker: find('audiooutput', this.#chosen.speaker ?? 'default'),
    };
  }

  /**
   * Uses another microphone or camera, at once if that source is on. A speaker is only remembered
   * and told by `deviceUpdate`: who plays the sound gives it to `setSinkId`.
   *
   * @param {MediaDeviceInfo} device
   */
  async setDevice(device) {
    if (device.kind === 'audiooutput') {
      this.#chosen.speaker = device.deviceId;
      this.emit('deviceUpdate', { device });
      return;
    }
    const source = device.kind === 'videoinput' ? 'camera' : 'microphone';
    this.#chosen[source] = device.deviceId;
    if (this.#tracks.has(source)) {
      const wanted = this.#wanted[source];
      await this.#inTurn(source, async () => this.#drop(source));
      if (wanted) await this.#switch(source, true);
    }
    this.emit('deviceUpdate', { device });
  }

  /** For the client. @param {number} score @param {ScoreStats} scoreStats */
  setMediaScore(score, scoreStats) {
    this.mediaScore = score;
    this.emit('mediaScoreUpdate', { kind: 'audio', isScreenshare: false, score, scoreStats });
  }

  /** Lets go of microphone, camera and screen. */
  releaseMedia() {
    for (const source of [...this.#tracks.keys()]) {
      this.#wanted[source] = false;
      this.#drop(source);
      this.#changed(source);
    }
  }

  #switch(source, on) {
    if (on && !this.#allowed(source)) {
      const error = new RingbridgeError('not_permitted', `${source}: the preset does not allow it`);
      this.#failed(source, error);
      return Promise.reject(error);
    }
    this.#wanted[source] = on;
    return this.#inTurn(source, async () => {
      if (this.#wanted[source] !== on) return;
      if (on && !this.#tracks.has(source)) await this.#acquire(source);
      if (!on && source !== 'microphone') this.#drop(source);
      const track = this.#tracks.get(source);
      if (track) track.enabled = this.#wanted[source];
      this.#changed(source);
    });
  }

  /** One switch of a source after the other; a failed one does not stop the next. */
  #inTurn(source, step) {
    const done = this.#turn[source].then(step);
    this.#turn[source] = done.catch(() => {});
    return done;
  }

  async #acquire(source) {
    let track;
    try {
      track = await openTrack(source, this.#chosen[source]);
    } catch (error) {
      // A device that was chosen once and has gone must not keep one from using another.
      if (error.code === 'device_missing') this.#chosen[source] = undefined;
      this.#wanted[source] = false;
      this.#changed(source);
      this.#failed(source, error);
      throw error;
    }
    // Switched off, or no longer allowed, while the browser was asking.
    if (!this.#allowed(source) || (!this.#wanted[source] && source !== 'microphone')) {
      track.stop();
      return;
    }
    // Unplugged, taken away, or the browser's own "stop sharing".
    track.onended = () => {
      if (this.#tracks.get(source) !== track) return;
      this.#wanted[source] = false;
      this.#tracks.delete(source);
      this.#changed(source);
      if (source !== 'screen') {
        this.#failed(source, new RingbridgeError('device_lost', `${source}: the device went away`));
      }
    };
    this.#tracks.set(source, track);
    this.emit('deviceListUpdate');
  }

  #drop(source) {
    const track = this.#tracks.get(source);
    this.#tracks.delete(source);
    track?.stop();
  }

  #changed(source) {
    this.emit('sourceChanged', source);
    if (source === 'microphone') {
      this.emit('audioUpdate', { audioEnabled: this.audioEnabled, audioTrack: this.audioTrack });
    } else if (source === 'camera') {
      this.emit('videoUpdate', { videoEnabled: this.videoEnabled, videoTrack: this.videoTrack });
    } else {
      this.emit('screenShareUpdate', {
        screenShareEnabled: this.screenShareEnabled,
        screenShareTracks: this.screenShareTracks,
      });
    }
  }

  #failed(source, error) {
    const kind = { microphone: 'audio', camera: 'video', screen: 'screenshare' }[source];
    this.emit('mediaPermissionError', { kind, error });
  }
}
