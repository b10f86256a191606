"""No order of events leaves a call that never ends, or two live calls for one pair."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ringback.server import protocol as p
from ringback.server.protocol import ErrorCode, ProtocolError
from tests.playbook import ANSWER, OFFER, Board, Player, make_board

PEOPLE = ("alice", "bob", "carol")
TABS = [(name, tab) for name in PEOPLE for tab in (0, 1)]
EVERYBODY = [*TABS, ("echo", 0)]
ACTS = [
    lambda call: p.Decline(call=call),
    lambda call: p.Decline(call=call, reason="busy"),
    lambda call: p.Hangup(call=call),
    lambda call: p.Hangup(call=call, reason="failed", part="ice"),
    lambda call: p.Progress(call=call, state="connecting", part="dtls"),
    lambda call: p.Progress(call=call, state="connected"),
    lambda call: p.Progress(call=call, state="connected"),
    lambda call: p.Progress(call=call, state="reconnecting"),
    lambda call: p.SendCandidate(call=call, candidate=None),
    lambda call: p.SendMedia(call=call, media=p.Media()),
    lambda call: p.Report(call=call, restarts=1),
]
PLAIN_REFUSALS = frozenset(
    {
        ErrorCode.NO_SUCH_CALL,
        ErrorCode.NOT_YOUR_CALL,
        ErrorCode.WRONG_STATE,
        ErrorCode.CALL_EXISTS,
        ErrorCode.IN_CALL,
        ErrorCode.BAD_TARGET,
        ErrorCode.TOO_FAST,
    }
)
LIMIT = 45 + 15 + 30 + 30 + 1


class Orders(RuleBasedStateMachine):
    """Three people with two tabs each and a bot do anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.players: dict[tuple[str, int], Player] = {}
        self.away: set[tuple[str, int]] = set()
        self.calls = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def open(self) -> None:
        self.board: Board = self.run(make_board())
        self.players["echo", 0] = self.run(self.board.bot("echo"))
        for name in PEOPLE:
            self.players[name, 0] = self.run(self.board.come(name))

    def teardown(self) -> None:
        if hasattr(self, "board"):
            self.run(self._everybody_goes())
            self.run(self.board.close())
        self.loop.close()

    async def _everybody_goes(self) -> None:
        for who, player in self.players.items():
            if who not in self.away:
                await player.drops()
        await self.board.passes(LIMIT)
        assert await self.board.live() == []
        assert await self.board.engine.sessions() == []
        assert await self.board.engine.claims(self.board.clock.now()) == []

    def _here(self, which: int) -> tuple[str, int]:
        """One of those who are connected."""
        here = [who for who in self.players if who not in self.away] or [("echo", 0)]
        return here[which % len(here)]

    async def _ask(self, who: tuple[str, int], message: p.ClientMessage) -> None:
        player = self.players.get(who)
        if player is None or who in self.away:
            return
        refusal: ErrorCode | None = None
        try:
            await player.says(message)
        except ProtocolError as error:
            refusal = error.code
        assert refusal is None or refusal in PLAIN_REFUSALS

    @rule(who=st.sampled_from(TABS))
    def come(self, who: tuple[str, int]) -> None:
        if who not in self.players:
            self.players[who] = self.run(self.board.come(who[0]))

    @rule(who=st.sampled_from(EVERYBODY), really=st.integers(0, 2))
    def drop(self, who: tuple[str, int], really: int) -> None:
        if who in self.players and who not in self.away and really == 0:
            self.run(self.players[who].drops())
            self.away.add(who)

    @rule(which=st.integers(0, 6))
    def come_back(self, which: int) -> None:
        if self.away:
            who = sorted(self.away)[which % len(self.away)]
            player = self.players[who]
            player.n = self._last_heard(player)
            self.run(player.returns())
            self.away.discard(who)

    def _last_heard(self, player: Player) -> int:
        numbers: list[int] = [m["n"] for m in player.wire.said if "n" in m]
        return max([player.n, *numbers])

    @rule(
        which=st.integers(0, 6),
        to=st.sampled_from([*PEOPLE, *PEOPLE, "echo", "nobody"]),
        letter=st.sampled_from("az"),
        used=st.integers(0, 19),
    )
    def call(self, which: int, to: str, letter: str, used: int) -> None:
        """Somebody calls somebody, now and then with an id that was used before."""
        self.calls += used > 0
        call = f"{letter}{self.calls}"
        message = p.Call(call=call, to=to, media=p.Media(), description=OFFER)
        self.run(self._ask(self._here(which), message))

    @rule(which=st.integers(0, 5), tab=st.integers(0, 1))
    def answer(self, which: int, tab: int) -> None:
        live = self.run(self.board.engine.live_calls())
        if ringing := [call for call in live if call.answered is None]:
            call = ringing[which % len(ringing)]
            tabs = [who for who in self.players if who[0] == call.callee.key]
            message = p.Answer(call=call.id, description=ANSWER)
            self.run(self._ask(tabs[tab % len(tabs)], message))

    @rule(which=st.integers(0, 5), who=st.sampled_from(EVERYBODY), what=st.sampled_from(ACTS))
    def act(self, which: int, who: tuple[str, int], what: Any) -> None:
        """Somebody does something to a live call, whether it is theirs or not."""
        if live := self.run(self.board.engine.live_calls()):
            self.run(self._ask(who, what(live[which % len(live)].id)))

    @rule(which=st.integers(0, 5), caller=st.booleans(), what=st.sampled_from(ACTS))
    def act_as_party(self, which: int, caller: bool, what: Any) -> None:
        if live := self.run(self.board.engine.live_calls()):
            live = [call for call in live if call.answered is not None] or live
            call = live[which % len(live)]
            session = call.caller.session if caller else call.callee.session
            for who, player in self.players.items():
                if player.session.id == session:
                    self.run(self._ask(who, what(call.id)))

    @rule(seconds=st.sampled_from([0.1, 0.1, 0.5, 0.5, 1, 1, 2, 3, 5, 16, 31, 46, LIMIT]))
    def pass_time(self, seconds: float) -> None:
        """After the longest wait only calls that are connected are left."""
        self.run(self.board.passes(seconds))
        if seconds == LIMIT:
            assert set(self.run(self.board.live())) <= {"connected"}

    @rule(who=st.sampled_from(TABS), waiting=st.booleans())
    def choose_waiting(self, who: tuple[str, int], waiting: bool) -> None:
        self.run(self._ask(who, p.Settings(call_waiting=waiting)))

    @invariant()
    def one_live_call_for_a_pair(self) -> None:
        if hasattr(self, "board"):
            live = self.run(self.board.engine.live_calls())
            pairs = Counter(frozenset(call.keys) for call in live)
            assert all(count == 1 for count in pairs.values()), pairs

    @invariant()
    def one_answered_call_for_a_tab(self) -> None:
        if not hasattr(self, "board"):
            return
        live = self.run(self.board.engine.live_calls())
        sessions = Counter(
            party.session
            for call in live
            if call.answered is not None
            for party in (call.caller, call.callee)
            if not party.bot
        )
        assert all(count == 1 for count in sessions.values()), sessions

    @invariant()
    def every_unconnected_call_has_its_time(self) -> None:
        if hasattr(self, "board"):
            now = self.board.clock.now() * 1000
            for call in self.run(self.board.engine.live_calls()):
                assert call.state == "connected" or call.deadline > now, call

    @invariant()
    def everybody_hears_the_end_once(self) -> None:
        for player in self.players.values():
            ended = Counter(m["call"] for m in player.wire.said if m["type"] == "ended")
            assert all(count == 1 for count in ended.values()), player.wire.said


TestOrders = Orders.TestCase
TestOrders.settings = settings(
    max_examples=200,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
