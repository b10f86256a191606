// The home page: the rooms with people in them, live.

import { find, icon, make, person } from "./dom.js";
import { farewell } from "./farewell.js";
import { socketUrl, watchPage } from "./page.js";
import { lastName } from "./saved.js";
import { Wire } from "./wire.js";

/** @typedef {import("./messages.js").RoomInfo} RoomInfo */

const form = find("#join-form", HTMLFormElement);
const room = find("#room_name", HTMLInputElement);
const username = find("#username", HTMLInputElement);
const list = find("#rooms", HTMLUListElement);
const empty = find("#no-rooms", HTMLElement);

/** @param {RoomInfo} info */
function row({ room: name, people }) {
  const count = make("span", { class: "people-count" }, icon("people"), String(people));
  const unit = people === 1 ? " person" : " people";
  count.append(make("span", { class: "visually-hidden" }, unit));
  const button = make("button", { type: "button", class: "list-row", "data-room": name });
  button.append(person(name), count);
  return make("li", { "data-room": name }, button);
}

/** @param {RoomInfo[]} rooms */
function show(rooms) {
  const focused = document.activeElement?.closest("#rooms li")?.getAttribute("data-room");
  list.replaceChildren(...rooms.map(row));
  const again = focused && list.querySelector(`button[data-room="${CSS.escape(focused)}"]`);
  if (again instanceof HTMLElement) again.focus();
  empty.hidden = rooms.length > 0;
}

list.addEventListener("click", ({ target }) => {
  const button = target instanceof Element ? target.closest("button") : null;
  if (!button) return;
  room.value = button.dataset["room"] ?? "";
  if (username.value.trim()) form.requestSubmit();
  else username.focus();
});

/**
 * @param {HTMLInputElement} field
 * @param {string} words
 */
function complain(field, words) {
  const place = find(`#${field.id}-error`, HTMLElement);
  place.textContent = words;
  place.hidden = words === "";
  if (words) {
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", place.id);
  } else field.removeAttribute("aria-invalid");
}

form.addEventListener("submit", (event) => {
  complain(room, room.value.trim() ? "" : "Which room? Type any name; the room is made for you.");
  complain(username, username.value.trim() ? "" : "What do others call you?");
  const wrong = form.querySelector("[aria-invalid]");
  if (!(wrong instanceof HTMLElement)) return;
  event.preventDefault();
  wrong.focus();
});

/** Under the name of this window, wherever one goes from here. */
function keepName() {
  const name = lastName();
  if (name === "") return;
  for (const link of document.querySelectorAll('a[href^="/call/"], a[href^="/voicemail/"]')) {
    const url = new URL(link.getAttribute("href") ?? "", location.href);
    url.searchParams.set("as", name);
    link.setAttribute("href", `${url.pathname}${url.search}`);
  }
  // A form that came back keeps what was written there.
  if (!form.querySelector("[aria-invalid], [role=alert]")) username.value = name;
}

keepName();
// Who follows a link to a room has but a name to give.
if (room.value && !username.value) username.focus();
await farewell();
const wire = new Wire({
  url: socketUrl(), saved: null, probe: () => ({ type: "rooms", watch: true }),
});
wire.on("welcome", () => wire.tell({ type: "rooms", watch: true }));
wire.on("rooms", ({ rooms }) => show(rooms));
watchPage(wire, () => wire.stop());
wire.start();
const wrong = form.querySelector("[aria-invalid]");
if (wrong instanceof HTMLElement) wrong.focus();
