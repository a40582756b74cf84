import { RingbridgeError, deviceError } from './errors.js';

/** @typedef {import('./media.js').Source} Source */

const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 24 } };
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/**
 * Asks the browser for one track.
 *
 * @param {Source} source
 * @param {string | undefined} deviceId the one chosen before, if any
 * @returns {Promise<MediaStreamTrack>}
 * @throws {RingbridgeError} with the reason
 */
export async function openTrack(source, deviceId) {
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

/** @returns {Promise<MediaDeviceInfo[]>} all there are; without labels before permission is given */
export async function listDevices() {
  return (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
}
