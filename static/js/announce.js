// What is said to screen readers, and short notes at the edge of the page.

import { find, icon, make } from "./dom.js";

const NOTE_STAYS = 8_000;
const MOST_NOTES = 3;

/**
 * Have something read aloud. What is outside an open dialogue is not read, so each has a place
 * of its own.
 * @param {string} text
 */
export function announce(text) {
  const dialogue = document.querySelector("dialog:modal");
  const place = (dialogue ?? document.body).querySelector(":scope > [data-announcer]");
  if (!place) return;
  // The same words twice in a row are news as well.
  place.textContent = place.textContent === text ? `${text}\u00a0` : text;
}

/**
 * A note that goes by itself, or when it is closed.
 * @param {string} text
 */
export function note(text) {
  const notes = find("#notes", HTMLElement);
  const close = make("button", { type: "button", class: "quiet round", "aria-label": "Close" });
  close.append(icon("close"));
  const item = make("div", { class: "note" }, make("p", {}, text), close);
  const remove = () => item.remove();
  close.addEventListener("click", remove);
  setTimeout(remove, NOTE_STAYS);
  notes.append(item);
  while (notes.children.length > MOST_NOTES) notes.firstElementChild?.remove();
  announce(text);
}
