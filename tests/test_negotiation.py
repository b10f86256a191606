"""Which codecs of an offer are taken, and what we offer."""

from __future__ import annotations

import pytest
from aiortc import RTCRtpCodecParameters
from aiortc.rtcrtpparameters import RTCRtcpFeedback
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media import negotiation
from ringback.bots.media.negotiation import common, keep, offered


def codec(
    name: str, number: int, rate: int = 90000, *, kind: str = "video", apt: int | None = None
) -> RTCRtpCodecParameters:
    made = RTCRtpCodecParameters(f"{kind}/{name}", rate, payloadType=number)
    if apt is not None:
        made.parameters = {"apt": apt}
    return made


def numbers(codecs: list[RTCRtpCodecParameters]) -> list[int | None]:
    return [c.payloadType for c in codecs]


def test_order_numbers_and_parameters_are_the_peers() -> None:
    theirs = [codec("AV1", 45), codec("rtx", 46, apt=45), codec("vp8", 120), codec("H265", 49)]
    theirs[0].parameters = {"level-idx": "5"}
    taken = common(theirs)
    assert numbers(taken) == [45, 46, 120]
    assert taken[0].parameters == {"level-idx": "5"}
    assert taken[0] is not theirs[0]


def test_feedback_is_what_both_know() -> None:
    theirs = codec("VP8", 96)
    theirs.rtcpFeedback = [
        RTCRtcpFeedback("transport-cc"),
        RTCRtcpFeedback("ccm", "fir"),
        RTCRtcpFeedback("nack"),
    ]
    [taken] = common([theirs])
    assert taken.rtcpFeedback == [RTCRtcpFeedback("nack"), RTCRtcpFeedback("ccm", "fir")]


def test_another_clock_rate_is_another_codec() -> None:
    assert common([codec("opus", 111, 16000, kind="audio")]) == []
    assert common([codec("VP8", 96), codec("rtx", 97, 1000, apt=96)])[-1].name == "VP8"


def test_retransmission_of_what_is_not_taken_is_not_taken() -> None:
    theirs = [codec("H265", 49), codec("rtx", 50, apt=49), codec("rtx", 51), codec("VP8", 96)]
    assert numbers(common(theirs)) == [96]


def test_telephone_keys_alone_are_no_sound() -> None:
    keys = codec("telephone-event", 110, 48000, kind="audio")
    assert common([keys]) == []
    assert numbers(common([codec("PCMU", 0, 8000, kind="audio"), keys])) == [0, 110]


def test_a_number_is_taken_once() -> None:
    assert len(common([codec("VP8", 96), codec("VP9", 96)])) == 1


def test_only_so_many_are_looked_at() -> None:
    assert len(common([codec("VP8", n) for n in range(200)])) == negotiation.MAX_CODECS


def test_what_is_not_wanted_goes_with_its_retransmission() -> None:
    theirs = [
        codec("VP8", 96),
        codec("rtx", 97, apt=96),
        codec("VP9", 98),
        codec("rtx", 99, apt=98),
    ]
    assert numbers(keep(theirs, lambda c: c.name == "VP9")) == [98, 99]
    assert keep(theirs, lambda c: False) == []


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_what_we_offer_we_would_take(kind: str) -> None:
    ours = offered(kind, lambda c: True)
    assert common(ours) == ours
    assert len(set(numbers(ours))) == len(ours)
    assert all(n is not None and (n < 35 or 96 <= n <= 127) for n in numbers(ours))


def test_what_is_offered_is_no_list_that_a_caller_could_change() -> None:
    offered("video", lambda c: True)[0].parameters["x"] = 1
    assert offered("video", lambda c: True)[0].parameters == {}


@given(
    st.lists(
        st.builds(
            codec,
            st.sampled_from(["VP8", "rtx", "AV1", "x", "telephone-event"]),
            st.integers(0, 127),
            st.sampled_from([90000, 48000]),
            kind=st.sampled_from(["audio", "video", ""]),
            apt=st.none() | st.integers(0, 127),
        ),
        max_size=20,
    )
)
def test_whatever_is_offered_something_sensible_comes_of_it(
    theirs: list[RTCRtpCodecParameters],
) -> None:
    taken = common(theirs)
    assert all(c in numbers(taken) for r in taken if r.name == "rtx" for c in [r.parameters["apt"]])
    assert not taken or any(c.name not in ("rtx", "telephone-event") for c in taken)


def test_what_is_changed_in_what_was_taken_is_not_in_the_offer() -> None:
    theirs = codec("H264", 96)
    theirs.parameters["profile-level-id"] = "42e01f"
    [taken] = common([theirs])
    taken.parameters["profile-level-id"] = "640032"
    taken.rtcpFeedback.clear()
    assert theirs.parameters["profile-level-id"] == "42e01f"
    [again] = common([theirs])
    assert again is not theirs
    assert again.parameters == theirs.parameters
