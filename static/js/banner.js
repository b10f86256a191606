// The thin strip that says how the connection is, when it is not well.

import { announce } from "./announce.js";
import { find } from "./dom.js";

/** @typedef {import("./wire.js").Wire} Wire */

export class Banner {
  #waiting = 0;
  #draining = false;
  #refused = "";

  /** @param {Wire} wire */
  constructor(wire) {
    this.wire = wire;
    this.place = find("#banner", HTMLElement);
    this.text = find("#banner-text", HTMLElement);
    this.link = find("#banner-link", HTMLElement);
    wire.on("state", () => this.#show());
    wire.on("opened", () => {
      this.#draining = false;
      this.#show();
    });
    wire.on("drain", () => {
      this.#draining = true;
      this.#show();
    });
    wire.on("refused", ({ message }) => {
      this.#refused = message;
      this.#show();
    });
  }

  /** @param {number} count  messages that wait to be sent */
  setWaiting(count) {
    this.#waiting = count;
    this.#show();
  }

  #show() {
    const words = this.#words();
    this.place.hidden = words === "";
    this.link.hidden = this.wire.state !== "refused";
    if (words === this.text.textContent) return;
    this.text.textContent = words;
    if (words) announce(words);
  }

  /** @returns {string} */
  #words() {
    const { state, welcome } = this.wire;
    const waits = this.#waiting === 0 ? "" :
      this.#waiting === 1 ? " 1 message waits." : ` ${this.#waiting} messages wait.`;
    if (state === "refused") return this.#refused;
    if (state === "offline") return `You are offline.${waits}`;
    if (state === "reconnecting") {
      const why = this.#draining ? "The server is starting again" : "The connection was lost";
      return `${why}. Reconnecting.${waits}`;
    }
    if (state === "connecting") return welcome === null && this.#waiting ? waits.trim() : "";
    return this.#draining ? "The server is about to start again. Calls go on." : "";
  }
}
