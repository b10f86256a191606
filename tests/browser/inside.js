// Runs in every page before its own scripts: what a test must see and a person cannot.
(() => {
  /** @type {RTCPeerConnection[]} */
  const connections = [];
  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...options) {
      super(...options);
      connections.push(this);
    }
  };
  document.addEventListener("securitypolicyviolation", (event) => {
    console.error(`The content security policy forbids ${event.violatedDirective}: ${event.blockedURI}`);
  });

  /** A small print of what a video element shows; null when it shows nothing. */
  function print(video) {
    if (!video?.videoWidth) return null;
    const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 30 });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    return data.reduce((sum, value, i) => (sum * 31 + value * (i % 7 + 1)) % 2_147_483_647, 7);
  }

  /** What arrives here from the other side, and what of it is played. */
  async function measure() {
    const video = document.querySelector("#remote-video");
    const sound = document.querySelector("#remote-audio");
    const live = connections.filter(({ connectionState }) => connectionState !== "closed");
    // Beside the call there may be a leg to the recorder: what is played counts.
    const played = [video, sound].flatMap((element) => element?.srcObject?.getTracks() ?? []);
    const call = live.findLast((connection) => connection.getReceivers()
      .some(({ track }) => played.includes(track))) ?? live.at(-1);
    const found = {
      connections: live.length,
      state: call?.connectionState ?? "none",
      frames: 0, energy: 0, packets: 0,
      played: sound?.currentTime ?? 0,
      audible: Boolean(sound && !sound.paused && !sound.muted && sound.volume > 0),
      shown: Boolean(video?.checkVisibility()),
      print: print(video),
      codecs: {},
    };
    const stats = await call?.getStats();
    for (const entry of stats?.values() ?? []) {
      if (entry.type !== "inbound-rtp") continue;
      if (entry.codecId) found.codecs[entry.kind] = stats.get(entry.codecId)?.mimeType;
      found.packets += entry.packetsReceived ?? 0;
      if (entry.kind === "video") found.frames += entry.framesDecoded ?? 0;
      if (entry.kind === "audio") found.energy += entry.totalAudioEnergy ?? 0;
    }
    return found;
  }

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  /** Measure until `test` holds or the time is over; the last measurement and whether it held. */
  async function until(test, patience) {
    const end = performance.now() + patience;
    for (;;) {
      const now = await measure();
      const held = test(now);
      if (held || performance.now() > end) return { held, now };
      await pause(200);
    }
  }

  const FEW_FRAMES = 10;
  /** Energy of the faint noise that a decoder makes up in a silence, at most. */
  const NOISE = 1e-5;

  /** More pictures than at `since`, which move and are in view, and more sound, which is played. */
  function grown(since, { picture, sound, patience }) {
    const sees = (now) => now.shown && now.frames >= since.frames + FEW_FRAMES &&
      now.print !== null && now.print !== since.print;
    const hears = (now) => now.audible && now.energy > since.energy + NOISE && now.played > since.played;
    return until((now) => (sees(now) || !picture) && (hears(now) || !sound), patience);
  }

  /** Packets that arrive but hold no sound for as long as three of the fake device's beeps. */
  async function silent({ patience }) {
    const SILENCE = 3_000;
    let [since, last] = [performance.now(), await measure()];
    const start = last.packets;
    return until((now) => {
      if (now.energy - last.energy > NOISE) [since, last] = [performance.now(), now];
      return performance.now() - since > SILENCE && now.packets > start;
    }, patience);
  }

  /** What each live connection sends: sound that is not muted, a picture. */
  function sent() {
    return connections.filter(({ connectionState }) => connectionState !== "closed").map((each) => {
      const tracks = each.getSenders().map(({ track }) => track).filter(Boolean);
      const has = (kind) => tracks.some((track) => track.kind === kind && track.enabled);
      return { audio: has("audio"), video: has("video") };
    });
  }

  /** Let the newest connection look as if its network was gone. */
  function cut() {
    const connection = connections.at(-1);
    Object.defineProperty(connection, "connectionState", { value: "disconnected" });
    connection.onconnectionstatechange?.(new Event("connectionstatechange"));
  }

  globalThis.inside = { connections, measure, grown, silent, sent, cut };
})();
