"""A call of one or two sides that prove what they see and hear, while it goes on.

    async with Side(url, "ann") as ann, Side(url, "bob") as bob:
        async with verified(ann, bob) as call:
            await call.proved(within=2)
            call.directions()                      # live, from ann to bob and back
    call.observed()                                # all of it, at the end

Against somebody who sends everything back, as `echo` does, one side is enough:
`verified(ann, "echo")`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from ringback.server.protocol import IceServer

from . import turns
from .hearing import NUMBERS
from .observed import Clocks, Direction, Ending, Observed
from .options import SOUND, CannotCheck, NoCall
from .page_side import PageParty, PageSide
from .page_talk import PageTalk
from .party import Party
from .proof import LEAST_PICTURES, LEAST_SOUNDS
from .relay import Relay
from .side import Side
from .talk import Talk

EVERY = 0.5
"""Seconds between two samples of the counters."""
DRAIN = 1.5
"""Seconds that what was sent last may be under way, when sending has stopped."""
TAIL = 0.3
"""Seconds that a marked sound and what it takes to hear it may last: one that began less than
this before the end may or may not be heard."""

Watch = Callable[[Observed], None]


class Call:
    """A call that connects, or is on. Made by `verified`.

    `watch` is called with what there is, at each step and twice a second. `lag`: the longest
    this process was late.
    """

    def __init__(self, a: Side, b: Side | PageSide | str, watch: Watch | None = None) -> None:
        self.caller = a
        self.callee = None if isinstance(b, str) else b
        self.to = b if isinstance(b, str) else b.name
        self.sides: tuple[Side | PageSide, ...] = (a,) if isinstance(b, str) else (a, b)
        self.ending: Ending = "hung up"
        self.reason = ""
        self.began = time.monotonic()
        self.started = time.time()
        self.ended: float | None = None
        self._watch = watch
        self._news = asyncio.Event()
        self._sampler: asyncio.Task[None] | None = None
        if isinstance(b, Side):
            b.differ(a.stream)
        last = self.sides[-1]
        a.expect(last.shown, stamped=not isinstance(b, PageSide), voice=last.stream)
        if isinstance(self.callee, Side):
            self.callee.expect(a.shown, voice=a.stream)
        elif self.callee is not None:
            self.callee.expect(a.shown)
        for side in self.sides:
            side.on_step = lambda step: self._show()
            side.on_news = self._news.set
        self._directions = self._make()

    def _make(self) -> list[Direction]:
        if self.callee is None:
            return [_direction(self.caller, self.caller)]
        return [_direction(self.caller, self.callee), _direction(self.callee, self.caller)]

    # --- from the offer to the end

    async def connect(self, relay: Relay | None = None) -> None:
        """Place the call, by a network that is made up where there is one, and answer it. Raises
        `NoCall`, and `CannotCheck` where only a relay may carry it and there is none."""
        for side in self.sides:
            await _talk(side).open()
        try:
            servers = await self._relayed(relay)
            await self._meet(None if servers is not None else relay, servers)
        except NoCall as error:
            self.ending, self.reason = error.ending, str(error)
            raise

    def begin(self) -> None:
        """Begin to send: from now on the call is judged."""
        self.began = time.monotonic()
        for side in self.sides:
            _talk(side).begin(self.began)
        self._sampler = asyncio.create_task(self._sample(), name="samples")

    async def _relayed(self, relay: Relay | None) -> list[IceServer] | None:
        """The caller's own servers where it may use nothing else and there is a `relay`, which
        then stands before its TURN server: all of the call passes there, once. A TURN server
        that is needed is asked before."""
        needed = [side for side in self.sides if side.options.relay_only]
        if not needed:
            return None
        if relay is not None and self.caller not in needed:
            # The caller's addresses, which a TURN server is to admit, are not told.
            words = "A network stands before the caller's TURN server: let the caller use one, too."
            raise CannotCheck("bad_option", words)
        server = turns.the_one(self.caller.servers, udp=relay is not None)
        await turns.ask(server)
        return [await relay.server(server)] if relay is not None else None

    async def _meet(self, relay: Relay | None, servers: list[IceServer] | None) -> None:
        parties: list[Party | PageParty] = []
        if self.callee is not None:
            parties.append(self.callee.listen())
        parties.append(self.caller.call(self.to, relay, servers))
        patience = self.caller.options.patience
        connecting = [asyncio.create_task(party.connect(patience)) for party in parties]
        try:
            # The caller's word first: they know most of why it did not come about.
            for task in reversed(connecting):
                await task
        finally:
            for task in connecting:
                task.cancel()
            await asyncio.gather(*connecting, return_exceptions=True)

    async def last(self, seconds: float) -> bool:
        """Let it go on for so long; whether it did, or ended before (then `ending` says how)."""
        overs = [asyncio.create_task(_party_over(side)) for side in self.sides]
        try:
            done, _ = await asyncio.wait(
                overs, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for over in overs:
                over.cancel()
            await asyncio.wait(overs)
        return not done

    async def proved(self, within: float = 2.0, direction: Direction | None = None) -> bool:
        """Whether the picture and the sound of whom they should be arrive, in the direction
        (both where it is None), within so many seconds from now. What arrived before proves
        nothing."""
        wanted = [direction] if direction is not None else self._directions
        since = [(d, len(d.seen), len(d.heard)) for d in wanted]
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not all(proves(*entry) for entry in since):
                    self._news.clear()
                    await self._news.wait()
        return all(proves(*entry) for entry in since)

    async def end(self) -> None:
        """Stop sending, wait for what is under way, hang up, and read the rest."""
        self._look_for_end()
        self.ended = time.monotonic()
        for side in self.sides:
            await _talk(side).stop()
        if self.ending == "hung up" and not await self._drain():
            # What is missing may be so because they left meanwhile.
            self._look_for_end()
        if self._sampler is not None:
            self._sampler.cancel()
            await asyncio.wait((self._sampler,))
            self._take_samples()
        routes = {side.name: side.route for side in self.sides}
        self._pairs = {name: route for name, route in routes.items() if route is not None}
        self._restarts = sum(side.restarts for side in self.sides)
        if self.caller.party is not None:
            await self.caller.party.hang_up()
        for side in self.sides:
            if side.party is not None:
                await side.party.close()
            await _talk(side).finish()

    _pairs: dict[str, str] | None = None
    _restarts = 0

    def _look_for_end(self) -> None:
        """Whether somebody else has ended it before we do."""
        for side in self.sides:
            party = side.party
            if party is not None and party.over.is_set() and self.ending == "hung up":
                self.ending, self.reason = party.ending, party.why()

    async def _drain(self) -> bool:
        """Wait for what is under way; whether all of it arrived."""
        until = time.monotonic() - TAIL
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                while not all(_arrived(direction, until) for direction in self._directions):
                    self._news.clear()
                    await self._news.wait()
        return all(_arrived(direction, until) for direction in self._directions)

    async def judge_speech(self) -> None:
        """Compare what was spoken by now to what was heard, where options ask for it."""
        for side in self.sides:
            await _talk(side).judge_speech()

    # --- what there is to see

    def directions(self) -> list[Direction]:
        """Both ways (against an echo the one there and back), as far as they were seen by now.
        They go on to grow."""
        receivers = self._receivers()
        for direction, receiver, sender in zip(
            self._directions, receivers, reversed(receivers), strict=True
        ):
            talk, other = _talk(receiver), _talk(sender)
            direction.codecs = talk.codecs
            direction.speech = talk.speech
            other.settle(direction.seen, direction.heard)
            direction.clocks = Clocks(
                talk.clocks.offset - other.clocks.offset, talk.clocks.error + other.clocks.error
            )
        return self._directions

    def _receivers(self) -> tuple[Side | PageSide, ...]:
        return (self.caller,) if self.callee is None else (self.callee, self.caller)

    def observed(self) -> Observed:
        """What was seen of the call so far."""
        pairs = self._pairs
        if pairs is None:
            pairs = {s.name: s.route for s in self.sides if s.route is not None}
        # By one clock, as far as that is known.
        told = [(s.at - _talk(side).clocks.offset, s) for side in self.sides for s in side.steps]
        steps = [step for _, step in sorted(told, key=lambda entry: entry[0])]
        return Observed(
            url=self.caller.url,
            to=self.to,
            started=self.started,
            began=self.began,
            seconds=(self.ended or time.monotonic()) - self.began,
            directions=self.directions(),
            steps=steps,
            pairs=pairs,
            restarts=self._restarts or sum(side.restarts for side in self.sides),
            slow=max(_talk(side).slow for side in self.sides),
            ending=self.ending,
            reason=self.reason,
            troubles=self._troubles(),
        )

    def _troubles(self) -> list[str]:
        if not self.refused:
            return []
        return [f"{self.refused} frames came faster than this machine could look at them."]

    @property
    def refused(self) -> int:
        """How much came too fast to be looked at: then nothing is proved."""
        return sum(_talk(side).refused for side in self.sides)

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            self._take_samples()
            self._show()

    def _take_samples(self) -> None:
        for direction, receiver in zip(self._directions, self._receivers(), strict=True):
            direction.samples += _talk(receiver).samples()

    def _show(self) -> None:
        if self._watch is not None:
            self._watch(self.observed())


@asynccontextmanager
async def verified(
    a: Side,
    b: Side | PageSide | str,
    *,
    relay: Relay | None = None,
    watch: Watch | None = None,
) -> AsyncIterator[Call]:
    """A call from `a` to `b`, which may be somebody's name. It is on when the block begins, and
    over after it. Raises `NoCall` when it does not come about."""
    call = Call(a, b, watch)
    try:
        await call.connect(relay)
        call.begin()
        yield call
    finally:
        await call.end()


def proves(direction: Direction, seen: int = 0, heard: int = 0) -> bool:
    """Whether enough of whom it should be was seen and heard in this direction, after the first
    `seen` pictures and `heard` sounds."""
    ours = direction.stream
    # The latest will do: what once was enough is looked at before so many more have come.
    pictures = sum(p.stream == ours for p in direction.seen[seen:][-50 * LEAST_PICTURES :])
    sounds = sum(h.stream == direction.word for h in direction.heard[heard:][-50 * LEAST_SOUNDS :])
    return ("video" not in direction.kinds or pictures >= LEAST_PICTURES) and (
        "audio" not in direction.kinds or sounds >= LEAST_SOUNDS
    )


def _direction(sender: Side | PageSide, receiver: Side | PageSide) -> Direction:
    sending, receiving = _talk(sender), _talk(receiver)
    options = sender.options
    return Direction(
        sender=sender.name,
        receiver=receiver.name,
        stream=sender.shown,
        voice=sender.stream,
        kinds=options.kinds,
        rate=options.rate,
        size=options.size,
        round_trip=sender is receiver,
        wanted={k: options.codec if k == "video" else SOUND for k in options.kinds},
        bias=dict(receiver.bias),
        spoken=options.speech,
        sent=sending.book.sent,
        seen=receiving.book.seen,
        sent_chirps=sending.book.sent_chirps,
        heard=receiving.book.heard,
        sounds=receiving.book.sounds,
    )


def _arrived(direction: Direction, until: float) -> bool:
    """Whether the last picture and the last sound begun `until` then are here."""
    ours = direction.stream
    if direction.sent:
        last = direction.sent[-1].sequence
        if not any(p.sequence == last and p.stream == ours for p in direction.seen[-64:]):
            return False
    whole = [chirp for chirp in direction.sent_chirps[-8:] if chirp.at <= until]
    if not whole:
        return True
    number = whole[-1].number % NUMBERS
    return any(h.number == number and h.stream == direction.word for h in direction.heard[-4:])


def _talk(side: Side | PageSide) -> Talk | PageTalk:
    assert side.talk is not None
    return side.talk


async def _party_over(side: Side | PageSide) -> None:
    assert side.party is not None
    await side.party.over.wait()
