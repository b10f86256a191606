// How many messages one has not heard, at the link to voicemail.

import { note } from "./announce.js";

/** @typedef {import("./wire.js").Wire} Wire */

/**
 * Keep the link right, and say when a message comes.
 * @param {Wire} wire
 * @param {string} name  whose page this is
 */
export function watchVoicemail(wire, name) {
  const link = document.querySelector("a[data-voicemail]");
  if (!(link instanceof HTMLAnchorElement)) return;
  link.search = String(new URLSearchParams({ as: name }));
  // The exchange counts those for this name; the page was made with all of them.
  const elsewhere = Number(link.dataset["elsewhere"]);
  const badge = link.querySelector(".badge");
  const number = link.querySelector("[data-unheard]");
  if (!(badge instanceof HTMLElement) || number === null) return;
  wire.on("voicemail", ({ unheard, nearly_full: full = false }) => {
    const before = Number(number.textContent);
    const now = unheard + elsewhere;
    number.textContent = String(now);
    badge.hidden = now === 0;
    link.setAttribute("aria-label", now === 0 ? "Voicemail" : `Voicemail, ${now} new`);
    if (now <= before) return;
    const words = now === 1 ? "You have a new message." : `You have ${now} new messages.`;
    note(`${words}${full ? " Your voicemail is nearly full." : ""}`);
  });
}
