"""What of a stranger's offer and candidates is let through."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media import offer as o
from ringback.bots.media.description import BadOffer
from ringback.bots.media.network import Network, read_allowed
from ringback.bots.media.offer import (
    RemoteCandidate,
    limited,
    read_answer,
    read_candidate,
    read_offer,
)

FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
TRANSPORT = ["a=ice-ufrag:abcd", "a=ice-pwd:" + "x" * 22, FINGERPRINT, "a=setup:actpass"]
CANDIDATE = "a=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0"


def sdp(*media: list[str], bundle: str | None = None, session: list[str] | None = None) -> str:
    mids = [line[6:] for section in media for line in section if line.startswith("a=mid:")]
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines += ["a=group:BUNDLE " + (" ".join(mids) if bundle is None else bundle)] if mids else []
    lines += session or []
    return "\r\n".join([*lines, *(line for section in media for line in section)]) + "\r\n"


def audio(mid: str = "0", *more: str, transport: list[str] = TRANSPORT) -> list[str]:
    first = ["m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=rtcp-mux", "a=rtpmap:0 PCMU/8000"]
    return [*first, f"a=mid:{mid}", *transport, *more]


def test_an_offer_is_split_into_description_and_candidates() -> None:
    read = read_offer(sdp(audio("0", CANDIDATE, "a=end-of-candidates")))
    assert read.candidates == (RemoteCandidate("1", 2122260223, "192.0.2.7", 50000, "host"),)
    assert read.refused == 0
    assert "candidate" not in read.sdp, "nor that there are no more"
    assert "a=rtpmap:0 PCMU/8000" in read.sdp
    assert read.transport[:2] == ("a=ice-ufrag:abcd", "a=ice-pwd:" + "x" * 22)


def test_the_transport_of_the_first_bundled_section_holds_for_all() -> None:
    other = ["a=ice-ufrag:zzzz", "a=ice-pwd:" + "z" * 22, FINGERPRINT.replace("AB", "CD")]
    read = read_offer(sdp(audio("0"), audio("1", transport=[*other, "a=setup:active"])))
    assert read.sdp.count("a=ice-ufrag:abcd") == 2
    assert "zzzz" not in read.sdp
    assert "CD" not in read.sdp
    assert read.sdp.count("a=setup:actpass") == 2


def test_the_bundle_may_name_another_section_first() -> None:
    other = ["a=ice-ufrag:zzzz", *TRANSPORT[1:]]
    read = read_offer(sdp(audio("0"), audio("1", transport=other), bundle="1 0"))
    assert read.sdp.count("a=ice-ufrag:zzzz") == 2
    assert "a=group:BUNDLE 0 1" in read.sdp, "aiortc takes the first section for the main one"


def test_a_section_without_a_transport_of_its_own_gets_the_common_one() -> None:
    read = read_offer(sdp(audio("0"), audio("1", transport=[])))
    assert read.sdp.count("a=ice-pwd:") == 2
    assert read.sdp.count(FINGERPRINT) == 2


def test_the_transport_may_stand_above_all_sections() -> None:
    read = read_offer(sdp(audio("0", transport=[]), session=TRANSPORT))
    assert read.transport[0] == "a=ice-ufrag:abcd"
    assert read.sdp.index("a=ice-ufrag") > read.sdp.index("m=audio")


def test_another_password_or_fingerprint_is_another_transport() -> None:
    first = read_offer(sdp(audio())).transport
    assert read_offer(sdp(audio("0", CANDIDATE))).transport == first
    for changed in ("a=ice-ufrag:efgh", "a=ice-pwd:" + "y" * 22, FINGERPRINT.replace("AB", "CD")):
        name = changed.split(":")[0]
        transport = [changed if line.startswith(name) else line for line in TRANSPORT]
        assert read_offer(sdp(audio(transport=transport))).transport != first


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "signalling"),
        ("garbage", "signalling"),
        ("v=0\r\n" * 3000, "signalling"),
        ("v=0\r\n" + "a" * 3000, "signalling"),
        ("v=0\r\n" + "a=x\r\n" * 20000, "signalling"),
        ("v=0\r\na=\x0b\r\n", "signalling"),
        ("v=0\r\ns=a\u2028m=audio\r\n", "signalling"),
        (sdp(), "media"),
        (sdp(*(audio(str(n)) for n in range(17))), "media"),
        (sdp(["m=text 9 UDP/TLS/RTP/SAVPF 0", *audio()[1:]]), "media"),
        (sdp(["m=audio 99999 UDP/TLS/RTP/SAVPF 0", *audio()[1:]]), "media"),
        (sdp(["m=audio", *audio()[1:]]), "media"),
        (sdp(audio("0"), audio("0")), "signalling"),
        (sdp([line for line in audio() if "mid" not in line]), "signalling"),
        (sdp(audio("0"), audio("1"), bundle="0"), "signalling"),
        (sdp(audio("0"), audio("1"), bundle="0 7"), "signalling"),
        (sdp(audio("0", transport=TRANSPORT[1:])), "signalling"),
        (sdp(audio("0", transport=TRANSPORT[:1] + TRANSPORT[2:])), "signalling"),
        (sdp(audio("0", transport=TRANSPORT[:3])), "signalling"),
        (sdp(audio("0", transport=[*TRANSPORT[:2], TRANSPORT[3]])), "dtls"),
        (sdp(audio("0", transport=TRANSPORT + [FINGERPRINT] * 8)), "dtls"),
        (sdp(audio("0", transport=["a=ice-ufrag:a", *TRANSPORT[1:]])), "ice"),
        (sdp(audio("0", transport=["a=ice-ufrag:ab cd", *TRANSPORT[1:]])), "ice"),
        (sdp(audio("0", transport=["a=ice-ufrag:abcd", "a=ice-pwd:short", *TRANSPORT[2:]])), "ice"),
        (sdp(audio("0", *[CANDIDATE] * 51)), "ice"),
        (sdp(audio("0", "a=candidate:nonsense")), "ice"),
    ],
)
def test_an_offer_that_cannot_be_taken_says_which_part_is_at_fault(text: str, part: str) -> None:
    with pytest.raises(BadOffer) as caught:
        read_offer(text)
    assert caught.value.part == part
    assert str(caught.value).endswith(".")


# --- candidates ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "candidate:1 1 udp 1 192.0.2.7 50000 typ host",
        "a=candidate:1 1 UDP 1 192.0.2.7 50000 typ host",
        "candidate:a+/9 1 udp 4294967295 2001:db8::7 1024 typ host",
        "candidate:1 1 udp 1 198.51.100.1 65535 typ srflx raddr 0.0.0.0 rport 0",
        "candidate:1 1 udp 1 192.0.2.7 50000 typ relay raddr 192.0.2.8 rport 9 generation 0",
    ],
)
def test_a_candidate_that_may_be_tried(line: str) -> None:
    candidate = read_candidate(line)
    assert candidate is not None
    assert candidate.port >= o.MIN_PORT


@pytest.mark.parametrize(
    ("why", "line"),
    [
        ("tcp", "candidate:1 1 tcp 1 192.0.2.7 9 typ host tcptype active"),
        ("rtcp", "candidate:1 2 udp 1 192.0.2.7 50000 typ host"),
        ("prflx", "candidate:1 1 udp 1 192.0.2.7 50000 typ prflx"),
        ("mdns", "candidate:1 1 udp 1 3f2a-11.local 50000 typ host"),
        ("a name", "candidate:1 1 udp 1 internal.example 50000 typ host"),
        ("a well-known port", "candidate:1 1 udp 1 192.0.2.7 53 typ host"),
        ("port 0", "candidate:1 1 udp 1 192.0.2.7 0 typ host"),
        ("loopback", "candidate:1 1 udp 1 127.0.0.2 50000 typ host"),
        ("loopback 6", "candidate:1 1 udp 1 ::1 50000 typ host"),
        ("mapped loopback", "candidate:1 1 udp 1 ::ffff:127.0.0.1 50000 typ host"),
        ("multicast", "candidate:1 1 udp 1 224.0.0.251 50000 typ host"),
        ("multicast 6", "candidate:1 1 udp 1 ff02::1 50000 typ host"),
        ("broadcast", "candidate:1 1 udp 1 255.255.255.255 50000 typ host"),
        ("nowhere", "candidate:1 1 udp 1 0.0.0.0 50000 typ host"),
        ("nowhere 6", "candidate:1 1 udp 1 :: 50000 typ host"),
        ("cloud metadata", "candidate:1 1 udp 1 169.254.169.254 50000 typ host"),
        ("link-local 6", "candidate:1 1 udp 1 fe80::1 50000 typ host"),
        ("a private address", "candidate:1 1 udp 1 10.0.0.1 50000 typ host"),
        ("scope", "candidate:1 1 udp 1 fe80::1%eth0 50000 typ host"),
    ],
)
def test_a_candidate_that_is_refused(why: str, line: str) -> None:
    assert read_candidate(line) is None, why
    assert read_offer(sdp(audio("0", "a=" + line))).refused == 1


PRIVATE = "candidate:1 1 udp 1 192.168.7.9 50000 typ host"
NAME = "3f2a1c00-0b1e-4c1d-9a55-00112233aabb.local"
NAMED = f"candidate:1 1 udp 1 {NAME} 50000 typ host"


def test_what_the_operator_allows_is_tried() -> None:
    allow, names = read_allowed(["192.168.0.0/16", "local-names"])
    network = Network(allow=allow, names=names)
    for line, address in ((PRIVATE, "192.168.7.9"), (NAMED, NAME)):
        candidate = read_candidate(line, network)
        assert candidate is not None
        assert candidate.address == address
        assert read_offer(sdp(audio("0", "a=" + line)), network).candidates == (candidate,)
    assert read_candidate(PRIVATE.replace("192.168", "10.1"), network) is None
    assert read_candidate(NAMED.replace("host", "srflx"), network) is None
    assert read_candidate(NAMED.replace(".local", ".local.example"), network) is None
    assert read_candidate(NAMED.replace(NAME, "router.local"), network) is None
    assert read_candidate(NAMED.replace("3f2a", "sub.3f2a"), network) is None


def test_the_same_candidate_twice_counts_once() -> None:
    read = read_offer(sdp(audio("0", CANDIDATE, CANDIDATE)))
    assert (len(read.candidates), read.refused) == (1, 1)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "candidate:",
        "candidate:1 1 udp 1 192.0.2.7 50000",
        "candidate:1 1 udp 1 192.0.2.7 50000 typ moon",
        "candidate:1 1 udp 99999999999 192.0.2.7 50000 typ host",
        "candidate:1 1 udp 4294967296 192.0.2.7 50000 typ host",
        "candidate:1 1 udp 1 192.0.2.7 70000 typ host",
        "candidate:1 1 udp 1 192.0.2.7 50000 typ host\r\na=setup:active",
        "candidate:1 1 udp 1 192.0.2.7 50000 typ host " + "x" * 3000,
    ],
)
def test_what_is_no_candidate(line: str) -> None:
    with pytest.raises(BadOffer) as caught:
        read_candidate(line)
    assert caught.value.part == "ice"


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_offer, read_candidate):
        with suppress(BadOffer):
            read(text)


@given(
    st.lists(st.sampled_from([*audio(), *audio("1"), CANDIDATE, "a=mid:", "m=", "a=group:"])),
)
def test_any_mixture_of_lines_is_read_or_refused(lines: list[str]) -> None:
    try:
        read = read_offer("\r\n".join(["v=0", *lines]))
    except BadOffer:
        return
    assert read.sdp.startswith("v=0\r\n")
    assert "a=candidate" not in read.sdp


def test_a_limit_stands_in_the_sections_of_pictures_only() -> None:
    audio, video = "m=audio 9 X 0\r\nc=IN IP4 1.2.3.4\r\n", "m=video 9 X 96\r\nc=IN IP6 ::2\r\n"
    sdp = f"v=0\r\nc=IN IP4 0.0.0.0\r\n{audio}{video}a=mid:1\r\n{audio}{video}"
    limit = "b=AS:999\r\nb=TIAS:999999\r\n"
    assert limited(sdp, 999_999) == sdp.replace(video, video + limit)


# --- answers ---------------------------------------------------------------------------------


def rejected(*more: str) -> list[str]:
    return ["m=audio 0 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 0.0.0.0", *more]


def test_an_answer_in_which_nothing_is_rejected_is_read_like_an_offer() -> None:
    text = sdp(audio("0"), audio("1"))
    assert read_answer(text, text) == read_offer(text)


@pytest.mark.parametrize("bundle", ["1", None])
def test_what_is_rejected_reads_as_inactive_with_our_own_codecs(bundle: str | None) -> None:
    ours = sdp(audio("0", "a=sendrecv", "a=ssrc:5 cname:x", CANDIDATE), audio("1", "a=sendrecv"))
    theirs = [*TRANSPORT[:3], "a=setup:active"]
    text = sdp(rejected(), audio("1", "a=sendrecv", transport=theirs), bundle=bundle)
    if bundle is None:
        # Whoever takes one section only may leave the group out.
        text = "".join(x for x in text.splitlines(True) if not x.startswith("a=group"))
    read = read_answer(text, ours)
    head, first, second = read.sdp.split("m=")
    assert "a=group:BUNDLE 0 1" in head
    assert first.startswith("audio 9 ")
    for line in ("a=rtpmap:0 PCMU/8000", "a=mid:0", "a=inactive", "a=setup:active"):
        assert first.count(line) == 1
    assert "sendrecv" not in first
    assert "ssrc" not in first
    assert read.candidates == (), "ours are not theirs"
    assert "a=sendrecv" in second


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (sdp(rejected("a=mid:0"), rejected("a=mid:1"), bundle=""), "takes nothing"),
        (sdp(rejected("a=mid:0")), "takes nothing"),
        (sdp(rejected("a=mid:0"), audio("1"), audio("2"), bundle="1 2"), "other media"),
        (sdp(rejected("a=mid:0"), audio("1"), bundle="7"), "one transport"),
    ],
    ids=["all", "the only one", "more than offered", "another group"],
)
def test_answers_that_cannot_be_taken(text: str, words: str) -> None:
    with pytest.raises(BadOffer, match=words):
        read_answer(text, sdp(audio("0"), audio("1")))


@given(st.lists(st.sampled_from([*sdp(rejected("a=mid:0"), audio("1")).splitlines(), "m="])))
def test_any_answer_is_read_or_refused(lines: list[str]) -> None:
    with suppress(BadOffer):
        read_answer("\r\n".join(lines), sdp(audio("0"), audio("1")))
