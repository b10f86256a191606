// One RTCPeerConnection and its negotiation (W3C WebRTC, section 10.7: perfect negotiation).
// Sound and picture have one line each from the start, so that muting, the camera and the
// screen change what is sent without negotiating again.

/** @typedef {import("./messages.js").Description} Description */
/** @typedef {import("./messages.js").Candidate} Candidate */
/** @typedef {import("./messages.js").IceServer} IceServer */
/** @typedef {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} Tracks */
/**
 * @typedef {object} LinkHearer
 * @property {(description: Description) => void} describe  to be sent to the other side
 * @property {(candidate: Candidate | null) => void} candidate  to be sent to the other side
 * @property {(link: Link) => void} state  the connection's or ICE's state changed
 * @property {(link: Link) => void} track  the remote stream has one more track
 * @property {(link: Link) => void} media  the first sound or picture arrives
 */

/** How long (ms) an offer waits for candidates that cost no round trip. */
const GATHER = 120;
/** Candidates that may wait for a description. */
const MOST_HELD = 64;

/**
 * What an SDP proves its sender with; a new one means a new peer connection.
 * @param {string} sdp
 * @returns {string}
 */
export function fingerprint(sdp) {
  return /^a=fingerprint:\S+ (\S+)/im.exec(sdp)?.[1]?.toLowerCase() ?? "";
}

export class Link {
  remote = new MediaStream();
  #making = false;
  #ignoring = false;
  #settled = false;
  #open = false;
  /** @type {(Candidate | null)[]} */
  #outgoing = [];
  /** @type {(Candidate | null)[]} */
  #incoming = [];
  /** @type {Map<string, RTCRtpTransceiver>} */
  #lines = new Map();
  /** What both own tracks belong to: simple pages play the stream of a track, not the track. */
  #own = new MediaStream();

  /**
   * @param {object} options
   * @param {IceServer[]} options.iceServers
   * @param {boolean} options.polite  gives way when both offer at once
   * @param {Tracks} options.tracks
   * @param {LinkHearer} options.hearer
   * @param {string} [options.channel]  sound alone, and a data channel of this label
   */
  constructor({ iceServers, polite, tracks, hearer, channel = "" }) {
    this.polite = polite;
    this.tracks = { ...tracks };
    this.hearer = hearer;
    this.pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.kinds = /** @type {("audio" | "video")[]} */ (channel ? ["audio"] : ["audio", "video"]);
    /** @type {RTCDataChannel | null} */
    this.channel = channel ? this.pc.createDataChannel(channel) : null;
    this.pc.onicecandidate = ({ candidate }) => this.#found(candidate);
    this.pc.onconnectionstatechange = () => this.hearer.state(this);
    this.pc.oniceconnectionstatechange = () => this.hearer.state(this);
    this.pc.ontrack = ({ track }) => {
      this.remote.addTrack(track);
      track.addEventListener("unmute", () => this.hearer.media(this), { once: true });
      this.hearer.track(this);
    };
    this.pc.onnegotiationneeded = () => {
      if (this.#settled) void this.#negotiate();
    };
  }

  /** The other side's fingerprint, empty before its first description. */
  get theirs() {
    return fingerprint(this.pc.remoteDescription?.sdp ?? "");
  }

  /** Whether the other side never answered this connection yet. */
  get fresh() {
    return !this.pc.remoteDescription;
  }

  /**
   * A first offer. Candidates found meanwhile wait for `release`.
   * @returns {Promise<Description>}
   */
  async offer() {
    for (const kind of this.kinds) {
      const track = this.tracks[kind];
      this.#add(kind, track ?? kind);
    }
    await this.pc.setLocalDescription();
    await this.#gathered();
    this.#outgoing = this.#outgoing.filter((candidate) => candidate === null);
    return this.#local();
  }

  /**
   * @param {string} kind
   * @param {MediaStreamTrack | string} source
   */
  #add(kind, source) {
    const options = { direction: /** @type {const} */ ("sendrecv"), streams: [this.#own] };
    this.#lines.set(kind, this.pc.addTransceiver(source, options));
  }

  /**
   * The answer to a first offer.
   * @param {Description} offer
   * @returns {Promise<Description>}
   */
  async accept(offer) {
    await this.pc.setRemoteDescription(offer);
    for (const line of this.pc.getTransceivers()) {
      const kind = /** @type {"audio" | "video"} */ (line.receiver.track.kind);
      if (this.#lines.has(kind)) continue;
      this.#lines.set(kind, line);
      line.direction = "sendrecv";
      line.sender.setStreams(this.#own);
      await line.sender.replaceTrack(this.tracks[kind]);
    }
    await this.pc.setLocalDescription();
    this.#settled = true;
    await this.#flush();
    return this.#local();
  }

  /**
   * What the other side says after the first offer.
   * @param {Description} description
   */
  async hear(description) {
    const isOffer = description.type === "offer";
    const collides = isOffer && (this.#making || this.pc.signalingState !== "stable");
    this.#ignoring = !this.polite && collides;
    if (this.#ignoring) return;
    if (!isOffer && this.pc.signalingState !== "have-local-offer") return;
    await this.pc.setRemoteDescription(description);
    this.#settled = true;
    await this.#flush();
    if (!isOffer) return;
    await this.pc.setLocalDescription();
    this.hearer.describe(this.#local());
  }

  /**
   * A candidate of the other side, perhaps before its description.
   * @param {Candidate | null} candidate
   */
  async candidate(candidate) {
    if (this.fresh) {
      if (this.#incoming.length < MOST_HELD) this.#incoming.push(candidate);
      return;
    }
    if (this.#ignoring || this.pc.signalingState === "closed") return;
    const fragment = candidate?.usernameFragment;
    const sdp = this.pc.remoteDescription?.sdp ?? "";
    if (fragment && !sdp.includes(`a=ice-ufrag:${fragment}`)) return;
    try {
      await this.pc.addIceCandidate(candidate ?? undefined);
    } catch (error) {
      console.warn("A candidate could not be used.", error);
    }
  }

  /** The other side can take candidates from now on. */
  release() {
    this.#open = true;
    for (const candidate of this.#outgoing.splice(0)) this.hearer.candidate(candidate);
  }

  /** Look for a new way to the other side. */
  restart() {
    if (this.#settled && this.pc.signalingState !== "closed") this.pc.restartIce();
  }

  /**
   * Send another track, or none, from now on.
   * @param {"audio" | "video"} kind
   * @param {MediaStreamTrack | null} track
   */
  async send(kind, track) {
    if (this.tracks[kind] === track) return;
    this.tracks[kind] = track;
    const line = this.#lines.get(kind);
    if (line) await line.sender.replaceTrack(track);
    else if (track && this.#settled) this.#add(kind, track);
  }

  /** Which way the connection is stuck, or how far it is. */
  get part() {
    const ice = this.pc.iceConnectionState;
    return ice === "connected" || ice === "completed" ? "dtls" : "ice";
  }

  close() {
    this.pc.onicecandidate = this.pc.ontrack = this.pc.onnegotiationneeded = null;
    this.pc.onconnectionstatechange = this.pc.oniceconnectionstatechange = null;
    this.pc.close();
  }

  async #negotiate() {
    this.#making = true;
    try {
      await this.pc.setLocalDescription();
      this.hearer.describe(this.#local());
    } catch (error) {
      if (this.pc.signalingState !== "closed") console.warn("No offer could be made.", error);
    } finally {
      this.#making = false;
    }
  }

  /** @param {RTCIceCandidate | null} found */
  #found(found) {
    if (found && !found.candidate) return;
    const candidate = found && {
      candidate: found.candidate,
      sdpMid: found.sdpMid,
      sdpMLineIndex: found.sdpMLineIndex,
      usernameFragment: found.usernameFragment,
    };
    if (this.#open) this.hearer.candidate(candidate);
    else this.#outgoing.push(candidate);
  }

  async #flush() {
    for (const candidate of this.#incoming.splice(0)) await this.candidate(candidate);
  }

  /** @returns {Promise<void>} */
  #gathered() {
    const { pc } = this;
    if (pc.iceGatheringState === "complete") return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        pc.removeEventListener("icegatheringstatechange", look);
        resolve();
      };
      const look = () => void (pc.iceGatheringState === "complete" && done());
      const timer = setTimeout(done, GATHER);
      pc.addEventListener("icegatheringstatechange", look);
    });
  }

  /** @returns {Description} */
  #local() {
    const local = this.pc.localDescription;
    if (!local) throw new Error("There is no local description.");
    return { type: local.type === "offer" ? "offer" : "answer", sdp: local.sdp };
  }
}
