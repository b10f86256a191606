// The page of voicemail: messages played in place, whether there are any, the greeting.

import { announce, note } from "./announce.js";
import { find, paintAvatar } from "./dom.js";
import { startShell } from "./shell.js";
import "./title.js";

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const CANNOT_SAY = "The server cannot be reached. Try again in a moment.";

const { username = "", csrf = "" } = document.body.dataset;

/**
 * Send a form of this page.
 * @param {string} path
 * @param {Record<string, string>} [fields]
 */
async function post(path, fields = {}) {
  const body = new URLSearchParams({ csrf, ...fields });
  const url = new URL(path, location.href);
  if (username) url.searchParams.set("as", username);
  const answer = await fetch(url, { method: "POST", body }).catch(() => null);
  return answer?.ok ?? false;
}

/** @param {ParentNode} place */
function equip(place) {
  for (const time of place.querySelectorAll("time[data-when]")) {
    if (time instanceof HTMLTimeElement) time.textContent = WHEN.format(new Date(time.dateTime));
  }
  for (const element of place.querySelectorAll("[data-avatar]")) {
    if (element instanceof HTMLElement) paintAvatar(element, element.dataset["avatar"] ?? "");
  }
  for (const audio of place.querySelectorAll("audio")) {
    if (audio.closest("dialog") === null) audio.addEventListener("play", () => played(audio));
    audio.addEventListener("error", () => note("This browser cannot play this message."));
  }
}

/** @param {HTMLAudioElement} audio */
function played(audio) {
  // Of two messages only one is heard.
  for (const other of document.querySelectorAll("main audio")) {
    if (other !== audio && other instanceof HTMLAudioElement) other.pause();
  }
  const row = audio.closest(".message-row.unheard");
  if (row instanceof HTMLElement) void hear(row);
}

/** @param {HTMLElement} row */
async function hear(row) {
  row.classList.remove("unheard");
  const told = await post(`/voicemail/${row.dataset["message"]}/heard`);
  if (told) row.querySelector(".new-mark")?.remove();
  else row.classList.add("unheard");
}

/** Show what has changed since the page was loaded, and leave alone what plays. */
async function refresh() {
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["messages", "greeting", "full"]) replace(id, page);
}

/**
 * @param {string} id
 * @param {Document} page  as it would be loaded now
 */
function replace(id, page) {
  const [old, now] = [document.getElementById(id), page.getElementById(id)];
  if (!old || !now) return;
  const kept = [...old.querySelectorAll("audio")].filter((audio) => !audio.paused);
  const focused = document.activeElement;
  const back = focused && old.contains(focused) ? focused.getAttribute("aria-label") : null;
  for (const audio of kept) {
    const row = audio.closest("[id]");
    const place = row && now.querySelector(`#${CSS.escape(row.id)}`);
    // Moved, it would stop.
    if (row === old || !place) return;
    if (id === "messages") return insert(old, now);
  }
  old.replaceChildren(...now.childNodes);
  equip(old);
  if (back) {
    const again = old.querySelector(`[aria-label="${CSS.escape(back)}"]`);
    if (again instanceof HTMLElement) again.focus();
  }
}

/**
 * New rows above the ones there are.
 * @param {Element} old
 * @param {Element} now
 */
function insert(old, now) {
  const list = find(".message-list", HTMLUListElement, old);
  for (const row of [...now.querySelectorAll(".message-row")].reverse()) {
    if (list.querySelector(`#${CSS.escape(row.id)}`)) continue;
    equip(row);
    list.prepend(row);
  }
}

const taking = document.querySelector("#taking");
if (taking instanceof HTMLInputElement) {
  taking.addEventListener("change", async () => {
    const on = taking.checked;
    if (await post("/voicemail/settings", on ? { on: "1" } : {})) {
      announce(on ? "Callers can leave a message." : "Callers cannot leave a message.");
    } else {
      taking.checked = !on;
      note(CANNOT_SAY);
    }
  });
}

equip(find("main", HTMLElement));
const address = new URL(location.href);
/** @type {Record<string, string>} */
const DONE = { deleted: "The message is deleted.", usual: "Callers hear the usual greeting." };
for (const [done, words] of Object.entries(DONE)) {
  if (!address.searchParams.has(done)) continue;
  address.searchParams.delete(done);
  history.replaceState(null, "", address);
  note(words);
}
if (username) {
  const { wire, voicemail } = startShell(username);
  document.addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest("#record-greeting")) voicemail.greet();
  });
  voicemail.on("ended", () => void refresh());
  let total = document.querySelectorAll(".message-row").length;
  wire.on("voicemail", (change) => {
    if (change.total !== total) void refresh();
    total = change.total;
  });
}
