import { announce, byId, setIcon } from './dom.js';

/** What each source's button says. */
const WORDS = {
  microphone: { on: 'Mute', off: 'Unmute', ask: 'Ask to speak', asked: 'Asked to speak', never: 'Listening' },
  camera: { on: 'Stop video', off: 'Start video', ask: 'Ask for video', asked: 'Asked', never: 'No camera' },
  screen: { on: 'Stop sharing', off: 'Share', ask: 'Ask to share', asked: 'Asked', never: 'Share' },
};
const COPIED_SHOWN_MS = 1800;

/** The buttons below the stage, and the keys that do the same. */
export class Controls {
  #meeting;
  #views;

  /**
   * @param {import('../sdk/client.js').RingbridgeClient} meeting
   * @param {{ panels: import('./panels.js').Panels, stage: import('./stage.js').Stage,
   *   quality: import('./quality.js').Quality, reactions: import('./reactions.js').Reactions,
   *   notices: import('./notices.js').Notices }} views
   */
  constructor(meeting, views) {
    this.#meeting = meeting;
    this.#views = views;
    byId('mute').addEventListener('click', () => this.#toggle('microphone'));
    byId('camera').addEventListener('click', () => this.#toggle('camera'));
    byId('screen').addEventListener('click', () => this.#toggle('screen'));
    byId('screen').hidden = !navigator.mediaDevices?.getDisplayMedia;
    byId('leave').addEventListener('click', () => meeting.leave());
    byId('captions-toggle').addEventListener('click', () => this.#toggleCaptions());
    byId('copy-link').addEventListener('click', ({ currentTarget }) => copy(location.href, currentTarget));
    byId('copy-sip').addEventListener('click', ({ currentTarget }) =>
      copy(meeting.meta.sipUri, currentTarget),
    );
    document.addEventListener('keydown', (event) => this.#key(event));
    document.addEventListener('click', ({ target }) => {
      if (!target.closest('#quality, #quality-panel')) views.quality.toggle(false);
      if (!target.closest('#react, #reaction-menu')) views.reactions.toggle(false);
    });
  }

  /** Shows what is on, and what the preset allows. */
  refresh() {
    const { self } = this.#meeting;
    this.#show('mute', 'microphone', self.audioEnabled, 'mic');
    this.#show('camera', 'camera', self.videoEnabled, 'camera');
    this.#show('screen', 'screen', self.screenShareEnabled);
  }

  #show(id, source, on, iconName) {
    const { permissions, stage } = this.#meeting;
    const allowed = permissions.of(source);
    const asked = allowed === 'CAN_REQUEST' && stage.hasAsked(source);
    const button = byId(id);
    button.disabled = allowed === 'NOT_ALLOWED' || asked;
    let word = on ? 'on' : 'off';
    if (allowed === 'NOT_ALLOWED') word = 'never';
    else if (allowed === 'CAN_REQUEST') word = asked ? 'asked' : 'ask';
    button.querySelector('.control-label').textContent = WORDS[source][word];
    if (iconName) {
      button.dataset.on = String(on);
      setIcon(button, word === 'ask' || word === 'asked' ? 'hand' : on ? iconName : `${iconName}-off`);
    } else {
      button.classList.toggle('control-share', on);
      if (on) button.dataset.on = 'true';
      else delete button.dataset.on;
    }
  }

  #toggle(source) {
    const { permissions, self, stage } = this.#meeting;
    if (permissions.of(source) === 'CAN_REQUEST') {
      if (!stage.hasAsked(source) && this.#meeting.roomState === 'joined') stage.requestAccess(source);
      return;
    }
    const done = {
      microphone: () => (self.audioEnabled ? self.disableAudio() : self.enableAudio()),
      camera: () => (self.videoEnabled ? self.disableVideo() : self.enableVideo()),
      screen: () => (self.screenShareEnabled ? self.disableScreenShare() : self.enableScreenShare()),
    }[source]();
    // A refusal is told by the SDK's `mediaPermissionError`.
    done.catch(() => {});
  }

  #toggleCaptions() {
    const shown = byId('captions').hidden;
    byId('captions').hidden = !shown;
    byId('captions-toggle').setAttribute('aria-pressed', String(shown));
  }

  #key(event) {
    if (byId('room').hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const { panels, quality, reactions, stage } = this.#views;
    if (event.key === 'Escape') {
      if (!byId('reaction-menu').hidden) reactions.toggle(false);
      else if (!byId('quality-panel').hidden) quality.toggle(false);
      else panels.close();
      return;
    }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const act = {
      m: () => this.#toggle('microphone'),
      v: () => this.#toggle('camera'),
      g: () => stage.toggleView(),
      p: () => panels.toggle('people'),
      c: () => panels.toggle('chat'),
      d: () => panels.toggle('dial-in'),
    }[event.key.toLowerCase()];
    if (!act) return;
    // The letter must not land in the field that is focused by it.
    event.preventDefault();
    act();
  }
}

async function copy(text, button) {
  const label = button.querySelector('span') ?? button;
  const before = label.dataset.text ?? label.textContent;
  label.dataset.text = before;
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = 'Copied';
    announce('Copied');
  } catch {
    label.textContent = 'Not allowed';
  }
  setTimeout(() => (label.textContent = before), COPIED_SHOWN_MS);
}
