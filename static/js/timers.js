// Timers by name: setting one again replaces it, and all can be stopped at once.

export class Timers {
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #timers = new Map();
  #closed = false;

  /**
   * Do something in `pause` ms, instead of what had this name.
   * @param {string} name
   * @param {number} pause
   * @param {() => void} act
   */
  set(name, pause, act) {
    this.cancel(name);
    if (this.#closed) return;
    const fire = () => {
      this.#timers.delete(name);
      act();
    };
    this.#timers.set(name, setTimeout(fire, pause));
  }

  /** @param {string} name */
  has(name) {
    return this.#timers.has(name);
  }

  /** @param {string} name */
  cancel(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  /** Stop all of them; none can be set any more. */
  close() {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
