// What the tests of the browser code share: a socket without a network, a store, a clock.

export class FakeSocket {
  /** @type {FakeSocket[]} */
  static all = [];
  sent = [];
  closed = false;

  constructor(url) {
    this.url = url;
    FakeSocket.all.push(this);
  }

  static get last() {
    return FakeSocket.all.at(-1);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closed = true;
  }

  /** The server accepts the connection. */
  open() {
    this.onopen?.({});
  }

  /** The server says something. */
  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  /** The connection ends. */
  drop(code = 1006, reason = "") {
    this.onclose?.({ code, reason });
  }

  /** What was sent last of one type. */
  lastOf(type) {
    return this.sent.filter((message) => message.type === type).at(-1);
  }
}

export const LIMITS = { text: 8192 };

/** A welcome in reply to the hello of a socket. */
export function welcome(socket, changes = {}) {
  socket.say({
    type: "welcome", session: "s1", key: "k1", name: "Ann", resumed: false, calls: [],
    ice_servers: [], limits: LIMITS, ping: 20, time: 0, re: socket.lastOf("hello").id, ...changes,
  });
}

export class Store {
  #values = new Map();

  getItem(key) {
    return this.#values.get(key) ?? null;
  }

  setItem(key, value) {
    this.#values.set(key, value);
  }

  removeItem(key) {
    this.#values.delete(key);
  }
}

/** Let everything that waits for nothing but its turn go on. */
export async function turns(count = 10) {
  for (let i = 0; i < count; i += 1) await Promise.resolve();
}

const TIMED = ["setTimeout", "clearTimeout", "setInterval", "clearInterval"];

/** Time that passes only when told to; also for `performance.now`. */
export class Clock {
  now = 1_000;
  #timers = new Map();
  #count = 0;

  /** Take the place of the real clock until the test `t` ends. */
  constructor(t) {
    const real = Object.fromEntries(TIMED.map((name) => [name, globalThis[name]]));
    t.after(() => Object.assign(globalThis, real));
    t.mock.method(performance, "now", () => this.now);
    const add = (act, ms, every) => {
      this.#count += 1;
      this.#timers.set(this.#count, { act, at: this.now + ms, every });
      return this.#count;
    };
    const remove = (id) => void this.#timers.delete(id);
    globalThis.setTimeout = (act, ms) => add(act, ms, null);
    globalThis.setInterval = (act, ms) => add(act, ms, ms);
    globalThis.clearTimeout = globalThis.clearInterval = remove;
  }

  /** Let `ms` go by; timers fire in their order, those set meanwhile too. */
  pass(ms) {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end);
      if (due.length === 0) break;
      const [id, timer] = due.reduce((a, b) => (b[1].at < a[1].at ? b : a));
      this.now = Math.max(this.now, timer.at);
      if (timer.every === null) this.#timers.delete(id);
      else timer.at += timer.every;
      timer.act();
    }
    this.now = end;
  }
}
