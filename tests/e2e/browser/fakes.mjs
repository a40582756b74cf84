/**
 * Runs in every page before its own scripts: devices that play a known tone and show a known
 * colour, and an ear on whatever the page plays. The page itself has no test hooks.
 *
 * @param {{ tone_hz: number | null, colour: string | null, microphone_error: string | null,
 *   sound_held_back: boolean, large: boolean }} fakes
 */
export function installFakes(fakes) {
  const RATE_HZ = 16000;
  let audio;
  const context = () => (audio ??= new AudioContext());

  /** What there is to choose from: each microphone hears its own tone. */
  const devices = [
    ...(fakes.tone_hz === null ? [] : [['audioinput', 'desk', 'Desk microphone'], ['audioinput', 'headset', 'Headset']]),
    ...(fakes.colour === null ? [] : [['videoinput', 'camera', 'Built-in camera']]),
    ['audiooutput', 'default', 'Loudspeakers'],
    ['audiooutput', 'phones', 'Headphones'],
  ].map(([kind, deviceId, label]) => ({ kind, deviceId, label, groupId: '' }));
  const HEADSET_OFFSET_HZ = 210;

  /** A track that says which device it is of, as a real one does. */
  function of(deviceId, [track]) {
    const settings = track.getSettings.bind(track);
    track.getSettings = () => ({ ...settings(), deviceId });
    return [track];
  }

  // A steady tone from a real (or Chromium's fake) microphone would fall to noise suppression.
  function microphone(deviceId) {
    const oscillator = context().createOscillator();
    oscillator.frequency.value = fakes.tone_hz + (deviceId === 'headset' ? HEADSET_OFFSET_HZ : 0);
    const gain = context().createGain();
    gain.gain.value = 0.3;
    const destination = context().createMediaStreamDestination();
    oscillator.connect(gain).connect(destination);
    oscillator.start();
    return of(deviceId, destination.stream.getAudioTracks());
  }

  function picture(colour) {
    const canvas = document.createElement('canvas');
    const [width, height] = fakes.large ? [1280, 720] : [320, 240];
    canvas.width = width;
    canvas.height = height;
    const brush = canvas.getContext('2d');
    let x = 0;
    setInterval(() => {
      brush.fillStyle = colour;
      brush.fillRect(0, 0, width, height);
      brush.fillStyle = '#fff';
      brush.fillRect((x = (x + 4) % 300), 0, 20, 20);
    }, 66);
    return canvas.captureStream(15).getVideoTracks();
  }

  if (navigator.mediaDevices) {
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      if (wanted.audio && fakes.microphone_error) throw new DOMException('', fakes.microphone_error);
      if (wanted.audio && fakes.tone_hz === null) throw new DOMException('', 'NotFoundError');
      if (wanted.video && fakes.colour === null) throw new DOMException('', 'NotFoundError');
      const chosen = wanted.audio?.deviceId?.exact ?? 'desk';
      return new MediaStream([
        ...(wanted.audio ? microphone(chosen) : []),
        ...(wanted.video ? of('camera', picture(fakes.colour)) : []),
      ]);
    };
    navigator.mediaDevices.enumerateDevices = async () => devices;
  }

  // Which speaker each player was told to use; the fake ones do not exist.
  const route = HTMLMediaElement.prototype.setSinkId;
  HTMLMediaElement.prototype.setSinkId = async function (deviceId) {
    this.e2eSinkId = deviceId;
    await route.call(this, '');
  };
  window.e2eSpeakers = () => [...players].map((player) => player.e2eSinkId);

  if (navigator.mediaDevices) {
    navigator.mediaDevices.getDisplayMedia = async () => new MediaStream(picture('rgb(20,160,60)'));
  }

  // As the autoplay policy does it: no sound until somebody clicks.
  let heldBack = fakes.sound_held_back;
  addEventListener('click', (event) => (heldBack &&= !event.target.closest('#hear')), true);
  const players = new Set();
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function (...args) {
    if (heldBack && !this.muted) {
      this.autoplay = false;
      return Promise.reject(new DOMException('', 'NotAllowedError'));
    }
    players.add(this);
    return play.apply(this, args);
  };

  /** What the page plays in the next `ms`, mixed: base64 of 16-bit PCM at 16 kHz. */
  window.e2eRecord = async (ms) => {
    const ear = new AudioContext({ sampleRate: RATE_HZ });
    const tap = ear.createScriptProcessor(16384, 1, 1);
    tap.connect(ear.destination);
    for (const player of players) {
      if (player.paused || player.muted || !player.srcObject?.getAudioTracks().length) continue;
      ear.createMediaStreamSource(player.srcObject).connect(tap);
    }
    const wanted = Math.ceil((ms / 1000) * RATE_HZ);
    const pcm = new Int16Array(wanted);
    let filled = 0;
    await new Promise((resolve) => {
      tap.onaudioprocess = ({ inputBuffer }) => {
        for (const sample of inputBuffer.getChannelData(0)) {
          if (filled < wanted) pcm[filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
        }
        if (filled === wanted) resolve();
      };
    });
    await ear.close();
    let binary = '';
    for (const byte of new Uint8Array(pcm.buffer)) binary += String.fromCharCode(byte);
    return btoa(binary);
  };

  /** The colour in the middle of a video, as [red, green, blue], or null while it shows nothing. */
  window.e2eColour = (selector) => {
    const video = document.querySelector(selector);
    if (!video || video.readyState < 2 || !video.videoWidth) return null;
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    const brush = canvas.getContext('2d');
    const { videoWidth: width, videoHeight: height } = video;
    brush.drawImage(video, width / 2 - 8, height / 2 - 8, 16, 16, 0, 0, 1, 1);
    return [...brush.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
}
