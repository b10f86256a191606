// Who is writing at the moment.

import { find, person } from "./dom.js";

/** Without news for this long (ms) somebody no longer writes. */
const FADES = 7_000;
const NAMED = 2;

export class TypingLine {
  #line = find("#typing", HTMLElement);
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #writing = new Map();

  /**
   * @param {string} name
   * @param {boolean} on
   */
  set(name, on) {
    clearTimeout(this.#writing.get(name));
    if (on) this.#writing.set(name, setTimeout(() => this.set(name, false), FADES));
    else this.#writing.delete(name);
    this.#show();
  }

  clear() {
    for (const name of [...this.#writing.keys()]) this.set(name, false);
  }

  #show() {
    const names = [...this.#writing.keys()];
    if (names.length === 0) return this.#line.replaceChildren();
    const shown = names.slice(0, NAMED).flatMap((name, i) => (i ? [", ", person(name)] : [person(name)]));
    const more = names.length - NAMED;
    const others = more > 0 ? ` and ${more} more` : "";
    this.#line.replaceChildren(...shown, `${others} ${names.length === 1 ? "is" : "are"} writing…`);
  }
}
