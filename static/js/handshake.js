// How a call begins: devices, offer or answer, and what is said about it to the exchange.

import { RequestError } from "./messages.js";

/** @typedef {import("./call.js").Call} Call */
/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */
/** @typedef {import("./messages.js").Candidate} Candidate */
/** @typedef {import("./wire.js").Wire} Wire */

/** In whose name calls hold the camera and the microphone. */
export const HOLDER = "call";

/** Words of our own for what the exchange answers to a call that cannot be placed. */
/** @type {Record<string, string>} */
const REFUSED = {
  offline: "You are not connected to the server. Try again in a moment.",
  in_call: "You are in another call. Hang that up first.",
};

/** @param {import("./messages.js").Media} media */
const told = ({ audio, video }) => `${audio} ${video}`;

/**
 * @param {LocalMedia} media
 * @param {boolean} video  without it the camera goes out, whoever else shows it
 */
export async function openMedia(media, video) {
  await media.open(HOLDER, { audio: true, video });
  if (!video && media.camera) await media.setCamera(HOLDER, false);
}

/**
 * Tell the other side what this one sends, if it was told otherwise before.
 * @param {Call} call
 * @param {LocalMedia} media
 */
export function tellMedia(call, { sends }) {
  if (!call.answered || call.saidMedia === told(sends)) return;
  call.saidMedia = told(sends);
  call.tell({ type: "media", call: call.id, media: sends });
}

/**
 * Place a call. Whatever goes wrong ends it with words.
 * @param {Call} call
 * @param {{wire: Wire, media: LocalMedia, video: boolean}} options
 */
export async function place(call, { wire, media, video }) {
  if (wire.state !== "open") {
    call.finish("failed", REFUSED["offline"] ?? "");
    return;
  }
  await openMedia(media, video);
  if (!call.live) return;
  try {
    const description = await call.offer();
    if (!call.live) return;
    const { sends } = media;
    call.saidMedia = told(sends);
    const consent = call.consent ? { consent: call.consent } : {};
    const placed = wire.request(
      { type: "call", call: call.id, to: call.peer, media: sends, description, ...consent },
      { keep: true },
    );
    call.offered();
    await placed;
  } catch (error) {
    const code = error instanceof RequestError ? error.code : "";
    // Said again after a break, it was placed already.
    if (call.live && code !== "call_exists") call.finish("failed", REFUSED[code] ?? wordsOf(error));
  }
}

/**
 * Answer a call that rings. Whatever goes wrong ends it with words.
 * @param {Call} call
 * @param {{wire: Wire, media: LocalMedia, video: boolean,
 *   early: (Candidate | null)[]}} options
 */
export async function pickUp(call, { wire, media, video, early }) {
  await openMedia(media, video);
  const { ring } = call;
  if (!call.live || !ring) return;
  try {
    const description = await call.accept(ring.description);
    if (!call.live) return;
    const answer = { type: /** @type {const} */ ("answer"), call: call.id, description };
    const answered = wire.request(answer, { keep: true });
    call.accepted(early);
    tellMedia(call, media);
    await answered;
  } catch (error) {
    if (!call.live) return;
    if (error instanceof RequestError) call.finish("failed", error.message);
    else {
      console.warn("The call could not be answered.", error);
      call.fail("signalling");
    }
  }
}

/** @param {unknown} error */
function wordsOf(error) {
  return error instanceof Error ? error.message : String(error);
}
