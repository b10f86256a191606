"""Sections that are rejected: found, taken out of offers, put back into answers."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media.description import BadOffer, split
from ringback.bots.media.offer import read_offer
from ringback.bots.media.rejection import Rejected, nothing_left, put_back, rejected_in, take_out

HEAD = ["v=0", "a=group:LS 0 1", "a=group:BUNDLE 0 1"]
TAKEN = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0", "a=sendrecv"]
TRANSPORT = [
    "a=ice-ufrag:abcd",
    "a=ice-pwd:" + "x" * 22,
    "a=fingerprint:sha-256 AB",
    "a=setup:actpass",
]


def section(port: int, *lines: str, mid: str = "1", kind: str = "video") -> list[str]:
    return [f"m={kind} {port} UDP/TLS/RTP/SAVPF 96 97", f"a=mid:{mid}", *lines]


@pytest.mark.parametrize(
    ("why", "bundle", "lines", "rejected"),
    [
        ("stopped, as browsers write it", "0", section(0, "a=inactive"), True),
        ("stopped, and still in the bundle", "0 1", section(0, "a=inactive"), True),
        ("port 0 alone says it", "0 1", section(0), True),
        ("without a name", "0", ["m=video 0 UDP/TLS/RTP/SAVPF 0", "a=inactive"], True),
        ("its port is its bundle's", "0 1", section(0, "a=bundle-only"), False),
        ("that of a bundle it is not in", "0", section(0, "a=bundle-only"), True),
        ("inactive and alone", "0", section(9, "a=inactive"), True),
        ("inactive, and one of all", "0 1", section(9, "a=inactive"), False),
        ("alone, but with media", "0", section(9, "a=sendrecv"), False),
    ],
)
def test_what_says_that_a_section_is_rejected(
    why: str, bundle: str, lines: list[str], rejected: bool
) -> None:
    session = ["v=0", f"a=group:BUNDLE {bundle}"]
    assert rejected_in(session, [TAKEN, lines]) == ({1} if rejected else set()), why
    assert rejected_in(["v=0"], [section(9, "a=inactive")]) == set(), "alone, it needs no bundle"


def test_a_rejected_section_is_out_of_the_offer_and_of_its_bundle() -> None:
    session, media, rejected = take_out(HEAD, [TAKEN, section(0, "a=inactive", "a=ssrc:1 cname:x")])
    assert (session, media) == (["v=0", "a=group:LS 0 1", "a=group:BUNDLE 0"], [TAKEN])
    assert rejected == [
        Rejected(
            1,
            ("m=video 0 UDP/TLS/RTP/SAVPF 96 97", "c=IN IP4 0.0.0.0", "a=mid:1", "a=inactive"),
        )
    ]
    assert take_out(HEAD, [TAKEN]) == (HEAD, [TAKEN], [])


def test_an_answer_has_each_section_where_the_offer_has_it() -> None:
    media = [
        section(0, mid="a"),
        TAKEN,
        section(0, mid="b", kind="application"),
        section(0, mid="c", kind="text"),
        section(9, "a=sendrecv", mid="1"),
    ]
    _, left, rejected = take_out(HEAD, media)
    answer = "\r\n".join(line for part in (["v=0"], *left) for line in part) + "\r\n"
    head, answered = split(put_back(answer, rejected).split("\r\n")[:-1])
    assert head == ["v=0"]
    assert [lines[0].split()[0] for lines in answered] == [lines[0].split()[0] for lines in media]
    assert [lines[0].split()[1] == "0" for lines in answered] == [True, False, True, True, False]
    _, everything = split(nothing_left(rejected).split("\r\n")[:-1])
    assert everything == [list(lines) for _, lines in rejected]


def test_what_is_not_even_a_section_is_refused() -> None:
    with pytest.raises(BadOffer) as caught:
        take_out(HEAD, [TAKEN, ["m=video 0", "a=mid:1"]])
    assert caught.value.part == "media"


def test_an_offer_in_which_everything_is_stopped_leaves_nothing_to_take() -> None:
    lines = ["v=0", *section(0, "a=candidate:1 1 udp 1 192.0.2.7 50000 typ host")]
    offer = read_offer("\r\n".join(lines) + "\r\n")
    assert (offer.sdp, offer.sections, offer.transport, offer.candidates) == ("", (), (), ())
    assert len(offer.rejected) == offer.refused == 1


LINES = [
    *HEAD,
    *TAKEN,
    *TRANSPORT,
    *section(0, "a=inactive"),
    *section(9, "a=bundle-only"),
    "m=x 0 y",
]


@given(st.lists(st.sampled_from(LINES)))
def test_of_any_offer_the_answer_has_every_section(lines: list[str]) -> None:
    with suppress(BadOffer):
        offer = read_offer("\r\n".join(["v=0", *lines]))
        answer = put_back(offer.sdp or "v=0\r\n", offer.rejected)
        assert answer.count("\r\nm=") == sum(line.startswith("m=") for line in lines)
        assert len(offer.sections) == answer.count("\r\nm=") - len(offer.rejected)
