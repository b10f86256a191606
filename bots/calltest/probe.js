// Runs in a page before its own scripts: reads the marks of every picture that its calls send and
// receive, and keeps their sound for the ear in bots/calltest/page_talk.py. MARKS stands for marks.js.
(() => {
  "use strict";
  const { read } = MARKS;
  const MOST = 4096;
  /** Of so many ms one picture is kept as it is, to be compared to what was sent; so many wait. */
  const STILL_EVERY = 1000;
  const MOST_STILLS = 8;
  /** What was read and has yet to be taken. Times are `performance.now()`, in ms. */
  let waiting = empty();
  /** @type {RTCPeerConnection[]} */
  const connections = [];
  const known = new Set();
  /** What reads, or it would be collected. */
  const kept = [];

  function empty() {
    return { pictures: [], sounds: [], steps: [], stills: [], lost: 0 };
  }

  function keep(list, entry) {
    if (list.length >= MOST) waiting.lost += 1;
    else list.push(entry);
  }

  function step(name, detail = "") {
    keep(waiting.steps, { at: performance.now(), name, detail });
  }

  /** Read all that a track carries until it ends. */
  async function follow(track, own) {
    if (known.has(track.id)) return;
    known.add(track.id);
    const copy = track.clone();
    if (globalThis.MediaStreamTrackProcessor) await process(copy, own);
    else if (track.kind === "audio") listen(copy, own);
    // What its own camera shows is told by who paints it (devices.js).
    else if (!own) watch(copy);
  }

  /** Each picture and piece of sound as it comes, where the browser hands them out. */
  async function process(track, own) {
    const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: 60 });
    const reader = readable.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const { value } = part;
      if (track.kind === "video") picture(value, value.displayWidth, value.displayHeight, own);
      else sound(value, own);
      value.close();
    }
  }

  /** Each picture that a video element shows. One that was shown while the page had no time, and
   * so was not read, is counted. */
  function watch(track) {
    const video = document.createElement("video");
    Object.assign(video, { muted: true, srcObject: new MediaStream([track]) });
    let shown = 0;
    const look = (now, { presentedFrames }) => {
      if (shown) waiting.lost += Math.max(0, presentedFrames - shown - 1);
      shown = presentedFrames;
      picture(video, video.videoWidth, video.videoHeight, false);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    void video.play();
    kept.push(video);
  }

  /** The sound, recorded: Web Audio would stand still on a machine without a sound card. At this
   * rate a page of the file is full every 0.13 s. */
  function listen(track, own) {
    const settings = { mimeType: "audio/ogg;codecs=opus", audioBitsPerSecond: 256_000 };
    const recorder = new MediaRecorder(new MediaStream([track]), settings);
    let turn = Promise.resolve();
    recorder.ondataavailable = ({ data: piece }) => {
      if (!piece.size) return;
      const at = performance.now();
      turn = turn.then(async () => {
        const ogg = new Uint8Array(await piece.arrayBuffer());
        keep(waiting.sounds, { own, at, ogg: coded(ogg) });
      });
    };
    recorder.start(40);
    kept.push(recorder);
  }

  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });

  function picture(frame, width, height, own) {
    const at = performance.now();
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.drawImage(frame, 0, 0, width, height);
    const { mark, torn } = read(context.getImageData(0, 0, width, height));
    keep(waiting.pictures, { own, at, shown: performance.now(), width, height, torn, ...mark });
    if (!own && mark && at - lastStill >= STILL_EVERY) {
      lastStill = at;
      void still(mark);
    }
  }

  let lastStill = -Infinity;

  async function still(mark) {
    const blob = await canvas.convertToBlob({ type: "image/png" });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const png = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    if (waiting.stills.length < MOST_STILLS) waiting.stills.push({ ...mark, png });
  }

  function sound(piece, own) {
    const at = performance.now();
    const floats = new Float32Array(piece.numberOfFrames);
    piece.copyTo(floats, { planeIndex: 0, format: "f32-planar" });
    const bytes = new Uint8Array(Int16Array.from(floats, (value) => value * 32_767).buffer);
    keep(waiting.sounds, { own, at, rate: piece.sampleRate, pcm: coded(bytes) });
  }

  function coded(bytes) {
    return btoa(String.fromCharCode(...bytes));
  }

  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...options) {
      super(...options);
      connections.push(this);
      this.addEventListener("track", ({ track }) => void follow(track, false));
      this.addEventListener("iceconnectionstatechange", () => {
        if (["connected", "completed"].includes(this.iceConnectionState)) step("ice");
      });
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected") step("dtls");
      });
    }
  };
  const sent = (track) => {
    if (track instanceof MediaStreamTrack) void follow(track, true);
  };
  for (const [owner, name] of [
    [Native.prototype, "addTrack"], [Native.prototype, "addTransceiver"],
    [RTCRtpSender.prototype, "replaceTrack"],
  ]) {
    const original = owner[name];
    owner[name] = function (track, ...more) {
      sent(track);
      return original.call(this, track, ...more);
    };
  }

  // What is heard is to be what was played, not what a telephone would make of it.
  const devices = navigator.mediaDevices;
  const original = devices?.getUserMedia.bind(devices);
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  // Pages that are not secure have none, nor has the empty one before the first.
  if (devices) devices.getUserMedia = (wanted) => original(
    wanted.audio ? { ...wanted, audio: { ...wanted.audio, ...plain } } : wanted,
  );

  async function counters() {
    const live = connections.filter(({ connectionState }) => connectionState === "connected").at(-1);
    if (!live) return { inbound: [], pair: "" };
    const stats = await live.getStats();
    const inbound = [...stats.values()].filter(({ type }) => type === "inbound-rtp").map((entry) => ({
      kind: entry.kind, packets: entry.packetsReceived ?? 0, bytes: entry.bytesReceived ?? 0,
      lost: Math.max(0, entry.packetsLost ?? 0), keyframes_asked: entry.pliCount ?? 0,
      jitter: entry.jitter ?? null, codec: stats.get(entry.codecId)?.mimeType.split("/")[1] ?? "",
    }));
    const pair = [...stats.values()].find(({ type, nominated, state }) =>
      type === "candidate-pair" && nominated && state === "succeeded");
    const name = (id) => {
      const { candidateType, address, port } = stats.get(id) ?? {};
      return `${candidateType} ${address}:${port}`;
    };
    return {
      inbound,
      pair: pair ? `${name(pair.localCandidateId)} - ${name(pair.remoteCandidateId)} (udp)` : "",
    };
  }

  globalThis.ringbackProbe = {
    now: () => performance.now(),
    /** Take a picture that is being taken by the page's own camera. */
    painted: (entry) => keep(waiting.pictures, { own: true, shown: entry.at, torn: false, ...entry }),
    /** All that was read since the last time, and the counters as they stand. */
    async take() {
      const taken = waiting;
      waiting = empty();
      return { ...taken, ...await counters(), at: performance.now() };
    },
  };
})();
