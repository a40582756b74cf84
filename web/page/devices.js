import { el } from './dom.js';

/** The three choices, in the order one thinks of them. */
const CHOICES = [
  { key: 'audio', label: 'Microphone', list: (self) => self.getAudioDevices() },
  { key: 'speaker', label: 'Speaker', list: (self) => self.getSpeakerDevices() },
  { key: 'video', label: 'Camera', list: (self) => self.getVideoDevices() },
];
/** Two short notes: long enough to be heard, short enough not to annoy. */
const CHIME_HZ = [660, 880];
const NOTE_S = 0.16;

/** Menus for microphone, speaker and camera; the same before joining and in the meeting. */
export class DevicePicker {
  #self;
  #box;
  #onNames;
  /** @type {Map<string, { row: HTMLElement, select: HTMLSelectElement }>} */
  #rows = new Map();

  /**
   * @param {import('../sdk/self.js').Self} self
   * @param {HTMLElement} box to be filled
   * @param {(named: boolean) => void} [onNames] whether there is anything to choose
   */
  constructor(self, box, onNames = () => {}) {
    this.#self = self;
    this.#box = box;
    this.#onNames = onNames;
    for (const { key, label } of CHOICES) {
      const id = `${box.id}-${key}`;
      const select = el('select', { id, 'data-device': key });
      select.addEventListener('change', () => this.#choose(select));
      const test = el('button', { type: 'button', class: 'small' }, 'Test');
      test.addEventListener('click', () => chime(select.value));
      const field = el('div', { class: 'device-field' }, select, ...(key === 'speaker' ? [test] : []));
      const row = el('div', { class: 'device', hidden: '' }, el('label', { for: id }, label), field);
      this.#rows.set(key, { row, select });
      box.append(row);
    }
    self.on('deviceListUpdate', () => this.refresh());
    self.on('deviceUpdate', () => this.refresh());
    this.refresh();
  }

  /** Lists what there is now. */
  async refresh() {
    const current = await this.#self.getCurrentDevices();
    let named = false;
    for (const { key, list } of CHOICES) {
      // Without a label there is nothing to choose by: permission has not been given.
      const devices = (await list(this.#self)).filter((device) => device.label);
      const { row, select } = this.#rows.get(key);
      const options = devices.map((device) => {
        const option = el('option', { value: device.deviceId }, device.label);
        option.device = device;
        option.selected = device.deviceId === current[key]?.deviceId;
        return option;
      });
      select.replaceChildren(...options);
      row.hidden = options.length === 0;
      named ||= options.length > 0;
    }
    this.#box.hidden = !named;
    this.#onNames(named);
  }

  #choose(select) {
    const device = select.selectedOptions[0]?.device;
    // A refusal is told by the SDK's `mediaPermissionError`.
    if (device) this.#self.setDevice(device).catch(() => {});
  }
}

/** Plays two notes on a speaker. @param {string} deviceId */
async function chime(deviceId) {
  const audio = new AudioContext();
  try {
    await audio.setSinkId?.(deviceId === 'default' ? '' : deviceId);
  } catch {
    // It has gone meanwhile: the notes come from the system's own.
  }
  CHIME_HZ.forEach((hz, n) => {
    const note = audio.createOscillator();
    const volume = audio.createGain();
    const start = audio.currentTime + n * NOTE_S;
    note.frequency.value = hz;
    volume.gain.setValueAtTime(0.2, start);
    volume.gain.exponentialRampToValueAtTime(0.001, start + NOTE_S * 2);
    note.connect(volume).connect(audio.destination);
    note.start(start);
    note.stop(start + NOTE_S * 2);
    if (n === CHIME_HZ.length - 1) note.onended = () => audio.close();
  });
}
