// The page of recordings: times as they are here, and the parts of a call played in step.

import { note } from "./announce.js";
import { find, paintAvatar } from "./dom.js";
import { PlayerControls } from "./player-controls.js";
import { Playback } from "./playback.js";

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const CANNOT_PLAY =
  "This browser cannot play this recording, or it is not finished. Download it to play it elsewhere.";

/** How often (ms) it is looked whether what is not finished is now, and for how long. */
const LOOK_EVERY = 3_000;
const LOOKS = 200;

/** @type {Set<Playback>} */
const playbacks = new Set();

/** @param {HTMLElement} player */
function equip(player) {
  const strips = [...player.querySelectorAll("video")].map((media) => {
    media.controls = false;
    media.preload = "metadata";
    const { offset = "0", duration = "" } = media.dataset;
    return { media, offset: Number(offset) / 1000, length: Number(duration) / 1000 };
  });
  const playback = new Playback(strips, Number(player.dataset["duration"]) / 1000);
  const trouble = find("[data-trouble]", HTMLElement, player);
  playback.on("trouble", () => {
    trouble.textContent = CANNOT_PLAY;
    trouble.hidden = false;
  });
  // Of two recordings only one is heard.
  playback.on("change", () => {
    if (!playback.playing) return;
    for (const other of playbacks) if (other !== playback) other.pause();
  });
  playbacks.add(playback);
  trouble.before(new PlayerControls(playback).element);
  return playback;
}

/**
 * Load the page again once something that was not finished is, unless something is open here.
 * @param {number} left  how often it may still be looked
 */
async function watch(left) {
  const before = [...document.querySelectorAll("[data-state=running], [data-state=unfinished]")];
  if (before.length === 0 || left === 0) return;
  await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  const answer = await fetch("/recordings/list.json").catch(() => null);
  /** @type {{recordings: {id: string, state: string}[]}} */
  const { recordings } = answer?.ok ? await answer.json() : { recordings: [] };
  const changed = before.some((element) => {
    const { recording, state } = element instanceof HTMLElement ? element.dataset : {};
    return recordings.some((now) => now.id === recording && now.state !== state);
  });
  const open = document.querySelector("details.playback[open]") !== null;
  if (changed && !open) location.reload();
  else void watch(left - 1);
}

for (const details of document.querySelectorAll("details.playback")) {
  /** @type {Playback | null} */
  let playback = null;
  details.addEventListener("toggle", () => {
    if (!(details instanceof HTMLDetailsElement)) return;
    if (!details.open) return playback?.pause();
    playback ??= equip(find("[data-player]", HTMLElement, details));
    playback.play();
  });
}
for (const time of document.querySelectorAll("time[data-when]")) {
  if (time instanceof HTMLTimeElement) time.textContent = WHEN.format(new Date(time.dateTime));
}
for (const element of document.querySelectorAll("[data-avatar]")) {
  if (element instanceof HTMLElement) paintAvatar(element, element.dataset["avatar"] ?? "");
}
const address = new URL(location.href);
if (address.searchParams.has("deleted")) {
  address.searchParams.delete("deleted");
  history.replaceState(null, "", address);
  note("The recording is deleted.");
}
void watch(LOOKS);
