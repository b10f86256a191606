import assert from "node:assert/strict";
import { test } from "node:test";
import { reconcile } from "../../static/js/reconcile.js";

const info = (call, state = "connected", outgoing = true) =>
  ({ call, peer: "Bob", state, outgoing });
const ring = (call) => ({ type: "ring", call, from: "Bob" });
const saved = (id, changes = {}) => ({ id, peer: "Bob", bot: false, answered: true, ...changes });
const nothing = { rings: [], call: null, missed: [], lost: false, hangUp: [] };
const idle = { live: null, rings: [] };
const inCall = { live: { id: "a", placed: true, answered: true }, rings: [] };
const calling = { live: { id: "a", placed: true, answered: false }, rings: [] };

const rows = [
  ["nothing anywhere", { resumed: false, calls: [] }, false, idle, null, nothing],
  ["a call goes on after a break", { resumed: true, calls: [info("a")] }, true, inCall, null,
    nothing],
  ["its end comes by itself when all was kept", { resumed: true, calls: [] }, true, inCall, null,
    nothing],
  ["what a new session does not know is lost", { resumed: false, calls: [] }, true, inCall, null,
    { ...nothing, lost: true }],
  ["a call that was never taken note of is said again", { resumed: false, calls: [] }, true,
    { live: { id: "a", placed: false, answered: false }, rings: [] }, null, nothing],
  ["a call goes on though messages were lost", { resumed: false, calls: [info("a")] }, true, inCall,
    null, nothing],
  ["a call that still rings goes on", { resumed: false, calls: [info("a", "ringing")] }, true,
    calling, null, nothing],
  ["one whose answer was lost cannot", { resumed: false, calls: [info("a", "connecting")] }, true,
    calling, null, { ...nothing, lost: true, hangUp: ["a"] }],
  ["a ring that is gone was missed", { resumed: false, calls: [info("s", "ringing", false)] },
    true, { live: null, rings: ["r", "s"] }, null, { ...nothing, missed: ["r"] }],
  ["after a reload a call goes on", { resumed: true, calls: [info("a")] }, true, idle,
    { calls: [saved("a")], rings: [] }, { ...nothing, call: { saved: saved("a"), fate: "rejoin" } }],
  ["or ended meanwhile", { resumed: true, calls: [] }, true, idle,
    { calls: [saved("a")], rings: [] }, { ...nothing, call: { saved: saved("a"), fate: "over" } }],
  ["with a bot it ends", { resumed: true, calls: [info("a")] }, true, idle,
    { calls: [saved("a", { bot: true })], rings: [] },
    { ...nothing, call: { saved: saved("a", { bot: true }), fate: "bot" }, hangUp: ["a"] }],
  ["a reload that was too late starts afresh", { resumed: false, calls: [] }, true, idle,
    { calls: [saved("a")], rings: [ring("r")] }, nothing],
  ["what rang before a reload rings again", { resumed: true, calls: [info("r", "ringing", false)] },
    true, idle, { calls: [], rings: [ring("r"), ring("gone")] }, { ...nothing, rings: [ring("r")] }],
  ["a call nobody here knows is hung up", { resumed: true, calls: [info("x")] }, true, idle, null,
    { ...nothing, hangUp: ["x"] }],
  ["but not one that rings in another window", { resumed: false,
    calls: [info("x", "ringing", false), info("y", "calling", false)] }, false, idle, null, nothing],
];

for (const [name, welcome, asked, here, before, plan] of rows) {
  test(name, () => assert.deepEqual(reconcile(welcome, asked, here, before), plan));
}
