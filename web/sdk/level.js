/**
 * Live level meters. One `AudioContext` serves the page; it is started lazily and may stay
 * suspended until the first click (autoplay policy), in which case meters read zero.
 */

/** Shown as an empty meter, and as a full one, in dBFS of the mean square. */
const FLOOR_DB = -60;
const CEILING_DB = -12;

/** @type {AudioContext | undefined} */
let context;

function sharedContext() {
  context ??= new AudioContext();
  return context;
}

/** Call it from a click or key handler: some browsers start sound only then. */
export async function resumeMeters() {
  if (context?.state === 'suspended') await context.resume().catch(() => {});
}

/**
 * A level in dBFS as a place on the meter.
 *
 * @param {number} db
 * @returns {number} 0 (silence) to 1
 */
export function meterPosition(db) {
  return Math.min(1, Math.max(0, (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}

/** How loud one track is right now. */
export class LevelMeter {
  #source;
  #analyser;
  #samples;

  /** @param {MediaStreamTrack} track an audio track */
  constructor(track) {
    const audio = sharedContext();
    this.track = track;
    this.#source = audio.createMediaStreamSource(new MediaStream([track]));
    this.#analyser = audio.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source.connect(this.#analyser);
  }

  /** @returns {number} 0 (silence) to 1 */
  read() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return meterPosition(10 * Math.log10(sum / this.#samples.length + 1e-12));
  }

  stop() {
    this.#source.disconnect();
  }
}
