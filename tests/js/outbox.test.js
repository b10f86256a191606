import assert from "node:assert/strict";
import { test } from "node:test";
import { Emitter } from "../../static/js/emitter.js";
import { RequestError } from "../../static/js/messages.js";
import { Outbox } from "../../static/js/outbox.js";
import { Clock, Store, turns } from "./helpers.js";

class FakeWire extends Emitter {
  name = "Ann";
  state = "open";
  asked = [];

  request(message) {
    return new Promise((resolve, reject) => {
      this.asked.push({ message, resolve, reject });
    });
  }

  get last() {
    return this.asked.at(-1);
  }
}

test("messages go out one after another", async () => {
  const wire = new FakeWire();
  const outbox = new Outbox(wire, "r", new Store());
  outbox.add("one");
  outbox.add("two");
  await turns();
  assert.deepEqual(wire.asked.map(({ message }) => message.text), ["one"]);
  wire.last.resolve({ type: "ok" });
  await turns();
  assert.deepEqual(wire.asked.map(({ message }) => message.text), ["one", "two"]);
  wire.last.resolve({ type: "ok" });
  await turns();
  assert.deepEqual(outbox.waiting, []);
});

test("offline they wait, survive a reload, and keep their ids", async () => {
  const wire = new FakeWire();
  wire.state = "reconnecting";
  const store = new Store();
  const { cid } = new Outbox(wire, "r", store).add("later");
  await turns();
  assert.equal(wire.asked.length, 0);
  const again = new Outbox(wire, "r", store);
  assert.deepEqual(again.waiting.map(({ text }) => text), ["later"]);
  wire.state = "open";
  wire.emit("joined", { room: "r" });
  await turns();
  assert.equal(wire.last.message.cid, cid);
});

test("one that fails for a moment is tried again under the same id", async (t) => {
  const clock = new Clock(t);
  const wire = new FakeWire();
  const outbox = new Outbox(wire, "r", new Store());
  outbox.add("once");
  await turns();
  wire.last.reject(new RequestError("too_fast", ""));
  await turns();
  assert.equal(wire.asked.length, 1);
  clock.pass(2_500);
  await turns();
  assert.equal(wire.asked.length, 2);
  assert.equal(wire.asked[0].message.cid, wire.asked[1].message.cid);
});

test("one that was seen in the room is not sent again", async () => {
  const wire = new FakeWire();
  wire.state = "reconnecting";
  const outbox = new Outbox(wire, "r", new Store());
  const { cid } = outbox.add("said already");
  outbox.seen(cid);
  wire.state = "open";
  wire.emit("joined", { room: "r" });
  await turns();
  assert.equal(wire.asked.length, 0);
});

test("one that is refused comes back and the next goes on", async () => {
  const wire = new FakeWire();
  const outbox = new Outbox(wire, "r", new Store());
  const back = outbox.once("refused");
  outbox.add("too long");
  outbox.add("next");
  await turns();
  wire.last.reject(new RequestError("text_too_long", "The text is too long."));
  assert.equal((await back).message, "The text is too long.");
  await turns();
  assert.equal(wire.last.message.text, "next");
});

test("not more than two hundred wait", () => {
  const wire = new FakeWire();
  wire.state = "offline";
  const outbox = new Outbox(wire, "r", new Store());
  for (let i = 0; i < 200; i += 1) assert.ok(outbox.add(String(i)));
  assert.equal(outbox.add("one more"), null);
});
