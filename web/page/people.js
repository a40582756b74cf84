import { announce, byId, el, hue, icon, initials } from './dom.js';

const SOURCE_NAMES = { microphone: 'to speak', camera: 'to show a camera', screen: 'to share a screen' };

/** The list of who is there, who waits, who asks; and what a host may do with them. */
export class People {
  #meeting;
  #onChange;
  #queued = false;

  /**
   * @param {import('../sdk/client.js').RingbridgeClient} meeting
   * @param {() => void} [onChange] called after each redraw
   */
  constructor(meeting, onChange = () => {}) {
    this.#meeting = meeting;
    this.#onChange = onChange;
    const { participants, self, stage } = meeting;
    for (const map of [participants.joined, participants.waitlisted]) {
      for (const event of ['participantsUpdate', 'participantUpdate', 'audioUpdate', 'videoUpdate']) {
        map.on(event, () => this.refresh());
      }
    }
    participants.waitlisted.on('participantJoined', ({ name, isPhone }) => {
      announce(`${name || 'Someone'} is waiting to be let in${isPhone ? ', by phone' : ''}`);
    });
    for (const event of ['audioUpdate', 'videoUpdate', 'mutedByServer']) self.on(event, () => this.refresh());
    self.permissions.on('permissionsUpdate', () => this.refresh());
    stage.on('stageAccessRequestUpdate', (requests) => {
      if (requests.length) announce(`${requests.at(-1).name} asks ${SOURCE_NAMES[requests.at(-1).source]}`);
      this.refresh();
    });
    byId('admit-all').addEventListener('click', () => participants.acceptAllWaitingRoomRequest());
    byId('mute-all').addEventListener('click', () => participants.disableAllAudio());
  }

  /** Redraws soon; many changes at once are one redraw. */
  refresh() {
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      this.#draw();
    });
  }

  #draw() {
    const { participants, permissions, self, stage } = this.#meeting;
    const others = participants.joined.toArray();
    const mayMute = permissions.disableParticipantAudio;
    const mayKick = permissions.kickParticipant;
    keepFocus(byId('people-body'), () => {
      byId('people-list').replaceChildren(
        row(self, { isSelf: true, mayMute: false, mayKick: false }),
        ...others.map((p) => row(p, { isSelf: false, mayMute, mayKick })),
      );
      const waiting = participants.waitlisted.toArray();
      byId('waiting-section').hidden = waiting.length === 0;
      byId('admit-all').hidden = waiting.length < 2;
      byId('waiting-list').replaceChildren(...waiting.map((p) => waitingRow(p, participants)));
      byId('requests-section').hidden = stage.requests.length === 0 || !permissions.acceptStageRequests;
      byId('requests-list').replaceChildren(...stage.requests.map((r) => requestRow(r, stage)));
      byId('mute-all').hidden = !mayMute || others.length === 0;
      const asking = waiting.length + stage.requests.length;
      byId('people-badge').hidden = asking === 0;
      byId('people-badge').textContent = asking ? String(asking) : '';
    });
    this.#onChange();
  }
}

function row(p, { isSelf, mayMute, mayKick }) {
  const isPhone = p.isPhone ?? false;
  const name = p.name || (isPhone ? 'Unknown caller' : 'Guest');
  const muted = !p.audioEnabled || Boolean(p.mutedByServer);
  const facts = [];
  if (isSelf) facts.push('you');
  if (isPhone) facts.push(p.onHold ? 'phone, on hold' : 'phone');
  const actions = [];
  if (mayMute && !muted) actions.push(action('mic-off', `Mute ${name}`, 'mute', p.id, () => p.disableAudio()));
  if (mayMute && muted && isPhone) actions.push(action('mic', `Unmute ${name}`, 'unmute', p.id, () => p.enableAudio()));
  if (mayKick) actions.push(action('remove', `Remove ${name} from the meeting`, 'kick', p.id, () => p.kick()));
  return el(
    'li',
    { class: 'person', 'data-person': p.id, 'data-kind': isPhone ? 'robo' : 'browser' },
    face(name, isPhone),
    el('span', { class: 'person-name' }, el('span', {}, name), facts.length ? el('small', {}, facts.join(', ')) : ''),
    sign(p.onHold, 'pause', 'on hold'),
    sign(p.videoEnabled, 'camera', 'camera on'),
    muted ? sign(true, 'mic-off', 'muted', 'sign-off') : sign(true, 'mic', 'microphone on'),
    ...actions,
  );
}

function waitingRow(p, participants) {
  const name = p.name || 'Someone';
  const admit = el('button', { type: 'button', class: 'small small-good', 'data-admit': p.id, 'aria-label': `Admit ${name}` }, 'Admit');
  const deny = el('button', { type: 'button', class: 'small', 'data-deny': p.id, 'aria-label': `Deny ${name}` }, 'Deny');
  admit.addEventListener('click', () => participants.acceptWaitingRoomRequest(p.id));
  deny.addEventListener('click', () => participants.rejectWaitingRoomRequest(p.id));
  return el(
    'li',
    { class: 'person', 'data-waiting': p.id },
    face(name, p.isPhone),
    el('span', { class: 'person-name' }, el('span', {}, name), el('small', {}, p.isPhone ? 'phone, waiting' : 'waiting')),
    admit,
    deny,
  );
}

function requestRow({ participantId, name, source }, stage) {
  const yes = el('button', { type: 'button', class: 'small small-good', 'data-grant': participantId, 'aria-label': `Allow ${name} ${SOURCE_NAMES[source]}` }, 'Allow');
  const no = el('button', { type: 'button', class: 'small', 'data-refuse': participantId, 'aria-label': `No, ${name} is not ${SOURCE_NAMES[source]}` }, 'No');
  yes.addEventListener('click', () => stage.grantAccess(participantId, source));
  no.addEventListener('click', () => stage.denyAccess(participantId, source));
  return el(
    'li',
    { class: 'person' },
    face(name, false),
    el('span', { class: 'person-name' }, el('span', {}, name), el('small', {}, `asks ${SOURCE_NAMES[source]}`)),
    yes,
    no,
  );
}

function face(name, isPhone) {
  const node = el('span', { class: 'face', 'aria-hidden': 'true' }, isPhone ? icon('phone') : initials(name));
  node.style.setProperty('--hue', String(hue(name)));
  return node;
}

function sign(shown, name, text, kind = '') {
  if (!shown) return '';
  return el('span', { class: `sign ${kind}`, title: text }, icon(name), el('span', { class: 'visually-hidden' }, text));
}

function action(name, label, kind, id, act) {
  const button = el('button', { type: 'button', class: 'person-action', 'aria-label': label, title: label, [`data-${kind}`]: id }, icon(name));
  button.addEventListener('click', act);
  return button;
}

/** Redraws, and gives the focus back to the button that stands for the same thing. */
function keepFocus(box, redraw) {
  const label = box.contains(document.activeElement) ? document.activeElement.getAttribute('aria-label') : null;
  redraw();
  if (!label) return;
  const same = [...box.querySelectorAll('[aria-label]')].find((node) => node.getAttribute('aria-label') === label);
  (same ?? box).focus();
}
