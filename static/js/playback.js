// Several files played as one: a time line that all share, one set of controls, and the files
// kept in step with each other. Knows its elements, but nothing of the page around them.

import { Emitter } from "./emitter.js";

/**
 * One file on the time line. Seconds; `length` is what is known of it besides its own header.
 * @typedef {{media: HTMLMediaElement, offset: number, length: number}} Strip
 */

/** Farther apart (s) than this is heard and seen: jump. */
const JUMP = 0.25;
/** Nearer (s) than this is in step; between the two the speed is bent, by so much for a second. */
const IN_STEP = 0.02;
const BEND = 2;
const MOST_BENT = 0.2;
/** How often (ms) the files are looked at. */
const LOOK_EVERY = 100;

/** @extends {Emitter<{change: Playback, trouble: Playback}>} */
export class Playback extends Emitter {
  playing = false;
  /** Whether it stands still until enough is loaded. */
  waiting = false;
  /** Where it stands (s), while nothing plays. */
  #at = 0;
  /** The file that gives the time; the others keep in step with it. @type {Strip | null} */
  #leader = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #looking;
  /** When it went on last, by `performance.now()`, and from where. */
  #since = { now: 0, at: 0 };

  /**
   * @param {Strip[]} strips
   * @param {number} length  of the whole (s)
   */
  constructor(strips, length) {
    super();
    this.strips = strips;
    this.length = Math.max(length, ...strips.map((strip) => strip.offset + strip.length));
    for (const { media } of strips) {
      media.addEventListener("error", () => this.#broke());
      for (const event of ["canplay", "seeked", "playing"]) {
        media.addEventListener(event, () => this.#look());
      }
    }
  }

  /** Where it is (s). */
  get at() {
    if (!this.playing || this.waiting) return this.#at;
    const leader = this.#leader;
    if (leader) return Math.min(this.length, leader.offset + leader.media.currentTime);
    // Between the end of one and the beginning of another nobody but the clock knows.
    const passed = (performance.now() - this.#since.now) / 1000;
    return Math.min(this.length, this.#since.at + passed);
  }

  /** The volume, 0 to 1. */
  get volume() {
    return this.strips[0]?.media.volume ?? 1;
  }

  /** @param {number} volume */
  set volume(volume) {
    for (const { media } of this.strips) media.volume = volume;
    this.emit("change", this);
  }

  get muted() {
    return this.strips[0]?.media.muted ?? false;
  }

  /** @param {boolean} muted */
  set muted(muted) {
    for (const { media } of this.strips) media.muted = muted;
    this.emit("change", this);
  }

  play() {
    if (this.playing) return;
    if (this.#at >= this.length - 0.05) this.#at = 0;
    this.playing = true;
    this.#go(this.#at);
    this.#looking = setInterval(() => this.#look(), LOOK_EVERY);
    this.#look();
    this.emit("change", this);
  }

  pause() {
    if (!this.playing) return;
    this.#at = this.at;
    this.playing = this.waiting = false;
    clearInterval(this.#looking);
    for (const { media } of this.strips) media.pause();
    this.emit("change", this);
  }

  /** @param {number} at  where to (s) */
  seek(at) {
    this.#at = Math.max(0, Math.min(this.length, at));
    for (const strip of this.strips) place(strip, this.#at);
    this.#go(this.#at);
    if (this.playing) this.#look();
    this.emit("change", this);
  }

  /**
   * Time goes on from `at`.
   * @param {number} at
   */
  #go(at) {
    this.#leader = null;
    this.#since = { now: performance.now(), at };
  }

  /** Bring every file to where the time line is; while one loads all wait for it. */
  #look() {
    if (!this.playing) return;
    const at = this.at;
    if (at >= this.length) return this.#ended();
    const active = this.strips.filter((strip) => isOn(strip, at));
    const waiting = active.some(({ media }) => media.readyState < media.HAVE_FUTURE_DATA);
    if (waiting && !this.waiting) this.#at = at;
    const leader = waiting ? null : this.#lead(active);
    if (waiting !== this.waiting || leader !== this.#leader) this.#go(at);
    this.waiting = waiting;
    for (const strip of this.strips) {
      if (!active.includes(strip)) hold(strip, at);
      else if (waiting) load(strip, at);
      else follow(strip, strip === leader ? null : at, () => this.pause());
    }
    this.#leader = leader;
    this.emit("change", this);
  }

  /**
   * Who leads stays in the lead as long as there is something to play.
   * @param {Strip[]} active
   */
  #lead(active) {
    const leader = this.#leader;
    return leader && active.includes(leader) ? leader : active[0] ?? null;
  }

  #ended() {
    this.pause();
    this.#at = this.length;
    this.emit("change", this);
  }

  #broke() {
    this.pause();
    this.emit("trouble", this);
  }
}

/**
 * Where a file ends on the time line (s).
 * @param {Strip} strip
 */
function end({ media, offset, length }) {
  return offset + (Number.isFinite(media.duration) ? media.duration : length);
}

/**
 * Whether a file has something to play at `at`.
 * @param {Strip} strip
 * @param {number} at
 */
function isOn(strip, at) {
  const { media, offset } = strip;
  if (at < offset || at >= end(strip) || media.error !== null) return false;
  // It may be shorter than was thought.
  return !media.ended || at - offset < media.currentTime - IN_STEP;
}

/**
 * @param {Strip} strip
 * @param {number} at
 */
function place({ media, offset, length }, at) {
  const end = Number.isFinite(media.duration) ? media.duration : length;
  const to = Math.max(0, Math.min(end, at - offset));
  if (Math.abs(media.currentTime - to) > 0.001) media.currentTime = to;
}

/**
 * Before its beginning and after its end a file stands still.
 * @param {Strip} strip
 * @param {number} at
 */
function hold(strip, at) {
  const { media } = strip;
  if (!media.paused) media.pause();
  if (at < strip.offset && media.currentTime > 0) media.currentTime = 0;
}

/**
 * @param {Strip} strip
 * @param {number} at
 */
function load(strip, at) {
  const { media } = strip;
  if (!media.paused) media.pause();
  if (media.networkState === media.NETWORK_IDLE && media.readyState === 0) media.load();
  media.preload = "auto";
  if (!media.seeking && Math.abs(media.currentTime - (at - strip.offset)) > JUMP) place(strip, at);
}

/**
 * Play, and stay in step.
 * @param {Strip} strip
 * @param {number | null} at  where the leader is; null: this is the leader
 * @param {() => void} refused  the browser wants a click first
 */
function follow(strip, at, refused) {
  const { media, offset } = strip;
  const late = at === null ? 0 : at - offset - media.currentTime;
  if (at !== null && Math.abs(late) > JUMP && !media.seeking) place(strip, at);
  const bent = Math.max(-MOST_BENT, Math.min(MOST_BENT, late * BEND));
  media.playbackRate = Math.abs(late) < IN_STEP ? 1 : 1 + bent;
  if (!media.paused) return;
  media.play().catch((/** @type {unknown} */ error) => {
    if (error instanceof DOMException && error.name === "NotAllowedError") refused();
  });
}
