// One's own past calls, newest first.

import { avatar, duration, durationInWords, find, icon, make, person } from "./dom.js";

/** @typedef {import("./messages.js").CallRecord} CallRecord */

/** The bot that takes messages. */
const VOICEMAIL = "voicemail";
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** What became of a call, for whoever placed it and for whoever was called. */
/** @type {Partial<Record<import("./messages.js").Reason, [string, string]>>} */
const OUTCOMES = {
  cancelled: ["Cancelled", "Missed"],
  declined: ["Declined", "Declined"],
  no_answer: ["No answer", "Missed"],
  unavailable: ["Not here", "Missed"],
  busy: ["Was in another call", "Missed"],
  failed: ["Could not be connected", "Could not be connected"],
};

/**
 * @param {CallRecord} record
 * @returns {{icon: string, words: string, missed: boolean}}
 */
function outcome({ outgoing, reason, connected, ended }) {
  const direction = outgoing ? "out" : "in";
  if (connected !== undefined) {
    const way = outgoing ? "Outgoing" : "Incoming";
    const lost = reason === "lost" ? ", connection lost" : "";
    const words = `${way}, ${duration(ended - connected)}${lost}`;
    return { icon: direction, words, missed: false };
  }
  const pair = OUTCOMES[reason];
  const words = pair ? pair[outgoing ? 0 : 1] : "Ended";
  const missed = words === "Missed";
  return { icon: missed ? "missed" : direction, words, missed };
}

/** @param {number} time */
function when(time) {
  const day = new Date(time);
  return day.toDateString() === new Date().toDateString() ? TIME.format(day) : DATE.format(day);
}

export class RecordList {
  #list = find("#records", HTMLUListElement);
  #empty = find("#no-records", HTMLElement);

  /** @param {(record: CallRecord) => void} call */
  constructor(call) {
    this.call = call;
  }

  /** @param {CallRecord[]} records */
  fill(records) {
    // Two who called each other at once had one call; the other one is of no interest, nor are
    // calls that left a message after one that is listed.
    const shown = records.filter(({ reason, peer }) => reason !== "glare" && peer !== VOICEMAIL);
    this.#list.replaceChildren(...shown.map((record) => this.#row(record)));
    this.#empty.hidden = shown.length > 0;
  }

  /** @param {CallRecord} record */
  #row(record) {
    const { peer, placed, connected, ended } = record;
    const { icon: sign, words, missed } = outcome(record);
    const time = make("time", { datetime: new Date(placed).toISOString() }, when(placed));
    const about = make("span", { class: "about" }, icon(sign), `${words} · `, time);
    if (connected !== undefined) about.title = durationInWords(ended - connected);
    const lines = make("span", { class: "lines" });
    lines.append(make("span", { class: "who-name" }, person(peer)), about);
    const button = make("button", { type: "button", class: "quiet call-one" });
    button.append(icon("phone"), make("span", {}, "Call"));
    button.setAttribute("aria-label", `Call ${peer} again`);
    button.addEventListener("click", () => this.call(record));
    const item = make("li", { class: `person-row${missed ? " missed" : ""}` });
    item.append(avatar(peer), lines, button);
    return item;
  }
}
