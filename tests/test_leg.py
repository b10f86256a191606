"""How the offers of browsers are answered, line by line where it matters."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import partial

import pytest
from aiortc import RTCIceServer
from aiortc.sdp import MediaDescription, SessionDescription

from ringback.bots.media.description import BadOffer
from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.frames import Kind
from ringback.bots.media.leg import Leg
from ringback.bots.media.mirror import Mirror
from ringback.bots.media.network import Network
from ringback.bots.media.offer import read_answer, read_offer
from ringback.bots.media.parts import Certificate
from ringback.bots.media.udp import Hub
from tests.callers import needs_address
from tests.offers import stopped

pytestmark = needs_address

PRINT = "a=fingerprint:sha-256 " + ":".join(["5C"] * 32)
ICE = "a=ice-ufrag:/+Wi\na=ice-pwd:Ds1kJm/kZRx5iKOktrTNOu3H\na=ice-options:trickle"
TRANSPORT = f"{ICE}\n{PRINT}\na=setup:actpass"
CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
AST = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"

CHROMIUM = f"""v=0
o=- 8860960120454606546 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS s
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
{TRANSPORT}
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 {AST}
a=extmap:3 {CC}
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:s a
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=ssrc:1001 cname:c
m=video 9 UDP/TLS/RTP/SAVPF 96 97 104 107 108 109 45 46
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
{TRANSPORT}
a=mid:1
a=extmap:2 {AST}
a=extmap:13 urn:3gpp:video-orientation
a=extmap:3 {CC}
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:s v
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:104 H264/90000
a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f
a=rtpmap:107 rtx/90000
a=fmtp:107 apt=104
a=rtpmap:108 H264/90000
a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:109 rtx/90000
a=fmtp:109 apt=108
a=rtpmap:45 AV1/90000
a=rtpmap:46 rtx/90000
a=fmtp:46 apt=45
a=ssrc-group:FID 2001 2002
a=ssrc:2001 cname:c
a=ssrc:2002 cname:c
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
{TRANSPORT}
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
"""

FIREFOX = f"""v=0
o=mozilla...THIS_IS_SDPARTA-99.0 6515 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
{PRINT}
a=group:BUNDLE 0 1
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
{ICE}
a=mid:0
a=msid:{{s}} {{a}}
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=setup:actpass
a=ssrc:3001 cname:{{c}}
m=video 0 UDP/TLS/RTP/SAVPF 120 124
c=IN IP4 0.0.0.0
a=bundle-only
a=sendrecv
a=fmtp:120 max-fs=12288;max-fr=60
a=fmtp:124 apt=120
{ICE}
a=mid:1
a=msid:{{s}} {{v}}
a=rtcp-fb:120 nack
a=rtcp-fb:120 nack pli
a=rtcp-fb:120 ccm fir
a=rtcp-fb:120 goog-remb
a=rtcp-fb:120 transport-cc
a=rtcp-mux
a=rtpmap:120 VP8/90000
a=rtpmap:124 rtx/90000
a=setup:actpass
a=ssrc:4001 cname:{{c}}
a=ssrc:4002 cname:{{c}}
a=ssrc-group:FID 4001 4002
"""


@pytest.fixture
async def leg() -> AsyncIterator[Leg]:
    made = Leg([], lambda: None, Certificate.generateCertificate())
    yield made
    await made.close()


async def answer(leg: Leg, offer: str) -> list[MediaDescription]:
    parsed = SessionDescription.parse(await leg.answer(read_offer(offer.replace("\n", "\r\n"))))
    assert len(parsed.group) == 1
    assert parsed.group[0].items == [media.rtp.muxId for media in parsed.media]
    return parsed.media


async def test_a_chromium_offer(leg: Leg) -> None:
    audio, video, channel = await answer(leg, CHROMIUM)
    assert [c.payloadType for c in audio.rtp.codecs] == [111, 9, 0, 8, 110]
    assert [c.payloadType for c in video.rtp.codecs] == [96, 97, 104, 107, 108, 109, 45, 46]
    assert (audio.direction, video.direction) == ("sendrecv", "sendrecv")
    assert {(e.id, e.uri) for e in video.rtp.headerExtensions} == {
        (2, AST),
        (4, "urn:ietf:params:rtp-hdrext:sdes:mid"),
    }
    feedback = {(f.type, f.parameter) for f in video.rtp.codecs[0].rtcpFeedback}
    assert feedback == {("nack", None), ("nack", "pli"), ("goog-remb", None), ("ccm", "fir")}
    assert channel.sctp_port == 5000


async def test_a_firefox_offer(leg: Leg) -> None:
    audio, video = await answer(leg, FIREFOX)
    assert [c.payloadType for c in audio.rtp.codecs] == [109, 9, 0, 8, 101]
    assert [c.payloadType for c in video.rtp.codecs] == [120, 124]
    assert video.port != 0
    assert video.direction == "sendrecv"


async def test_each_gets_its_own_parameters_back(leg: Leg) -> None:
    [audio, *_] = await answer(leg, CHROMIUM)
    assert audio.rtp.codecs[0].parameters == {"minptime": 10, "useinbandfec": 1}


async def test_every_candidate_is_in_the_answer_and_the_bot_is_the_dtls_client(leg: Leg) -> None:
    media = await answer(leg, CHROMIUM)
    assert media[0].ice_candidates
    assert media[0].ice_candidates_complete
    assert {m.dtls.role for m in media if m.dtls is not None} == {"client"}


async def test_a_caller_that_insists_on_being_the_dtls_client_may(leg: Leg) -> None:
    [audio, *_] = await answer(leg, CHROMIUM.replace("a=setup:actpass", "a=setup:active"))
    assert audio.dtls is not None
    assert audio.dtls.role == "server"


async def test_sources_of_the_offer_have_counterparts_in_the_answer(leg: Leg) -> None:
    _, video, _ = await answer(leg, CHROMIUM)
    assert isinstance(leg.plane, Mirror)
    ours = leg.plane.sources.ours
    assert [ours[2001], ours[2002]] == [source.ssrc for source in video.ssrc]
    assert set(ours) == {1001, 2001, 2002}


@pytest.mark.parametrize(
    ("offered", "answered"),
    [("recvonly", "sendonly"), ("sendonly", "recvonly"), ("inactive", "inactive")],
)
async def test_directions(leg: Leg, offered: str, answered: str) -> None:
    audio, _, _ = await answer(leg, CHROMIUM.replace("a=sendrecv", f"a={offered}", 1))
    assert audio.direction == answered
    assert leg.plane is not None
    returns = {s.mid: s.returns for s in leg.plane._sections}
    assert returns == {"0": answered == "sendonly", "1": True}


async def test_only_codecs_that_nobody_here_knows(leg: Leg) -> None:
    lines = [x for x in CHROMIUM.splitlines() if not re.search("VP8|H264|AV1|:10[4789] ", x)]
    with pytest.raises(BadOffer) as caught:
        await answer(leg, "\n".join(lines) + "\n")
    assert caught.value.part == "media"


@pytest.mark.parametrize("codec", ["VP9", "AV1"])
async def test_codecs_that_aiortc_does_not_know(leg: Leg, codec: str) -> None:
    lines = [x for x in CHROMIUM.splitlines() if not re.search("VP8|H264|AV1|:10[4789] ", x)]
    at = lines.index("a=rtpmap:97 rtx/90000")
    lines[at:at] = [
        f"a=rtpmap:96 {codec}/90000",
        "a=fmtp:96 profile-id=2",
        f"a=rtpmap:45 {codec}/90000",
    ]
    _, video, _ = await answer(leg, "\n".join(lines) + "\n")
    found = {c.payloadType: (c.name, c.parameters) for c in video.rtp.codecs}
    assert found == {
        96: (codec, {"profile-id": "2"}),
        97: ("rtx", {"apt": 96}),
        45: (codec, {}),
        46: ("rtx", {"apt": 45}),
    }


async def test_every_profile_is_answered_as_it_was_offered(leg: Leg) -> None:
    offer = CHROMIUM.replace("profile-level-id=42e01f", "profile-level-id=640c34")
    _, video, _ = await answer(leg, offer)
    profiles = [c.parameters.get("profile-level-id") for c in video.rtp.codecs]
    assert [p for p in profiles if p] == ["42001f", "640c34"]


async def test_an_endpoint_takes_what_it_can_take_apart() -> None:
    leg = Leg([], lambda: None, Certificate.generateCertificate(), Endpoint)
    audio, video, _ = await answer(leg, CHROMIUM)
    assert [c.payloadType for c in audio.rtp.codecs] == [111, 0, 8, 110]
    assert [c.payloadType for c in video.rtp.codecs] == [96, 97, 104, 107, 108, 109]
    assert (audio.direction, video.direction) == ("recvonly", "recvonly")
    await leg.close()


async def test_an_endpoint_refuses_what_it_cannot_take_apart() -> None:
    lines = [x for x in CHROMIUM.splitlines() if not re.search("VP8|H264|:10[4789] ", x)]
    leg = Leg([], lambda: None, Certificate.generateCertificate(), Endpoint)
    with pytest.raises(BadOffer) as caught:
        await answer(leg, "\n".join(lines) + "\n")
    assert caught.value.part == "media"
    await leg.close()


@pytest.mark.parametrize(
    ("receives", "sends", "audio", "video"),
    [
        (("audio",), (), "recvonly", "inactive"),
        (("audio", "video"), ("audio",), "sendrecv", "recvonly"),
        ((), ("video",), "inactive", "sendonly"),
    ],
)
async def test_an_endpoint_says_what_it_receives_and_sends(
    receives: tuple[Kind, ...], sends: tuple[Kind, ...], audio: str, video: str
) -> None:
    plane = partial(Endpoint, receives=receives, sends=sends)
    leg = Leg([], lambda: None, Certificate.generateCertificate(), plane)
    [first, second, _] = await answer(leg, CHROMIUM)
    assert (first.direction, second.direction) == (audio, video)
    assert isinstance(leg.plane, Endpoint)
    assert {t.kind for t in leg.plane.incoming.values()} == set(receives)
    assert {t.kind for t in leg.plane.outgoing.values()} == set(sends)
    await leg.close()


async def test_what_pictures_may_take_is_said(leg: Leg) -> None:
    sdp = await leg.answer(read_offer(CHROMIUM.replace("\n", "\r\n")))
    audio, video = sdp.split("m=video")
    assert "b=" not in audio
    assert video.count("b=AS:4000\r\nb=TIAS:4000000\r\n") == 1
    network = Network(bandwidth=300_000)
    other = Leg([], lambda: None, Certificate.generateCertificate(), Endpoint, Hub(network))
    assert "b=TIAS:300000" in await other.offer(["audio", "video"])
    await other.close()


async def test_an_offer_of_ours() -> None:
    both: tuple[Kind, ...] = ("audio", "video")
    plane = partial(Endpoint, receives=both[:1], sends=both)
    leg = Leg([], lambda: None, Certificate.generateCertificate(), plane)
    sdp = await leg.offer(["audio", "video"], "control")
    audio, video, channel = SessionDescription.parse(sdp).media
    assert (audio.direction, video.direction) == ("sendrecv", "sendonly")
    assert [c.name for c in audio.rtp.codecs if c.name != "telephone-event"] == [
        "opus",
        "PCMU",
        "PCMA",
    ]
    assert [c.name for c in video.rtp.codecs if c.name != "rtx"] == ["VP8", "VP9", *["H264"] * 5]
    assert channel.kind == "application"
    assert audio.ice_candidates
    assert "stun" not in sdp
    with pytest.raises(RuntimeError):
        await leg.offer(["audio"])
    await leg.close()


async def test_an_answer_that_nobody_asked_for(leg: Leg) -> None:
    with pytest.raises(BadOffer, match="no offer of ours"):
        await leg.accept(read_offer(CHROMIUM))
    await leg.offer(["audio"])
    with pytest.raises(BadOffer, match="The answer cannot be taken"):
        await leg.accept(read_offer(CHROMIUM))


async def test_a_later_offer_is_for_this_leg_if_the_transport_is_the_same(leg: Leg) -> None:
    first = read_offer(CHROMIUM)
    assert not leg.takes(first)
    states = [leg.state]
    await leg.answer(first)
    states.append(leg.state)
    assert leg.takes(read_offer(CHROMIUM.replace("a=sendrecv", "a=inactive")))
    assert leg.takes(read_offer(CHROMIUM.replace("a=setup:actpass", "a=setup:active")))
    assert not leg.takes(read_offer(CHROMIUM.replace("/+Wi", "abcd")))
    assert not leg.takes(read_offer(CHROMIUM.replace("5C", "5D")))
    assert leg.takes(read_offer(stopped(CHROMIUM, "1", "2")))
    assert not leg.takes(read_offer(stopped(CHROMIUM, "0"))), "it carries the others"
    assert leg.takes(read_offer(CHROMIUM.replace("BUNDLE 0 1 2", "BUNDLE 1 0 2")))
    await leg.close()
    assert not leg.takes(first)
    states.append(leg.state)
    assert states == ["new", "ice", "closed"]


# --- sections that are stopped


def again(offer: str, old: str, new: str, source: int) -> str:
    """An offer in which another section took the place of a stopped one, of another name."""
    text = offer.replace(f"a=mid:{old}\n", f"a=mid:{new}\n").replace(f" {old} ", f" {new} ", 1)
    return text.replace("2001", str(source)).replace("2002", str(source + 1))


def ports(sdp: str) -> list[tuple[str, bool]]:
    """The names of the sections and whether each is taken; the bundle must say the same."""
    parsed = re.findall(r"(?ms)^m=\w+ (\d+).*?^a=mid:(\S+)", sdp)
    groups = re.findall(r"a=group:BUNDLE ([^\r]*)", sdp)
    taken = [mid for port, mid in parsed if port != "0"]
    assert [group.split() for group in groups] == ([taken] if taken else [])
    return [(mid, port != "0") for port, mid in parsed]


@pytest.mark.parametrize("mid", ["1", "2"])
@pytest.mark.parametrize("plane", [Mirror, Endpoint])
async def test_one_section_is_stopped_and_the_others_go_on(
    mid: str, plane: type[Mirror] | type[Endpoint]
) -> None:
    leg = Leg([], lambda: None, Certificate.generateCertificate(), plane)
    first = await leg.answer(read_offer(CHROMIUM))
    later = read_offer(stopped(CHROMIUM, mid))
    assert leg.takes(later)
    answered = await leg.answer(later)
    assert ports(first) == [("0", True), ("1", True), ("2", True)]
    assert ports(answered) == [(name, name != mid) for name in "012"]
    assert leg.plane is not None
    assert {section.mid for section in leg.plane._sections} == {"0", "1"} - {mid}
    assert ports(await leg.answer(later)) == ports(answered), "asked again, answered again"
    await leg.close()


async def test_the_place_of_a_stopped_section_is_taken_by_another() -> None:
    made = partial(Endpoint, receives=("audio", "video"), sends=("audio", "video"))
    leg = Leg([], lambda: None, Certificate.generateCertificate(), made)
    await leg.answer(read_offer(CHROMIUM))
    assert isinstance(leg.plane, Endpoint)
    incoming, outgoing = leg.plane.incoming["1"], leg.plane.outgoing["1"]
    sources = set()
    for number in range(3, 9):
        old = "1" if number == 3 else str(number - 1)
        before = again(CHROMIUM, "1", old, 2001 if number == 3 else 5000 + 2 * number)
        await leg.answer(read_offer(stopped(before, old)))
        assert set(leg.plane.incoming) == set(leg.plane.outgoing) == {"0"}
        offer = again(CHROMIUM, "1", str(number), 5002 + 2 * number)
        answered = await leg.answer(read_offer(offer))
        assert ports(answered) == [("0", True), (str(number), True), ("2", True)]
        video = SessionDescription.parse(answered).media[1]
        assert video.rtp.muxId == str(number)
        sources |= {source.ssrc for source in video.ssrc}
        assert set(leg.plane.incoming) == set(leg.plane.outgoing) == {"0", str(number)}
    assert len(sources) == 12, "SRTP numbers the packets of each stream anew"
    assert (incoming.ended, incoming.active, outgoing.active) == (True, False, False)
    assert len(leg._pc.getTransceivers()) == 2, "nothing is kept of what was stopped"
    assert len(leg.plane._routes) <= 5, "what may still be on its way goes one change later"
    await leg.close()


async def test_another_kind_takes_the_place_at_once() -> None:
    sdp = CHROMIUM[: CHROMIUM.index("m=video")].replace(" 0 1 2", " 0")
    leg = Leg([], lambda: None, Certificate.generateCertificate(), Endpoint)
    await leg.answer(read_offer(sdp))
    assert isinstance(leg.plane, Endpoint)
    head, audio, video, _ = re.split("(?m)^(?=m=)", CHROMIUM)
    offer = head.replace(" 0 1 2", " 0") + video.replace("a=mid:1", "a=mid:0")
    answered = await leg.answer(read_offer(offer))
    assert [m.kind for m in SessionDescription.parse(answered).media] == ["video"]
    assert [track.kind for track in leg.plane.incoming.values()] == ["video"]
    await leg.close()


async def test_an_offer_may_have_sections_that_were_stopped_long_ago(leg: Leg) -> None:
    """A peer that restarts offers them still."""
    assert ports(await leg.answer(read_offer(stopped(CHROMIUM, "0")))) == [
        ("0", False), ("1", True), ("2", True),
    ]  # fmt: skip


async def test_a_leg_that_offered_answers_what_stops() -> None:
    both: tuple[Kind, ...] = ("audio", "video")
    caller = Leg([], lambda: None, Certificate.generateCertificate(), partial(Endpoint, sends=both))
    callee = Leg([], lambda: None, Certificate.generateCertificate(), Endpoint)
    answer = await callee.answer(read_offer(await caller.offer(["audio", "video"], "control")))
    await caller.accept(read_answer(answer, caller.offered))
    reoffer = answer.replace("\r\n", "\n").replace("a=setup:active", "a=setup:actpass")
    assert ports(await caller.answer(read_offer(stopped(reoffer, "1"))))[1] == ("1", False)
    assert isinstance(caller.plane, Endpoint)
    assert list(caller.plane.outgoing) == ["0"]
    await caller.close()
    await callee.close()


async def test_a_server_that_is_configured_is_used(unused_udp_port: int) -> None:
    servers = [RTCIceServer(f"stun:127.0.0.1:{unused_udp_port}")]
    leg = Leg(servers, lambda: None, Certificate.generateCertificate())
    connection = leg._pc._RTCPeerConnection__configuration  # type: ignore[attr-defined]
    assert connection.iceServers == servers
    await leg.close()
