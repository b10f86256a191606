// Two sides of one call in one page, with the wire between them in the test's hands.
// Given the folder of the browser code; leaves `sides` for the tests to play with.
async (folder) => {
  const { Signalling } = await import(`${folder}/signalling.js`);
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
  canvas.getContext("2d");
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  class Side {
    /** Messages for the other side; held back while `hold` is set. */
    outbox = [];
    hold = false;
    failures = [];

    constructor(outgoing) {
      this.outgoing = outgoing;
      this.begin();
    }

    /** As a page that was just loaded; `theirs` is what it kept of the other side. */
    begin(theirs = "") {
      this.states = [];
      this.signalling = new Signalling({
        outgoing: this.outgoing,
        iceServers: () => [],
        tracks: () => ({ audio: null, video: canvas.captureStream(5).getVideoTracks()[0] }),
        hearer: {
          describe: (description) => this.say({ description }),
          candidate: (candidate) => this.say({ candidate }),
          state: (link) => this.states.push(link.pc.connectionState),
          track: () => {},
          media: () => {},
          failed: (error) => this.failures.push(String(error)),
        },
      });
      this.signalling.knownTheirs = theirs;
    }

    say(message) {
      this.outbox.push(JSON.parse(JSON.stringify(message)));
      if (!this.hold) this.flush();
    }

    flush() {
      this.hold = false;
      for (const message of this.outbox.splice(0)) this.other.hear(message);
    }

    hear({ description, candidate }) {
      if (description) this.signalling.describe(description);
      else this.signalling.candidate(candidate);
    }

    /** The page is loaded again: all that is left is the other side's fingerprint. */
    reload() {
      const { theirs } = this.signalling;
      this.signalling.close();
      this.outbox = [];
      this.begin(theirs);
      this.signalling.rejoin();
    }

    get pc() {
      return this.signalling.link?.pc;
    }

    async frames() {
      let frames = 0;
      for (const entry of (await this.pc?.getStats())?.values() ?? []) {
        if (entry.type === "inbound-rtp" && entry.kind === "video") frames += entry.packetsReceived;
      }
      return frames;
    }
  }

  const caller = new Side(true);
  const callee = new Side(false);
  caller.other = callee;
  callee.other = caller;
  const both = [caller, callee];
  const drawing = setInterval(() => {
    canvas.getContext("2d").fillStyle = `hsl(${performance.now() % 360} 80% 50%)`;
    canvas.getContext("2d").fillRect(0, 0, 64, 48);
  }, 50);

  globalThis.sides = {
    caller,
    callee,
    /** Offer, answer, candidates: an ordinary call. */
    async connect() {
      const offer = await caller.signalling.offer();
      const answer = await callee.signalling.accept(offer);
      caller.signalling.settle(answer);
      caller.signalling.release();
      callee.signalling.release();
    },
    /** Both are connected, nobody waits for an answer, and new pictures arrive at both. */
    async settled(patience = 15_000) {
      const end = performance.now() + patience;
      const calm = () => both.every(({ pc }) =>
        pc?.connectionState === "connected" && pc.signalingState === "stable");
      while (!calm() && performance.now() < end) await pause(50);
      const before = await Promise.all(both.map((side) => side.frames()));
      const more = async () => {
        const now = await Promise.all(both.map((side) => side.frames()));
        return now.every((count, i) => count > before[i]);
      };
      while (!(await more()) && performance.now() < end) await pause(50);
      return {
        ok: calm() && (await more()),
        states: both.map(({ pc }) => `${pc?.connectionState} ${pc?.signalingState}`),
        failures: both.flatMap(({ failures }) => failures),
      };
    },
    close() {
      clearInterval(drawing);
      for (const side of both) side.signalling.close();
    },
  };
}
