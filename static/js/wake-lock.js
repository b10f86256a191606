// Keeps a phone's screen on during a call, where the browser can.

export class WakeLock {
  #wanted = false;
  /** @type {WakeLockSentinel | null} */
  #lock = null;

  constructor() {
    // The browser lets go by itself whenever the page is out of sight.
    document.addEventListener("visibilitychange", () => {
      if (this.#wanted && document.visibilityState === "visible") void this.#take();
    });
  }

  /** @param {boolean} wanted */
  hold(wanted) {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (wanted) void this.#take();
    else {
      void this.#lock?.release();
      this.#lock = null;
    }
  }

  async #take() {
    if (!("wakeLock" in navigator)) return;
    try {
      const lock = await navigator.wakeLock.request("screen");
      if (this.#wanted) this.#lock = lock;
      else await lock.release();
    } catch (error) {
      console.info("The screen cannot be kept on.", error);
    }
  }
}
