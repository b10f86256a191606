"""No order of events records somebody who did not agree, or leaves a recording behind."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ringback.server import protocol as p
from ringback.server import recording
from ringback.server.protocol import ErrorCode, ProtocolError
from tests.playbook import ANSWER, OFFER, Board, Player, make_board, talk

WHO = st.sampled_from(["alice", "bob", "recorder"])
PLAIN = {
    ErrorCode.NO_SUCH_CALL, ErrorCode.NOT_YOUR_CALL, ErrorCode.WRONG_STATE, ErrorCode.CALL_EXISTS,
    ErrorCode.IN_CALL, ErrorCode.BAD_TARGET, ErrorCode.TOO_FAST, ErrorCode.CANNOT_RECORD,
    ErrorCode.BEING_RECORDED, ErrorCode.NO_SUCH_RECORDING, ErrorCode.NO_CONSENT,
}  # fmt: skip
LIMIT = 200


class RecordingOrders(RuleBasedStateMachine):
    """Alice and Bob talk, now and then, and a recorder is there, now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.players: dict[str, Player] = {}
        self.away: set[str] = set()
        self.calls = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def open(self) -> None:
        self.board: Board = self.run(make_board())
        self.players["recorder"] = self.run(self.board.bot("recorder"))
        self.players["alice"], self.players["bob"] = self.run(talk(self.board, "k0"))

    def teardown(self) -> None:
        if hasattr(self, "board"):
            for name in ("alice", "bob"):
                self._drop(name)
            self.run(self.board.passes(LIMIT))
            assert self.run(self.board.engine.live_recordings()) == []
            assert self.run(self.board.live()) == []
            self.run(self.board.close())
        self.loop.close()

    def _ask(self, who: str, message: p.ClientMessage) -> None:
        if who in self.away:
            return
        refusal: ErrorCode | None = None
        try:
            self.run(self.players[who].says(message))
        except ProtocolError as error:
            refusal = error.code
        assert refusal is None or refusal in PLAIN, refusal

    def _live(self) -> list[Any]:
        found: list[Any] = self.run(self.board.engine.live_calls())
        return found

    def _main(self) -> str:
        return next((call.id for call in self._live() if call.id.startswith("k")), "k0")

    def _recording(self) -> str:
        live = self.run(self.board.engine.live_recordings())
        return live[0].id if live else "nothing"

    @rule(who=WHO, do=st.sampled_from(["start", "start", "pause", "resume", "stop"]))
    def control(self, who: str, do: Any) -> None:
        self._ask(who, p.ControlRecording(call=self._main(), do=do))

    @rule(who=WHO, yes=st.sampled_from([True, True, False]))
    def consent(self, who: str, yes: bool) -> None:
        self._ask(who, p.GiveConsent(call=self._main(), yes=yes, version=recording.VERSION))

    @rule(who=WHO)
    def place_leg(self, who: str) -> None:
        self.calls += 1
        self._ask(
            who,
            p.Call(
                call=f"leg{self.calls}", to="recorder", media=p.Media(), description=OFFER,
                recording=self._recording(),
            ),
        )  # fmt: skip

    @rule(who=st.sampled_from(["alice", "bob"]))
    def call_somebody(self, who: str) -> None:
        self.calls += 1
        to = {"alice": "bob", "bob": "alice"}[who]
        call = p.Call(call=f"k{self.calls}", to=to, media=p.Media(), description=OFFER)
        self._ask(who, call)

    @rule(who=st.sampled_from(["alice", "bob"]))
    def call_the_recorder(self, who: str) -> None:
        self.calls += 1
        call = p.Call(call=f"s{self.calls}", to="recorder", media=p.Media(), description=OFFER)
        self._ask(who, call)

    @rule(which=st.integers(0, 3))
    def answer(self, which: int) -> None:
        if ringing := [call for call in self._live() if call.answered is None]:
            call = ringing[which % len(ringing)]
            self._ask(call.callee.key, p.Answer(call=call.id, description=ANSWER))

    @rule(which=st.integers(0, 3), who=WHO)
    def hang_up(self, which: int, who: str) -> None:
        if live := self._live():
            self._ask(who, p.Hangup(call=live[which % len(live)].id))

    @rule(which=st.integers(0, 3), who=WHO)
    def connect(self, which: int, who: str) -> None:
        if live := self._live():
            self._ask(who, p.Progress(call=live[which % len(live)].id, state="connected"))

    @rule(
        state=st.sampled_from(["on", "on", "off"]), reason=st.sampled_from(["failed", "too_long"])
    )
    def tell(self, state: Any, reason: Any) -> None:
        said = p.TellRecording(recording=self._recording(), state=state, reason=reason)
        self._ask("recorder", said)

    def _drop(self, who: str) -> None:
        if who not in self.away:
            self.run(self.players[who].drops())
            self.away.add(who)

    @rule(who=WHO, really=st.integers(0, 2))
    def drop(self, who: str, really: int) -> None:
        if really == 0:
            self._drop(who)

    @rule(who=WHO)
    def come_back(self, who: str) -> None:
        if who in self.away:
            player = self.players[who]
            numbers = [m["n"] for m in player.wire.said if "n" in m]
            player.n = max([player.n, *numbers])
            self.run(player.returns())
            self.away.discard(who)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1, 3, 16, 29, 31, LIMIT]))
    def pass_time(self, seconds: float) -> None:
        self.run(self.board.passes(seconds))

    @invariant()
    def nobody_is_recorded_who_did_not_agree(self) -> None:
        if not hasattr(self, "board"):
            return
        known = {r.id: r for r in self.run(self.board.engine.live_recordings())}
        assert all(r.state == "asked" or r.agreed for r in known.values())
        for call in self._live():
            if call.recording is not None:
                order = call.recording
                assert order.id in known, "a leg outlives its recording"
                names = {person.name for person in known[order.id].people}
                assert {consent.name for consent in order.participants} == names
                assert order.name in names

    @invariant()
    def a_recording_has_its_call(self) -> None:
        if hasattr(self, "board"):
            live = {call.id for call in self._live()}
            for one in self.run(self.board.engine.live_recordings()):
                assert one.call in live

    @invariant()
    def one_recording_for_a_call_and_one_leg_for_a_person(self) -> None:
        if hasattr(self, "board"):
            calls = [one.call for one in self.run(self.board.engine.live_recordings())]
            assert len(calls) == len(set(calls))
            legs = [(c.recording.id, c.caller.key) for c in self._live() if c.recording]
            assert len(legs) == len(set(legs))

    @invariant()
    def who_hears_of_a_recording_hears_its_end_once(self) -> None:
        for name, player in self.players.items():
            said = [m for m in player.wire.said if m["type"] == "recording"]
            ended = [m["recording"] for m in said if m["state"] == "off" and "recording" in m]
            if name != "recorder":
                assert len(ended) == len(set(ended)), said


TestRecordingOrders = RecordingOrders.TestCase
TestRecordingOrders.settings = settings(
    max_examples=150,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
