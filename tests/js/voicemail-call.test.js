import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Emitter } from "../../static/js/emitter.js";
import { RequestError } from "../../static/js/messages.js";
import { VoicemailCall } from "../../static/js/voicemail-call.js";

/** As much of a connection as an offer needs. */
class Connection {
  /** @type {Connection | null} */
  static last = null;
  iceGatheringState = "complete";
  connectionState = "new";
  iceConnectionState = "new";
  signalingState = "stable";
  localDescription = { type: "offer", sdp: "v=0" };
  remoteDescription = null;
  /** @type {string[]} */
  lines = [];
  channel = /** @type {any} */ ({ readyState: "open", sent: [] });

  constructor() {
    Connection.last = this;
  }

  /** @param {string} label */
  createDataChannel(label) {
    this.channel.label = label;
    this.channel.send = (/** @type {string} */ text) => this.channel.sent.push(JSON.parse(text));
    return this.channel;
  }

  /** @param {{kind: string}} track */
  addTransceiver(track) {
    this.lines.push(track.kind);
    return {};
  }

  async setLocalDescription() {}
  close() {}
}

/** @extends {Emitter<any>} */
class Wire extends Emitter {
  state = "open";
  welcome = null;
  /** @type {any[]} */
  asked = [];
  /** @type {any[]} */
  told = [];
  /** @type {Error | null} */
  refusal = null;

  /** @param {any} message */
  async request(message) {
    this.asked.push(message);
    if (this.refusal) throw this.refusal;
  }

  /** @param {any} message */
  tell(message) {
    this.told.push(message);
  }
}

/** @extends {Emitter<any>} */
class Phone extends Emitter {
  live = /** @type {any} */ (null);
  besides = new Set();
}

/** @extends {Emitter<any>} */
class Media extends Emitter {
  audio = /** @type {any} */ ({ kind: "audio" });
  held = false;
  async open() {
    this.held = true;
  }
  release() {
    this.held = false;
  }
}

/** What has been promised is done. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function begin() {
  const [wire, phone, media] = [new Wire(), new Phone(), new Media()];
  const options = /** @type {any} */ ({ wire, phone, media });
  return { wire, phone, media, voicemail: new VoicemailCall(options) };
}

/** Ann leaves a message for Bob, and voicemail has answered nothing yet. */
async function leaving() {
  const made = begin();
  made.voicemail.leave("Bob", "missed");
  await settled();
  const { channel } = /** @type {Connection} */ (Connection.last);
  /** @type {(told: any) => void} */
  const hear = (told) => channel.onmessage({ data: typeof told === "string" ? told : JSON.stringify(told) });
  return { ...made, channel, hear };
}

beforeEach(() => {
  /** @type {any} */ (globalThis).RTCPeerConnection = Connection;
  /** @type {any} */ (globalThis).MediaStream = class {};
});

test("a call with sound alone, a channel, and the call that was missed", async () => {
  const { wire, phone, voicemail, channel } = await leaving();
  const [call] = wire.asked;
  assert.equal(call.to, "voicemail");
  assert.equal(call.after, "missed");
  assert.ok(!("greeting" in call));
  assert.deepEqual(call.media, { audio: true, video: false });
  assert.equal(channel.label, "voicemail");
  assert.deepEqual(Connection.last?.lines, ["audio"]);
  assert.ok(phone.besides.has(call.call));
  assert.equal(voicemail.state, "connecting");
});

test("a greeting follows no call", async () => {
  const { wire, voicemail } = begin();
  voicemail.greet();
  await settled();
  assert.equal(wire.asked[0].greeting, true);
  assert.ok(!("after" in wire.asked[0]));
});

test("what voicemail says is how it is, until it is over", async () => {
  const { voicemail, hear, channel } = await leaving();
  hear({ state: "recording", seconds: 2, most: 180 });
  assert.equal(voicemail.state, "recording");
  assert.equal(voicemail.most, 180);
  assert.equal(voicemail.seconds, 2, "what it says late began before");
  voicemail.say("stop");
  assert.deepEqual(channel.sent, [{ do: "stop" }]);
  for (const odd of ["{", '"x"', "null", '{"state": "dancing"}']) hear(odd);
  assert.equal(voicemail.state, "recording");
  hear({ state: "failed", seconds: 0, most: 180 });
  hear({ state: "discarded", seconds: 0, most: 180 });
  assert.equal(voicemail.state, "failed");
});

test("what is recorded is what voicemail has, and may be too little", async () => {
  const { voicemail, hear } = await leaving();
  /** @type {[string, number][]} */
  const seen = [];
  voicemail.on("change", () => seen.push([voicemail.state, voicemail.seconds]));
  hear({ state: "recording", seconds: 0, most: 180 });
  const { since } = voicemail;
  hear({ state: "recording", seconds: 0.26, most: 180 });
  assert.equal(voicemail.since, since, "the state began only once");
  hear({ state: "too_short", seconds: 0.99, most: 180 });
  assert.deepEqual(seen, [["recording", 0], ["recording", 0.26], ["too_short", 0.99]]);
  assert.ok(!voicemail.said);
  hear({ state: "recording", seconds: 1, most: 180 });
  assert.ok(voicemail.said);
});

test("sent, and the end of the call changes nothing", async () => {
  const { wire, phone, media, voicemail, hear } = await leaving();
  hear({ state: "sent", seconds: 5, most: 180 });
  wire.emit("ended", { call: wire.asked[0].call, reason: "hangup", message: "" });
  assert.equal(voicemail.state, "sent");
  assert.equal(voicemail.problem, "");
  assert.ok(!media.held && phone.besides.size === 0);
});

test("what is refused is said in words, and can be tried again", async () => {
  const { wire, media, voicemail } = begin();
  wire.refusal = new RequestError("voicemail_full", "The voicemail of Bob is full.");
  voicemail.leave("Bob", "missed");
  await settled();
  assert.equal(voicemail.state, "over");
  assert.equal(voicemail.problem, "The voicemail of Bob is full.");
  assert.ok(voicemail.retry && !media.held);
  wire.refusal = null;
  voicemail.again();
  await settled();
  assert.equal(wire.asked[1].after, "missed");
  assert.equal(voicemail.problem, "");
});

test("without a microphone, and without the server", async () => {
  const { wire, media, voicemail } = begin();
  media.audio = null;
  voicemail.leave("Bob", "missed");
  await settled();
  assert.match(voicemail.problem, /microphone/);
  media.audio = { kind: "audio" };
  wire.state = "offline";
  voicemail.again();
  await settled();
  assert.match(voicemail.problem, /not connected/);
  assert.deepEqual(wire.asked, []);
});

test("who answers somebody meanwhile hangs up here", async () => {
  const { wire, phone, voicemail, hear } = await leaving();
  hear({ state: "recording", seconds: 0, most: 180 });
  phone.live = {};
  phone.emit("change", phone);
  assert.equal(voicemail.state, "idle");
  assert.deepEqual(wire.told.map(({ type }) => type), ["hangup"]);
  voicemail.leave("Bob", "missed");
  await settled();
  assert.equal(wire.asked.length, 1, "one call at a time");
});

test("a broken call says what the server says of it, and where nothing was said begins anew", async () => {
  for (const [seconds, retry] of /** @type {[number, boolean][]} */ ([[0.9, true], [1, false]])) {
    const { wire, voicemail, hear } = await leaving();
    hear({ state: "recording", seconds, most: 180 });
    wire.emit("ended", { call: wire.asked[0].call, reason: "lost", message: "It broke." });
    assert.equal(voicemail.state, "over");
    assert.equal(voicemail.problem, "It broke.");
    assert.equal(voicemail.retry, retry);
  }
});

test("a channel that is not open yet: only discarding does something", async () => {
  const { wire, voicemail, channel } = await leaving();
  channel.readyState = "connecting";
  voicemail.say("stop");
  assert.equal(wire.told.length, 0);
  voicemail.say("discard");
  assert.equal(voicemail.state, "over");
  assert.deepEqual(channel.sent, []);
});
