import { LevelMeter, resumeMeters } from '../sdk/ringbridge.js';
import { DevicePicker } from './devices.js';
import { byId, el, hue, icon, initials, setIcon } from './dom.js';
import { deviceWords } from './words.js';

const NAME_KEY = 'ringbridge.name';

/**
 * The view before joining: name, preview, devices.
 */
export class Lobby {
  #meeting;
  #onJoin;
  /** @type {LevelMeter | undefined} */
  #meter;
  #shown = true;
  #heard = false;

  /**
   * @param {import('../sdk/client.js').RingbridgeClient | undefined} meeting none when the link is
   *   no good
   * @param {(name: string) => void} onJoin
   */
  constructor(meeting, onJoin) {
    this.#meeting = meeting;
    this.#onJoin = onJoin;
    const input = byId('name');
    input.value = remembered() ?? '';
    input.addEventListener('input', () => this.#showPicture());
    byId('join-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    if (!meeting) return;

    const self = meeting.self;
    byId('preview-mic').addEventListener('click', () => {
      resumeMeters();
      (self.audioEnabled ? self.disableAudio() : self.enableAudio()).catch(() => {});
    });
    byId('preview-camera').addEventListener('click', () => {
      (self.videoEnabled ? self.disableVideo() : self.enableVideo()).catch(() => {});
    });
    self.on('audioUpdate', () => this.#showPicture());
    self.on('videoUpdate', () => this.#showPicture());
    self.on('mediaPermissionError', ({ kind, error }) => {
      if (this.#shown) this.notice(deviceWords(error, kind));
    });
    new DevicePicker(self, byId('devices'));
    this.#showPicture();
    this.#animate();
  }

  /** @param {import('./words.js').Words | undefined} words */
  notice(words) {
    const box = byId('lobby-notice');
    box.hidden = !words;
    if (!words) return;
    box.classList.toggle('notice-bad', words.bad ?? false);
    box.replaceChildren(el('strong', {}, words.title), words.text);
  }

  /** @param {boolean} busy joining is under way */
  busy(busy) {
    byId('join').disabled = busy;
    byId('join').textContent = busy ? 'Joining…' : 'Join now';
  }

  show() {
    this.#shown = true;
    byId('lobby').hidden = false;
    this.#animate();
  }

  hide() {
    this.#shown = false;
    byId('lobby').hidden = true;
  }

  #submit() {
    const input = byId('name');
    const name = input.value.trim();
    input.setAttribute('aria-invalid', String(!name));
    if (!name) {
      this.notice({ title: 'What is your name?', text: 'The others see it beside your picture.' });
      input.focus();
      return;
    }
    try {
      localStorage.setItem(NAME_KEY, name);
    } catch {
      // Private windows may forbid it; the name is asked for again next time.
    }
    resumeMeters();
    this.notice(undefined);
    this.#onJoin(name);
  }

  #showPicture() {
    const self = this.#meeting?.self;
    const name = byId('name').value.trim();
    const avatar = byId('preview-avatar');
    avatar.replaceChildren(name ? initials(name) : icon('person'));
    avatar.classList.toggle('avatar-nobody', !name);
    avatar.style.setProperty('--hue', String(hue(name)));
    if (!self) return;

    const video = byId('preview-video');
    const track = self.videoEnabled ? self.videoTrack : undefined;
    if (video.srcObject?.getVideoTracks()[0] !== track) {
      video.srcObject = track ? new MediaStream([track]) : null;
    }
    video.hidden = !track;
    avatar.hidden = Boolean(track);
    byId('preview-hint').hidden = Boolean(track);
    toggle('preview-mic', self.audioEnabled, 'mic', 'microphone');
    toggle('preview-camera', self.videoEnabled, 'camera', 'camera');

    const audio = self.audioEnabled ? self.audioTrack : undefined;
    if (this.#meter?.track !== audio) {
      this.#meter?.stop();
      this.#meter = audio && new LevelMeter(audio);
      this.#heard = false;
      if (audio) this.notice(undefined);
      byId('preview-meter-text').textContent = audio ? 'Say something' : 'Your microphone is off';
    }
  }

  #animate() {
    if (!this.#shown) return;
    const level = this.#meter?.read() ?? 0;
    byId('preview-meter').style.setProperty('--level', level.toFixed(3));
    if (level > 0.35 && !this.#heard) {
      this.#heard = true;
      byId('preview-meter-text').textContent = 'Your microphone works';
    }
    requestAnimationFrame(() => this.#animate());
  }
}

function toggle(id, on, name, thing) {
  const button = byId(id);
  button.setAttribute('aria-pressed', String(on));
  button.title = `Turn ${thing} ${on ? 'off' : 'on'}`;
  setIcon(button, on ? name : `${name}-off`);
}

function remembered() {
  try {
    return localStorage.getItem(NAME_KEY);
  } catch {
    return null;
  }
}
