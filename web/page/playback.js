/**
 * Plays everyone's voice. Where the browser holds back sound until a click, `blocked` is told, and
 * {@link Playback#unlock} from that click starts all of it.
 */
export class Playback {
  /** @type {Map<string, HTMLAudioElement>} */
  #players = new Map();
  #onBlocked;
  /** @type {string | undefined} the speaker to play on; the system's without */
  #sinkId;

  /** @param {(blocked: boolean) => void} onBlocked */
  constructor(onBlocked) {
    this.#onBlocked = onBlocked;
  }

  /**
   * @param {string} id whose
   * @param {MediaStreamTrack | undefined} track undefined stops
   */
  set(id, track) {
    const player = this.#players.get(id);
    if (player?.srcObject?.getAudioTracks()[0] === track && track) return;
    player?.pause();
    if (player) player.srcObject = null;
    if (!track) {
      this.#players.delete(id);
      return;
    }
    const audio = player ?? new Audio();
    audio.autoplay = true;
    audio.srcObject = new MediaStream([track]);
    this.#players.set(id, audio);
    this.#route(audio);
    this.#play(audio);
  }

  /** Plays on another speaker from now on. @param {string} deviceId */
  async setSpeaker(deviceId) {
    this.#sinkId = deviceId;
    await Promise.all([...this.#players.values()].map((audio) => this.#route(audio)));
  }

  clear() {
    for (const id of [...this.#players.keys()]) this.set(id, undefined);
  }

  /** Call it from a click. */
  async unlock() {
    this.#onBlocked(false);
    for (const audio of this.#players.values()) await this.#play(audio);
  }

  async #route(audio) {
    if (this.#sinkId === undefined || !audio.setSinkId) return;
    // Unplugged meanwhile: the browser goes on with the system's speaker.
    await audio.setSinkId(this.#sinkId).catch(() => {});
  }

  async #play(audio) {
    try {
      await audio.play();
    } catch (error) {
      // AbortError: the track was exchanged meanwhile, and that play() is on its way.
      if (error.name === 'NotAllowedError') this.#onBlocked(true);
    }
  }
}
