// Who is writing at the moment.

import { find, make, person } from "./dom.js";

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
    const named = names.slice(0, names.length > NAMED ? 1 : NAMED);
    const shown = make("span", { class: "names" });
    named.forEach((name, i) => shown.append(i ? " and " : "", person(name)));
    const more = names.length - named.length;
    const others = more > 0 ? ` and ${more} more` : "";
    const tail = `${others} ${names.length === 1 ? "is" : "are"} writing…`;
    this.#line.replaceChildren(shown, make("span", { class: "tail" }, tail));
  }
}
