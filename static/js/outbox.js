// Messages of one room on their way out: kept while offline, sent one after another, once.

import { Emitter } from "./emitter.js";
import { RequestError, newId } from "./messages.js";

/** @typedef {{cid: string, text: string, time: number}} Waiting */
/** @typedef {{getItem(key: string): string | null, setItem(key: string, value: string): void,
 *   removeItem(key: string): void}} Store */

/** How many messages may wait. */
const MOST = 200;
/** Pause (ms) before a message is tried again that the server could not take just now. */
const AGAIN_AFTER = 2500;
/** Refusals that pass by themselves. */
const PASSING = new Set(["offline", "too_fast", "not_stored", "not_in_room", "internal"]);

/** @extends {Emitter<{change: Waiting[], refused: {waiting: Waiting, message: string}}>} */
export class Outbox extends Emitter {
  /** @type {Waiting[]} */
  waiting;
  #sending = false;

  /**
   * @param {import("./wire.js").Wire} wire
   * @param {string} room
   * @param {Store} store  survives a reload of the page
   */
  constructor(wire, room, store) {
    super();
    this.wire = wire;
    this.room = room;
    this.store = store;
    this.key = `ringback.outbox.${wire.name ?? ""}.${room}`;
    this.waiting = JSON.parse(store.getItem(this.key) ?? "[]");
    wire.on("joined", (joined) => {
      if (joined.room === room) void this.#pump();
    });
  }

  /**
   * Say something, now or as soon as it can be sent; null when too much waits already.
   * @param {string} text
   * @returns {Waiting | null}
   */
  add(text) {
    if (this.waiting.length >= MOST) return null;
    const waiting = { cid: newId(), text, time: Date.now() };
    this.#replace([...this.waiting, waiting]);
    void this.#pump();
    return waiting;
  }

  /**
   * A message was seen in the room, so it needs no sending any more.
   * @param {string} cid
   */
  seen(cid) {
    if (this.waiting.some((waiting) => waiting.cid === cid)) {
      this.#replace(this.waiting.filter((waiting) => waiting.cid !== cid));
    }
  }

  /** @param {Waiting[]} waiting */
  #replace(waiting) {
    this.waiting = waiting;
    if (waiting.length) this.store.setItem(this.key, JSON.stringify(waiting));
    else this.store.removeItem(this.key);
    this.emit("change", waiting);
  }

  async #pump() {
    if (this.#sending) return;
    this.#sending = true;
    for (let next = this.waiting[0]; next && this.wire.state === "open"; next = this.waiting[0]) {
      await this.#send(next);
    }
    this.#sending = false;
  }

  /** @param {Waiting} waiting */
  async #send(waiting) {
    const { cid, text } = waiting;
    try {
      await this.wire.request({ type: "chat", room: this.room, text, cid });
      this.seen(cid);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (PASSING.has(error.code)) {
        await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER));
        return;
      }
      this.seen(cid);
      this.emit("refused", { waiting, message: error.message });
    }
  }
}
