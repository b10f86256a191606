"""The mirror packet by packet, with real SRTP: what it returns, drops and counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error

from ringback.bots.media import rtp
from ringback.bots.media.mirror import Mirror
from ringback.bots.media.plane import Section
from tests.planes import Wired

VIDEO, RTX, ALIEN = 96, 97, 111
THEIRS, THEIR_RTX, OURS, OUR_RTX = 21, 22, 11, 12


def section(returns: bool = True) -> Section:
    return Section(
        mid="0", kind="video", payload_types=frozenset({VIDEO}), rtx_types=frozenset({RTX}),
        ours=(OURS, OUR_RTX), theirs=(THEIRS, THEIR_RTX), returns=returns, receives=True,
        formats={}, extensions={},
    )  # fmt: skip


def packet(ssrc: int, sequence: int = 1, kind: int = VIDEO, payload: bytes = b"x" * 20) -> bytes:
    head = bytes([0x80, kind]) + sequence.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big")
    return head + payload


def mirror(returns: bool = True) -> tuple[Wired, Mirror]:
    wired = Wired(Mirror)
    assert isinstance(wired.plane, Mirror)
    wired.plane.configure([section(returns)])
    return wired, wired.plane


@pytest.mark.parametrize(("theirs", "ours"), [(THEIRS, OURS), (THEIR_RTX, OUR_RTX)])
def test_a_packet_comes_back_with_nothing_but_its_source_changed(theirs: int, ours: int) -> None:
    wired, plane = mirror()
    kind = VIDEO if theirs == THEIRS else RTX
    wired.rtp(packet(theirs, 7, kind))
    assert wired.sent == [packet(ours, 7, kind)]
    assert (plane.counts.packets, plane.guard.heard) == (1, 1)
    assert plane.counts.first is not None
    assert not plane.counts.dropped


def test_what_the_peer_does_not_want_back_is_only_counted() -> None:
    wired, plane = mirror(returns=False)
    wired.rtp(packet(THEIRS))
    assert wired.sent == []
    assert plane.counts.packets == 1


def test_a_replay_is_dropped() -> None:
    wired, plane = mirror()
    sealed = wired.sealer.protect(packet(THEIRS))
    control = wired.sealer.protect_rtcp(b"\x80\xc9\x00\x01" + THEIRS.to_bytes(4, "big"))
    for _ in range(3):
        plane.receive(sealed, 0.0)
        plane.receive(control, 0.0)
    assert len(wired.sent) == 2
    assert plane.counts.dropped == {"not genuine": 4}


def test_a_packet_with_one_bit_changed_is_dropped() -> None:
    wired, plane = mirror()
    sealed = bytearray(wired.sealer.protect(packet(THEIRS)))
    sealed[20] ^= 1
    plane.receive(bytes(sealed), 0.0)
    assert wired.sent == []
    assert plane.counts.dropped == {"not genuine": 1}
    assert plane.guard.heard == 0


def test_sources_that_nobody_named_are_met_by_their_payload_type_or_dropped() -> None:
    wired, plane = mirror()
    wired.rtp(packet(77, kind=ALIEN))
    assert plane.counts.dropped == {"unknown": 1}
    wired.rtp(packet(78))
    [returned] = wired.sent
    assert rtp.read_header(returned).ssrc == plane.streams[78].ours != OURS


def test_sources_without_end_are_bounded() -> None:
    wired, plane = mirror()
    many = 5 * rtp.STREAMS
    for ssrc in range(1000, 1000 + many):
        wired.rtp(packet(ssrc))
        wired.rtcp(b"\x80\xc9\x00\x01" + ssrc.to_bytes(4, "big"))
    assert len(plane.streams) == len(plane.sources.ours) == rtp.STREAMS
    assert len(plane._strangers) <= rtp.STREAMS
    assert plane.counts.dropped["unknown"] >= many - rtp.STREAMS


def test_loss_is_what_did_not_come_and_order_does_not_matter() -> None:
    wired, plane = mirror()
    assert plane.loss is None
    for sequence in (65534, 0, 65535, 3, 1):
        wired.rtp(packet(THEIRS, sequence))
    wired.rtp(packet(THEIR_RTX, 9, RTX))
    assert plane.loss == pytest.approx(1 / 6)


def test_what_comes_before_there_are_keys_is_returned_with_them() -> None:
    wired, plane = mirror()
    wired.dtls._rx_srtp, receiving = None, wired.dtls._rx_srtp
    wired.rtp(packet(THEIRS, 1))
    assert wired.sent == []
    wired.dtls._rx_srtp = receiving
    wired.rtp(packet(THEIRS, 2))
    assert wired.sent == [packet(OURS, 1), packet(OURS, 2)]
    assert not plane.counts.dropped
    assert plane._early == []


def test_without_a_pair_nothing_is_sent_and_with_another_it_goes_there() -> None:
    wired, plane = mirror()
    pair = wired.connection._nominated.pop(1)
    wired.rtp(packet(THEIRS, 1))
    assert plane.counts.dropped == {"unsent": 1}
    wired.connection._nominated[1] = pair
    wired.rtp(packet(THEIRS, 2))
    assert wired.sent == [packet(OURS, 2)]


def test_a_full_socket_gets_nothing() -> None:
    wired, plane = mirror()
    plane.guard.blocked = True
    wired.rtp(packet(THEIRS))
    assert plane.counts.dropped == {"blocked": 1}


def test_a_large_packet_comes_back_whole() -> None:
    wired, _ = mirror()
    payload = bytes(range(256)) * 5
    wired.rtp(packet(THEIRS, payload=payload))
    assert wired.sent == [packet(OURS, payload=payload)]


SSRCS = st.sampled_from([THEIRS, THEIR_RTX, OURS, 0, 77, 2**32 - 1])
HEADS = st.integers(128, 191)
# As the guard lets them through: nothing shorter than an RTP header, nothing that is not RTP.
NOISE = st.builds(lambda head, rest: bytes([head]) + rest, HEADS, st.binary(min_size=11))
GENUINE = st.builds(
    lambda head, kind, sequence, ssrc, rest: (
        bytes([head]) + packet(ssrc, sequence, kind, rest)[1:]
    ),
    HEADS, st.integers(0, 255), st.integers(0, 65535), SSRCS, st.binary(max_size=200),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(NOISE, GENUINE), max_size=40), st.booleans())
def test_nothing_that_arrives_raises_or_grows(arriving: list[bytes], sealed: bool) -> None:
    wired, plane = mirror()
    seals: dict[bool, Callable[[bytes], bytes]] = {
        False: wired.sealer.protect,
        True: wired.sealer.protect_rtcp,
    }
    for data in arriving:
        if sealed:
            try:
                data = seals[rtp.is_rtcp(data)](data)
            except (Error, ValueError):
                continue  # not even a peer with the keys could have sent it
        plane.receive(data, 0.0)
    counts = plane.counts
    assert len(plane.streams) <= rtp.STREAMS
    assert len(plane._strangers) <= rtp.STREAMS
    assert counts.packets + counts.dropped.total() <= len(arriving)
    assert len(wired.sent) <= len(arriving)
    assert set(counts.dropped) <= {"unknown", "not genuine", "malformed", "unsent"}
