"""What an echo call costs: Ringback's echo bot beside aiortc decoding and encoding."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import psutil

from bench import clip
from bench.caller import Called, Counts, Place
from bench.chat import port_of
from bench.compare import Comparison, Plan, Tell, turns
from bench.processes import BenchError, Child

AIM = 1 / 15
ENOUGH = 0.95
"""The part of what is sent that must come back within the measurement."""

UNDER_WAY = 30
"""Packets of the largest picture of the clip, about."""


async def measure(folder: Path, plan: Plan, tell: Tell) -> list[Comparison]:
    """One comparison for each number of calls at once. Raises `BenchError`."""
    tell("calls: the clip is encoded")
    file = folder / "clip"
    clip.save(clip.make(), file)
    async with AsyncExitStack() as stack:
        ringback = await stack.enter_async_context(
            await Child.start(
                folder, "ringback.server", "serve", "--port", "0",
                "--limits", "off", "--data", str(folder / "calls"),
            )
        )  # fmt: skip
        codec = await stack.enter_async_context(await Child.start(folder, "bench.codec_echo"))
        caller = await stack.enter_async_context(
            await Child.start(folder, "bench.caller", str(file))
        )
        ports = {True: port_of(await ringback.line("http://"))}
        ports[False] = port_of(await codec.line("http://"))
        await ringback.line("Bots on the line: echo")
        pids = {True: bots_of(ringback.pid), False: codec.pid}

        async def place(own: bool, calls: int, seconds: float) -> Called:
            command = Place(ports[own], own, pids[own], calls, seconds)
            return msgspec.json.decode(await caller.ask(msgspec.json.encode(command)), type=Called)

        compared = [_comparison(calls) for calls in plan.calls]
        proofs: list[dict[bool, list[Called]]] = [{True: [], False: []} for _ in plan.calls]
        for number, turn in enumerate(turns(plan.rounds), 1):
            for calls, comparison, proof in zip(plan.calls, compared, proofs, strict=True):
                for own in turn:
                    tell(f"calls: {calls} at once, round {number} of {plan.rounds}")
                    called = await place(own, calls, plan.call)
                    if own:
                        check(called, calls)
                    comparison.add(own, called.server / called.seconds / calls * 100)
                    proof[own].append(called)
        for comparison, proof in zip(compared, proofs, strict=True):
            comparison.proof, comparison.other_proof = _proof(proof[True]), _proof(proof[False])
    return compared


def bots_of(pid: int) -> int:
    """The bots' process of a running `ringback serve`."""
    children = psutil.Process(pid).children()
    if len(children) != 1:
        raise BenchError(f"ringback serve has {len(children)} child processes, not just the bots")
    return children[0].pid


def check(called: Called, calls: int) -> None:
    """Raise `BenchError` unless Ringback's echo kept up; the other one may not, which makes
    it cheaper, and is shown."""
    sent, back = called.sent, called.back
    pairs = zip(msgspec.structs.astuple(sent), msgspec.structs.astuple(back), strict=True)
    # What was under way at the two ends of the measurement was counted on one side only.
    if any(returned < ENOUGH * number - UNDER_WAY * calls for number, returned in pairs):
        raise BenchError(f"Ringback's echo did not keep up: {sent} sent, {back} came back")


def _comparison(calls: int) -> Comparison:
    return Comparison(
        what=f"echo call, {calls} at once" if calls > 1 else "echo call, alone",
        other="aiortc, decoding and encoding",
        unit="% of a core",
        aim=AIM,
    )


def _proof(called: list[Called]) -> str:
    seconds = sum(c.seconds for c in called)
    back = [c.back for c in called]
    return f"{_rates(back, seconds)} of {_rates([c.sent for c in called], seconds)} came back"


def _rates(counts: list[Counts], seconds: float) -> str:
    packets = sum(c.packets for c in counts) / seconds
    pictures = sum(c.pictures for c in counts) / seconds
    return f"{packets:.0f} packets/s ({pictures:.0f} pictures/s)"
