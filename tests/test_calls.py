"""The table of calls, against the same table written out by hand."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringback.server import calls
from ringback.server.admission import Admission, admit
from ringback.server.calls import (
    ROWS,
    Call,
    Party,
    Refused,
    State,
    Timings,
    What,
    Who,
    place,
    role,
    step,
)
from ringback.server.protocol import Candidate, Description, ErrorCode, Media, Reason

OFFER = Description("offer", "v=0")
TIMINGS = Timings(ring=45, connect=15, reconnect=30)

# state        what          who        then          reason
TABLE = """
calling        delivered     exchange   ringing
calling        unavailable   exchange   ended         unavailable
calling        busy          exchange   ended         busy
calling        glare         exchange   ended         glare
calling        timeout       exchange   ended         unavailable
calling        hangup        caller     ended         cancelled
calling        fail          caller     ended         failed
calling        gone          caller     ended         lost
calling        gone          callee     ended         unavailable
ringing        delivered     exchange   ringing
ringing        unavailable   exchange   ended         unavailable
ringing        glare         exchange   ended         glare
ringing        timeout       exchange   ended         no_answer
ringing        hangup        caller     ended         cancelled
ringing        fail          caller     ended         failed
ringing        gone          caller     ended         lost
ringing        gone          callee     ended         unavailable
ringing        answer        callee     connecting
ringing        decline       callee     ended         declined
ringing        busy          callee     ended         busy
ringing        hangup        callee     ended         declined
ringing        fail          callee     ended         failed
connecting     progress      caller     connecting
connecting     progress      callee     connecting
connecting     connect       caller     connected
connecting     connect       callee     connected
connecting     hangup        caller     ended         hangup
connecting     hangup        callee     ended         hangup
connecting     fail          caller     ended         failed
connecting     fail          callee     ended         failed
connecting     gone          caller     ended         lost
connecting     gone          callee     ended         lost
connecting     timeout       exchange   ended         failed
connected      progress      caller     connected
connected      progress      callee     connected
connected      connect       caller     connected
connected      connect       callee     connected
connected      interrupt     caller     reconnecting
connected      interrupt     callee     reconnecting
connected      hangup        caller     ended         hangup
connected      hangup        callee     ended         hangup
connected      fail          caller     ended         lost
connected      fail          callee     ended         lost
connected      gone          caller     ended         lost
connected      gone          callee     ended         lost
reconnecting   progress      caller     reconnecting
reconnecting   progress      callee     reconnecting
reconnecting   interrupt     caller     reconnecting
reconnecting   interrupt     callee     reconnecting
reconnecting   connect       caller     connected
reconnecting   connect       callee     connected
reconnecting   hangup        caller     ended         hangup
reconnecting   hangup        callee     ended         hangup
reconnecting   fail          caller     ended         lost
reconnecting   fail          callee     ended         lost
reconnecting   gone          caller     ended         lost
reconnecting   gone          callee     ended         lost
reconnecting   timeout       exchange   ended         lost
"""
ALLOWED = {
    (State(s), What(w), Who(by)): (State(then), Reason(rest[0]) if rest else None)
    for s, w, by, then, *rest in map(str.split, TABLE.strip().splitlines())
}
EVERYTHING = list(product(State, What, Who))


def party(name: str, session: str = "", bot: bool = False) -> Party:
    return Party(user=f"u-{name}", name=name, key=name, session=session, bot=bot)


def new(call: str = "k", caller: str = "alice", callee: str = "bob", bot: bool = False) -> Call:
    caller_party = party(caller, f"s-{caller}")
    return place(call, caller_party, party(callee, bot=bot), Media(), OFFER, 1000, TIMINGS)


def in_state(state: State, call: str = "k", caller: str = "alice", callee: str = "bob") -> Call:
    """A call brought to `state` by the shortest way."""
    made = new(call, caller, callee)
    way = {
        State.CALLING: [],
        State.RINGING: [(What.DELIVERED, Who.EXCHANGE)],
        State.CONNECTING: [(What.DELIVERED, Who.EXCHANGE), (What.ANSWER, Who.CALLEE)],
    }
    way[State.CONNECTED] = [*way[State.CONNECTING], (What.CONNECT, Who.CALLER)]
    way[State.RECONNECTING] = [*way[State.CONNECTED], (What.INTERRUPT, Who.CALLEE)]
    way[State.ENDED] = [(What.HANGUP, Who.CALLER)]
    for what, who in way[state]:
        made = step(made, what, who, 2000, TIMINGS, session=f"s-{callee}")
    assert made.state is state
    return made


def test_the_table_is_the_one_written_here() -> None:
    assert {(r.state, r.what, r.who): (r.then, r.reason) for r in ROWS} == ALLOWED
    assert len(ROWS) == len(ALLOWED)


@pytest.mark.parametrize(("state", "what", "who"), EVERYTHING)
def test_every_step_leads_where_the_table_says(state: State, what: What, who: Who) -> None:
    before = in_state(state)
    # Late enough for every clock, so that a timeout is refused only where the table says so.
    now = 10_000_000
    expected = ALLOWED.get((state, what, who))
    if expected is None:
        with pytest.raises(Refused) as refused:
            step(before, what, who, now, TIMINGS, session="s-bob")
        ended = state is State.ENDED
        assert refused.value.code == (ErrorCode.NO_SUCH_CALL if ended else ErrorCode.WRONG_STATE)
        return
    after = step(before, what, who, now, TIMINGS, session="s-bob")
    assert (after.state, after.reason) == expected
    assert after.version == before.version + 1
    if after.state is State.ENDED:
        assert (after.ended, after.ended_by, after.deadline) == (now, who.value, None)
        assert after.offer is None
        assert after.candidates == ()
    else:
        assert after.ended is None
        assert (after.deadline is None) == (after.state is State.CONNECTED)


def test_a_call_rings_for_the_ring_time_however_late_a_telephone_is_reached() -> None:
    call = new()
    assert call.deadline == 1000 + 45_000
    ringing = step(call, What.DELIVERED, Who.EXCHANGE, 31_000, TIMINGS)
    assert ringing.deadline == call.deadline
    assert ringing.rung == 31_000
    again = step(ringing, What.DELIVERED, Who.EXCHANGE, 32_000, TIMINGS)
    assert again.rung == 31_000


def test_each_state_has_its_time() -> None:
    connecting = in_state(State.CONNECTING)
    assert connecting.deadline == 2000 + 15_000
    progress = step(connecting, What.PROGRESS, Who.CALLER, 9000, TIMINGS, part="ice")
    assert (progress.deadline, progress.part) == (connecting.deadline, "ice")
    broken = step(in_state(State.CONNECTED), What.INTERRUPT, Who.CALLER, 5000, TIMINGS)
    assert broken.deadline == 5000 + 30_000
    still = step(broken, What.INTERRUPT, Who.CALLEE, 20_000, TIMINGS)
    assert still.deadline == broken.deadline
    back = step(still, What.CONNECT, Who.CALLEE, 21_000, TIMINGS)
    assert back.deadline is None
    assert back.connected == 2000


@pytest.mark.parametrize("state", [State.CALLING, State.RINGING, State.CONNECTING])
def test_no_clock_strikes_early(state: State) -> None:
    call = in_state(state)
    assert call.deadline is not None
    with pytest.raises(Refused) as refused:
        step(call, What.TIMEOUT, Who.EXCHANGE, call.deadline - 1, TIMINGS)
    assert refused.value.code is ErrorCode.WRONG_STATE
    assert not step(call, What.TIMEOUT, Who.EXCHANGE, call.deadline, TIMINGS).live


def test_the_answer_fixes_the_session_and_forgets_the_offer() -> None:
    ringing = in_state(State.RINGING)
    answered = step(ringing, What.ANSWER, Who.CALLEE, 7000, TIMINGS, session="tab-2")
    assert answered.callee.session == "tab-2"
    assert (answered.answered, answered.offer) == (7000, None)


@pytest.mark.parametrize(
    ("state", "key", "session", "expected"),
    [
        (State.RINGING, "alice", "s-alice", Who.CALLER),
        (State.RINGING, "bob", "any tab", Who.CALLEE),
        (State.RINGING, "alice", "other tab", None),
        (State.RINGING, "carol", "s-carol", None),
        (State.CONNECTED, "bob", "s-bob", Who.CALLEE),
        (State.CONNECTED, "bob", "other tab", None),
        (State.CONNECTED, "alice", "s-alice", Who.CALLER),
    ],
)
def test_who_may_act(state: State, key: str, session: str, expected: Who | None) -> None:
    call = in_state(state)
    if expected is None:
        with pytest.raises(Refused) as refused:
            role(call, key, session)
        assert refused.value.code is ErrorCode.NOT_YOUR_CALL
    else:
        assert role(call, key, session) is expected


def test_a_free_callee_rings() -> None:
    elsewhere = in_state(State.CONNECTED, "z", "dave", "erin")
    assert admit(new(), [elsewhere], call_waiting=True) == (Admission.RING, None)


@pytest.mark.parametrize("state", [State.CONNECTING, State.CONNECTED, State.RECONNECTING])
def test_a_callee_in_a_call_waits_or_is_busy(state: State) -> None:
    talking = in_state(state, "z", "bob", "carol")
    assert admit(new(), [talking], call_waiting=True)[0] is Admission.WAITING
    assert admit(new(), [talking], call_waiting=False)[0] is Admission.BUSY


def test_a_callee_who_calls_somebody_is_in_a_call() -> None:
    calling = in_state(State.RINGING, "z", "bob", "carol")
    assert admit(new(), [calling], call_waiting=True)[0] is Admission.WAITING


def test_a_callee_who_is_being_rung_is_busy() -> None:
    for state in (State.CALLING, State.RINGING):
        rung = in_state(state, "z", "carol", "bob")
        assert admit(new(), [rung], call_waiting=True)[0] is Admission.BUSY


def test_a_bot_decides_itself() -> None:
    made = new(bot=True)
    others = [in_state(State.CONNECTED, f"z{n}", f"p{n}", "bob") for n in range(5)]
    assert admit(made, others, call_waiting=True) == (Admission.RING, None)


def test_a_caller_has_one_call_with_a_bot_too() -> None:
    first = in_state(State.CONNECTED)
    assert admit(new("k2", bot=True), [first], call_waiting=True) == (Admission.BUSY, first)


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [("a", "b", Admission.GLARE_WON), ("b", "a", Admission.GLARE_LOST)],
)
@pytest.mark.parametrize("state", [State.CALLING, State.RINGING])
def test_of_two_who_call_each_other_the_smaller_id_wins(
    mine: str, theirs: str, expected: Admission, state: State
) -> None:
    other = in_state(state, theirs, "bob", "alice")
    assert admit(new(mine), [other], call_waiting=True) == (expected, other)


def test_a_pair_that_talks_cannot_call_again() -> None:
    for caller, callee in (("alice", "bob"), ("bob", "alice")):
        talking = in_state(State.CONNECTED, "z", caller, callee)
        assert admit(new(), [talking], call_waiting=True) == (Admission.BUSY, talking)


def test_ended_calls_and_itself_do_not_count() -> None:
    ended = in_state(State.ENDED, "z", "carol", "bob")
    made = new()
    assert admit(made, [ended, made], call_waiting=False) == (Admission.RING, None)


EVENTS = st.lists(
    st.tuples(st.sampled_from(What), st.sampled_from(Who), st.integers(0, 50_000)), max_size=30
)


@given(EVENTS)
def test_no_order_of_events_breaks_a_call(events: list[tuple[What, Who, int]]) -> None:
    call, now = new(), 1000
    for what, who, passed in events:
        now += passed
        before = call
        try:
            call = step(call, what, who, now, TIMINGS, session="s-bob")
        except Refused:
            assert call is before
            continue
        assert before.live
        assert call.version == before.version + 1
        assert (call.reason is None) == call.live
        assert (call.deadline is None) == (call.state in (State.CONNECTED, State.ENDED))
        assert (call.answered is None) == (call.callee.session == "")
        for earlier in ("rung", "answered", "connected"):
            if (kept := getattr(before, earlier)) is not None:
                assert getattr(call, earlier) == kept


def test_a_record_is_told_from_each_side() -> None:
    call = in_state(State.CONNECTED)
    ended = step(call, What.HANGUP, Who.CALLEE, 9000, TIMINGS)
    alices, bobs = calls.record(ended, "alice"), calls.record(ended, "bob")
    assert (alices.peer, alices.outgoing) == ("bob", True)
    assert (bobs.peer, bobs.outgoing) == ("alice", False)
    assert alices.reason is bobs.reason is Reason.HANGUP
    assert (alices.placed, alices.answered, alices.ended) == (1000, 2000, 9000)


def test_candidates_of_an_unanswered_call_are_kept_until_the_answer() -> None:
    waiting = replace(in_state(State.RINGING), candidates=(Candidate("x"), None))
    answered = step(waiting, What.ANSWER, Who.CALLEE, 7000, TIMINGS, session="s")
    assert answered.candidates == ()
