"""Call tests through a real exchange: sides that call, an echo, two that call each other."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest

from ringback import bots
from ringback.bots.call import BotCall
from ringback.bots.calltest import run as run_module
from ringback.bots.calltest.figures import figures
from ringback.bots.calltest.observed import Observed
from ringback.bots.calltest.options import CannotCheck, NoCall, Options
from ringback.bots.calltest.profiles import PROFILES, profile
from ringback.bots.calltest.relay import Relay
from ringback.bots.calltest.run import Check, run
from ringback.bots.calltest.side import Side
from ringback.bots.calltest.verdict import judge
from ringback.bots.calltest.verified import Call, verified
from ringback.server.identity import mint_bot_token
from ringback.server.keys import SECRET
from tests.callers import needs_address
from tests.lines import Line, Start, start
from tests.robots import Host, host

__all__ = ["host", "start"]
pytestmark = needs_address
LONG = 20.0


@pytest.fixture
async def line(start: Start) -> Line:
    return await start()


def held(observed: Observed) -> None:
    """What must hold of every call that went well, however slow the machine."""
    assert (observed.ending, observed.reason) == ("hung up", "")
    assert observed.troubles == []
    for direction in observed.directions:
        known = {picture.sequence: picture.at for picture in direction.sent}
        for seen in direction.seen:
            assert seen.stream == direction.stream
            assert seen.sequence in known
            assert known[seen.sequence] <= seen.arrived <= seen.shown
        assert len({seen.sequence for seen in direction.seen}) == len(direction.seen)
        assert direction.codecs == direction.wanted
        assert direction.clocks.offset == direction.clocks.error == 0.0
        found = figures(direction, observed)
        assert found.frames.lost == found.frames.damaged == found.frames.wrong == 0
        assert found.sound.wrong == found.sound.stale == 0
        assert direction.samples[-1].packets > 0


async def test_against_an_echo(line: Line) -> None:
    watched: list[Observed] = []
    observed = await run(Check(line.server.url, seconds=1.5, seed=5), watched.append)
    held(observed)
    (way,) = observed.directions
    assert way.round_trip
    assert way.name == f"{way.sender} and back"
    assert len(way.sent) >= 5
    assert way.seen[0].keyframe
    assert way.seen[0].similarity is not None
    assert way.seen[0].similarity > 0.9
    names = [step.name for step in observed.steps]
    order = ["placed", "ringing", "answered", "ice", "dtls", "packet", "ended"]
    assert [name for name in names if name in order] == order
    assert {"picture", "sound"} <= set(names)
    assert list(observed.pairs) == [way.sender]
    assert "udp" in observed.pairs[way.sender]
    assert 1.4 < observed.seconds < LONG
    assert observed.seed == 5
    assert len(watched) >= len(names)
    await line.idle()


async def test_between_two_of_its_own(line: Line) -> None:
    observed = await run(Check(line.server.url, between=True, seconds=1.5))
    held(observed)
    there, back = observed.directions
    assert (there.sender, there.receiver) == (back.receiver, back.sender)
    assert there.stream != back.stream
    assert {step.side for step in observed.steps} == {there.sender, there.receiver}
    assert set(observed.pairs) == {there.sender, there.receiver}
    assert judge(observed, [figures(d, observed) for d in observed.directions]).state != "failed"


async def test_h264_and_another_size(line: Line) -> None:
    check = Check(line.server.url, seconds=1, codec="H264", size=(640, 480), rate=10)
    observed = await run(check)
    held(observed)
    (way,) = observed.directions
    assert way.codecs == {"audio": "opus", "video": "H264"}
    assert {(s.width, s.height) for s in way.seen} == {(640, 480)}


async def test_sound_alone(line: Line) -> None:
    observed = await run(Check(line.server.url, seconds=1.2, sound_only=True))
    held(observed)
    (way,) = observed.directions
    assert way.kinds == ("audio",)
    assert way.sent == []
    assert way.seen == []
    assert len(way.heard) >= 1


async def test_the_same_seed_gives_the_same_identities(line: Line) -> None:
    streams = []
    for _ in range(2):
        observed = await run(Check(line.server.url, seconds=0.3, seed=77, sound_only=True))
        streams.append(observed.directions[0].stream)
    assert streams[0] == streams[1]


async def test_nobody_of_that_name(line: Line) -> None:
    observed = await run(Check(line.server.url, to="nobody", seconds=1))
    assert observed.ending == "never answered"
    assert observed.reason == "nobody is not here right now."
    assert observed.directions[0].seen == []


async def test_who_never_answers(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asleep(call: BotCall) -> None:
        await asyncio.Event().wait()

    line = await start(asleep, name="asleep")
    monkeypatch.setattr(run_module, "PATIENCE", 0.5)
    observed = await run(Check(line.server.url, to="asleep", seconds=1))
    assert observed.ending == "never answered"
    assert "No answer" in observed.reason


async def test_who_hangs_up_early(host: Host) -> None:
    @bots.bot("brief")
    async def brief(call: bots.Call) -> None:
        async for _ in call.frames():
            return

    line = await host(brief)
    observed = await run(Check(line.server.url, to="brief", seconds=LONG))
    assert observed.ending == "ended early"
    assert observed.reason == "brief hung up."
    assert observed.seconds < LONG


async def test_who_sends_nothing_back(host: Host) -> None:
    @bots.bot("mute")
    async def mute(call: bots.Call) -> None:
        await asyncio.Event().wait()

    line = await host(mute)
    observed = await run(Check(line.server.url, to="mute", seconds=0.7))
    assert observed.ending == "hung up"
    (way,) = observed.directions
    assert way.sent
    assert way.seen == []
    assert way.heard == []
    assert judge(observed, [figures(way, observed)]).state == "failed"


async def test_bots_may_call_each_other(line: Line) -> None:
    tokens = tuple(mint_bot_token(line.server.app[SECRET], name, 600) for name in ("ab", "ba"))
    observed = await run(Check(line.server.url, between=True, seconds=0.7, tokens=tokens))
    held(observed)
    assert {d.sender for d in observed.directions} == {"ab", "ba"}


async def test_an_exchange_that_is_not_there(unused_tcp_port: int) -> None:
    with pytest.raises(CannotCheck, match="cannot be reached") as caught:
        await run(Check(f"http://127.0.0.1:{unused_tcp_port}", seconds=1))
    assert caught.value.code == "unreachable"


async def test_a_name_that_is_taken(line: Line) -> None:
    async with Side(line.server.url, "ann"):
        with pytest.raises(CannotCheck) as caught:
            async with Side(line.server.url, "ann"):
                pass
    assert caught.value.code == "name_taken"


async def test_no_address(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ifaddr.get_adapters", lambda: [])
    with pytest.raises(CannotCheck) as caught:
        await run(Check(line.server.url))
    assert caught.value.code == "no_address"


# --- what is kept ---------------------------------------------------------------------------


async def test_everything_is_kept(line: Line, tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "here"
    observed = await run(Check(line.server.url, seconds=1.2, artifacts=folder))
    held(observed)
    assert {path.name for path in folder.iterdir()} == {
        "received.webm", "frames.csv", "stats.jsonl", "events.jsonl", "offer.sdp", "answer.sdp",
        "first.png", "worst.png",
    }  # fmt: skip
    assert {Path(path) for path in observed.files.values()} == set(folder.iterdir())
    (way,) = observed.directions
    with (folder / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["what"] for row in rows] == ["sent"] * len(way.sent) + ["seen"] * len(way.seen)
    assert [int(row["sequence"]) for row in rows if row["what"] == "seen"] == [
        seen.sequence for seen in way.seen
    ]
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [event["name"] for event in events] == [step.name for step in observed.steps]
    stats = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    assert len(stats) == len(way.samples)
    assert (folder / "offer.sdp").read_text().startswith("v=0")
    with av.open(str(folder / "first.png")) as image:
        picture = next(image.decode(video=0))
    assert (picture.width, picture.height) == (320, 240)
    with av.open(str(folder / "received.webm")) as film:
        assert sum(1 for _ in film.decode(video=0)) == len(way.seen)


async def test_a_folder_that_cannot_be_made(line: Line, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotCheck, match="cannot be made"):
        await run(Check(line.server.url, seconds=1, artifacts=tmp_path / "file" / "folder"))


# --- while it goes on -----------------------------------------------------------------------


@pytest.fixture
async def pair(line: Line) -> AsyncIterator[tuple[Side, Side]]:
    async with Side(line.server.url, "ann") as ann, Side(line.server.url, "bob") as bob:
        yield ann, bob


async def test_proof_while_the_call_goes_on(pair: tuple[Side, Side]) -> None:
    async with verified(*pair) as call:
        assert await call.proved(within=LONG)
        there, _ = call.directions()
        before = len(there.seen)
        assert await call.last(0.3)
        assert figures(there, call.observed()).frames.identified >= before
    held(call.observed())


async def test_no_proof_where_nothing_comes(host: Host) -> None:
    @bots.bot("mute")
    async def mute(call: bots.Call) -> None:
        await asyncio.Event().wait()

    line = await host(mute)
    async with Side(line.server.url, "ann") as ann, verified(ann, "mute") as call:
        assert not await call.proved(within=0.3)


async def test_a_call_that_does_not_come_about(line: Line) -> None:
    async with Side(line.server.url, "ann") as ann:
        with pytest.raises(NoCall, match="not here right now") as caught:
            async with verified(ann, "nobody"):
                pass
    assert caught.value.ending == "never answered"


async def test_what_a_block_raises_comes_out_and_the_call_ends(line: Line) -> None:
    async with Side(line.server.url, "ann") as ann:
        with pytest.raises(ZeroDivisionError):
            async with verified(ann, "echo"):
                raise ZeroDivisionError
    await line.idle()


async def test_two_sides_never_sound_alike(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that are equal modulo 32 cannot be told apart by sound."""
    made_up = iter([5, 5 + 32, 5 + 64, 6])
    monkeypatch.setattr("ringback.bots.calltest.side._made_up", lambda: next(made_up))
    ann, bob = Side(line.server.url, "ann"), Side(line.server.url, "bob")
    assert [way.stream for way in Call(ann, bob).directions()] == [5, 6]
    given = Side(line.server.url, "cid", stream=6 + 32)
    Call(bob, given)
    assert given.stream == 6 + 32, "what was asked for stays"


async def over(url: str, name: str) -> None:
    """A call over a network comes about, is proved, and meets what the network is said to do."""
    network, options = profile(name), Options(size=(160, 120), rate=10.0)
    async with (
        Side(url, f"ann-{name}", options=options) as ann,
        Side(url, f"bob-{name}", options=options) as bob,
        Relay(network, seed=1) as relay, verified(ann, bob, relay=relay) as call,
    ):  # fmt: skip
        assert await call.proved(within=60), name
        await call.last(2)
    seen = call.observed()
    assert seen.ending == "hung up", (name, seen.reason)
    for way, link, lane in zip(
        seen.directions, (network.up, network.down), (relay.up, relay.down), strict=True
    ):
        latencies = figures(way, seen).latency
        assert latencies.median is not None
        assert latencies.median >= link.delay, name
        packets = sum(lane.counts[word] for word in ("passed", "lost", "burst"))
        assert 0.4 * link.loss * packets <= lane.counts["lost"] <= 3 * link.loss * packets, name
        assert link.burst or not lane.counts["burst"], name
        assert link.blackout or not lane.counts["blackout"], name


async def test_each_network_that_has_a_name_does_what_it_says(line: Line) -> None:
    await asyncio.gather(*(over(line.server.url, name) for name in PROFILES))


async def test_a_side_is_for_one_call(line: Line) -> None:
    async with Side(line.server.url, "ann", options=Options(sound_only=True)) as ann:
        async with verified(ann, "echo"):
            pass
        with pytest.raises(RuntimeError, match="one call"):
            await Call(ann, "echo").connect()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seconds": 0}, "at most an hour"),
        ({"seconds": 4000}, "at most an hour"),
        ({"between": True, "partner": "browser"}, "there is no browser"),
        ({"size": (3, 3)}, "64 by 48"),
    ],
)
def test_checks_that_are_none(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Check("http://localhost", **options)  # type: ignore[arg-type]
