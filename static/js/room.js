// The page of a room: messages, people, and calls to them.

import { announce, note } from "./announce.js";
import { ChatLog } from "./chat-log.js";
import { Composer } from "./composer.js";
import { find } from "./dom.js";
import { Outbox } from "./outbox.js";
import { People } from "./people.js";
import { startShell } from "./shell.js";
import { TypingLine } from "./typing-line.js";

const { room = "", username = "" } = document.body.dataset;
const DEFAULT_TEXT_LIMIT = 8 * 1024;

const { wire, phone, setWaiting } = startShell(username);
const outbox = new Outbox(wire, room, sessionStorage);
const log = new ChatLog(username);
const typing = new TypingLine();
const people = new People(username, ({ name, bot }) => {
  const video = localStorage.getItem("ringback.camera") !== "no";
  void phone.call(name, { video, bot });
});
const composer = new Composer({
  send: (text) => outbox.add(text) !== null,
  typing: (on) => {
    if (wire.state === "open") wire.tell({ type: "typing", room, on });
  },
  limit: () => wire.welcome?.limits.text ?? DEFAULT_TEXT_LIMIT,
});
const state = find("#room-state", HTMLElement);

/** @param {number} said  how many messages the room has */
function showState(said) {
  const waits = outbox.waiting.length > 0;
  state.hidden = said > 0 || waits;
  state.textContent = "Nothing has been said here yet. Write the first message below.";
}

function showWaiting() {
  log.showWaiting(wire.state === "open" ? outbox.waiting.filter(late) : outbox.waiting);
  setWaiting(wire.state === "open" ? 0 : outbox.waiting.length);
}

/**
 * A message that is on its way only shows when it takes long enough to be noticed.
 * @param {import("./outbox.js").Waiting} waiting
 */
function late({ time }) {
  return Date.now() - time > 400;
}

wire.on("joined", (joined) => {
  if (joined.room !== room) return;
  if (joined.resumed) joined.history.forEach(hear);
  else {
    log.fill(joined.history);
    for (const { cid } of joined.history) outbox.seen(cid);
  }
  people.fill(joined.members, joined.more ?? 0);
  typing.clear();
  showState(joined.seq);
});

/** @param {import("./messages.js").ChatMessage} message */
function hear(message) {
  if (message.room !== room) return;
  outbox.seen(message.cid);
  log.add(message);
  typing.set(message.from, false);
  showState(message.seq);
}

wire.on("chat", hear);
wire.on("presence", ({ room: where, name, here, bot = false }) => {
  if (where !== room) return;
  people.change({ name, bot }, here);
  if (!here) typing.set(name, false);
});
wire.on("typing", ({ room: where, from, on }) => {
  if (where === room && from !== username) typing.set(from, on);
});
wire.on("error", ({ code, message }) => {
  if (code === "bad_room" || code === "too_many_rooms") state.textContent = message;
});
wire.on("state", showWaiting);
outbox.on("change", () => {
  showWaiting();
  if (outbox.waiting.length > 0) state.hidden = true;
  setTimeout(showWaiting, 500);
});
outbox.on("refused", ({ waiting, message }) => composer.giveBack(waiting.text, message));

find("#invite", HTMLElement).addEventListener("click", async () => {
  const link = new URL(`/room/${encodeURIComponent(room)}/`, location.href).href;
  try {
    await navigator.clipboard.writeText(link);
    note("The link to this room is copied. Send it to somebody.");
  } catch (error) {
    // Only secure pages may use the clipboard.
    console.info("Clipboard:", error);
    note(`The link to this room: ${link}`);
  }
});
find("#leave", HTMLAnchorElement).addEventListener("click", () => {
  phone.hangUp();
  if (wire.state === "open") wire.tell({ type: "leave", room });
});

const unlisted = new URLSearchParams(location.search).get("unlisted") === "1";
wire.join(room, unlisted);
showWaiting();
if (matchMedia("(hover: hover)").matches) composer.focus();
announce(`Room ${room}.`);
