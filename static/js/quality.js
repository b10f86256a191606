// How well a call is doing, out of the browser's own measurements (W3C webrtc-stats).

/** @typedef {"unknown" | "good" | "fair" | "poor"} Grade */
/** @typedef {{grade: Grade, words: string}} Verdict */
/** @typedef {{lost: number, received: number}} Counted */

/** @type {Record<Grade, string>} */
export const GRADES = {
  unknown: "Measuring",
  good: "Good",
  fair: "Fair",
  poor: "Poor",
};

/**
 * @param {number} loss  as a fraction of 1
 * @param {number} delay  there and back, in ms
 * @returns {Grade}
 */
export function grade(loss, delay) {
  if (loss > 0.08 || delay > 600) return "poor";
  if (loss > 0.02 || delay > 300) return "fair";
  return "good";
}

export class Quality {
  /** @type {Counted} */
  #last = { lost: 0, received: 0 };
  /** @type {Counted} */
  #all = { lost: 0, received: 0 };
  /** @type {number | null} ms */
  roundTrip = null;
  /** @type {string | null} */
  pair = null;
  /** Whether a picture arrives; null before it is known. @type {boolean | null} */
  picture = null;
  #frames = 0;
  /** @type {Verdict} */
  verdict = { grade: "unknown", words: "The connection is being measured." };

  /** Lost packets as a fraction of all of the call so far; null before there were any. */
  get loss() {
    const { lost, received } = this.#all;
    return lost + received > 0 ? lost / (lost + received) : null;
  }

  /**
   * Measure once more.
   * @param {RTCPeerConnection} pc
   */
  async measure(pc) {
    const stats = await pc.getStats();
    /** @type {Map<string, any>} */
    const byId = new Map();
    /** @type {Counted} */
    const now = { lost: 0, received: 0 };
    let picture = "";
    let frames = 0;
    stats.forEach((entry) => {
      byId.set(entry.id, entry);
      if (entry.type !== "inbound-rtp") return;
      now.lost += Math.max(0, entry.packetsLost ?? 0);
      now.received += entry.packetsReceived ?? 0;
      if (entry.kind !== "video") return;
      frames += entry.framesReceived ?? 0;
      if (entry.frameWidth) {
        const rate = Math.round(entry.framesPerSecond ?? 0);
        picture = `${entry.frameWidth} × ${entry.frameHeight}, ${rate} pictures a second`;
      }
    });
    this.#pair(byId);
    this.picture = frames > this.#frames;
    this.#frames = frames;
    const lost = Math.max(0, now.lost - this.#last.lost);
    const received = Math.max(0, now.received - this.#last.received);
    this.#last = now;
    this.#all = now;
    const total = lost + received;
    if (total === 0 && this.roundTrip === null) return;
    this.#judge(total > 0 ? lost / total : 0, picture);
  }

  /** @param {Map<string, any>} byId */
  #pair(byId) {
    for (const entry of byId.values()) {
      if (entry.type !== "candidate-pair" || !entry.nominated) continue;
      if (entry.state !== "succeeded") continue;
      const local = byId.get(entry.localCandidateId);
      const remote = byId.get(entry.remoteCandidateId);
      if (entry.currentRoundTripTime !== undefined) {
        this.roundTrip = Math.round(entry.currentRoundTripTime * 1000);
      }
      if (local && remote) {
        const way = `${local.candidateType}-${remote.candidateType}/${local.protocol}`;
        this.pair = way.slice(0, 64);
      }
    }
  }

  /**
   * @param {number} loss
   * @param {string} picture
   */
  #judge(loss, picture) {
    const delay = this.roundTrip ?? 0;
    const level = grade(loss, delay);
    const percent = (loss * 100).toFixed(loss < 0.1 ? 1 : 0);
    const parts = [`${percent} % lost on the way`, `${delay} ms there and back`];
    if (picture) parts.push(picture);
    this.verdict = { grade: level, words: `${GRADES[level]}: ${parts.join(", ")}.` };
  }
}
