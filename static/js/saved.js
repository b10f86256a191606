// What one page leaves for the next one in the same tab, so that a reload goes on with the
// session and its call. Written when the page goes, taken when the next one comes: a copy of
// the tab, made while the page lives, finds nothing and starts afresh.

/** @typedef {import("./wire.js").SavedSession} SavedSession */
/** @typedef {import("./phone.js").SavedPhone} SavedPhone */
/** @typedef {{name: string, time: number, session: SavedSession, phone: SavedPhone}} Saved */

const KEY = "ringback.page";
const NAME = "ringback.name";
/** Sessions do not wait longer than this (ms) for their client anyway. */
const KEPT = 60_000;

/**
 * @param {string | null} name  only what was left under the same name; null for any
 * @returns {Saved | null}
 */
export function take(name) {
  const text = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  if (text === null) return null;
  const saved = /** @type {Saved} */ (JSON.parse(text));
  const fresh = Date.now() - saved.time < KEPT;
  return fresh && (name === null || saved.name === name) ? saved : null;
}

/** @param {Omit<Saved, "time">} saved */
export function leave(saved) {
  sessionStorage.setItem(KEY, JSON.stringify({ ...saved, time: Date.now() }));
}

/**
 * The name of this window: the browser remembers one name for all its windows.
 * @param {string} name
 */
export function rememberName(name) {
  sessionStorage.setItem(NAME, name);
}

/** The name this window had last; empty when it had none. */
export function lastName() {
  return sessionStorage.getItem(NAME) ?? "";
}
