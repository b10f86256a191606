// Camera and microphone: asking for them, with what to fall back to, and problems in words.

/** @typedef {"microphone" | "camera"} Device */
/** @typedef {"refused" | "missing" | "in_use" | "insecure" | "other"} ProblemKind */
/** @typedef {{device: Device, kind: ProblemKind, words: string}} Problem */
/** @typedef {{audio: boolean, video: boolean}} Wanted */
/** @typedef {{audioId?: string, videoId?: string}} Chosen */
/** @typedef {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null,
 *   problems: Problem[]}} Got */

/** @type {Record<ProblemKind, (device: Device) => string>} */
const WORDS = {
  refused: (device) =>
    `This page may not use your ${device}. Allow it with the sign beside the address of this ` +
    "page, then try again.",
  missing: (device) =>
    `No ${device} was found. Connect one and try again, or go on without: you still ` +
    "see and hear the other side.",
  in_use: (device) =>
    `Your ${device} is being used by another program. Close that program and try again.`,
  insecure: (device) =>
    `The browser gives a ${device} only to secure pages. Open this page with https:// in its ` +
    "address, or on the server's own machine as localhost.",
  other: (device) => `Your ${device} could not be started. Check its connection and try again.`,
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
 * @param {Device} device
 * @param {ProblemKind} kind
 * @returns {Problem}
 */
function problem(device, kind) {
  return { device, kind, words: WORDS[kind](device) };
}

/** Whether this page can ask for devices at all. */
export function canCapture() {
  return Boolean(globalThis.isSecureContext && navigator.mediaDevices?.getUserMedia);
}

/** Whether this browser can share its screen. */
export function canShare() {
  return Boolean(globalThis.isSecureContext && navigator.mediaDevices?.getDisplayMedia);
}

/**
 * @param {string | undefined} id
 * @returns {MediaTrackConstraints}
 */
function sound(id) {
  const kept = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  return id ? { ...kept, deviceId: { ideal: id } } : kept;
}

/**
 * @param {string | undefined} id
 * @returns {MediaTrackConstraints}
 */
function picture(id) {
  const size = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  return id ? { ...size, deviceId: { ideal: id } } : { ...size, facingMode: { ideal: "user" } };
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
    if (wanted.video) got.problems.push(problem("camera", "insecure"));
    if (wanted.audio) got.problems.push(problem("microphone", "insecure"));
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
  if (wanted.audio) await one("microphone", { audio: sound(chosen.audioId) }, got);
  if (wanted.video) await one("camera", { video: picture(chosen.videoId) }, got);
  return got;
}

/**
 * @param {Device} device
 * @param {MediaStreamConstraints} constraints
 * @param {Got} got
 */
async function one(device, constraints, got) {
  try {
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    if (device === "camera") got.video = stream.getVideoTracks()[0] ?? null;
    else got.audio = stream.getAudioTracks()[0] ?? null;
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    got.problems.push(problem(device, KINDS[name] ?? "other"));
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
