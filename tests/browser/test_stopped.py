"""A browser stops one kind of its media for good, and takes the place for another, in a call."""

from __future__ import annotations

from tests.browser.person import NewPerson, Person, connected
from tests.callers import needs_address

STOP = """kind => {
  const pc = inside.connections.at(-1);
  pc.getTransceivers().find((line) => line.receiver.track.kind === kind).stop();
}"""
SETTLED = """async wanted => {
  const pc = inside.connections.at(-1);
  const look = () => {
    const sdp = pc.currentLocalDescription?.sdp ?? "";
    const sections = [...sdp.matchAll(/^m=(\\w+) (\\d+)/gm)];
    return sections.map(([, kind, port]) => (port === "0" ? "no " : "") + kind).join();
  };
  const done = () => pc.signalingState === "stable" && pc.connectionState === "connected"
    && look() === wanted.join();
  for (let n = 0; n < 600 && !done(); n += 1) await new Promise((go) => setTimeout(go, 50));
  return [pc.signalingState, pc.connectionState, look().split(",")];
}"""
AGAIN = """async () => {
  const pc = inside.connections.at(-1);
  const stream = await navigator.mediaDevices.getUserMedia({ video: true });
  pc.addTransceiver(stream.getVideoTracks()[0], { streams: [stream] });
}"""
PICTURES = """async () => {
  const pc = inside.connections.at(-1);
  const { receiver } = pc.getTransceivers().find((l) => l.receiver.track.kind === "video");
  for (let n = 0, first = Infinity; n < 600; n += 1) {
    const found = [...(await receiver.getStats()).values()].find((r) => r.type === "inbound-rtp");
    const decoded = found?.framesDecoded ?? 0;
    first = Math.min(first, decoded);
    if (decoded > first + 5) return true;
    await new Promise((go) => setTimeout(go, 50));
  }
  return false;
}"""


async def agreed(person: Person, *sections: str) -> None:
    """Wait until an offer of such sections, some of them stopped, has been answered, and the call
    is connected (anew, where what carried it was stopped)."""
    found = await person.page.evaluate(SETTLED, sections)
    assert found == ["stable", "connected", list(sections)]


@needs_address
async def test_a_kind_that_is_stopped_and_offered_anew(
    exchange: str, new_person: NewPerson
) -> None:
    ann = await new_person(exchange, "Ann")
    await ann.open_calls()
    await ann.call("echo")
    await connected(ann)
    await ann.receives()
    await ann.page.evaluate(STOP, "video")
    await agreed(ann, "audio", "no video")
    await ann.receives(picture=False)
    await ann.page.evaluate(AGAIN)
    await agreed(ann, "audio", "video")
    assert await ann.page.evaluate(PICTURES)
    # The one that carries the bundle's transport for all.
    await ann.page.evaluate(STOP, "audio")
    await agreed(ann, "no audio", "video")
    assert await ann.page.evaluate(PICTURES)
    await ann.press("Hang up")
    await ann.sees_end("You hung up.")
