// Camera and microphone: asking for them, with what to fall back to, and problems in words.

/** @typedef {"microphone" | "camera"} Device */
/** @typedef {"refused" | "missing" | "in_use" | "insecure" | "other"} ProblemKind */
/** @typedef {{device: Device, kind: ProblemKind}} Problem */
/** @typedef {{audio: boolean, video: boolean}} Wanted */
/** @typedef {{audioId?: string, videoId?: string}} Chosen */
/** @typedef {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null,
 *   problems: Problem[]}} Got */

/** @type {Record<ProblemKind, (which: string) => string>} */
const WORDS = {
  refused: (which) =>
    `This page may not use your ${which}. Allow it with the sign beside the address of this ` +
    "page, then try again. You can call without, too: you see and hear the other side.",
  missing: (which) =>
    `No ${which} was found. Connect one and try again, or go on without: you still ` +
    "see and hear the other side.",
  in_use: (which) =>
    `Your ${which} is being used by another program. Close that program and try again.`,
  insecure: (which) =>
    `The browser gives a ${which} only to secure pages. Open this page with https:// in its ` +
    "address, or on the server's own machine as localhost.",
  other: (which) => `Your ${which} could not be started. Check its connection and try again.`,
};

/** Errors of getUserMedia (W3C Media Capture and Streams, section 10.3). */
/** @type {Record<string, ProblemKind>} */
const KINDS = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "in_use",
  AbortError: "in_use",
  TypeError: "insecure",
};

/**
 * What is wrong and what to do, in sentences; one for both devices where it is the same.
 * @param {Problem[]} problems
 * @returns {string[]}
 */
export function explain(problems) {
  const kinds = [...new Set(problems.map(({ kind }) => kind))];
  return kinds.map((kind) => {
    const those = problems.filter((problem) => problem.kind === kind);
    const joined = kind === "missing" ? " and no " : " and ";
    return WORDS[kind](those.map(({ device }) => device).join(joined));
  });
}

/** Whether this page can ask for devices at all. */
export function canCapture() {
  return Boolean(globalThis.isSecureContext && navigator.mediaDevices?.getUserMedia);
}

/** Whether this browser can share its screen. */
export function canShare() {
  return Boolean(globalThis.isSecureContext && navigator.mediaDevices?.getDisplayMedia);
}

// `exact`, as Chromium does not look at a device that is but ideal.

/**
 * @param {string | undefined} id
 * @returns {MediaTrackConstraints}
 */
function sound(id) {
  const kept = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  return id ? { ...kept, deviceId: { exact: id } } : kept;
}

/**
 * @param {string | undefined} id
 * @returns {MediaTrackConstraints}
 */
function picture(id) {
  const size = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  return id ? { ...size, deviceId: { exact: id } } : { ...size, facingMode: { ideal: "user" } };
}

/**
 * One or both devices; what cannot be had is null and comes with its problem in words.
 * Both are asked for together, so that the browser asks once, then one by one.
 * @param {Wanted} wanted
 * @param {Chosen} chosen
 * @returns {Promise<Got>}
 */
export async function capture(wanted, chosen) {
  /** @type {Got} */
  const got = { audio: null, video: null, problems: [] };
  if (!wanted.audio && !wanted.video) return got;
  if (!canCapture()) {
    if (wanted.video) got.problems.push({ device: "camera", kind: "insecure" });
    if (wanted.audio) got.problems.push({ device: "microphone", kind: "insecure" });
    return got;
  }
  if (wanted.audio && wanted.video) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: sound(chosen.audioId),
        video: picture(chosen.videoId),
      });
      got.audio = stream.getAudioTracks()[0] ?? null;
      got.video = stream.getVideoTracks()[0] ?? null;
      return got;
    } catch (error) {
      console.info("Camera and microphone together:", error);
    }
  }
  if (wanted.audio) await one("microphone", (id) => ({ audio: sound(id) }), chosen.audioId, got);
  if (wanted.video) await one("camera", (id) => ({ video: picture(id) }), chosen.videoId, got);
  return got;
}

/**
 * @param {Device} device
 * @param {(id?: string) => MediaStreamConstraints} constraints
 * @param {string | undefined} id
 * @param {Got} got
 */
async function one(device, constraints, id, got) {
  try {
    const stream = await navigator.mediaDevices.getUserMedia(constraints(id));
    if (device === "camera") got.video = stream.getVideoTracks()[0] ?? null;
    else got.audio = stream.getAudioTracks()[0] ?? null;
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    // The chosen one is gone: any other will do.
    if (id && name === "OverconstrainedError") return one(device, constraints, undefined, got);
    got.problems.push({ device, kind: KINDS[name] ?? "other" });
  }
}

/**
 * Devices to choose from. Their names are empty until a device was allowed once.
 * @returns {Promise<{cameras: MediaDeviceInfo[], microphones: MediaDeviceInfo[]}>}
 */
export async function devices() {
  if (!canCapture()) return { cameras: [], microphones: [] };
  const all = await navigator.mediaDevices.enumerateDevices();
  const known = all.filter((device) => device.deviceId);
  return {
    cameras: known.filter(({ kind }) => kind === "videoinput"),
    microphones: known.filter(({ kind }) => kind === "audioinput"),
  };
}

/**
 * A picture of the screen; null when the person thought better of it.
 * @returns {Promise<MediaStreamTrack | null>}
 */
export async function captureScreen() {
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: false });
    const track = stream.getVideoTracks()[0] ?? null;
    if (track) track.contentHint = "detail";
    return track;
  } catch (error) {
    console.info("Screen:", error);
    return null;
  }
}
