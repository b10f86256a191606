// How long to wait before trying again.

const FIRST = 500;
const LONGEST = 10_000;

/**
 * Milliseconds to wait before attempt number `attempt` (from 0): 0.5 s doubling to 10 s,
 * spread by a third either way so that many clients do not come back at the same moment.
 * @param {number} attempt
 * @param {() => number} [random]  a number from 0 to 1
 * @returns {number}
 */
export function backoff(attempt, random = Math.random) {
  const base = Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 10));
  const spread = base * (2 / 3 + (random() * 2) / 3);
  return Math.round(Math.min(LONGEST, Math.max(FIRST, spread)));
}
