import { Emitter } from './emitter.js';

/** @typedef {'microphone' | 'camera' | 'screen'} Source */

/** Sending ceilings in bit/s. Opus needs none: it is small. */
const CAMERA_LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 450_000 },
  { rid: 'f', maxBitrate: 1_200_000 },
];
const SCREEN_BITRATE_MAX = 2_500_000;

/** A remote track and whose it is.
 * @typedef {{ mid: string, participantId: string, source: Source, track: MediaStreamTrack }} RemoteTrack
 */

/**
 * The page's end of the WebRTC connection: one `RTCPeerConnection`, made anew at each (re)join.
 *
 * The first offer already holds a transceiver for every source that will ever be sent, so turning
 * a microphone or camera on is `replaceTrack` and needs no negotiation. From then on only the
 * server offers. ICE candidates are not sent: the server is ICE-lite on a public address and
 * learns ours from the connectivity checks.
 *
 * Events: `tracks` (RemoteTrack[], the whole list after each of the server's offers), `state`
 * (RTCPeerConnectionState).
 */
export class MediaConnection extends Emitter {
  #pc;
  #channel;
  #send;
  /** @type {Map<Source, RTCRtpTransceiver>} */
  #transceivers = new Map();
  #turn = Promise.resolve();

  /** @param {(message: object) => void} send the signalling connection's */
  constructor(send) {
    super();
    this.#send = send;
    this.#pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require' });
    this.#pc.onconnectionstatechange = () => this.emit('state', this.#pc.connectionState);
    // Its end is the server's prompt sign that we are gone; nothing is said on it.
    this.#channel = this.#pc.createDataChannel('ringbridge');
    this.#add('microphone', 'audio');
    // The same picture in three sizes; who sees it small is sent the small one.
    this.#add('camera', 'video', CAMERA_LAYERS);
    this.#add('screen', 'video', [{ maxBitrate: SCREEN_BITRATE_MAX }]);
  }

  /** @returns {RTCPeerConnectionState} */
  get state() {
    return this.#pc.connectionState;
  }

  /** Sends the one offer that the page ever makes. */
  async start() {
    await this.#inTurn(async () => {
      await this.#pc.setLocalDescription(await this.#pc.createOffer());
      const sources = [...this.#transceivers].map(([source, { mid }]) => ({ mid, source }));
      this.#send({ type: 'offer', sdp: this.#pc.localDescription.sdp, sources });
    });
  }

  /**
   * Puts a track on a source's sender, or takes it off.
   *
   * @param {Source} source
   * @param {MediaStreamTrack | null} track
   */
  async replace(source, track) {
    await this.#transceivers.get(source)?.sender.replaceTrack(track);
  }

  /** @param {string} sdp */
  handleAnswer(sdp) {
    return this.#inTurn(() => this.#pc.setRemoteDescription({ type: 'answer', sdp }));
  }

  /**
   * @param {string} sdp
   * @param {{ mid: string, participant_id: string, source: Source }[]} tracks
   */
  handleOffer(sdp, tracks) {
    return this.#inTurn(async () => {
      await this.#pc.setRemoteDescription({ type: 'offer', sdp });
      await this.#pc.setLocalDescription(await this.#pc.createAnswer());
      this.#send({ type: 'answer', sdp: this.#pc.localDescription.sdp });
      this.emit('tracks', this.#remoteTracks(tracks));
    });
  }

  /** The browser's statistics report, for those who want figures. */
  stats() {
    return this.#pc.getStats();
  }

  close() {
    this.removeAllListeners();
    this.#channel.close();
    this.#pc.close();
  }

  #add(source, kind, sendEncodings) {
    this.#transceivers.set(
      source,
      this.#pc.addTransceiver(kind, {
        direction: 'sendonly',
        ...(sendEncodings ? { sendEncodings } : {}),
      }),
    );
  }

  /** @returns {RemoteTrack[]} */
  #remoteTracks(views) {
    const byMid = new Map(this.#pc.getTransceivers().map((t) => [t.mid, t]));
    return views.flatMap(({ mid, participant_id: participantId, source }) => {
      const track = byMid.get(mid)?.receiver.track;
      return track ? [{ mid, participantId, source, track }] : [];
    });
  }

  /** Descriptions are applied one after the other, never interleaved. */
  #inTurn(step) {
    this.#turn = this.#turn.then(async () => {
      if (this.#pc.signalingState === 'closed') return;
      try {
        await step();
      } catch (error) {
        // The peer connection may have been closed under the step by a reconnect.
        if (this.#pc.signalingState !== 'closed') this.emit('failure', error);
      }
    });
    return this.#turn;
  }
}
