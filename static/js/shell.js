// What every page with a name has: a connection, own media and a telephone.

import { note } from "./announce.js";
import { Banner } from "./banner.js";
import { CallRecording } from "./call-recording.js";
import { CallSounds } from "./call-sounds.js";
import { CallView } from "./call-view.js";
import { LocalMedia } from "./local-media.js";
import { socketUrl, watchPage } from "./page.js";
import { Phone } from "./phone.js";
import { leave, rememberName, take } from "./saved.js";
import { VoicemailCall } from "./voicemail-call.js";
import { VoicemailView } from "./voicemail-view.js";
import { watchVoicemail } from "./voicemail-badge.js";
import { Wire } from "./wire.js";

/** @typedef {{wire: Wire, media: LocalMedia, phone: Phone, view: CallView,
 *   voicemail: VoicemailCall, setWaiting: (count: number) => void}} Shell */

const WAITING_ALLOWED = "ringback.call-waiting";

/** Whether a second caller may ring here during a call. */
export function callWaiting() {
  return localStorage.getItem(WAITING_ALLOWED) !== "no";
}

/** @param {boolean} allowed */
export function rememberCallWaiting(allowed) {
  localStorage.setItem(WAITING_ALLOWED, allowed ? "yes" : "no");
}

/**
 * Connect this page as `name`.
 * @param {string} name
 * @returns {Shell}
 */
export function startShell(name) {
  rememberName(name);
  const saved = take(name);
  const wire = new Wire({
    url: socketUrl(),
    name,
    saved: saved?.session ?? null,
    probe: () => ({ type: "settings", call_waiting: callWaiting() }),
  });
  const media = new LocalMedia(localStorage);
  const phone = new Phone({ wire, media, saved: saved?.phone ?? null });
  const version = document.body.dataset["consent"] ?? "";
  const recording = new CallRecording({ wire, phone, media, version });
  const view = new CallView(phone, media, recording);
  new CallSounds(phone);
  const banner = new Banner(wire);
  wire.on("welcome", () => wire.tell({ type: "settings", call_waiting: callWaiting() }));
  const voicemail = new VoicemailCall({ wire, phone, media });
  new VoicemailView(voicemail, phone);
  watchVoicemail(wire, name);
  phone.on("missed", ({ words }) => note(words));
  watchPage(wire, () => {
    const session = wire.save();
    if (session) leave({ name, session, phone: phone.save() });
  });
  wire.start();
  const setWaiting = (/** @type {number} */ count) => banner.setWaiting(count);
  return { wire, media, phone, view, voicemail, setWaiting };
}
