import { LevelMeter } from '../sdk/ringbridge.js';
import { el, hue, icon, initials } from './dom.js';
import { watchSize } from './visible.js';

/** How long a pressed key is shown. */
const KEY_SHOWN_MS = 2500;

/** One participant's place on the stage: oneself, a person, or a phone. */
export class Tile {
  #participant;
  #isSelf;
  #video;
  #avatar;
  #name;
  #status;
  #chips;
  #keyChip;
  #keyTimer = 0;
  /** @type {LevelMeter | undefined} */
  #meter;
  #shownLevel = 0;
  /** @type {HTMLButtonElement | undefined} */
  #pin;
  #watch = () => {};

  /**
   * @param {import('../sdk/participants.js').Participant | import('../sdk/self.js').Self} participant
   * @param {{ isSelf?: boolean }} [options]
   */
  constructor(participant, { isSelf = false } = {}) {
    this.#participant = participant;
    this.#isSelf = isSelf;
    if (!isSelf) {
      this.#pin = el('button', { type: 'button', class: 'tile-pin', 'aria-pressed': 'false' }, icon('pin'), el('span', { class: 'visually-hidden' }));
      this.#pin.addEventListener('click', () => (participant.isPinned ? participant.unpin() : participant.pin()));
    }
    this.#avatar = el('div', { class: 'avatar', 'aria-hidden': 'true' });
    this.#name = el('span', { class: 'label-name' });
    this.#status = el('span', { class: 'visually-hidden' });
    this.#chips = el('div', { class: 'chips' });
    this.bars = el('span', { class: 'bars', 'aria-hidden': 'true' }, ...Array.from({ length: 5 }, () => el('i')));
    this.muted = icon('mic-off');
    this.node = el(
      'li',
      {
        class: 'tile',
        'data-kind': isSelf ? 'self' : participant.kind,
        'data-participant-id': participant.id,
      },
      this.#avatar,
      this.#chips,
      el('div', { class: 'label' }, this.bars, this.muted, this.#name, this.#status),
      ...(this.#pin ? [this.#pin] : []),
    );
    this.update();
    if (!isSelf && participant.kind !== 'robo') this.#watchSize();
  }

  /** Shows what is now true of the participant. */
  update() {
    const p = this.#participant;
    const isPhone = p.kind === 'robo';
    const name = p.name || (isPhone ? 'Unknown caller' : 'Guest');
    this.#name.textContent = this.#isSelf ? `${name} (you)` : name;
    this.#avatar.replaceChildren(isPhone ? icon('phone') : initials(name));
    this.#avatar.style.setProperty('--hue', String(hue(name)));
    this.node.dataset.hold = String(p.onHold ?? false);
    const muted = !p.audioEnabled || Boolean(p.mutedByServer);
    this.node.dataset.muted = String(muted);
    this.bars.toggleAttribute('hidden', muted);
    this.muted.toggleAttribute('hidden', !muted);
    this.#status.textContent = statusText(p, isPhone);
    this.#showChips(isPhone, p.onHold);
    this.#showVideo(p.videoEnabled ? p.videoTrack : undefined);
    this.#meterFor(p.audioEnabled ? p.audioTrack : undefined);
  }

  /** Tells the server how large the video is shown, whenever that changes. */
  #watchSize() {
    const participant = this.#participant;
    this.#watch = watchSize(this.node, (view) => participant.setVideoView(view));
  }

  /** @param {boolean} pinned kept in the foreground */
  showPinned(pinned) {
    if (!this.#pin) return;
    this.#pin.setAttribute('aria-pressed', String(pinned));
    const text = `Keep ${this.#participant.name || 'this caller'} in front`;
    this.#pin.querySelector('span').textContent = text;
    this.#pin.title = pinned ? 'No longer keep in front' : 'Keep in front';
  }

  /** Redraws the meter; called many times a second. */
  tick() {
    const p = this.#participant;
    const live = p.audioEnabled && !p.mutedByServer ? Math.max(this.#meter?.read() ?? 0, p.audioLevel ?? 0) : 0;
    // Up at once, down slowly: what the eye expects of a meter.
    const level = Math.max(live, this.#shownLevel * 0.85 - 0.01);
    if (Math.abs(level - this.#shownLevel) < 0.004) return;
    this.#shownLevel = Math.max(0, level);
    this.node.style.setProperty('--level', this.#shownLevel.toFixed(3));
  }

  /** @param {string} digit a key pressed on the phone */
  showKey(digit) {
    clearTimeout(this.#keyTimer);
    this.#keyChip?.remove();
    this.#keyChip = el('span', { class: 'chip chip-key', 'data-digit': digit }, digit);
    this.#chips.append(this.#keyChip);
    this.#keyTimer = setTimeout(() => this.#keyChip?.remove(), KEY_SHOWN_MS);
  }

  remove() {
    clearTimeout(this.#keyTimer);
    this.#meter?.stop();
    this.#watch();
    this.#showVideo(undefined);
    this.node.remove();
  }

  #showChips(isPhone, onHold) {
    const chips = [];
    if (isPhone) chips.push(el('span', { class: 'chip chip-phone' }, icon('phone'), 'Phone'));
    if (onHold) chips.push(el('span', { class: 'chip' }, icon('pause'), 'On hold'));
    if (this.#keyChip?.isConnected) chips.push(this.#keyChip);
    this.#chips.replaceChildren(...chips);
  }

  #showVideo(track) {
    if (this.#video?.srcObject?.getVideoTracks()[0] === track) return;
    if (this.#video) this.#video.srcObject = null;
    this.#video?.remove();
    this.#video = track && videoElement(track, `Video of ${this.#participant.name}`);
    if (this.#video) this.node.prepend(this.#video);
  }

  #meterFor(track) {
    if (this.#meter?.track === track) return;
    this.#meter?.stop();
    this.#meter = track && new LevelMeter(track);
  }
}

/** Somebody's shared screen. */
export class ScreenTile {
  /** @param {string} id @param {string} name @param {MediaStreamTrack} track */
  constructor(id, name, track) {
    this.track = track;
    this.node = el(
      'li',
      { class: 'tile', 'data-kind': 'screen', 'data-screen-of': id },
      videoElement(track, `Screen of ${name}`),
      el('div', { class: 'label' }, el('span', { class: 'label-name' }, `${name}'s screen`)),
    );
  }

  remove() {
    this.node.querySelector('video').srcObject = null;
    this.node.remove();
  }
}

function videoElement(track, label) {
  const video = el('video', { autoplay: '', playsinline: '', 'aria-label': label });
  video.muted = true;
  video.srcObject = new MediaStream([track]);
  return video;
}

function statusText(p, isPhone) {
  const parts = [];
  if (isPhone) parts.push('on the phone');
  if (p.onHold) parts.push('on hold');
  parts.push(p.audioEnabled ? 'microphone on' : 'muted');
  if (p.videoEnabled) parts.push('camera on');
  return `, ${parts.join(', ')}`;
}
