// The messages of a room: in order, by day, grouped by person, with what is new marked.

import { pieces } from "./chat-links.js";
import { avatar, find, icon, make, person } from "./dom.js";
import { setUnread } from "./title.js";

/** @typedef {import("./messages.js").ChatMessage} ChatMessage */
/** @typedef {import("./outbox.js").Waiting} Waiting */

/** Messages of one person this close together (ms) stand under one name. */
const TOGETHER = 5 * 60_000;
/** How many messages stay in the page. */
const MOST = 1_000;
/** From this far (px) above the end, one is reading old messages. */
const NEAR_END = 80;

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const DAY_AND_YEAR = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

/**
 * @param {number} time
 * @returns {string}
 */
function dayOf(time) {
  const day = new Date(time);
  const today = new Date();
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day.toDateString() === today.toDateString()) return "Today";
  if (day.toDateString() === yesterday.toDateString()) return "Yesterday";
  return (day.getFullYear() === today.getFullYear() ? DAY : DAY_AND_YEAR).format(day);
}

export class ChatLog {
  #list = find("#messages", HTMLOListElement);
  #scroller = find("#scroller", HTMLElement);
  #jump = find("#jump", HTMLButtonElement);
  #jumpText = find("#jump-text", HTMLElement);
  #unread = 0;
  /** @type {{from: string, time: number} | null} */
  #last = null;
  /** @type {HTMLElement | null} */
  #marker = null;
  #following = true;
  /** How high the part in view is; when it changes, the browser scrolls by itself. */
  #height = 0;

  /** @param {string} name  whose messages stand on the right */
  constructor(name) {
    this.name = name;
    this.#jump.addEventListener("click", () => {
      this.#scroller.focus({ preventScroll: true });
      this.toEnd();
    });
    this.#scroller.addEventListener("scroll", () => {
      if (this.#scroller.clientHeight === this.#height) this.#scrolled();
    }, { passive: true });
    document.addEventListener("visibilitychange", () => this.#scrolled());
    new ResizeObserver(() => {
      this.#height = this.#scroller.clientHeight;
      this.#follow();
    }).observe(this.#scroller);
  }

  /**
   * What was said before one came, or all of it again.
   * @param {ChatMessage[]} history
   */
  fill(history) {
    this.#scroller.setAttribute("aria-live", "off");
    const waiting = [...this.#list.querySelectorAll(".pending")];
    this.#list.replaceChildren();
    this.#last = this.#marker = null;
    for (const message of history) this.#append(message);
    this.#list.append(...waiting);
    this.toEnd();
    // Only what comes from now on is news.
    setTimeout(() => this.#scroller.setAttribute("aria-live", "polite"), 500);
  }

  /** @param {ChatMessage} message */
  add(message) {
    const own = message.from === this.name;
    this.#list.querySelector(`.pending[data-cid="${CSS.escape(message.cid)}"]`)?.remove();
    const unseen = !own && (!this.#following || document.hidden);
    if (unseen && this.#unread === 0) this.#mark();
    this.#append(message);
    if (unseen) this.#count(this.#unread + 1);
    if (own) this.toEnd();
    else this.#follow();
    while (this.#list.children.length > MOST) this.#list.firstElementChild?.remove();
  }

  /**
   * Own messages that are on their way, below all others.
   * @param {Waiting[]} waiting
   */
  showWaiting(waiting) {
    const wanted = new Set(waiting.map(({ cid }) => cid));
    for (const item of this.#list.querySelectorAll(".pending")) {
      if (!wanted.has(item.getAttribute("data-cid") ?? "")) item.remove();
    }
    for (const { cid, text } of waiting) {
      if (this.#list.querySelector(`[data-cid="${CSS.escape(cid)}"]`)) continue;
      const state = make("span", { class: "time" }, icon("clock"), "Waiting");
      const item = make("li", { class: "message own pending", "data-cid": cid });
      item.append(make("div", { class: "bubble" }, body(text), state));
      this.#list.append(item);
    }
    this.#follow();
  }

  /** Down to the newest message. */
  toEnd() {
    this.#following = true;
    this.#follow();
    this.#scrolled();
  }

  /** @param {ChatMessage} message */
  #append({ from, text, time, seq, cid }) {
    const own = from === this.name;
    const last = this.#last;
    const day = dayOf(time);
    const firstOfDay = last === null || dayOf(last.time) !== day;
    const items = [];
    if (firstOfDay) items.push(make("li", { class: "day" }, day));
    const marked = this.#marker !== null && this.#list.lastElementChild === this.#marker;
    const goesOn = !firstOfDay && !marked && last.from === from && time - last.time < TOGETHER;
    this.#last = { from, time };
    const item = make("li", {
      class: `message${own ? " own" : ""}${goesOn ? " goes-on" : ""}`,
      "data-seq": String(seq),
      "data-cid": cid,
    });
    if (!own && !goesOn) item.append(avatar(from));
    const bubble = make("div", { class: "bubble" });
    const who = own ? "You" : person(from);
    bubble.append(make("p", { class: own || goesOn ? "visually-hidden" : "from" }, who));
    const stamp = make("time", { datetime: new Date(time).toISOString(), class: "time" });
    stamp.title = FULL.format(time);
    stamp.textContent = TIME.format(time);
    bubble.append(body(text), stamp);
    item.append(bubble);
    items.push(item);
    const pending = this.#list.querySelector(".pending");
    if (pending) pending.before(...items);
    else this.#list.append(...items);
  }

  /** The line above the first message that nobody has seen yet. */
  #mark() {
    this.#marker?.remove();
    this.#marker = make("li", { class: "new-line" }, "New messages");
    const pending = this.#list.querySelector(".pending");
    if (pending) pending.before(this.#marker);
    else this.#list.append(this.#marker);
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (this.#following && !document.hidden) this.#count(0);
    this.#jump.hidden = this.#following;
  }

  #follow() {
    if (this.#following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    else this.#jump.hidden = false;
  }

  /** @param {number} unread */
  #count(unread) {
    this.#unread = unread;
    setUnread(unread);
    const words = unread === 1 ? "1 new message" : `${unread} new messages`;
    this.#jumpText.textContent = unread === 0 ? "Newest messages" : words;
  }
}

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
function body(text) {
  const shown = make("p", { class: "text", dir: "auto" });
  for (const piece of pieces(text)) {
    if (piece.href === null) shown.append(piece.text);
    else {
      const rel = "noopener noreferrer nofollow";
      shown.append(make("a", { href: piece.href, rel, target: "_blank" }, piece.text));
    }
  }
  return shown;
}
