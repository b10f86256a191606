// What every page has to do with its connection, named or not.

/** @typedef {import("./wire.js").Wire} Wire */

/** Where the socket of this page is. */
export function socketUrl() {
  const url = new URL("/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/**
 * Show the connection's state on the page, and look after it when the page comes and goes.
 * @param {Wire} wire
 * @param {() => void} save  called when the page goes
 */
export function watchPage(wire, save) {
  const show = () => void (document.body.dataset["wire"] =
    wire.state === "refused" ? "offline" : wire.state);
  wire.on("state", show);
  show();
  addEventListener("online", () => wire.nudge());
  addEventListener("offline", () => wire.nudge());
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") wire.nudge();
  });
  addEventListener("pagehide", save);
  // A page brought back as it was has lost its socket and its media.
  addEventListener("pageshow", (event) => void (event.persisted && location.reload()));
}
