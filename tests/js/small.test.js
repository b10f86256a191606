import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff } from "../../static/js/backoff.js";
import { pieces } from "../../static/js/chat-links.js";
import { duration, durationInWords, hue, initials, sameName } from "../../static/js/dom.js";
import { Emitter } from "../../static/js/emitter.js";
import { fingerprint } from "../../static/js/link.js";
import { explain } from "../../static/js/media-devices.js";
import { newId } from "../../static/js/messages.js";
import { grade } from "../../static/js/quality.js";
import { Requests } from "../../static/js/requests.js";
import { Rings } from "../../static/js/rings.js";
import { Timers } from "../../static/js/timers.js";
import { Clock } from "./helpers.js";

test("pauses stay between half a second and ten seconds and differ", () => {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const [short, long] = [backoff(attempt, () => 0), backoff(attempt, () => 1)];
    assert.ok(short >= 500 && long <= 10_000 && (short < long || attempt === 0));
  }
});

const LINKS = [
  ["no address", []],
  ["see https://a.example/b.", ["https://a.example/b"]],
  ["(http://a.example/x_(y))", ["http://a.example/x_(y)"]],
  ["http://a.example/?q=1&r=2, and https://b.example!", ["http://a.example/?q=1&r=2", "https://b.example"]],
  ["javascript:alert(1) data:text/html,x ftp://a.example", []],
  ["https://user:secret@a.example/", []],
  ['<a href="http://a.example/">x</a>', ["http://a.example/"]],
  ["http:// https://", []],
  ["HTTPS://A.EXAMPLE/Path", ["HTTPS://A.EXAMPLE/Path"]],
];
for (const [text, links] of LINKS) {
  test(`links in ${text}`, () => {
    const found = pieces(text);
    assert.equal(found.map((piece) => piece.text).join(""), text);
    assert.deepEqual(found.filter(({ href }) => href).map((piece) => piece.text), links);
    for (const { href } of found) if (href) assert.match(href, /^https?:\/\//);
  });
}

test("initials are letters of the first and last word", () => {
  const expected = { Ann: "A", "ann bee": "AB", "O'Brien <b>": "O", "a.b-c": "AC", "李小龍": "李", "<>": "<" };
  for (const [name, letters] of Object.entries(expected)) assert.equal(initials(name), letters);
});

test("the same name has the same colour, however it is written", () => {
  assert.equal(hue("Ann"), hue("ANN"));
  const hues = new Set(Array.from({ length: 200 }, (_, i) => hue(`Person ${i}`)));
  assert.ok(hues.size >= 11 && Math.max(...hues) <= 11);
});

test("lengths of time", () => {
  assert.equal(duration(-5), "0:00");
  assert.equal(duration(65_000), "1:05");
  assert.equal(duration(3_725_000), "1:02:05");
  assert.equal(durationInWords(61_000), "1 minute 1 second");
  assert.equal(durationInWords(400), "0 seconds");
});

test("fingerprints are compared without their case", () => {
  assert.equal(fingerprint("v=0\r\na=fingerprint:sha-256 AB:CD\r\n"), "ab:cd");
  assert.equal(fingerprint("v=0"), "");
});

test("a problem of both devices is said once", () => {
  const both = explain([
    { device: "microphone", kind: "missing" }, { device: "camera", kind: "missing" },
  ]);
  assert.equal(both.length, 1);
  assert.match(both[0], /^No microphone and no camera was found\./);
  const each = explain([
    { device: "microphone", kind: "in_use" }, { device: "camera", kind: "refused" },
  ]);
  assert.match(each[0], /^Your microphone is being used/);
  assert.match(each[1], /^This page may not use your camera\./);
});

test("grades", () => {
  assert.equal(grade(0, 20), "good");
  assert.equal(grade(0.03, 20), "fair");
  assert.equal(grade(0, 700), "poor");
  assert.equal(grade(0.2, 20), "poor");
});

test("ids are long, plain and never the same", () => {
  const ids = new Set(Array.from({ length: 1000 }, newId));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
});

test("an emitter's hearer can stop, even while it hears", () => {
  const emitter = new Emitter();
  const heard = [];
  const stop = emitter.on("x", (value) => {
    heard.push(value);
    stop();
  });
  emitter.on("x", (value) => heard.push(-value));
  emitter.emit("x", 1);
  emitter.emit("x", 2);
  assert.deepEqual(heard, [1, -1, -2]);
});

test("too many waiting requests are refused", async () => {
  const requests = new Requests();
  const message = { type: "leave", room: "r" };
  for (let i = 0; i < 512; i += 1) requests.add(message, true);
  await assert.rejects(requests.add(message, true).reply, { code: "too_fast" });
});

test("the longest wait counts from when a request was sent", () => {
  const requests = new Requests();
  const { id } = requests.add({ type: "contacts" }, true);
  assert.equal(requests.longestWait(9_000), 0);
  requests.sent(id, 1_000);
  assert.equal(requests.longestWait(9_000), 8_000);
  requests.lose();
  assert.equal(requests.longestWait(9_000), 0);
});

test("rings keep their order and their candidates, and not too many", () => {
  const rings = new Rings();
  const ring = (call) => ({ type: "ring", call, from: "Bob" });
  assert.equal(rings.first, null);
  for (let i = 0; i < 8; i += 1) assert.ok(rings.add(ring(`c${i}`)));
  assert.ok(!rings.add(ring("c0")) && !rings.add(ring("c9")));
  assert.equal(rings.first.call, "c0");
  for (let i = 0; i < 100; i += 1) assert.ok(rings.candidate("c0", null));
  assert.ok(!rings.candidate("c9", null));
  assert.equal(rings.take("c0").early.length, 64);
  assert.equal(rings.take("c0"), null);
  assert.equal(rings.first.call, "c1");
});

test("a timer set again replaces the one before", (t) => {
  const clock = new Clock(t);
  const timers = new Timers();
  const fired = [];
  timers.set("a", 10, () => fired.push(1));
  timers.set("a", 20, () => fired.push(2));
  timers.set("b", 5, () => fired.push(3));
  timers.cancel("b");
  clock.pass(20);
  timers.set("c", 1, () => fired.push(4));
  timers.close();
  timers.set("d", 1, () => fired.push(5));
  clock.pass(10);
  assert.deepEqual(fired, [2]);
});

test("names are the same however they are written", () => {
  assert.ok(sameName("Ann", "ANN"));
  assert.ok(sameName("\u00c4nn", "A\u0308nn"));
  assert.ok(!sameName("Ann", "Anna"));
});
