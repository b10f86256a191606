// The rooms one is in and the last message seen in each.

/** @typedef {import("./messages.js").RoomMark} RoomMark */
/** @typedef {import("./messages.js").Joined} Joined */
/** @typedef {import("./messages.js").ChatMessage} ChatMessage */

export class Rooms {
  /** @type {Map<string, {unlisted: boolean, mark: RoomMark | null}>} */
  #rooms = new Map();

  /**
   * @param {string} room
   * @param {boolean} unlisted
   */
  add(room, unlisted) {
    this.#rooms.set(room, { unlisted, mark: null });
  }

  /** @param {string} room */
  has(room) {
    return this.#rooms.has(room);
  }

  /** @param {string} room */
  unlisted(room) {
    return this.#rooms.get(room)?.unlisted ?? false;
  }

  /** @returns {string[]} */
  names() {
    return [...this.#rooms.keys()];
  }

  /**
   * Rooms that must be joined (again).
   * @returns {string[]}
   */
  unmarked() {
    return this.names().filter((room) => !this.#rooms.get(room)?.mark);
  }

  /**
   * What a resuming hello says of the rooms.
   * @returns {Record<string, RoomMark>}
   */
  marks() {
    /** @type {Record<string, RoomMark>} */
    const marks = {};
    for (const [room, { mark }] of this.#rooms) if (mark) marks[room] = mark;
    return marks;
  }

  /** The session is a new one: nothing is known of any room. */
  forget() {
    for (const entry of this.#rooms.values()) entry.mark = null;
  }

  /**
   * What is known of one room is not whole; false when it was known already.
   * @param {string} room
   */
  lapse(room) {
    const entry = this.#rooms.get(room);
    if (!entry?.mark) return false;
    entry.mark = null;
    return true;
  }

  /** @param {Joined} joined */
  joined({ room, epoch, seq }) {
    const entry = this.#rooms.get(room);
    if (entry) entry.mark = { epoch, seq };
  }

  /**
   * Note a message; false when it was heard before.
   * @param {ChatMessage} message
   */
  heard({ room, seq }) {
    const mark = this.#rooms.get(room)?.mark;
    if (!mark) return true;
    if (seq <= mark.seq) return false;
    mark.seq = seq;
    return true;
  }
}
