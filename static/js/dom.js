// Small helpers for pages. Text from people only ever becomes text nodes here.

/**
 * An element of the page that must be there.
 * @template {Element} T
 * @param {string} selector
 * @param {{new (): T}} type
 * @param {ParentNode} [within]
 * @returns {T}
 */
export function find(selector, type, within = document) {
  const found = within.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`The page has no ${selector}.`);
  return found;
}

/**
 * A new element with attributes and children; strings become text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | boolean>} [attributes]  `true` sets an empty one
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * A picture out of the page's set; what it means must be said in words beside it.
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * Somebody's name, kept apart from the direction of the text around it.
 * @param {string} name
 * @returns {HTMLElement}
 */
export function person(name) {
  return make("bdi", { class: "person" }, name);
}

/** @param {string} name */
const folded = (name) => name.normalize("NFKC").toLowerCase();

/**
 * Whether two names mean the same person, as far as a page can tell: the exchange decides.
 * @param {string} one
 * @param {string} other
 */
export function sameName(one, other) {
  return folded(one) === folded(other);
}

const HUES = 12;
const segmenter = "Segmenter" in Intl ? new Intl.Segmenter() : null;

/** @param {string} word */
function firstLetter(word) {
  const first = segmenter ? segmenter.segment(word)[Symbol.iterator]().next().value?.segment : null;
  return (first ?? Array.from(word)[0] ?? "").toLocaleUpperCase();
}

/**
 * One or two letters that stand for somebody.
 * @param {string} name
 * @returns {string}
 */
export function initials(name) {
  const parts = name.split(/[\s._-]+/u).filter(Boolean);
  const spoken = parts.filter((part) => /^[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(part));
  const words = spoken.length > 0 ? spoken : parts;
  const ends = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return ends.map((word) => firstLetter(word ?? "")).join("");
}

/**
 * The colour of a name: the same everywhere, one of a dozen.
 * @param {string} name
 * @returns {number}
 */
export function hue(name) {
  let sum = 0;
  for (const character of folded(name)) {
    sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  }
  return sum % HUES;
}

/**
 * @param {HTMLElement} avatar
 * @param {string} name
 */
export function paintAvatar(avatar, name) {
  avatar.className = avatar.className.replace(/\s*\bhue-\d+\b/g, "");
  avatar.classList.add("avatar", `hue-${hue(name)}`);
  avatar.textContent = initials(name);
}

/**
 * Initials on the name's colour; the name itself must stand beside it.
 * @param {string} name
 * @returns {HTMLElement}
 */
export function avatar(name) {
  const element = make("span", { "aria-hidden": "true" });
  paintAvatar(element, name);
  return element;
}

/**
 * A length of time like 0:42, 12:05 or 1:02:03.
 * @param {number} ms
 * @returns {string}
 */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/**
 * A length of time in words, for reading aloud: "1 minute 5 seconds".
 * @param {number} ms
 * @returns {string}
 */
export function durationInWords(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const parts = /** @type {[number, string][]} */ ([
    [Math.floor(seconds / 3600), "hour"],
    [Math.floor(seconds / 60) % 60, "minute"],
    [seconds % 60, "second"],
  ]);
  const said = parts.filter(([count]) => count > 0);
  if (said.length === 0) return "0 seconds";
  return said.map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`).join(" ");
}
