/**
 * A minimal event emitter with the method names Dyte's and Node's users know.
 *
 * A listener that throws never keeps the others from hearing the event: the error is reported to
 * the console and the call goes on.
 */
export class Emitter {
  /** @type {Map<string, Set<Function>>} */
  #listeners = new Map();

  /**
   * @param {string} event
   * @param {Function} listener
   * @returns {this}
   */
  on(event, listener) {
    const set = this.#listeners.get(event) ?? new Set();
    set.add(listener);
    this.#listeners.set(event, set);
    return this;
  }

  /** Same as {@link Emitter#on}. */
  addListener(event, listener) {
    return this.on(event, listener);
  }

  /** Like {@link Emitter#on}, for the next event only. */
  once(event, listener) {
    const wrapped = (...args) => {
      this.off(event, wrapped);
      listener(...args);
    };
    return this.on(event, wrapped);
  }

  /** Removes a listener added with `on`. */
  off(event, listener) {
    this.#listeners.get(event)?.delete(listener);
    return this;
  }

  /** Same as {@link Emitter#off}. */
  removeListener(event, listener) {
    return this.off(event, listener);
  }

  /** Removes every listener of one event, or of all. */
  removeAllListeners(event) {
    if (event === undefined) this.#listeners.clear();
    else this.#listeners.delete(event);
    return this;
  }

  /**
   * Calls every listener of `event` in the order they were added.
   *
   * @param {string} event
   * @param {...any} args
   */
  emit(event, ...args) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(...args);
      } catch (error) {
        console.error(`ringbridge: a listener of "${event}" threw`, error);
      }
    }
  }
}
