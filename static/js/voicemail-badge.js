// How many messages one has not heard: at the link to voicemail, and said when one comes.

import { note } from "./announce.js";

/** @typedef {import("./wire.js").Wire} Wire */

/**
 * @param {Wire} wire
 * @param {string} name  whose page this is
 */
export function watchVoicemail(wire, name) {
  const link = document.querySelector("a[data-voicemail]");
  // The page of voicemail itself has no link, but says as much of itself.
  const { unheard: first, elsewhere } = (link instanceof HTMLElement ? link : document.body).dataset;
  if (link instanceof HTMLAnchorElement) link.search = String(new URLSearchParams({ as: name }));
  let before = Number(first);
  wire.on("voicemail", ({ unheard, nearly_full: full = false }) => {
    // The exchange counts those for this name; the page was made with all of them.
    const now = unheard + Number(elsewhere);
    if (link) show(link, now);
    const words = now === 1 ? "You have a new message." : `You have ${now} new messages.`;
    if (now > before) note(`${words}${full ? " Your voicemail is nearly full." : ""}`);
    before = now;
  });
}

/**
 * @param {Element} link
 * @param {number} count
 */
function show(link, count) {
  const badge = link.querySelector(".badge");
  const number = link.querySelector(".badge-count");
  if (badge instanceof HTMLElement) badge.hidden = count === 0;
  if (number) number.textContent = String(count);
  link.setAttribute("aria-label", count === 0 ? "Voicemail" : `Voicemail, ${count} new`);
}
