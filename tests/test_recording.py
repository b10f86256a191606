"""What may happen to a recording, by itself: no exchange, no clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringback.server import protocol as p
from ringback.server import recording as r
from ringback.server.protocol import ErrorCode, ProtocolError, RecordingEnd

ANN = r.Person("u-ann", "Ann", "ann", "s-ann")
BOB = r.Person("u-bob", "Bob", "bob", "s-bob")
NOW = 1_700_000_000_000


def asked() -> r.Recording:
    """Ann asked."""
    return r.begin("r", "k", (ANN, BOB), "ann", NOW)


def agreed() -> r.Recording:
    """Bob agreed a second later."""
    return r.agree(asked(), "bob", NOW + 1000)


def on() -> r.Recording:
    """Media arrived another second later."""
    return r.begun(agreed(), NOW + 2000)


def refused(code: ErrorCode, act: Callable[[], object]) -> None:
    """It must be refused."""
    with pytest.raises(ProtocolError) as error:
        act()
    assert error.value.code is code


def test_asking_is_agreeing_oneself() -> None:
    first = asked()
    assert (first.state, first.version, first.agreed) == ("asked", 0, False)
    assert first.person("ann").consent == p.Consent("Ann", NOW, r.VERSION)
    assert first.person("bob").consent is None
    assert first.deadline == NOW + 30_000


def test_alone_one_has_agreed_at_once() -> None:
    alone = r.begin("r", "k", (ANN,), "ann", NOW)
    assert (alone.state, alone.version, alone.deadline) == ("starting", 0, None)
    assert alone.text == r.SOLO_TEXT
    assert r.words(r.begun(alone, NOW), "ann") == "You are being recorded."


def test_it_starts_when_everybody_has_agreed() -> None:
    second = agreed()
    assert (second.state, second.version, second.by) == ("starting", 1, "bob")
    assert second.person("bob").consent == p.Consent("Bob", NOW + 1000, r.VERSION)
    assert second.deadline == NOW + 31_000


def test_media_before_consent_is_no_recording() -> None:
    refused(ErrorCode.WRONG_STATE, lambda: r.begun(asked(), NOW))
    refused(ErrorCode.NO_CONSENT, lambda: r.place_leg(asked(), "ann", "a"))


def test_it_begins_once() -> None:
    assert (on().state, on().started) == ("on", NOW + 2000)
    assert r.begun(on(), NOW + 9000) == on()


def test_a_pause_keeps_what_began() -> None:
    paused = r.pause(on(), "bob")
    assert (paused.state, paused.by) == ("paused", "bob")
    assert r.begun(paused, NOW + 9000) == paused
    assert r.go_on(paused, "ann").state == "on"
    early = r.pause(agreed(), "ann")
    late = r.begun(early, NOW + 5000)
    assert (late.state, late.started) == ("paused", NOW + 5000)
    assert r.go_on(early, "ann").state == "starting"
    assert r.go_on(late, "ann").state == "on"


def test_legs_are_noted_and_stop_the_clock() -> None:
    placed = r.place_leg(agreed(), "bob", "b")
    assert (placed.person("bob").leg, placed.deadline) == ("b", None)
    waiting = r.unreached(placed, NOW + 5000)
    assert waiting.deadline == NOW + 35_000
    assert r.expire(waiting, NOW + 34_999) is waiting
    assert r.expire(waiting, NOW + 35_000).reason is RecordingEnd.FAILED
    refused(ErrorCode.NOT_YOUR_CALL, lambda: r.place_leg(agreed(), "eve", "e"))


def test_silence_is_no_consent() -> None:
    over = r.expire(asked(), NOW + 30_000)
    assert (over.reason, over.by) == (RecordingEnd.NO_ANSWER, "bob")
    assert r.words(over, "bob") == "You did not answer in time. Nothing is recorded."
    assert r.words(over, "ann").startswith("Bob did not say whether")


def test_what_a_no_means() -> None:
    assert r.refusal(asked(), "ann") is RecordingEnd.CANCELLED
    assert r.refusal(asked(), "bob") is RecordingEnd.DECLINED
    for running in (agreed(), on(), r.pause(on(), "ann")):
        assert r.refusal(running, "ann") is RecordingEnd.WITHDRAWN


def test_what_is_over_stays_over() -> None:
    over = r.finish(on(), RecordingEnd.STOPPED, "ann", NOW + 9000)
    assert (over.ended, over.deadline, over.live) == (NOW + 9000, None, False)
    for act in (
        lambda: r.agree(over, "bob", NOW),
        lambda: r.begun(over, NOW),
        lambda: r.pause(over, "ann"),
        lambda: r.go_on(over, "ann"),
        lambda: r.finish(over, RecordingEnd.FAILED, "", NOW),
        lambda: r.place_leg(over, "ann", "a"),
        lambda: r.unreached(over, NOW),
    ):
        refused(ErrorCode.NO_SUCH_RECORDING, act)


def test_lists_are_each_one_s_own() -> None:
    refused(ErrorCode.WRONG_STATE, lambda: r.unlist(on(), "u-ann"))
    over = r.finish(on(), RecordingEnd.STOPPED, "ann", NOW)
    once = r.unlist(over, "u-ann")
    assert [person.listed for person in once.people] == [False, True]
    assert once.listed
    assert not r.unlist(once, "u-bob").listed
    # Two windows of one browser are one user.
    both = replace(over, people=(ANN, replace(BOB, user="u-ann")))
    assert not r.unlist(both, "u-ann").listed


def test_the_order_names_everybody_and_whose_leg_it_is() -> None:
    order = r.order(r.pause(agreed(), "ann"), "bob")
    assert (order.id, order.call, order.name, order.paused) == ("r", "k", "Bob", True)
    assert [consent.name for consent in order.participants] == ["Ann", "Bob"]


def test_words_are_for_who_reads_them() -> None:
    assert r.words(asked(), "ann") == "Waiting for Bob to agree."
    assert r.words(asked(), "bob") == "Ann asks to record this call."
    assert r.words(on(), "bob") == "This call is being recorded."
    paused = r.pause(on(), "bob")
    assert r.words(paused, "bob") == "You paused the recording."
    assert r.words(paused, "ann") == "Bob paused the recording."
    over = r.finish(on(), RecordingEnd.TOO_LONG, "", NOW)
    assert r.words(over, "ann") == r.words(over, "bob")
    assert r.info(asked(), "bob").recording is None
    assert r.info(on(), "bob").recording == "r"


@pytest.mark.parametrize("reason", RecordingEnd)
def test_every_end_has_words_for_both(reason: RecordingEnd) -> None:
    over = r.finish(on(), reason, "ann", NOW)
    for key in ("ann", "bob"):
        assert r.words(over, key).endswith(".")
        assert "{" not in r.words(over, key)


def test_only_the_text_of_now_is_agreed_to() -> None:
    r.check_version(r.VERSION)
    r.check_version(None)
    refused(ErrorCode.OLD_TEXT, lambda: r.check_version("0"))


STEPS: dict[str, Callable[[r.Recording, str, int], r.Recording]] = {
    "agree": lambda now, key, at: r.agree(now, key, at),
    "begun": lambda now, key, at: r.begun(now, at),
    "pause": lambda now, key, at: r.pause(now, key),
    "go on": lambda now, key, at: r.go_on(now, key),
    "leg": lambda now, key, at: r.place_leg(now, key, f"{key} {at}"),
    "unreached": lambda now, key, at: r.unreached(now, at),
    "expire": lambda now, key, at: r.expire(now, at),
    "refuse": lambda now, key, at: r.finish(now, r.refusal(now, key), key, at),
}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(STEPS)), st.sampled_from(["ann", "bob", "eve"]),
            st.integers(1, 20_000),
        ),
        max_size=30,
    )
)  # fmt: skip
def test_no_order_of_events_records_without_consent(steps: list[tuple[str, str, int]]) -> None:
    now, at = asked(), NOW
    for name, key, pause in steps:
        at += pause
        try:
            after = STEPS[name](now, key, at)
        except ProtocolError:
            continue
        assert now.live or after is now
        assert after is now or after.version > now.version
        now = after
        if now.state in ("starting", "on", "paused") or any(person.leg for person in now.people):
            assert now.agreed
        if now.started is not None:
            assert now.agreed
        if not now.live:
            assert now.reason is not None
            assert now.ended is not None
            assert now.deadline is None
