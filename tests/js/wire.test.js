import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Wire } from "../../static/js/wire.js";
import { Clock, FakeSocket, turns, welcome } from "./helpers.js";

let wire;
let states;

beforeEach(() => {
  FakeSocket.all = [];
  globalThis.WebSocket = FakeSocket;
});
afterEach(() => wire.stop());

function start(t, options = {}) {
  const clock = new Clock(t);
  t.mock.method(Math, "random", () => 0.5);
  states = [];
  wire = new Wire({
    url: "ws://here/ws", name: "Ann", saved: null,
    probe: () => ({ type: "settings", call_waiting: true }), ...options,
  });
  wire.on("state", (state) => states.push(state));
  wire.start();
  FakeSocket.last.open();
  return (ms) => clock.pass(ms);
}

test("it says hello first and is open after the welcome", (t) => {
  start(t);
  const [hello] = FakeSocket.last.sent;
  assert.deepEqual({ ...hello, id: "" }, { type: "hello", id: "", v: 1, name: "Ann" });
  assert.equal(wire.state, "connecting");
  welcome(FakeSocket.last);
  assert.equal(wire.state, "open");
});

test("a reply settles its request, an error refuses it", async (t) => {
  start(t);
  welcome(FakeSocket.last);
  const asked = wire.request({ type: "records" });
  FakeSocket.last.say({ type: "records", records: [], re: FakeSocket.last.lastOf("records").id });
  assert.deepEqual((await asked).records, []);
  const refused = wire.request({ type: "leave", room: "x" });
  const re = FakeSocket.last.lastOf("leave").id;
  FakeSocket.last.say({ type: "error", code: "not_in_room", message: "Join first.", re });
  await assert.rejects(refused, { code: "not_in_room", message: "Join first." });
});

test("it comes back with its key and hears nothing twice", (t) => {
  const pass = start(t);
  const heard = [];
  wire.on("ringing", ({ n }) => heard.push(n));
  welcome(FakeSocket.last);
  FakeSocket.last.say({ type: "ringing", n: 1, call: "c" });
  FakeSocket.last.drop();
  assert.equal(wire.state, "reconnecting");
  pass(10_000);
  assert.equal(FakeSocket.all.length, 2);
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.lastOf("hello").resume, {
    session: "s1", key: "k1", n: 1, rooms: {},
  });
  welcome(FakeSocket.last, { resumed: true, key: "k2" });
  for (const n of [1, 2, 2]) FakeSocket.last.say({ type: "ringing", n, call: "c" });
  assert.deepEqual(heard, [1, 2]);
  assert.equal(wire.save().key, "k2");
});

test("a fresh session counts from the start again", (t) => {
  const pass = start(t);
  const heard = [];
  wire.on("ringing", ({ n }) => heard.push(n));
  welcome(FakeSocket.last);
  FakeSocket.last.say({ type: "ringing", n: 7, call: "c" });
  FakeSocket.last.drop();
  pass(10_000);
  FakeSocket.last.open();
  welcome(FakeSocket.last, { session: "s2" });
  FakeSocket.last.say({ type: "ringing", n: 1, call: "c" });
  assert.deepEqual(heard, [7, 1]);
});

test("kept requests are said again in order, others fail with the socket", async (t) => {
  const pass = start(t);
  welcome(FakeSocket.last);
  const lost = wire.request({ type: "records" });
  const kept = wire.request({ type: "hangup", call: "a" }, { keep: true });
  FakeSocket.last.drop();
  await assert.rejects(lost, { code: "offline" });
  wire.tell({ type: "decline", call: "b" }, { keep: true });
  await assert.rejects(wire.request({ type: "records" }), { code: "offline" });
  pass(10_000);
  FakeSocket.last.open();
  welcome(FakeSocket.last, { resumed: true });
  const said = FakeSocket.last.sent.filter(({ call }) => call);
  assert.deepEqual(said.map(({ type }) => type), ["hangup", "decline"]);
  FakeSocket.last.say({ type: "ok", re: said[0].id });
  assert.equal((await kept).type, "ok");
});

test("what makes no sense any more is not said again", (t) => {
  const pass = start(t);
  welcome(FakeSocket.last);
  FakeSocket.last.drop();
  wire.tell({ type: "progress", call: "a", state: "connected" }, { keep: true });
  wire.on("opened", () => wire.forget((message) => message.call === "a"));
  pass(10_000);
  FakeSocket.last.open();
  welcome(FakeSocket.last);
  assert.equal(FakeSocket.last.lastOf("progress"), undefined);
});

test("rooms: joined once, resumed with a mark, joined again when that is not whole", (t) => {
  const pass = start(t);
  const heard = [];
  wire.on("chat", ({ seq }) => heard.push(seq));
  wire.join("r", true);
  welcome(FakeSocket.last);
  assert.equal(FakeSocket.last.lastOf("join").unlisted, true);
  FakeSocket.last.say({ type: "joined", room: "r", members: [], history: [], seq: 4, epoch: "e" });
  for (const seq of [5, 5, 4]) FakeSocket.last.say({ type: "chat", room: "r", seq, cid: "c" });
  assert.deepEqual(heard, [5]);
  FakeSocket.last.drop();
  pass(10_000);
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.lastOf("hello").resume.rooms, { r: { epoch: "e", seq: 5 } });
  welcome(FakeSocket.last, { resumed: true });
  assert.equal(FakeSocket.last.lastOf("join"), undefined);
  FakeSocket.last.say({ type: "resync", room: "r" });
  assert.equal(FakeSocket.last.lastOf("join").room, "r");
  FakeSocket.last.say({ type: "resync", room: "elsewhere" });
  assert.equal(FakeSocket.last.lastOf("leave").room, "elsewhere");
});

test("after a resync of everything the session goes on from the number given", (t) => {
  const pass = start(t);
  welcome(FakeSocket.last);
  const [opened, rings] = [[], []];
  wire.on("opened", (event) => opened.push(event));
  wire.on("ring", ({ call }) => rings.push(call));
  FakeSocket.last.say({ type: "ring", call: "a", n: 7 });
  FakeSocket.last.say({ type: "resync", last: 3 });
  assert.ok(!FakeSocket.last.closed);
  const [{ welcome: known, asked }] = opened;
  assert.deepEqual([known.resumed, asked], [false, true]);
  FakeSocket.last.say({ type: "ring", call: "b", n: 4 });
  assert.deepEqual(rings, ["a", "b"]);
  FakeSocket.last.drop();
  pass(10_000);
  FakeSocket.last.open();
  assert.equal(FakeSocket.last.lastOf("hello").resume.n, 4);
});

test("a silent socket is given up, a quiet one is asked", (t) => {
  const pass = start(t);
  welcome(FakeSocket.last);
  const first = FakeSocket.last;
  pass(25_000);
  assert.equal(first.lastOf("settings").type, "settings");
  assert.equal(wire.state, "open");
  pass(15_000);
  assert.ok(first.closed);
  assert.ok(FakeSocket.all.length > 1);
});

test("without a network a socket that says nothing is given up soon", (t) => {
  const pass = start(t);
  welcome(FakeSocket.last);
  const real = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  t.after(() => Object.defineProperty(globalThis, "navigator", real ?? { value: undefined }));
  Object.defineProperty(globalThis, "navigator", {
    value: { onLine: false }, configurable: true,
  });
  wire.nudge();
  const first = FakeSocket.last;
  pass(5_000);
  assert.ok(first.closed);
  assert.equal(states.at(-1), "offline");
});

test("a name that is taken ends the attempts with words", async (t) => {
  const pass = start(t);
  const refused = wire.once("refused");
  const re = FakeSocket.last.lastOf("hello").id;
  FakeSocket.last.say({ type: "error", code: "name_taken", message: "Choose another.", re });
  assert.deepEqual(await refused, { code: "name_taken", message: "Choose another." });
  pass(60_000);
  assert.equal(FakeSocket.all.length, 1);
  assert.equal(wire.state, "refused");
});

test("taken over twice in a short time, it lets the other page have it", (t) => {
  const pass = start(t);
  welcome(FakeSocket.last);
  FakeSocket.last.drop(4409);
  pass(5_000);
  FakeSocket.last.open();
  assert.equal(FakeSocket.last.lastOf("hello").resume, undefined);
  welcome(FakeSocket.last);
  FakeSocket.last.drop(4409);
  assert.equal(wire.state, "refused");
});

test("it waits as long as a server that stops asks for", (t) => {
  const pass = start(t);
  welcome(FakeSocket.last);
  FakeSocket.last.say({ type: "drain", after_ms: 5_000 });
  FakeSocket.last.drop(1001);
  pass(4_000);
  assert.equal(FakeSocket.all.length, 1);
  pass(1_500);
  assert.equal(FakeSocket.all.length, 2);
});

test("it tries again ever more slowly, never more than ten seconds apart", (t) => {
  const pass = start(t);
  const gaps = [];
  for (let i = 0; i < 8; i += 1) {
    FakeSocket.last.drop();
    const before = FakeSocket.all.length;
    let waited = 0;
    for (; FakeSocket.all.length === before; waited += 100) pass(100);
    gaps.push(waited);
  }
  assert.deepEqual(gaps, [500, 1000, 2000, 4000, 8000, 10000, 10000, 10000]);
});

test("what is not of the protocol is passed over", async (t) => {
  t.mock.method(console, "warn", () => {});
  start(t);
  welcome(FakeSocket.last);
  for (const data of ["{", "null", "[]", '{"type":"new"}', new ArrayBuffer(2)]) {
    FakeSocket.last.onmessage({ data });
  }
  await turns();
  assert.equal(wire.state, "open");
});
