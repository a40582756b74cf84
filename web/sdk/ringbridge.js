/**
 * Ringbridge's browser SDK: dependency-free, one `import` away.
 *
 * Names and shapes are those of Dyte's and RealtimeKit's core SDKs wherever the thing is the same.
 * What is ours: `participant.isPhone`, `participant.onHold`, `participant.audioLevel`, and the
 * `dtmf` event.
 *
 * @module
 */
export { RingbridgeClient } from './client.js';
export { RingbridgeError } from './errors.js';
export { LevelMeter, resumeMeters } from './level.js';
export { readToken } from './token.js';
