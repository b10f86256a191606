// Requests that wait for a reply: ids, promises, and what must be said again after a break.

import { RequestError, newId } from "./messages.js";

/** @typedef {import("./messages.js").ClientMessage} ClientMessage */
/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
/**
 * @typedef {object} Waiting
 * @property {ClientMessage} message
 * @property {boolean} keep
 * @property {number | null} sent  ms of a steady clock, null while it waits for a socket
 * @property {(reply: ServerMessage) => void} resolve
 * @property {(error: RequestError) => void} reject
 */

/** How many requests may wait; more are refused at once. */
const MOST = 512;

export class Requests {
  /** @type {Map<string, Waiting>} */
  #waiting = new Map();
  #prefix = newId().slice(0, 8);
  #count = 0;

  /**
   * Take a request in. A kept one survives the loss of the socket and is said again.
   * @param {ClientMessage} message
   * @param {boolean} keep
   * @returns {{message: ClientMessage, id: string, reply: Promise<ServerMessage>}}
   */
  add(message, keep) {
    this.#count += 1;
    const id = `${this.#prefix}.${this.#count}`;
    const full = { ...message, id };
    const reply = new Promise((resolve, reject) => {
      if (this.#waiting.size >= MOST) {
        reject(new RequestError("too_fast", "Too much is waiting to be sent."));
        return;
      }
      this.#waiting.set(id, { message: full, keep, sent: null, resolve, reject });
    });
    return { message: full, id, reply };
  }

  /**
   * Note that a request went out at `now`.
   * @param {string} id
   * @param {number} now
   */
  sent(id, now) {
    const waiting = this.#waiting.get(id);
    if (waiting) waiting.sent = now;
  }

  /**
   * Give a reply to whoever waits for it; false when nobody does.
   * @param {ServerMessage} reply
   * @returns {boolean}
   */
  settle(reply) {
    const id = "re" in reply ? reply.re : undefined;
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || !waiting) return false;
    this.#waiting.delete(id);
    if (reply.type === "error") waiting.reject(new RequestError(reply.code, reply.message));
    else waiting.resolve(reply);
    return true;
  }

  /** The socket is gone: those not kept fail, the others wait for the next one. */
  lose() {
    for (const [id, waiting] of [...this.#waiting]) {
      waiting.sent = null;
      if (waiting.keep) continue;
      this.#waiting.delete(id);
      waiting.reject(new RequestError("offline", "The connection to the server was lost."));
    }
  }

  /**
   * Drop kept requests that no longer make sense.
   * @param {(message: ClientMessage) => boolean} which
   */
  forget(which) {
    for (const [id, waiting] of [...this.#waiting]) {
      if (!which(waiting.message)) continue;
      this.#waiting.delete(id);
      waiting.reject(new RequestError("no_such_call", "This has passed."));
    }
  }

  /**
   * What waits for a socket, in the order in which it was asked.
   * @returns {{message: ClientMessage, id: string}[]}
   */
  unsent() {
    return [...this.#waiting]
      .filter(([, waiting]) => waiting.sent === null)
      .map(([id, { message }]) => ({ id, message }));
  }

  /**
   * For how long the longest waiting request has had no reply, in ms.
   * @param {number} now
   * @returns {number}
   */
  longestWait(now) {
    let longest = 0;
    for (const { sent } of this.#waiting.values()) {
      if (sent !== null) longest = Math.max(longest, now - sent);
    }
    return longest;
  }
}
