"""Recording over a network that loses, doubles and reorders packets: what was kept plays, every
picture is the one it says, and what is missing is noted."""

from __future__ import annotations

import secrets

import pytest

from ringback.bots.calltest.link import Link
from ringback.bots.calltest.profiles import Profile
from ringback.bots.calltest.relay import Relay
from ringback.bots.media.sidecar import Participant
from ringback.server import protocol as p
from ringback.server.recording import VERSION
from tests.callers import needs_address
from tests.marked import Played, play
from tests.test_recorder import NewStudio, Studio, studio

__all__ = ["NewStudio", "studio"]
pytestmark = needs_address

PICTURES = 60
VP8 = 97


async def record(made: Studio, relay: Relay, *, deaf: bool = False) -> tuple[Played, Participant]:
    """Somebody calls the recorder over a relay and hangs up after `PICTURES` pictures; one who
    is `deaf` hears nothing of it once the call is connected."""
    phone, caller = await made.phone("ann"), made.caller()
    description = p.Description(type="offer", sdp=relay.offered(await caller.offer()))
    phone.call = secrets.token_hex(8)
    await phone.client.request(
        p.Call(
            call=phone.call, to="recorder", media=p.Media(), consent=VERSION,
            description=description,
        )
    )  # fmt: skip
    answer = await phone.event(p.Answered)
    await caller.accept(relay.answered(answer.description.sdp))
    await caller.connected()
    if deaf:
        relay.down.use(Link(loss=1.0))
    await caller.pictures.reached(PICTURES)
    await phone.hang_up()
    folder, sidecar = await made.finished()
    [one] = sidecar.participants
    return play(folder / one.file, caller.stream, blank=True), one


def check(played: Played, one: Participant, *, most_missing: int) -> None:
    """What holds of every recording, however bad the network was."""
    assert one.video is not None
    numbers = played.numbers
    assert numbers == sorted(set(numbers)), "pictures twice or out of order"
    damaged = one.video.frames - len(numbers)
    assert 0 <= damaged <= 4 * most_missing, "what follows a hole, up to a keyframe"
    assert played.times == sorted(played.times)
    span = numbers[-1] - numbers[0] + 1
    missing = span - one.video.frames
    assert missing <= most_missing
    if missing > 0 or damaged:
        assert [gap for gap in one.gaps if gap.kind == "video"], "a hole that nobody noted"
    # Pictures stand where they were, holes or not.
    seconds = played.times[-1] - played.times[0]
    assert seconds == pytest.approx((span - 1) / 15, abs=0.3)
    assert played.sounds


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05, 0.1])
async def test_what_is_lost_is_asked_for_again(studio: NewStudio, loss: float) -> None:
    link = Link(loss=loss)
    async with Relay(Profile.both(link), round(7 + 100 * loss)) as relay:
        played, one = await record(await studio(), relay)
        assert bool(relay.up.counts["media lost"]) == bool(loss)
    check(played, one, most_missing=0 if loss <= 0.02 else 6)
    assert one.video is not None
    assert len(played.numbers) >= PICTURES - 10


async def test_order_and_doubles_do_no_harm(studio: NewStudio) -> None:
    link = Link(reorder=0.1, duplicate=0.1, delay=0.005, jitter=0.005)
    async with Relay(Profile.both(link)) as relay:
        played, one = await record(await studio(), relay)
        assert relay.up.counts["moved"] > 0 < relay.up.counts["doubled"]
    check(played, one, most_missing=0)
    assert one.gaps == []


async def test_a_way_back_that_is_dead_leaves_holes_that_are_noted(studio: NewStudio) -> None:
    """Nothing can be asked for again where no request arrives; what came is still right."""
    async with Relay(Profile(up=Link(loss=0.05)), seed=3) as relay:
        played, one = await record(await studio(), relay, deaf=True)
        assert relay.up.lost_types[VP8] > 0
    check(played, one, most_missing=PICTURES)
    assert one.gaps
