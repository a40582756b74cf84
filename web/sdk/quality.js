/** How often the browser's statistics are read. */
const INTERVAL_MS = 2000;

/**
 * What a score is made of, over the last two seconds. Undefined where the browser has not said.
 *
 * @typedef {object} ScoreStats
 * @property {number | undefined} roundTripTimeMs to the server and back
 * @property {number} jitterMs of the sound that comes in
 * @property {number} lossInPercent of the packets sent to us
 * @property {number | undefined} lossOutPercent of the packets sent by us, as the server reports
 * @property {number} bitrateIn bit/s
 * @property {number} bitrateOut bit/s
 * @property {number | undefined} availableOutgoingBitrate bit/s, the browser's estimate
 */

/**
 * Turns one connection's statistics into a score, 0 (unusable) to 10 (perfect).
 *
 * A simplified E-model (ITU-T G.107): delay and loss each cost what they cost a voice call, since
 * that is what people notice first.
 *
 * @param {Pick<ScoreStats, 'roundTripTimeMs' | 'jitterMs' | 'lossInPercent' | 'lossOutPercent'>} stats
 */
export function connectionScore(stats) {
  const delay = (stats.roundTripTimeMs ?? 0) / 2 + stats.jitterMs * 2 + 20;
  const loss = Math.max(stats.lossInPercent, stats.lossOutPercent ?? 0);
  const delayCost = delay < 160 ? delay / 40 : (delay - 120) / 10;
  // Opus conceals and repairs the first per cents; 2.5 points of R each beyond them.
  const rating = Math.min(93.2, Math.max(0, 93.2 - delayCost - loss * 2.5));
  const opinion = 1 + 0.035 * rating + 0.000007 * rating * (rating - 60) * (100 - rating);
  return Math.round(Math.min(10, Math.max(0, ((opinion - 1) / 3.4) * 10)) * 10) / 10;
}

/**
 * Reads a connection's statistics again and again.
 */
export class QualityMonitor {
  #timer = 0;
  /** @type {{ at: number, received: number, lost: number, bytesIn: number, bytesOut: number } | undefined} */
  #before;

  /**
   * @param {() => Promise<RTCStatsReport | undefined>} read
   * @param {(score: number, stats: ScoreStats) => void} tell
   */
  constructor(read, tell) {
    this.read = read;
    this.tell = tell;
  }

  start() {
    this.stop();
    this.#timer = setInterval(() => {
      // A connection that was closed under the reading has nothing to say.
      this.#measure().catch(() => {});
    }, INTERVAL_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#before = undefined;
  }

  async #measure() {
    const report = await this.read();
    if (!report) return;
    const { now, stats } = summarise(report);
    const before = this.#before;
    this.#before = now;
    // The first reading has nothing to be compared with; a rebuilt connection counts from zero.
    if (!before || now.at <= before.at || now.received < before.received) return;
    const seconds = (now.at - before.at) / 1000;
    const received = now.received - before.received;
    const lost = Math.max(0, now.lost - before.lost);
    stats.lossInPercent = received + lost > 0 ? (lost / (received + lost)) * 100 : 0;
    stats.bitrateIn = ((now.bytesIn - before.bytesIn) * 8) / seconds;
    stats.bitrateOut = ((now.bytesOut - before.bytesOut) * 8) / seconds;
    this.tell(connectionScore(stats), stats);
  }
}

/** @param {RTCStatsReport} report */
function summarise(report) {
  const now = { at: performance.now(), received: 0, lost: 0, bytesIn: 0, bytesOut: 0 };
  /** @type {ScoreStats} */
  const stats = {
    roundTripTimeMs: undefined,
    jitterMs: 0,
    lossInPercent: 0,
    lossOutPercent: undefined,
    bitrateIn: 0,
    bitrateOut: 0,
    availableOutgoingBitrate: undefined,
  };
  report.forEach((entry) => {
    if (entry.type === 'inbound-rtp') {
      now.received += entry.packetsReceived ?? 0;
      now.lost += entry.packetsLost ?? 0;
      now.bytesIn += entry.bytesReceived ?? 0;
      if (entry.kind === 'audio') stats.jitterMs = Math.max(stats.jitterMs, (entry.jitter ?? 0) * 1000);
    } else if (entry.type === 'outbound-rtp') {
      now.bytesOut += entry.bytesSent ?? 0;
    } else if (entry.type === 'remote-inbound-rtp' && entry.fractionLost !== undefined) {
      stats.lossOutPercent = Math.max(stats.lossOutPercent ?? 0, entry.fractionLost * 100);
    } else if (entry.type === 'candidate-pair' && entry.nominated && entry.currentRoundTripTime !== undefined) {
      stats.roundTripTimeMs = entry.currentRoundTripTime * 1000;
      stats.availableOutgoingBitrate = entry.availableOutgoingBitrate;
    }
  });
  return { now, stats };
}
