// What the calls of a page come to after a break or a reload, given what the exchange still
// knows of them. Decides only; `phone.js` does it.

/** @typedef {import("./call.js").SavedCall} SavedCall */
/** @typedef {import("./messages.js").Ring} Ring */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {{calls: SavedCall[], rings: Ring[]}} SavedPhone */
/**
 * @typedef {object} Here
 * @property {{id: string, placed: boolean, answered: boolean} | null} live  `placed`: the
 *   exchange took note of it; `answered`: both sides have the other's description
 * @property {string[]} rings
 */
/**
 * @typedef {object} Plan
 * @property {Ring[]} rings  ring here again
 * @property {{saved: SavedCall, fate: "rejoin" | "over" | "bot"} | null} call  of the page
 *   before: goes on here, ended meanwhile, or ends because bots cannot take a page back
 * @property {string[]} missed  ring no longer
 * @property {boolean} lost  the live call is over
 * @property {string[]} hangUp  known to the exchange, but to nobody here
 */

/**
 * @param {Welcome} welcome
 * @param {boolean} asked  whether a session was to be taken up
 * @param {Here} here
 * @param {SavedPhone | null} saved  of the page before a reload
 * @returns {Plan}
 */
export function reconcile(welcome, asked, here, saved) {
  // The legs of recordings are minded by who placed them; the exchange ends them in time.
  const calls = welcome.calls.filter(({ leg }) => !leg);
  const known = new Set(calls.map(({ call }) => call));
  const before = welcome.resumed ? saved : null;
  const rings = before?.rings.filter(({ call }) => known.has(call)) ?? [];
  const last = before?.calls[0];
  /** @type {Plan["call"]} */
  let call = null;
  if (last) call = { saved: last, fate: fate(last, known) };
  // A session taken up in full hears of every end by itself.
  const blind = asked && !welcome.resumed;
  const missed = blind ? here.rings.filter((id) => !known.has(id)) : [];
  const { live } = here;
  // An answer that was missed does not come again: such a call cannot be gone on with.
  const past = calls.some(({ call: id, state }) => {
    return id === live?.id && !live.answered && state !== "calling" && state !== "ringing";
  });
  const over = live !== null && live.placed && !known.has(live.id);
  const lost = blind && (over || past);
  const mine = new Set([lost ? "" : live?.id, ...here.rings, ...rings.map((ring) => ring.call)]);
  if (call?.fate === "rejoin") mine.add(call.saved.id);
  const hangUp = calls
    .filter(({ call: id, state, outgoing }) => {
      const ringsSomewhere = !outgoing && (state === "ringing" || state === "calling");
      return !mine.has(id) && !ringsSomewhere;
    })
    .map((info) => info.call);
  return { rings, call, missed, lost, hangUp };
}

/**
 * @param {SavedCall} saved
 * @param {Set<string>} known
 * @returns {"rejoin" | "over" | "bot"}
 */
function fate(saved, known) {
  if (saved.bot) return "bot";
  return known.has(saved.id) ? "rejoin" : "over";
}
