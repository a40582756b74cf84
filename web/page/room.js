import { resumeMeters } from '../sdk/ringbridge.js';
import { announce, byId, el, setIcon } from './dom.js';
import { fitTiles } from './grid.js';
import { Playback } from './playback.js';
import { ScreenTile, Tile } from './tile.js';
import { deviceWords, lossWords } from './words.js';

/** Meters move this often: smooth to the eye, cheap with fifty tiles. */
const METER_INTERVAL_MS = 50;
/** How long a notice about a device stays. */
const NOTICE_SHOWN_MS = 12_000;

/** The view of a meeting one is in. */
export class Room {
  #meeting;
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  /** @type {Map<string, ScreenTile>} */
  #screens = new Map();
  /** @type {Tile | undefined} */
  #selfTile;
  #playback = new Playback((blocked) => (byId('hear').hidden = !blocked));
  #meterTimer = 0;
  #noticeTimer = 0;
  #mediaState = 'new';

  /** @param {import('../sdk/client.js').RingbridgeClient} meeting */
  constructor(meeting) {
    this.#meeting = meeting;
    fitTiles(byId('stage'));
    this.#wireControls();
    this.#wireMeeting();
  }

  /** Called when the seat is taken; again after a reconnect. */
  show() {
    const { meta, self } = this.#meeting;
    byId('room').hidden = false;
    byId('room-title').textContent = meta.meetingTitle || 'Meeting';
    document.title = `${meta.meetingTitle || 'Meeting'} · Ringbridge`;
    byId('dial-in').hidden = !meta.sipUri;
    byId('sip-uri').textContent = meta.sipUri ?? '';
    if (!this.#selfTile) {
      this.#selfTile = new Tile(self, { isSelf: true });
      byId('stage').append(this.#selfTile.node);
      byId('room-title').focus();
    }
    this.#selfTile.node.dataset.participantId = self.id;
    this.#selfTile.update();
    clearInterval(this.#meterTimer);
    this.#meterTimer = setInterval(() => this.#tick(), METER_INTERVAL_MS);
    this.#showControls();
    this.#showCount();
  }

  hide() {
    clearInterval(this.#meterTimer);
    byId('room').hidden = true;
    byId('hear').hidden = true;
    byId('dial-in-panel').hidden = true;
    this.#notice(undefined);
    for (const tile of [...this.#tiles.values(), ...this.#screens.values()]) tile.remove();
    this.#tiles.clear();
    this.#screens.clear();
    byId('screens').hidden = true;
    this.#selfTile?.remove();
    this.#selfTile = undefined;
    this.#playback.clear();
  }

  #wireControls() {
    const { self } = this.#meeting;
    byId('mute').addEventListener('click', () => this.#toggleAudio());
    byId('camera').addEventListener('click', () => this.#toggleVideo());
    byId('screen').addEventListener('click', () => {
      (self.screenShareEnabled ? self.disableScreenShare() : self.enableScreenShare()).catch(() => {});
    });
    byId('screen').hidden = !navigator.mediaDevices?.getDisplayMedia;
    byId('leave').addEventListener('click', () => this.#meeting.leave());
    byId('hear').addEventListener('click', () => {
      resumeMeters();
      this.#playback.unlock();
    });
    byId('dial-in').addEventListener('click', () => this.#showDialIn(byId('dial-in-panel').hidden));
    byId('copy-link').addEventListener('click', ({ currentTarget }) => copy(location.href, currentTarget));
    byId('copy-sip').addEventListener('click', ({ currentTarget }) =>
      copy(this.#meeting.meta.sipUri, currentTarget),
    );
    document.addEventListener('keydown', (event) => this.#key(event));
    document.addEventListener('click', ({ target }) => {
      if (!target.closest('#dial-in-panel, #dial-in')) this.#showDialIn(false);
    });
  }

  #wireMeeting() {
    const { self, participants, meta } = this.#meeting;
    const { joined } = participants;
    for (const event of ['audioUpdate', 'videoUpdate', 'screenShareUpdate']) {
      self.on(event, () => {
        this.#selfTile?.update();
        this.#showControls();
      });
    }
    self.on('mediaPermissionError', ({ kind, error }) => {
      if (!byId('room').hidden) this.#notice(deviceWords(error, kind));
    });
    self.on('mutedByServer', ({ muted }) => {
      this.#selfTile?.update();
      this.#notice(
        muted
          ? { title: 'You were muted', text: 'Someone who runs this meeting muted you. The others do not hear you until you are unmuted there.', lasting: true }
          : undefined,
      );
    });
    joined.on('participantJoined', (p) => this.#add(p));
    joined.on('participantLeft', (p) => this.#remove(p));
    joined.on('participantUpdate', (p) => this.#tiles.get(p.id)?.update());
    joined.on('videoUpdate', (p) => this.#tiles.get(p.id)?.update());
    joined.on('audioUpdate', (p) => {
      this.#tiles.get(p.id)?.update();
      this.#playback.set(p.id, p.audioTrack);
    });
    joined.on('screenShareUpdate', (p) => this.#showScreen(p));
    participants.on('dtmf', ({ participant, digit }) => {
      this.#tiles.get(participant.id)?.showKey(digit);
      announce(`${participant.name} pressed ${digit}`);
    });
    meta.on('socketConnectionUpdate', ({ reason }) => this.#showConnection(reason));
    meta.on('mediaConnectionUpdate', ({ state }) => {
      this.#mediaState = state;
      this.#showConnection();
    });
    meta.on('serverError', ({ message }) => this.#notice({ title: 'The server refused something', text: message }));
  }

  #add(p) {
    const tile = new Tile(p);
    this.#tiles.set(p.id, tile);
    byId('stage').append(tile.node);
    announce(p.isPhone ? `${p.name || 'A caller'} joined by phone` : `${p.name || 'Someone'} joined`);
    this.#showCount();
  }

  #remove(p) {
    this.#playback.set(p.id, undefined);
    this.#tiles.get(p.id)?.remove();
    this.#tiles.delete(p.id);
    this.#removeScreen(p.id);
    announce(`${p.name || 'Someone'} left`);
    this.#showCount();
  }

  #showScreen(p) {
    const { video } = p.screenShareTracks;
    if (this.#screens.get(p.id)?.track === video) return;
    this.#removeScreen(p.id);
    if (!video) return;
    const tile = new ScreenTile(p.id, p.name, video);
    this.#screens.set(p.id, tile);
    byId('screens').append(tile.node);
    byId('screens').hidden = false;
    announce(`${p.name} shares a screen`);
  }

  #removeScreen(id) {
    this.#screens.get(id)?.remove();
    this.#screens.delete(id);
    byId('screens').hidden = this.#screens.size === 0;
  }

  #tick() {
    this.#selfTile?.tick();
    for (const tile of this.#tiles.values()) tile.tick();
  }

  #toggleAudio() {
    const { self } = this.#meeting;
    (self.audioEnabled ? self.disableAudio() : self.enableAudio()).catch(() => {});
  }

  #toggleVideo() {
    const { self } = this.#meeting;
    (self.videoEnabled ? self.disableVideo() : self.enableVideo()).catch(() => {});
  }

  #key(event) {
    if (byId('room').hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const key = event.key.toLowerCase();
    if (key === 'm') this.#toggleAudio();
    else if (key === 'v') this.#toggleVideo();
    else if (key === 'escape') this.#showDialIn(false);
  }

  #showControls() {
    const { self } = this.#meeting;
    control('mute', self.audioEnabled, 'mic', self.audioEnabled ? 'Mute' : 'Unmute');
    control('camera', self.videoEnabled, 'camera', self.videoEnabled ? 'Stop video' : 'Start video');
    const { permissions } = self;
    byId('mute').disabled = permissions.canProduceAudio !== 'ALLOWED';
    byId('camera').disabled = permissions.canProduceVideo !== 'ALLOWED';
    byId('screen').disabled = permissions.canProduceScreenshare !== 'ALLOWED';
    if (byId('mute').disabled) byId('mute').querySelector('.control-label').textContent = 'Listening';
    const share = byId('screen');
    share.classList.toggle('control-share', self.screenShareEnabled);
    if (self.screenShareEnabled) share.dataset.on = 'true';
    else delete share.dataset.on;
    share.querySelector('.control-label').textContent = self.screenShareEnabled ? 'Stop sharing' : 'Share';
  }

  /** @param {import('../sdk/client.js').LossReason} [lost] */
  #showConnection(lost) {
    const pill = byId('connection');
    const { roomState } = this.#meeting;
    let text = 'Connected';
    if (roomState === 'reconnecting') text = 'Reconnecting…';
    else if (this.#mediaState === 'disconnected') text = 'Connection is shaky…';
    else if (this.#mediaState !== 'connected') text = 'Connecting sound…';
    pill.dataset.state = text === 'Connected' ? 'fine' : 'waiting';
    if (pill.textContent !== text) pill.textContent = text;
    if (roomState === 'reconnecting') {
      this.#mediaState = 'new';
      this.#notice({ ...lossWords(lost), lasting: true });
    } else if (text === 'Connected' && this.#lasting && !this.#meeting.self.mutedByServer) {
      this.#notice(undefined);
    }
  }

  #lasting = false;

  #notice(words) {
    const box = byId('room-notice');
    clearTimeout(this.#noticeTimer);
    this.#lasting = words?.lasting ?? false;
    box.hidden = !words;
    if (!words) return;
    box.replaceChildren(el('strong', {}, words.title), words.text);
    if (!words.lasting) {
      this.#noticeTimer = setTimeout(() => this.#notice(undefined), NOTICE_SHOWN_MS);
    }
  }

  #showCount() {
    const others = this.#meeting.participants.joined.toArray();
    const phones = others.filter((p) => p.isPhone).length;
    const people = others.length - phones + 1;
    const parts = [people === 1 ? 'Only you' : `${people} people`];
    if (phones) parts.push(phones === 1 ? '1 phone' : `${phones} phones`);
    byId('count').textContent = phones && people === 1 ? `You and ${parts[1]}` : parts.join(' · ');
  }

  #showDialIn(open) {
    byId('dial-in-panel').hidden = !open;
    byId('dial-in').setAttribute('aria-expanded', String(open));
  }
}

function control(id, on, name, label) {
  const button = byId(id);
  button.dataset.on = String(on);
  button.querySelector('.control-label').textContent = label;
  setIcon(button, on ? name : `${name}-off`);
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
  setTimeout(() => (label.textContent = before), 1800);
}
