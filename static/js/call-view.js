// The telephone of a page as people see it: incoming sheet, stage, and what comes after.
// Everything shown follows from the phone's state, in `#show`.

import { announce } from "./announce.js";
import { duration, durationInWords, find, paintAvatar, person } from "./dom.js";
import { OwnView } from "./own-view.js";
import { GRADES } from "./quality.js";
import { RECORDER } from "./recorder-leg.js";
import { RecordingView } from "./recording-view.js";
import { RemoteView } from "./remote-view.js";
import { StageControls } from "./stage-controls.js";
import { WakeLock } from "./wake-lock.js";

/** @typedef {import("./call.js").Call} Call */
/** @typedef {import("./call-recording.js").CallRecording} CallRecording */
/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */
/** @typedef {import("./phone.js").Phone} Phone */
/** @typedef {"idle" | "incoming" | import("./call.js").CallState} ViewState */

const IN_CALL = new Set(["calling", "connecting", "connected", "reconnecting"]);

/** @param {string} id */
const part = (id) => find(`#${id}`, HTMLElement);

export class CallView {
  #dialogue = find("#phone", HTMLDialogElement);
  #peer = part("phone-peer");
  #status = part("phone-status");
  #timer = part("call-timer");
  /** @type {ViewState} */
  #state = "idle";
  #shown = "";
  #small = false;
  #controls;
  #recording;
  #remote;
  #own;
  #wake = new WakeLock();

  /**
   * @param {Phone} phone
   * @param {LocalMedia} media
   * @param {CallRecording} recording
   */
  constructor(phone, media, recording) {
    this.phone = phone;
    this.#controls = new StageControls(phone, media);
    this.#recording = new RecordingView(recording, () => this.#controls.closeMenus());
    this.#remote = new RemoteView(phone);
    this.#own = new OwnView(media);
    phone.on("change", () => this.#show());
    setInterval(() => this.#tick(), 1000);
    this.#listen();
  }

  #listen() {
    /** @type {(id: string, act: () => void) => void} */
    const press = (id, act) => part(id).addEventListener("click", act);
    const { phone } = this;
    const video = () => localStorage.getItem("ringback.camera") !== "no";
    const ring = () => phone.ring?.call ?? "";
    press("answer", () => void phone.answer(ring(), { video: video() }));
    press("answer-sound", () => void phone.answer(ring(), { video: false }));
    press("decline", () => phone.decline(ring()));
    press("second-answer", () => void phone.answer(ring(), { video: video() }));
    press("second-decline", () => phone.decline(ring()));
    press("again", () => phone.again());
    press("back", () => phone.dismiss());
    press("shrink", () => this.#resize(true));
    press("grow", () => this.#resize(false));
    this.#dialogue.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#escape();
    });
    this.#dialogue.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.#escape();
    });
  }

  /** Escape never ends a call: it closes what is open, silences, makes small, or goes back. */
  #escape() {
    if (this.#recording.close() || this.#controls.closeMenus()) return;
    if (this.#state === "incoming") document.dispatchEvent(new CustomEvent("ringback:silence"));
    else if (this.#state === "ended") this.phone.dismiss();
    else if (!this.#small) this.#resize(true);
  }

  /** @returns {ViewState} */
  #stateNow() {
    const { live, joining, ring, current } = this.phone;
    if (live) return live.state;
    if (joining) return "connecting";
    if (ring) return "incoming";
    return current ? "ended" : "idle";
  }

  #show() {
    const state = this.#stateNow();
    const { current, ring } = this.phone;
    const peer = state === "incoming" ? ring?.from ?? "" : current?.peer ?? "";
    this.#dialogue.dataset["callState"] = state;
    this.#dialogue.toggleAttribute("data-alone", current?.peer === RECORDER);
    this.#texts(state, peer);
    part("answering").hidden = state !== "incoming";
    part("controls").hidden = !IN_CALL.has(state);
    part("after").hidden = state !== "ended";
    // Calling the recorder is agreeing to be recorded: that is said where one dials.
    part("again").hidden = current?.end.reason === null || current?.peer === RECORDER;
    part("shrink").hidden = !IN_CALL.has(state);
    part("leave-message").hidden = !current?.voicemail;
    this.#second(state);
    this.#ended(state === "ended" ? current : null);
    this.#controls.show(state);
    this.#remote.show(state);
    this.#own.show(IN_CALL.has(state));
    this.#wake.hold(IN_CALL.has(state));
    this.#keepFocus();
    const shown = `${state} ${state === "incoming" ? ring?.call : current?.id}`;
    if (shown !== this.#shown) this.#entered(state, peer);
    this.#shown = shown;
    this.#tick();
  }

  /**
   * @param {ViewState} state
   * @param {string} peer
   */
  #texts(state, peer) {
    if (this.#peer.textContent !== peer) {
      this.#peer.replaceChildren(person(peer));
      part("phone-peer-chip").textContent = peer;
      paintAvatar(part("phone-avatar"), peer);
    }
    const words = this.#words(state);
    if (this.#status.textContent !== words) this.#status.textContent = words;
    this.#status.hidden = state === "ended" || words === "";
  }

  /**
   * @param {ViewState} state
   * @returns {string}
   */
  #words(state) {
    const { current, ring } = this.phone;
    switch (state) {
      case "incoming":
        return ring?.media.video ? "is calling you, with a picture" : "is calling you, sound only";
      case "calling":
        if (!current?.ringing) return "Calling…";
        return current.waiting ? "Ringing… They are in another call." : "Ringing…";
      case "connecting":
        return "Connecting…";
      case "reconnecting":
        return "The connection broke. Reconnecting…";
      default:
        return "";
    }
  }

  /** @param {Call | null} call */
  #ended(call) {
    part("call-end-reason").hidden = call === null;
    part("call-end-reason").textContent = call?.end.words ?? "";
    const detail = call ? endDetail(call) : "";
    part("call-end-detail").hidden = detail === "";
    part("call-end-detail").textContent = detail;
  }

  /** @param {ViewState} state */
  #second(state) {
    const ring = IN_CALL.has(state) ? this.phone.ring : null;
    const place = part("second-call");
    if (ring && place.hidden) announce(`${ring.from} is calling too. Answer or decline.`);
    place.hidden = ring === null;
    part("second-who").textContent = ring?.from ?? "";
  }

  /**
   * Another state, or another call: the dialogue opens or closes, and it is read aloud.
   * @param {ViewState} state
   * @param {string} peer
   */
  #entered(state, peer) {
    const was = this.#state;
    this.#state = state;
    if (state === "idle") return this.#close();
    const open = this.#dialogue.open;
    if (state === "incoming" || state === "ended" || !open) this.#resize(false);
    if (!IN_CALL.has(was) || state === "ended") part("phone-focus").focus();
    /** @type {Partial<Record<ViewState, string>>} */
    const said = {
      incoming: `${peer} ${this.#words("incoming")}. Answer or decline.`,
      calling: `Calling ${peer}.`,
      connected: `Connected with ${peer}.${peer === RECORDER ? " You are being recorded." : ""}`,
      reconnecting: this.#words("reconnecting"),
      ended: this.phone.current?.end.words ?? "",
    };
    if (said[state]) announce(said[state] ?? "");
  }

  /** @param {boolean} small  in a corner, with the page in reach */
  #resize(small) {
    this.#small = small;
    const focused = document.activeElement;
    const inside = this.#dialogue.contains(focused);
    this.#dialogue.classList.toggle("small", small);
    if (this.#dialogue.open) this.#dialogue.close();
    if (small) this.#dialogue.show();
    else this.#dialogue.showModal();
    this.#remote.play();
    this.#own.play();
    if (small) find("#grow", HTMLElement).focus();
    else if (inside && focused instanceof HTMLElement) focused.focus();
    else part("phone-focus").focus();
  }

  /** What had the focus is hidden now, with a second caller who was declined, for example. */
  #keepFocus() {
    const { activeElement: focused } = document;
    if (!focused || !this.#dialogue.open || !this.#dialogue.contains(focused)) return;
    if (focused.getClientRects().length > 0) return;
    if (this.#small) find("#grow", HTMLElement).focus();
    else part("phone-focus").focus();
  }

  #close() {
    this.#small = false;
    this.#dialogue.classList.remove("small");
    if (this.#dialogue.open) this.#dialogue.close();
  }

  #tick() {
    const call = this.phone.live;
    const since = call && call.state !== "calling" ? call.connectedAt : null;
    this.#timer.hidden = since === null;
    if (since !== null) this.#timer.textContent = duration(Date.now() - since);
  }
}

/**
 * How long it was and how well it went, for the end.
 * @param {Call} call
 * @returns {string}
 */
function endDetail(call) {
  if (call.connectedAt === null || call.endedAt === null) return "";
  const long = durationInWords(call.endedAt - call.connectedAt);
  const { grade } = call.quality.verdict;
  const quality = grade === "unknown" ? "" : ` Quality: ${GRADES[grade].toLowerCase()}.`;
  return `${long}.${quality}`;
}
