import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Repair } from "../../static/js/repair.js";
import { Clock } from "./helpers.js";

let said;
let link;

beforeEach(() => {
  said = [];
  link = { pc: { connectionState: "new" }, part: "ice", restarts: 0, restart() { this.restarts += 1; } };
});

function start(t, canRestart = true) {
  const clock = new Clock(t);
  const repair = new Repair({
    canRestart,
    hearer: {
      progress: (state, part) => said.push(part ? `${state} ${part}` : state),
      become: (state) => said.push(`is ${state}`),
      fail: (part) => said.push(`failed ${part}`),
    },
  });
  const look = (state) => {
    link.pc.connectionState = state;
    repair.look(link);
  };
  return { repair, look, pass: (ms) => clock.pass(ms) };
}

test("connecting, part by part, then connected", (t) => {
  const { repair, look, pass } = start(t);
  repair.begin();
  look("connecting");
  look("connecting");
  link.part = "dtls";
  look("connecting");
  look("connected");
  assert.deepEqual(said, ["connecting ice", "connecting dtls", "connected", "is connected"]);
  pass(60_000);
  assert.equal(said.length, 4);
});

test("what cannot be set up fails with its part", (t) => {
  const { repair, look, pass } = start(t);
  repair.begin();
  link.part = "dtls";
  look("failed");
  assert.deepEqual(said, ["failed dtls"]);
});

test("setting up without any news fails after a while", (t) => {
  const { repair, pass } = start(t);
  repair.begin();
  pass(25_000);
  assert.deepEqual(said, ["failed signalling"]);
});

test("two seconds after a break it looks for a new way, at most five times", (t) => {
  const { look, pass } = start(t);
  look("connected");
  look("disconnected");
  look("failed");
  pass(1_999);
  assert.equal(link.restarts, 0);
  pass(1);
  assert.equal(link.restarts, 1);
  pass(28_000);
  assert.equal(link.restarts, 5);
  assert.deepEqual(said, ["connected", "is connected", "reconnecting", "is reconnecting"]);
  pass(2_000);
  assert.equal(said.at(-1), "failed ice");
});

test("once it is back it rests, and counts anew the next time", (t) => {
  const { repair, look, pass } = start(t);
  look("connected");
  look("disconnected");
  pass(3_000);
  look("connected");
  pass(60_000);
  assert.equal(link.restarts, 1);
  look("disconnected");
  pass(30_000);
  assert.equal(link.restarts, 6);
  assert.equal(repair.restarts, 6);
});

test("a bot's connection is only waited for", (t) => {
  const { look, pass } = start(t, false);
  look("connected");
  look("disconnected");
  pass(31_000);
  assert.equal(link.restarts, 0);
  pass(1_000);
  assert.equal(said.at(-1), "failed ice");
});

test("after a reload it is broken from the start", (t) => {
  const { repair, look, pass } = start(t);
  repair.resume();
  assert.deepEqual(said, ["reconnecting", "is reconnecting"]);
  look("connecting");
  look("connected");
  assert.equal(said.at(-1), "is connected");
});

test("closed, it does nothing more", (t) => {
  const { repair, look, pass } = start(t);
  look("connected");
  look("disconnected");
  repair.close();
  pass(60_000);
  assert.equal(link.restarts, 0);
  assert.equal(said.at(-1), "is reconnecting");
});
