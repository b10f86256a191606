"""What Ringback relies on in aiortc, aioice and pylibsrtp beyond their public interfaces.

A failure here means that a new version of one of them changed a part that `bots/media/parts.py`
uses. Each test says in a sentence what was relied on; that file is then to be adapted.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import logging
import socket
from collections.abc import AsyncIterator
from socket import SOCK_DGRAM
from typing import Any

import pytest
from aioice import ice, stun, turn
from aioice.candidate import Candidate
from aioice.ice import CandidatePair, Connection, StunProtocol, server_reflexive_candidate
from aiortc import (
    RTCBundlePolicy,
    RTCCertificate,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCRtpCodecParameters,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
    rtcdtlstransport,
)
from aiortc.codecs import CODECS
from aiortc.exceptions import InvalidStateError
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcicetransport import RTCIceParameters
from aiortc.rtp import RtpPacket
from pylibsrtp import Error, Policy, Session

from ringback.bots.media import parts
from tests.callers import PATIENCE, Caller, needs_address

CONFIGURATION = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)


@pytest.fixture
async def answerer() -> AsyncIterator[RTCPeerConnection]:
    """A peer that has taken an offer of sound and pictures, and made no answer yet."""
    caller = Caller()
    pc = RTCPeerConnection(CONFIGURATION)
    offer = RTCSessionDescription(await caller.offer(), "offer")
    await pc.setRemoteDescription(offer)
    yield pc
    await pc.close()
    await caller.close()


def test_a_connection_gets_its_certificate_from_where_we_put_ours() -> None:
    certificate = parts.Certificate.generateCertificate()
    pc = parts.connection(CONFIGURATION, certificate)
    assert pc._RTCPeerConnection__certificates == [certificate], (  # type: ignore[attr-defined]
        "RTCPeerConnection no longer asks RTCCertificate in its module for a certificate"
    )
    [own] = RTCPeerConnection(CONFIGURATION)._RTCPeerConnection__certificates  # type: ignore[attr-defined]
    assert type(own) is RTCCertificate
    assert own is not certificate, "a connection that was given none has one of its own"


@needs_address
async def test_the_certificate_put_in_is_the_one_in_the_answer() -> None:
    certificate = parts.Certificate.generateCertificate()
    pc = parts.connection(CONFIGURATION, certificate)
    pc.addTransceiver("audio")
    await pc.setLocalDescription(await pc.createOffer())
    assert certificate.getFingerprints()[0].value in pc.localDescription.sdp, (
        "RTCPeerConnection took its certificate from elsewhere than the list"
    )
    await pc.close()


def test_a_certificate_says_one_fingerprint_as_aiortc_would() -> None:
    certificate = parts.Certificate.generateCertificate()
    asked = [certificate.getFingerprints() for _ in range(2)]
    known = RTCCertificate.getFingerprints(certificate)
    assert [one.algorithm for one in asked[0]] == ["sha-256"]
    assert asked[0][0] in known, "RTCCertificate.getFingerprints no longer has one by SHA-256"
    assert asked[0] == asked[1]
    assert asked[0] is not asked[1]


def test_the_addresses_of_this_host_are_looked_up_once_for_calls_that_begin_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[tuple[bool, bool]] = []
    clock = iter([10.0, 10.0, 10.0 + parts.STEADY, 10.1 + parts.STEADY])

    def look(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        looked.append((use_ipv4, use_ipv6))
        return [f"192.0.2.{len(looked)}"]

    monkeypatch.setattr(parts, "_host_addresses", look)
    addresses = parts._HostAddresses(lambda: next(clock))
    first = addresses(use_ipv4=True, use_ipv6=False)
    assert addresses(use_ipv4=True, use_ipv6=True) == ["192.0.2.2"]
    first.append("what a caller does with the list is its own affair")
    assert addresses(use_ipv4=True, use_ipv6=False) == ["192.0.2.1"]
    assert addresses(use_ipv4=True, use_ipv6=False) == ["192.0.2.3"]
    assert looked == [(True, False), (True, True), (True, False)]


def test_aioice_asks_its_module_for_the_addresses_of_this_host() -> None:
    assert "= get_host_addresses(" in inspect.getsource(Connection.gather_candidates), (
        "aioice no longer asks get_host_addresses of its module"
    )
    assert sorted(ice.get_host_addresses(use_ipv4=True, use_ipv6=True)) == sorted(
        parts._host_addresses(use_ipv4=True, use_ipv6=True)
    )


@needs_address
async def test_what_the_peer_described_last_is_kept_as_it_was_read(
    answerer: RTCPeerConnection,
) -> None:
    described = parts.remote_of(answerer)
    assert [media.kind for media in described.media] == ["audio", "video"], (
        "RTCPeerConnection no longer keeps what it read of the peer's description"
    )
    assert [media.rtp.muxId for media in described.media] == [
        transceiver.mid for transceiver in answerer.getTransceivers()
    ]
    await answerer.setLocalDescription(await answerer.createAnswer())
    assert parts.remote_of(answerer) is described


def test_a_certificate_makes_its_openssl_context_in_one_method() -> None:
    certificate = parts.Certificate.generateCertificate()
    profiles = rtcdtlstransport.SRTP_PROFILES
    first = certificate._create_ssl_context(profiles)
    assert first is certificate._create_ssl_context(srtp_profiles=profiles), (
        "RTCCertificate._create_ssl_context no longer takes srtp_profiles"
    )
    assert "_create_ssl_context(" in inspect.getsource(RTCDtlsTransport.start), (
        "RTCDtlsTransport.start no longer asks its certificate for the context"
    )


@needs_address
async def test_all_media_of_a_bundle_share_one_dtls_and_one_ice_transport(
    answerer: RTCPeerConnection,
) -> None:
    dtls = parts.dtls_of(answerer)
    assert isinstance(dtls, RTCDtlsTransport)
    assert {t.receiver.transport for t in answerer.getTransceivers()} == {dtls}, (
        "with MAX_BUNDLE an answerer no longer puts all media on one transport"
    )
    assert isinstance(parts.ice_of(dtls), Connection), (
        "RTCIceTransport._connection is no longer aioice's Connection"
    )


@needs_address
async def test_sections_are_kept_by_these_names(answerer: RTCPeerConnection) -> None:
    names = vars(answerer)
    for name in ("transceivers", "sctp", "sctp_mline_index", "remoteDtls", "remoteIce"):
        assert f"_RTCPeerConnection__{name}" in names, f"RTCPeerConnection has no __{name}"
    first, second = answerer.getTransceivers()
    owners = names["_RTCPeerConnection__remoteDtls"]
    await parts.keep_sections(answerer, [("1", "video")])
    assert answerer.getTransceivers() == [second]
    assert (second._get_mline_index(), first.currentDirection) == (0, "inactive")
    assert first in owners, "what waits for the connection needs it still"
    parts.dtls_of(answerer)._state = rtcdtlstransport.State.CONNECTED
    await parts.keep_sections(answerer, [("1", "video")])
    assert list(owners) == [second]


@needs_address
@pytest.mark.parametrize("stopped", [False, True])
async def test_a_section_that_connects_while_its_transport_closes(
    answerer: RTCPeerConnection, stopped: bool
) -> None:
    dtls = parts.dtls_of(answerer)
    if stopped:
        parts.stop_connecting(dtls)
    connecting = inspect.getsource(RTCPeerConnection)
    assert "await iceTransport.start(" in connecting, "aiortc no longer starts ICE with `start`"
    assert "await dtlsTransport.start(" in connecting, "aiortc no longer starts DTLS with `start`"
    await answerer.close()
    if stopped:
        await dtls.transport.start(RTCIceParameters())
        return
    # If this does not raise any more, `stop_connecting` has no reason.
    with pytest.raises(InvalidStateError):
        await dtls.transport.start(RTCIceParameters())


@needs_address
@pytest.mark.parametrize("ours", [True, False])
async def test_a_receiver_that_stands_still_estimates_nothing(ours: bool) -> None:
    caller, pc = Caller(audio=None), RTCPeerConnection(CONFIGURATION)
    offer = RTCSessionDescription(await caller.offer(), "offer")
    offered = parts.Negotiator(lambda kind: CODECS[kind], lambda codecs: codecs)
    with parts.negotiating(offered) if ours else contextlib.nullcontext():
        await pc.setRemoteDescription(offer)
    [transceiver] = pc.getTransceivers()
    estimator = vars(transceiver.receiver)["_RTCRtpReceiver__remote_bitrate_estimator"]
    assert isinstance(estimator, RemoteBitrateEstimator) is not ours, (
        "RTCRtpReceiver no longer makes its estimator in its constructor, by this name"
    )
    await pc.close()
    await caller.close()


async def test_a_connection_without_media_has_no_transport() -> None:
    pc = RTCPeerConnection(CONFIGURATION)
    with pytest.raises(LookupError):
        parts.dtls_of(pc)


@needs_address
async def test_a_data_channel_alone_has_a_transport() -> None:
    pc = RTCPeerConnection(CONFIGURATION)
    pc.createDataChannel("x")
    assert isinstance(parts.dtls_of(pc), RTCDtlsTransport)
    await pc.close()


@needs_address
async def test_sender_and_receiver_start_nothing_when_their_methods_are_replaced(
    answerer: RTCPeerConnection,
) -> None:
    [audio, _] = answerer.getTransceivers()
    parts.hold_still(audio)
    await audio.sender.send(None)  # type: ignore[arg-type]
    await audio.receiver.receive(None)  # type: ignore[arg-type]
    source = inspect.getsource(RTCPeerConnection)
    assert "transceiver.sender.send(" in source, "aiortc no longer starts a sender with `send`"
    assert "transceiver.receiver.receive(" in source, (
        "aiortc no longer starts a receiver with `receive`"
    )
    for stop in (RTCRtpSender.stop, RTCRtpReceiver.stop):
        assert "__started" in inspect.getsource(stop), (
            "stopping what never started is no longer nothing"
        )


@needs_address
async def test_what_is_read_of_a_transceiver_stands_in_its_answer(
    answerer: RTCPeerConnection,
) -> None:
    [audio, video] = answerer.getTransceivers()
    [opus] = [c for c in parts.codecs_of(audio) if c.name == "opus"]
    opus.parameters = {"useinbandfec": 1}
    answer = (await answerer.createAnswer()).sdp
    media, rtx = parts.sources_of(video)
    assert f"a=ssrc-group:FID {media} {rtx}" in answer, (
        "RTCRtpSender._ssrc and _rtx_ssrc are no longer what the answer says"
    )
    assert "useinbandfec=1" in answer, "the answer is no longer made from transceiver._codecs"


def test_nothing_of_transport_wide_feedback_is_negotiated() -> None:
    from aiortc.codecs import CODECS, HEADER_EXTENSIONS

    uris = [e.uri for kind in HEADER_EXTENSIONS.values() for e in kind]
    feedback = [f.type for kind in CODECS.values() for c in kind for f in c.rtcpFeedback]
    assert not any("transport-wide" in uri for uri in uris), (
        "aiortc now negotiates transport-wide sequence numbers, which a mirror must not return"
    )
    assert "transport-cc" not in feedback


@needs_address
async def test_a_negotiator_decides_about_offers_and_answers_in_its_own_task_only() -> None:
    vp9 = RTCRtpCodecParameters("video/VP9", 90000, payloadType=98)
    own = parts.Negotiator(offered=lambda kind: [vp9], common=lambda theirs: theirs[:1])
    one, two = RTCPeerConnection(CONFIGURATION), RTCPeerConnection(CONFIGURATION)
    one.addTransceiver("video")
    with parts.negotiating(own):
        offer = await one.createOffer()
        await one.setLocalDescription(offer)
        assert "VP9" in offer.sdp, "createOffer no longer takes its codecs from the list CODECS"
        await two.setRemoteDescription(offer)
        answer = await two.createAnswer()
        assert "VP9" in answer.sdp, (
            "setRemoteDescription no longer asks find_common_codecs for the codecs"
        )
    plain = RTCPeerConnection(CONFIGURATION)
    plain.addTransceiver("video")
    other = (await plain.createOffer()).sdp
    assert "VP9" not in other
    assert "VP8" in other
    for pc in (one, two, plain):
        await pc.close()


@needs_address
async def test_header_extensions_are_read_of_a_transceiver(answerer: RTCPeerConnection) -> None:
    [audio, _] = answerer.getTransceivers()
    extensions = parts.extensions_of(audio)
    sdp = (await answerer.createAnswer()).sdp
    assert extensions
    for uri, number in extensions.items():
        assert f"a=extmap:{number} {uri}" in sdp, "RTCRtpTransceiver._headerExtensions is another"


# --- aioice -------------------------------------------------------------------------------


@pytest.fixture
async def connections() -> AsyncIterator[tuple[Connection, Connection]]:
    """Two ICE connections that know each other's candidates and have not connected yet."""
    one, two = Connection(ice_controlling=True), Connection(ice_controlling=False)
    for mine, other in ((one, two), (two, one)):
        await mine.gather_candidates()
        other.remote_username, other.remote_password = mine.local_username, mine.local_password
    for mine, other in ((one, two), (two, one)):
        for candidate in mine.local_candidates:
            await other.add_remote_candidate(candidate)
        await other.add_remote_candidate(None)
    yield one, two
    await one.close()
    await two.close()


@needs_address
async def test_the_parts_of_an_ice_connection(connections: tuple[Connection, Connection]) -> None:
    one, two = connections
    sockets = parts.protocols(one)
    assert sockets, "Connection._protocols is empty after gathering"
    assert all(isinstance(p, StunProtocol) for p in sockets)
    assert all(hasattr(p.transport, "sendto") for p in sockets)
    assert parts.nominated(one) is None
    nominations = parts.nominations(one)
    await asyncio.gather(one.connect(), two.connect())
    pair = parts.nominated(one)
    assert isinstance(pair, CandidatePair), "Connection._nominated no longer holds the pair"
    assert nominations is parts.nominations(one), "Connection._nominated was replaced"
    assert nominations.get(1) is pair
    assert pair.protocol in sockets
    assert parts.proven(one, pair.protocol, pair.remote_addr), (
        "the nominated pair is not among the proven ones of Connection._check_list"
    )
    assert not parts.proven(one, pair.protocol, ("192.0.2.99", 9999))


@needs_address
async def test_the_transport_calls_what_stands_on_the_protocol_object(
    connections: tuple[Connection, Connection],
) -> None:
    one, two = connections
    came: asyncio.Queue[bytes] = asyncio.Queue()
    [protocol, *_] = parts.protocols(two)

    def received(data: bytes | str, address: tuple[object, ...]) -> None:
        assert isinstance(data, bytes)
        came.put_nowait(data)

    protocol.datagram_received = received  # type: ignore[method-assign,assignment]
    address = protocol.transport.get_extra_info("sockname")[:2]
    [sender] = [
        p for p in parts.protocols(one) if p.local_candidate.host == protocol.local_candidate.host
    ]
    sender.transport.sendto(b"media", address)
    async with asyncio.timeout(PATIENCE):
        assert await came.get() == b"media", (
            "the event loop no longer looks datagram_received up for each datagram"
        )


@needs_address
async def test_data_that_is_refused_does_not_reach_the_queue_and_passed_data_does(
    connections: tuple[Connection, Connection],
) -> None:
    one, _ = connections
    refused: list[bytes] = []
    parts.refuse_data(one, lambda data, component: refused.append(data))
    [protocol, *_] = parts.protocols(one)
    protocol.datagram_received(b"", ("192.0.2.1", 1))
    assert refused == [b""], "StunProtocol no longer gives data to Connection.data_received"
    assert parts.waiting(one) == 0
    parts.pass_data(one, b"hello")
    assert parts.waiting(one) == 1, "Connection.data_received no longer fills Connection._queue"


# --- SRTP ---------------------------------------------------------------------------------


@dataclasses.dataclass
class Dtls:
    """What a cipher needs of a DTLS transport."""

    _rx_srtp: Session | None = None
    _tx_srtp: Session | None = None


def session(direction: int) -> Session:
    return Session(Policy(key=bytes(range(30)), ssrc_type=direction))


def test_a_receiver_takes_packets_and_sends_feedback_by_these_names() -> None:
    taking = inspect.signature(RTCRtpReceiver._handle_rtp_packet)
    assert list(taking.parameters) == ["self", "packet", "arrival_time_ms"]
    assert inspect.iscoroutinefunction(RTCRtpReceiver._handle_rtp_packet)
    sending = inspect.signature(RTCRtpReceiver._send_rtcp)
    assert list(sending.parameters) == ["self", "packet"]
    assert inspect.iscoroutinefunction(RTCRtpReceiver._send_rtcp)
    # The transport looks the method up on the object for each packet, not once on the class.
    source = inspect.getsource(RTCDtlsTransport._handle_rtp_data)
    assert "._handle_rtp_packet(" in source


def test_srtp_in_place_is_what_pylibsrtp_does() -> None:
    packet = RtpPacket(payload_type=96, sequence_number=7, ssrc=5, payload=bytes(1000)).serialize()
    sealed = session(Policy.SSRC_ANY_OUTBOUND).protect(packet)
    dtls: Any = Dtls(session(Policy.SSRC_ANY_INBOUND), session(Policy.SSRC_ANY_OUTBOUND))
    cipher = parts.Cipher(dtls)
    assert cipher.ready
    size = cipher.unprotect(sealed, rtcp=False)
    assert bytes(cipher.view[:size]) == packet
    size = cipher.protect(size, rtcp=False)
    assert bytes(cipher.view[:size]) == sealed


def test_srtp_without_a_python_frame_is_the_same() -> None:
    packet = RtpPacket(payload_type=96, sequence_number=7, ssrc=5, payload=bytes(1000)).serialize()
    sealed = session(Policy.SSRC_ANY_OUTBOUND).protect(packet)
    dtls: Any = Dtls(session(Policy.SSRC_ANY_INBOUND), session(Policy.SSRC_ANY_OUTBOUND))
    cipher = parts.Cipher(dtls)
    before = cipher.open_rtp
    assert before is None
    assert cipher.ready
    assert cipher.open_rtp is not None, "Session._srtp is not where a session's context is"
    assert cipher.seal_rtp is not None
    cipher.view[: len(sealed)] = sealed
    cipher.length[0] = len(sealed)
    assert cipher.open_rtp() == 0
    assert bytes(cipher.view[: cipher.length[0]]) == packet
    assert cipher.seal_rtp() == 0
    assert bytes(cipher.view[: cipher.length[0]]) == sealed
    assert cipher.open_rtp() != 0, "what was opened once is opened again: a replay"


def test_srtcp_in_place_is_what_pylibsrtp_does() -> None:
    packet = b"\x80\xc9\x00\x01\x00\x00\x00\x05"
    sealed = session(Policy.SSRC_ANY_OUTBOUND).protect_rtcp(packet)
    dtls: Any = Dtls(session(Policy.SSRC_ANY_INBOUND), session(Policy.SSRC_ANY_OUTBOUND))
    cipher = parts.Cipher(dtls)
    size = cipher.unprotect(sealed, rtcp=True)
    assert bytes(cipher.view[:size]) == packet
    size = cipher.protect(size, rtcp=True)
    assert bytes(cipher.view[:size]) == sealed


def test_a_packet_that_is_not_genuine_opens_to_nothing() -> None:
    dtls: Any = Dtls(session(Policy.SSRC_ANY_INBOUND), session(Policy.SSRC_ANY_OUTBOUND))
    cipher = parts.Cipher(dtls)
    assert cipher.unprotect(b"\x80\x60" + bytes(60), rtcp=False) == 0
    with pytest.raises(Error):
        session(Policy.SSRC_ANY_INBOUND).unprotect(b"\x80\x60" + bytes(60))


def test_what_is_forgotten_of_a_source_is_gone() -> None:
    packet = RtpPacket(payload_type=96, sequence_number=7, ssrc=5, payload=bytes(60)).serialize()
    sealed = session(Policy.SSRC_ANY_OUTBOUND).protect(packet)
    dtls: Any = Dtls(session(Policy.SSRC_ANY_INBOUND))
    cipher = parts.Cipher(dtls)
    opened = [cipher.unprotect(sealed, rtcp=False), cipher.unprotect(sealed, rtcp=False)]
    cipher.forget(5)
    cipher.forget(6)
    opened.append(cipher.unprotect(sealed, rtcp=False))
    # What was opened once is a replay, until nothing is known of its source.
    assert opened == [len(packet), 0, len(packet)], "Session.remove_stream is another"
    parts.Cipher(Dtls()).forget(5)  # type: ignore[arg-type]


def test_without_keys_nothing_opens() -> None:
    dtls: Any = Dtls()
    cipher = parts.Cipher(dtls)
    assert not cipher.ready
    assert cipher.unprotect(bytes(60), rtcp=False) == 0
    assert cipher.protect(60, rtcp=False) == 0


@needs_address
async def test_a_dtls_transport_keeps_its_srtp_sessions_where_they_are_looked_for(
    answerer: RTCPeerConnection,
) -> None:
    dtls = parts.dtls_of(answerer)
    cipher = parts.Cipher(dtls)
    assert not cipher.ready, "RTCDtlsTransport._rx_srtp and _tx_srtp are there before the handshake"
    source = inspect.getsource(RTCDtlsTransport._setup_srtp)
    assert "self._rx_srtp = " in source, "the handshake no longer sets _rx_srtp"
    assert "self._tx_srtp = " in source, "the handshake no longer sets _tx_srtp"


async def test_what_dtls_sends_passes_where_it_can_be_seen() -> None:
    caller, pc, seen = Caller(audio=None), RTCPeerConnection(CONFIGURATION), list[int]()
    connected = asyncio.Event()
    await pc.setRemoteDescription(RTCSessionDescription(await caller.offer(), "offer"))
    dtls = parts.dtls_of(pc)
    dtls.on("statechange", lambda: connected.set() if dtls.state == "connected" else None)
    parts.on_dtls_sent(dtls, lambda data: seen.append(data[0]))

    async def answer(_sdp: str) -> str:
        await pc.setLocalDescription(await pc.createAnswer())
        return str(pc.localDescription.sdp)

    await caller.call(answer)
    async with asyncio.timeout(PATIENCE):
        await connected.wait()
    assert seen[0] == 22, (
        "RTCDtlsTransport no longer sends by `transport._send`, looked up each time"
    )
    assert not parts.is_dtls_server(dtls), "an aiortc that answers is no longer the DTLS client"
    await pc.close()
    await caller.close()


def test_stun_requests_are_transactions_whose_pauses_can_be_set() -> None:
    for module in (ice, turn):
        assert "stun.Transaction(" in inspect.getsource(module), (
            f"{module.__name__} no longer takes its transactions from `stun`"
        )
    source = inspect.getsource(stun.Transaction.__mro__[1])
    for part in ("call_later(self.__timeout_delay, self.__retry)", "self.__tries_max"):
        assert part in source, "a transaction no longer repeats itself by this name"
    assert "self.check_start(" in inspect.getsource(Connection.check_start_task), (
        "a check no longer begins with `check_start`"
    )


# --- why all this is needed ---------------------------------------------------------------


@needs_address
@pytest.mark.parametrize("data", [b"", b"\x80" * 1501], ids=["empty", "too long"])
async def test_a_plain_aiortc_call_still_dies_of_a_strangers_datagram(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails the trap is gone, and the guard's first reason with it."""
    caplog.set_level(logging.CRITICAL, "aiortc")
    caller = Caller(video=None)
    other = RTCPeerConnection(CONFIGURATION)
    other.addTransceiver("audio")
    dead = asyncio.Event()

    async def answer(sdp: str) -> str:
        await other.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await other.setLocalDescription(await other.createAnswer())
        return other.localDescription.sdp

    # The task that dies of it is nobody's: keep its exception from being a warning.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)

    def look() -> None:
        if other.connectionState == "closed":
            dead.set()

    await caller.call(answer)
    other.on("connectionstatechange", look)
    [protocol, *_] = parts.protocols(parts.ice_of(parts.dtls_of(other)))
    address = protocol.transport.get_extra_info("sockname")
    with socket.socket(protocol.transport.get_extra_info("socket").family, SOCK_DGRAM) as stranger:
        stranger.sendto(data, address)
    try:
        async with asyncio.timeout(PATIENCE):
            await dead.wait()
    finally:
        await caller.close()
        await other.close()


@needs_address
async def test_host_candidates_can_come_from_sockets_of_ours() -> None:
    made: list[StunProtocol] = []
    connection = Connection(ice_controlling=False)

    def protocols(addresses: list[str]) -> list[StunProtocol]:
        for _ in addresses:
            protocol = StunProtocol(connection)
            assert protocol.receiver is connection, "StunProtocol keeps its connection elsewhere"
            protocol.connection_made(_Nowhere())
            made.append(protocol)
        return made

    parts.gather_from(connection, protocols, [])
    await connection.gather_candidates()
    assert made, "Connection.gather_candidates no longer calls get_component_candidates"
    assert connection._protocols == made, "the protocols are kept elsewhere"
    assert {c.host for c in connection.local_candidates} == {"192.0.2.1"}
    assert all(p.local_candidate.type == "host" for p in made)
    for protocol in made:
        protocol.connection_lost(None)
    await connection.close()


@needs_address
async def test_a_check_of_the_peer_proves_where_it_is() -> None:
    """Even where our own check of that pair never ends: with relays on both sides, aioice may
    have settled on another pair and broken it off."""
    ours, theirs = Connection(ice_controlling=True), Connection(ice_controlling=False)
    parts.gather_from(ours, lambda _: [], [])
    for mine, other in ((ours, theirs), (theirs, ours)):
        mine.remote_username, mine.remote_password = other.local_username, other.local_password
    protocol = StunProtocol(ours)
    protocol.connection_made(_Nowhere())
    protocol.local_candidate = Candidate.from_sdp("1 1 udp 1 192.0.2.1 5000 typ host")
    ours._early_checks_done = True
    asked = CandidatePair(protocol, Candidate.from_sdp("1 1 udp 1 192.0.2.8 4000 typ relay"))
    request = theirs.build_request(asked, nominate=False)

    def from_there(password: str) -> None:
        request.attributes.pop("MESSAGE-INTEGRITY", None)
        request.attributes.pop("FINGERPRINT", None)
        request.add_message_integrity(password.encode())
        protocol.datagram_received(bytes(request), ("192.0.2.8", 4000))

    from_there("somebody else's password")
    assert not parts.proven(ours, protocol, ("192.0.2.8", 4000))
    from_there(ours.local_password)
    assert parts.proven(ours, protocol, ("192.0.2.8", 4000)), (
        "Connection.check_incoming is not called with each authenticated check"
    )
    assert not parts.proven(ours, protocol, ("192.0.2.8", 4001))
    assert not parts.proven(ours, StunProtocol(ours), ("192.0.2.8", 4000))
    await ours.close()
    await theirs.close()


class _Nowhere(asyncio.DatagramTransport):
    """A transport without a socket."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 5000)

    def sendto(self, data: Any, addr: Any = None) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_stun_server_is_asked_by_a_function_that_takes_a_protocol() -> None:
    taken = list(inspect.signature(server_reflexive_candidate).parameters)
    assert taken == ["protocol", "stun_server"], "aioice asks STUN servers in another way"
    taken = list(inspect.signature(Connection.get_component_candidates).parameters)
    assert taken == ["self", "component", "addresses", "timeout"], "candidates come otherwise"
