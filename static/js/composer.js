// Where messages are written: grows with its text, Enter sends, Shift and Enter breaks the line.

import { find } from "./dom.js";

/** While somebody writes, others are told again this often (ms). */
const TELL_EVERY = 4_000;
/** Without a key for this long (ms) somebody no longer writes. */
const IDLE = 5_000;

export class Composer {
  #form = find("#composer", HTMLFormElement);
  #text = find("#text", HTMLTextAreaElement);
  #error = find("#composer-error", HTMLElement);
  #told = -TELL_EVERY;
  #writing = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #idle;

  /**
   * @param {object} options
   * @param {(text: string) => boolean} options.send  false when it cannot be taken now
   * @param {(on: boolean) => void} options.typing
   * @param {() => number} options.limit  in bytes of UTF-8
   */
  constructor({ send, typing, limit }) {
    this.send = send;
    this.typing = typing;
    this.limit = limit;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("input", () => {
      this.#grow();
      this.#complain("");
      this.#write(this.#text.value.trim() !== "");
    });
  }

  focus() {
    this.#text.focus();
  }

  /**
   * A message that was refused comes back to be changed.
   * @param {string} text
   * @param {string} words
   */
  giveBack(text, words) {
    if (this.#text.value.trim() === "") this.#text.value = text;
    this.#grow();
    this.#complain(words);
  }

  #submit() {
    const text = this.#text.value.trim();
    if (text === "") return this.focus();
    const size = new TextEncoder().encode(text).length;
    if (size > this.limit()) {
      const over = Math.ceil((size / this.limit() - 1) * 100);
      this.#complain(`This is about ${over} % longer than one message may be. Send it in parts.`);
      return;
    }
    if (!this.send(text)) {
      this.#complain("Too many messages wait to be sent. Wait until the connection is back.");
      return;
    }
    this.#text.value = "";
    this.#complain("");
    this.#grow();
    this.#write(false);
    this.focus();
  }

  /** @param {string} words */
  #complain(words) {
    this.#error.textContent = words;
    this.#error.hidden = words === "";
    this.#text.toggleAttribute("aria-invalid", words !== "");
  }

  #grow() {
    this.#text.style.height = "auto";
    const border = this.#text.offsetHeight - this.#text.clientHeight;
    this.#text.style.height = `${this.#text.scrollHeight + border}px`;
  }

  /** @param {boolean} on */
  #write(on) {
    clearTimeout(this.#idle);
    if (on) this.#idle = setTimeout(() => this.#write(false), IDLE);
    const now = performance.now();
    if (on === this.#writing && (!on || now - this.#told < TELL_EVERY)) return;
    this.#writing = on;
    this.#told = now;
    this.typing(on);
  }
}
