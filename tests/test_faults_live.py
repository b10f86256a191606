"""Twenty faults in real calls: a real exchange, real peers, a real part that does one thing wrong.

Each is caught, by its own reason; what else is said follows from it; and the same set-up without
the fault passes. All calls are made before the first test looks at one, a few at a time.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ringback.bots.calltest.outcome import Outcome, conclude
from ringback.bots.calltest.reasons import Code
from ringback.bots.calltest.side import Side
from ringback.bots.media.frames import Frame
from tests import faulty
from tests.callers import needs_address
from tests.faulty import Gateway, Parrot
from tests.observations import observed
from tests.stand import SEED, Stand, serving
from tests.turn import SECRET as SECRET_OF_RELAY

# They share what was made once.
pytestmark = [needs_address, pytest.mark.xdist_group("faults")]

TRIES = 4
TOGETHER = 4
LONG = 2.4
"""Seconds in which enough sounds are heard to tell how they stand to pictures."""
DOCS = Path(__file__).parent.parent / "docs" / "call-tests.md"


Made = Callable[[Stand], Awaitable[Outcome]]


@dataclass(frozen=True)
class Fault:
    """A fault as the documentation names it, the reason it is caught by, a call that has it, and
    the same call without it. `follows`: what else may be said of it."""

    name: str
    reason: str
    call: Made
    control: str
    follows: frozenset[str] = frozenset()


def against(kind: type[Parrot], calls: int = 1, **check: Any) -> Made:
    """A call to a bot of this kind."""
    return lambda stand: stand.bot(kind(SEED), calls, **check)


def two(a: type[Side], b: type[Side], **caller: Any) -> Made:
    """A call between two peers of these kinds."""
    return lambda stand: stand.between(a, b, **caller)


CONTROLS: dict[str, Made] = {
    "parrot": against(Parrot),
    "parrot, longer": against(Parrot, seconds=LONG),
    "gateway": against(Gateway),
    "gateway, larger": against(Gateway, size=(320, 240)),
    "gateway, faster": against(Gateway, rate=60.0),
    "gateway, again": against(Gateway, calls=2),
    "between": two(Side, Side),
    "front": lambda stand: stand.fronted(relays=True),
    "relay": lambda stand: stand.relayed(SECRET_OF_RELAY),
    "one codec": lambda stand: stand.echo(faulty.knows_vp8_only, codec="VP8"),
}

FAULTS = [
    Fault("server that answers but relays nothing", "nothing_relayed",
          lambda stand: stand.fronted(relays=False), "front"),
    Fault("swapped tracks", "swapped_tracks", two(faulty.Swapped, faulty.Swapped), "between"),
    Fault("frozen picture", "frozen", against(faulty.Frozen, seconds=LONG), "gateway",
          frozenset({"lost", "repeated", "too_few"})),
    Fault("silent microphone", "silent", against(faulty.Silent), "parrot"),
    Fault("wrong person's picture", "wrong_stream", against(faulty.WrongPerson), "gateway"),
    Fault("one frame in a hundred dropped", "lost", against(faulty.OneInAHundred, rate=60.0),
          "gateway, faster"),
    Fault("reordered frames", "reordered", against(faulty.Reordered), "gateway"),
    Fault("stale frames from an earlier call", "stale", against(faulty.Stale, calls=2),
          "gateway, again"),
    Fault("audio 200 ms late", "late_sound", against(faulty.LateSound, seconds=LONG),
          "parrot, longer"),
    Fault("half the resolution", "half_size", against(faulty.HalfSize, size=(320, 240)),
          "gateway, larger"),
    Fault("one direction dead", "dead_direction", two(Side, faulty.Dead), "between"),
    Fault("echo that echoes itself", "echoes_itself", against(faulty.EchoesItself), "gateway",
          frozenset({"repeated"})),
    Fault("keyframes never sent", "keyframes", against(faulty.NoKeyframes), "parrot"),
    Fault("clock jump", "clock_jump", two(Side, faulty.ClockJump), "between"),
    Fault("TURN that refuses", "relay_refused", lambda stand: stand.relayed("wrong"), "relay"),
    Fault("codec mismatch", "codec",
          lambda stand: stand.echo(faulty.knows_vp8_only, codec="H264"), "one codec"),
    Fault("codec mismatch, nothing in common", "codec", two(Side, Side, codec="H264"), "between"),
    Fault("one-way audio", "one_way_sound", two(Side, faulty.OneWaySound), "between"),
    Fault("duplicated frames", "repeated", against(faulty.Duplicating), "gateway"),
    Fault("truncated frames", "damaged", against(faulty.Truncating), "parrot",
          frozenset({"lost", "frozen", "too_few"})),
    Fault("bot that hangs up early", "ended_early", against(faulty.Leaving), "parrot"),
]  # fmt: skip


async def proved(made: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """What a call came to. Where this machine was too busy to judge, and only there, it is made
    again."""
    for _ in range(TRIES - 1):
        outcome = await made()
        if outcome.verdict.state != "unproven":
            return outcome
    return await made()


async def all_calls(folder: Path) -> dict[str, Outcome | BaseException]:
    """Every fault and every control, by name; or what kept it from being made."""
    calls = {fault.name: fault.call for fault in FAULTS} | CONTROLS
    turns = asyncio.Semaphore(TOGETHER)
    async with serving(folder) as server:

        async def one(made: Made) -> Outcome:
            async with turns:
                return await proved(lambda: made(Stand(server)))

        found = await asyncio.gather(*map(one, calls.values()), return_exceptions=True)
    return dict(zip(calls, found, strict=True))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What each call came to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ringback.bots.client.GOODBYE", 0.1)
        yield asyncio.run(all_calls(tmp_path_factory.mktemp("faults")))


def outcome_of(outcomes: dict[str, Any], name: str) -> Outcome:
    found = outcomes[name]
    if isinstance(found, BaseException):
        raise found
    assert isinstance(found, Outcome)
    return found


def told(outcome: Outcome) -> str:
    """A verdict with all its reasons, for who reads why a test failed."""
    lines = [f"{r.code}: {r.direction}: {r.sentence}" for r in outcome.verdict.reasons]
    return "\n".join([outcome.verdict.sentence, *lines])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_caught_by_its_own_reason(outcomes: dict[str, Any], fault: Fault) -> None:
    outcome = outcome_of(outcomes, fault.name)
    assert outcome.verdict.state == "failed", told(outcome)
    codes = [code.value for code in outcome.verdict.codes]
    # It leads, and nothing is told beside it that does not follow from it.
    assert codes[0] == fault.reason, told(outcome)
    assert set(codes[1:]) <= fault.follows, told(outcome)


@pytest.mark.parametrize("control", CONTROLS)
def test_without_the_fault_it_passes(outcomes: dict[str, Any], control: str) -> None:
    outcome = outcome_of(outcomes, control)
    assert outcome.verdict.state == "passed", told(outcome)


def test_the_documentation_names_each_fault_with_its_reason() -> None:
    _, _, told = DOCS.read_text().partition("### What is caught")
    told, _, _ = told.partition("\n## ")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| `(\w+)` \|$", told, re.M)
    assert rows == [(fault.name, fault.reason) for fault in FAULTS]
    assert {fault.reason for fault in FAULTS} <= set(Code)
    assert {fault.control for fault in FAULTS} == set(CONTROLS)


# --- where the machine is too busy ----------------------------------------------------------------


class Stalling(faulty.Silent):
    """A silent microphone; and in its first call this machine stands still for a while."""

    stalls = True

    async def answer(self, call: Any, frame: Frame) -> Sequence[Frame]:
        if self.stalls and frame.kind == "video":
            self.stalls = False
            time.sleep(0.8)  # noqa: ASYNC251
        return await super().answer(call, frame)


async def test_a_machine_that_is_too_busy_is_asked_again(tmp_path: Path) -> None:
    bot, states = Stalling(SEED), list[str]()
    async with serving(tmp_path / "data") as server:

        async def made() -> Outcome:
            outcome = await Stand(server).bot(bot)
            states.append(outcome.verdict.state)
            return outcome

        outcome = await proved(made)
    assert states[0] == "unproven"
    assert set(states[:-1]) == {"unproven"}
    assert outcome.verdict.codes == (Code.SILENT,), told(outcome)


async def test_it_is_asked_again_only_so_often() -> None:
    tries = list[Outcome]()

    async def made() -> Outcome:
        tries.append(conclude(observed(lag=1.0)))
        return tries[-1]

    assert await proved(made) is tries[-1]
    assert len(tries) == TRIES
