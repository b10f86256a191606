// The connection to the exchange: one WebSocket after another, one session.
//
// A lost socket is replaced with a growing pause; the session is taken up again with its key,
// directed messages seen before are dropped, rooms are joined again where they must be.

import { backoff } from "./backoff.js";
import { Emitter } from "./emitter.js";
import {
  CLOSE_REPLACED, FATAL_CODES, RequestError, VERSION, decode, newId,
} from "./messages.js";
import { Requests } from "./requests.js";
import { Rooms } from "./rooms.js";

/** @typedef {import("./messages.js").ClientMessage} ClientMessage */
/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
/** @typedef {import("./messages.js").ServerEvents} ServerEvents */
/** @typedef {import("./messages.js").Resync} Resync */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./messages.js").Hello} Hello */
/** @typedef {"connecting" | "open" | "reconnecting" | "offline" | "refused"} WireState */
/** @typedef {{session: string, key: string, n: number, rooms: string[]}} SavedSession */
/**
 * Besides every message of the server by its type: `state` when the connection changes,
 * `opened` after a welcome (`asked`: a session was to be resumed), `refused` when no further
 * try is made.
 * @typedef {ServerEvents & {state: WireState, refused: {code: string, message: string},
 *   opened: {welcome: Welcome, asked: boolean}}} WireEvents
 */

/** Without a reply for this long (ms) a socket counts as dead. */
const DEAD_AFTER = 10_000;
/** The same while the browser itself says that there is no network. */
const DEAD_AFTER_OFFLINE = 2_000;
/** From this `readyState` on a socket takes nothing any more (WHATWG WebSockets). */
const CLOSING = 2;
/** How often (ms) the connection is looked at. */
const LOOK_EVERY = 2_500;
/** Two take-overs of the session within this time (ms) end the attempts. */
const REPLACED_WITHIN = 10_000;

/** Whether the browser knows that it has no network; only this answer can be relied upon. */
const isOffline = () => globalThis.navigator?.onLine === false;

/** @extends {Emitter<WireEvents>} */
export class Wire extends Emitter {
  /** @type {WireState} */
  state = "connecting";
  /** @type {Welcome | null} */
  welcome = null;
  rooms = new Rooms();
  #requests = new Requests();
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {{session: string, key: string, n: number} | null} */
  #session;
  #attempt = 0;
  #notBefore = 0;
  #heard = 0;
  #replaced = -REPLACED_WITHIN;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #look;
  #helloId = "";

  /**
   * @param {object} options
   * @param {string} options.url  of the `/ws` socket
   * @param {string} [options.name]  who one is; without one, only listed rooms can be watched
   * @param {SavedSession | null} [options.saved]  the session of the page before a reload
   * @param {() => ClientMessage} options.probe  a harmless request, said when all is quiet
   */
  constructor({ url, name, saved, probe }) {
    super();
    this.url = url;
    this.name = name;
    this.probe = probe;
    this.#session = saved ? { session: saved.session, key: saved.key, n: saved.n } : null;
  }

  /** Connect, and stay connected until `stop`. */
  start() {
    this.#look = setInterval(() => this.#watch(), LOOK_EVERY);
    this.#connect();
  }

  /** Close for good. The session stays with the server for a while. */
  stop() {
    clearInterval(this.#look);
    clearTimeout(this.#retry);
    this.#drop();
  }

  /**
   * Ask something. A kept request is said again after a break until it has a reply.
   * Rejects with `RequestError`.
   * @param {ClientMessage} message
   * @param {{keep?: boolean}} [options]
   * @returns {Promise<ServerMessage>}
   */
  request(message, { keep = false } = {}) {
    if (this.state === "refused" || (this.state !== "open" && !keep)) {
      return Promise.reject(new RequestError("offline", "There is no connection to the server."));
    }
    const { message: full, id, reply } = this.#requests.add(message, keep);
    if (this.state === "open") this.#send(full, id);
    return reply;
  }

  /**
   * Say something whose reply does not matter; a refusal is noted in the console.
   * @param {ClientMessage} message
   * @param {{keep?: boolean}} [options]
   */
  tell(message, options) {
    this.request(message, options).catch((/** @type {RequestError} */ error) => {
      if (error.code !== "offline") console.info(`${message.type}: ${error.message}`);
    });
  }

  /**
   * Enter a room, now and after every break; `joined` tells when one is in it.
   * @param {string} room
   * @param {boolean} unlisted
   */
  join(room, unlisted) {
    this.rooms.add(room, unlisted);
    if (this.state === "open") this.#rejoin(room);
  }

  /**
   * Kept requests that no longer make sense are dropped.
   * @param {(message: ClientMessage) => boolean} which
   */
  forget(which) {
    this.#requests.forget(which);
  }

  /** Look now whether the connection is alive, or try again at once if there is none. */
  nudge() {
    if (this.state === "open") this.tell(this.probe());
    else if (this.state !== "refused" && !this.#socket) this.#connect();
  }

  /**
   * What the page after a reload needs to go on with this session.
   * @returns {SavedSession | null}
   */
  save() {
    return this.#session && { ...this.#session, rooms: this.rooms.names() };
  }

  #connect() {
    clearTimeout(this.#retry);
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#heard = performance.now();
    socket.onopen = () => this.#hello(socket);
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#hear(decode(event.data));
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#lost(event.code);
    };
  }

  /** @param {WebSocket} socket */
  #hello(socket) {
    this.#helloId = newId();
    /** @type {Hello} */
    const hello = { type: "hello", id: this.#helloId, v: VERSION };
    if (this.name !== undefined) hello.name = this.name;
    if (this.#session) hello.resume = { ...this.#session, rooms: this.rooms.marks() };
    socket.send(JSON.stringify(hello));
  }

  /**
   * @param {ClientMessage} message
   * @param {string} id
   */
  #send(message, id) {
    // What a closing socket would not take is lost with it, and known to be.
    const closing = (this.#socket?.readyState ?? 0) >= CLOSING;
    if (!closing) this.#socket?.send(JSON.stringify(message));
    this.#requests.sent(id, performance.now());
  }

  /** @param {ServerMessage | null} message */
  #hear(message) {
    this.#heard = performance.now();
    if (message === null) return;
    if (message.type === "welcome") return this.#welcomed(message);
    if (message.type === "error" && message.re === this.#helloId) return this.#denied(message);
    if ("n" in message && message.n && this.#session) {
      if (message.n <= this.#session.n) return;
      this.#session.n = message.n;
    }
    if (message.type === "resync") this.#resync(message);
    if (message.type === "drain") this.#notBefore = performance.now() + message.after_ms;
    if (message.type === "joined") this.rooms.joined(message);
    if (message.type === "chat" && !this.rooms.heard(message)) return;
    this.#requests.settle(message);
    /** @type {(name: any, value: any) => void} */ (this.emit).call(this, message.type, message);
  }

  /** @param {Welcome} welcome */
  #welcomed(welcome) {
    const asked = this.#session !== null;
    const n = welcome.resumed && this.#session ? this.#session.n : 0;
    this.#session = { session: welcome.session, key: welcome.key, n };
    this.welcome = welcome;
    this.#attempt = 0;
    if (!welcome.resumed) this.rooms.forget();
    this.#become("open");
    this.emit("opened", { welcome, asked });
    for (const room of this.rooms.unmarked()) this.#rejoin(room);
    for (const { message, id } of this.#requests.unsent()) this.#send(message, id);
    this.emit("welcome", welcome);
  }

  /** @param {{code: string, message: string}} error */
  #denied({ code, message }) {
    if (FATAL_CODES.has(code)) this.#refuse(code, message);
    else this.#socket?.close();
  }

  /**
   * @param {string} code
   * @param {string} message
   */
  #refuse(code, message) {
    this.stop();
    this.#become("refused");
    this.emit("refused", { code, message });
  }

  /** @param {string} room */
  #rejoin(room) {
    this.tell({ type: "join", room, unlisted: this.rooms.unlisted(room) });
  }

  /** @param {Resync} message */
  #resync({ room, last = 0 }) {
    if (room === undefined) {
      // Ends of calls may be among what was missed: only what the welcome listed goes on.
      if (this.#session) this.#session.n = last;
      if (this.welcome) {
        this.emit("opened", { welcome: { ...this.welcome, resumed: false }, asked: true });
      }
    } else if (!this.rooms.has(room)) {
      this.tell({ type: "leave", room });
    } else if (this.rooms.lapse(room)) {
      this.#rejoin(room);
    }
  }

  /** Let go of the socket without waiting for its end. */
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#requests.lose();
    if (this.state === "open") this.#become("reconnecting");
  }

  /** @param {number} code */
  #lost(code) {
    this.#drop();
    if (code === CLOSE_REPLACED) {
      this.#session = null;
      const now = performance.now();
      if (now - this.#replaced < REPLACED_WITHIN) {
        return this.#refuse("replaced", "This page was opened again elsewhere.");
      }
      this.#replaced = now;
    }
    this.#become(isOffline() ? "offline" : this.welcome ? "reconnecting" : "connecting");
    const pause = Math.max(backoff(this.#attempt), this.#notBefore - performance.now());
    this.#attempt += 1;
    this.#retry = setTimeout(() => this.#connect(), pause);
  }

  /** A socket that says nothing although asked is dead, whatever the browser thinks of it. */
  #watch() {
    const now = performance.now();
    if (!this.#socket) return;
    const welcomed = this.state === "open";
    const wait = welcomed ? this.#requests.longestWait(now) : now - this.#heard;
    if (wait > (isOffline() ? DEAD_AFTER_OFFLINE : DEAD_AFTER)) this.#lost(1006);
    else if (welcomed && now - this.#heard > (this.welcome?.ping ?? 20) * 1000) this.nudge();
  }

  /** @param {WireState} state */
  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.emit("state", state);
  }
}
