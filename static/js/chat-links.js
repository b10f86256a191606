// Addresses in a text become links; everything else stays text.

/** @typedef {{text: string, href: string | null}} Piece */

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\u00ab\u00bb\u201c\u201d]+/giu;
const TRAILING = /[.,;:!?*_~…]+$/u;
/** @type {[string, string][]} */
const BRACKETS = [["(", ")"], ["[", "]"], ["{", "}"]];

/**
 * Without the punctuation that ends the sentence around an address.
 * @param {string} address
 * @returns {string}
 */
function trim(address) {
  let rest = address;
  for (;;) {
    const before = rest;
    rest = rest.replace(TRAILING, "");
    for (const [open, close] of BRACKETS) {
      const unbalanced = rest.split(close).length > rest.split(open).length;
      if (rest.endsWith(close) && unbalanced) rest = rest.slice(0, -1);
    }
    if (rest === before) return rest;
  }
}

/**
 * The address a link may lead to: http and https only, nothing with a password in it.
 * @param {string} text
 * @returns {string | null}
 */
function safe(text) {
  try {
    const url = new URL(text);
    const web = url.protocol === "http:" || url.protocol === "https:";
    return web && !url.username && !url.password ? url.href : null;
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/**
 * A text as pieces, some of them links.
 * @param {string} text
 * @returns {Piece[]}
 */
export function pieces(text) {
  /** @type {Piece[]} */
  const found = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trim(match[0]);
    const href = safe(address);
    if (href === null) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index), href: null });
    found.push({ text: address, href });
    end = match.index + address.length;
  }
  if (end < text.length) found.push({ text: text.slice(end), href: null });
  return found;
}
