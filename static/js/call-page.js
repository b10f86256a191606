// The page of calls: whom to call, one's own picture, past calls.

import { ContactList } from "./contact-list.js";
import { find, sameName } from "./dom.js";
import { RequestError } from "./messages.js";
import { Preview } from "./preview.js";
import { RecordList } from "./record-list.js";
import { RECORDER } from "./recorder-leg.js";
import { callWaiting, rememberCallWaiting, startShell } from "./shell.js";
import "./title.js";

const RECORDS = 30;
/** The exchange stores a call's record a moment after its end. */
const RECORD_AFTER = 300;
const OWN_NAME = "This is you. To try a call, call echo, or open another window, change the name " +
  "there and call that.";

const { username = "", to = "" } = document.body.dataset;
// The address keeps this window's name: another window may make the browser remember another.
history.replaceState(null, "", `?${new URLSearchParams({ as: username, ...(to && { to }) })}`);
const { wire, phone, media } = startShell(username);
const preview = new Preview(media, username);
const form = find("#dial", HTMLFormElement);
const who = find("#who", HTMLInputElement);
const problem = find("#dial-error", HTMLElement);

/** @param {string} words */
function complain(words) {
  problem.textContent = words;
  problem.hidden = words === "";
  who.toggleAttribute("aria-invalid", words !== "");
}

/**
 * @param {string} name
 * @param {boolean} bot
 */
function call(name, bot) {
  complain("");
  who.value = "";
  contacts.filter("");
  const recorded = sameName(name, RECORDER);
  const consent = recorded ? document.body.dataset["consent"] ?? "" : "";
  void phone.call(name, { video: preview.video, bot: bot || recorded, consent });
  choose();
}

const dial = find("#dial-button", HTMLElement);
const warning = find("#recorder-text", HTMLElement);

/** Calling the recorder is agreeing to be recorded: what that means is said before, and the
 * button says so. */
function choose() {
  const recorder = sameName(who.value.trim(), RECORDER);
  warning.hidden = !recorder;
  dial.textContent = recorder ? "Record me" : "Call";
  return recorder;
}

/**
 * @param {string} name
 * @param {boolean} bot
 */
function callListed(name, bot) {
  if (!sameName(name, RECORDER)) return call(name, bot);
  who.value = name;
  choose();
  find("button[type=submit]", HTMLButtonElement, form).focus();
}

const contacts = new ContactList(username, ({ name, bot }) => callListed(name, bot));
const records = new RecordList(({ peer }) => {
  callListed(peer, contacts.get(peer)?.bot ?? false);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const name = who.value.trim();
  if (name === "") {
    complain("Type a name, or choose somebody below.");
    who.focus();
    return;
  }
  const contact = contacts.get(name);
  if (sameName(name, username)) complain(OWN_NAME);
  else call(contact?.name ?? name, contact?.bot ?? false);
});
who.addEventListener("input", () => {
  complain("");
  contacts.filter(who.value);
  choose();
});

const waiting = find("#call-waiting", HTMLInputElement);
waiting.checked = callWaiting();
waiting.addEventListener("change", () => {
  rememberCallWaiting(waiting.checked);
  wire.tell({ type: "settings", call_waiting: waiting.checked });
});

async function loadRecords() {
  try {
    const reply = await wire.request({ type: "records", limit: RECORDS });
    if (reply.type === "records") records.fill(reply.records);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    console.info("Past calls:", error.message);
  }
}

wire.on("welcome", () => {
  wire.tell({ type: "contacts", watch: true });
  void loadRecords();
});
wire.on("contacts", ({ people, more = 0 }) => contacts.fill(people, more));
wire.on("contact", ({ person, online }) => contacts.change(person, online));
phone.on("ended", () => void preview.resume());
wire.on("ended", () => setTimeout(() => void loadRecords(), RECORD_AFTER));

who.value = to;
if (to) {
  contacts.filter(to);
  choose();
  find("button[type=submit]", HTMLButtonElement, form).focus();
}
void preview.startIfAllowed();
