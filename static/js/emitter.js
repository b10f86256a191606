// A small typed event emitter, for modules that know no page.

/** @template {Record<string, any>} Events */
export class Emitter {
  /** @type {Map<keyof Events, Set<(value: any) => void>>} */
  #hearers = new Map();

  /**
   * Hear an event; what is returned stops hearing it.
   * @template {keyof Events} K
   * @param {K} name
   * @param {(value: Events[K]) => void} hearer
   * @returns {() => void}
   */
  on(name, hearer) {
    const hearers = this.#hearers.get(name) ?? new Set();
    this.#hearers.set(name, hearers.add(hearer));
    return () => void hearers.delete(hearer);
  }

  /**
   * The next time an event happens.
   * @template {keyof Events} K
   * @param {K} name
   * @returns {Promise<Events[K]>}
   */
  once(name) {
    return new Promise((resolve) => {
      const stop = this.on(name, (value) => {
        stop();
        resolve(value);
      });
    });
  }

  /**
   * @template {keyof Events} K
   * @param {K} name
   * @param {Events[K]} value
   */
  emit(name, value) {
    for (const hearer of [...(this.#hearers.get(name) ?? [])]) hearer(value);
  }
}
