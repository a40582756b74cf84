import { Emitter } from './emitter.js';
import { RingbridgeError, deviceError } from './errors.js';

/** @typedef {import('./media.js').Source} Source */

/**
 * What the participant's preset allows.
 * @typedef {'ALLOWED' | 'NOT_ALLOWED' | 'CAN_REQUEST'} CanProduce
 * @typedef {{ canProduceAudio: CanProduce, canProduceVideo: CanProduce,
 *   canProduceScreenshare: CanProduce }} Permissions
 */

/** @type {Permissions} what is assumed until the server says otherwise */
const ALL_ALLOWED = {
  canProduceAudio: 'ALLOWED',
  canProduceVideo: 'ALLOWED',
  canProduceScreenshare: 'ALLOWED',
};
/** @type {Record<Source, keyof Permissions>} */
const PERMISSION_OF = {
  microphone: 'canProduceAudio',
  camera: 'canProduceVideo',
  screen: 'canProduceScreenshare',
};

const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 24 } };
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/**
 * Oneself: name, microphone, camera, screen. Usable before joining (a preview) and after leaving.
 *
 * Events: `roomJoined` ({reconnected}), `roomLeft` ({state}), `audioUpdate`, `videoUpdate`,
 * `screenShareUpdate`, `mediaPermissionError` ({kind: 'audio'|'video'|'screenshare', error}),
 * `deviceListUpdate`, `mutedByServer` ({muted}), and, for the client, `sourceChanged` (Source).
 */
export class Self extends Emitter {
  /** @type {Map<Source, MediaStreamTrack>} */
  #tracks = new Map();
  #wanted = { microphone: false, camera: false, screen: false };
  #turn = { microphone: Promise.resolve(), camera: Promise.resolve(), screen: Promise.resolve() };
  #deviceIds = { microphone: undefined, camera: undefined };

  /** @param {string} name */
  constructor(name) {
    super();
    /** @type {string | undefined} set by joining */
    this.id = undefined;
    this.name = name;
    this.roomState = 'init';
    /** @type {Permissions} known once joined */
    this.permissions = ALL_ALLOWED;
    /** Someone with the permission, or the API, silenced our microphone at the server. */
    this.mutedByServer = false;
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.emit('deviceListUpdate'));
  }

  get userId() {
    return this.id;
  }

  /** For the client: what is not allowed is let go of. @param {Permissions} [permissions] */
  setPermissions(permissions = ALL_ALLOWED) {
    this.permissions = permissions;
    for (const source of ['microphone', 'camera', 'screen']) {
      if (this.#allowed(source)) continue;
      this.#wanted[source] = false;
      this.#drop(source);
      this.#changed(source);
    }
  }

  #allowed(source) {
    return this.permissions[PERMISSION_OF[source]] === 'ALLOWED';
  }

  /** For the client. @param {boolean} muted */
  setMutedByServer(muted) {
    if (this.mutedByServer === muted) return;
    this.mutedByServer = muted;
    this.emit('mutedByServer', { muted });
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

  get videoTrack() {
    return this.#tracks.get('camera');
  }

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
  async getAudioDevices() {
    return (await listDevices()).filter((d) => d.kind === 'audioinput');
  }

  /** @returns {Promise<MediaDeviceInfo[]>} */
  async getVideoDevices() {
    return (await listDevices()).filter((d) => d.kind === 'videoinput');
  }

  /** Uses another microphone or camera, at once if that source is on. @param {MediaDeviceInfo} device */
  async setDevice(device) {
    const source = device.kind === 'videoinput' ? 'camera' : 'microphone';
    this.#deviceIds[source] = device.deviceId;
    if (!this.#tracks.has(source)) return;
    const wanted = this.#wanted[source];
    await this.#inTurn(source, async () => this.#drop(source));
    if (wanted) await this.#switch(source, true);
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
      track = await openTrack(source, this.#deviceIds[source]);
    } catch (error) {
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

/** @returns {Promise<MediaStreamTrack>} */
async function openTrack(source, deviceId) {
  if (!window.isSecureContext) {
    throw new RingbridgeError('insecure_context', 'no microphone or camera without https');
  }
  const devices = navigator.mediaDevices;
  if (!devices?.getUserMedia || (source === 'screen' && !devices.getDisplayMedia)) {
    throw new RingbridgeError('browser_unsupported', `${source}: not offered by this browser`);
  }
  const chosen = deviceId ? { deviceId: { exact: deviceId } } : {};
  try {
    let stream;
    if (source === 'screen') stream = await devices.getDisplayMedia({ video: true });
    else if (source === 'camera') stream = await devices.getUserMedia({ video: { ...CAMERA, ...chosen } });
    else stream = await devices.getUserMedia({ audio: { ...MICROPHONE, ...chosen } });
    const [track] = stream.getTracks();
    if (source === 'screen') track.contentHint = 'detail';
    return track;
  } catch (error) {
    throw deviceError(error, source);
  }
}

async function listDevices() {
  return (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
}
