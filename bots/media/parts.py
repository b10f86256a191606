"""Every part of aiortc, aioice and pylibsrtp that is not their public interface.

Nothing outside this file touches a private name of theirs, and `tests/test_media_contract.py`
holds each of them fast, so that a new version which changes one is noticed there, with a
sentence, and not in a call.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

from aioice import ice, stun
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import (
    CandidatePair,
    Connection,
    StunProtocol,
    TransportPolicy,
    server_reflexive_candidate,
)
from aiortc import (
    RTCCertificate,
    RTCConfiguration,
    RTCDtlsFingerprint,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCRtpCodecParameters,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    rtcpeerconnection,
    rtcrtpreceiver,
)
from aiortc.codecs import CODECS
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcdtlstransport import SRTPProtectionProfile
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.rtp import AnyRtcpPacket, RtpPacket
from aiortc.sdp import SessionDescription
from OpenSSL import SSL
from pylibsrtp import Error, Session, ffi, lib  # type: ignore[attr-defined]

logger = logging.getLogger(__name__)

BUFFER = 2048
DATAGRAM = 1500
SERVERS, ONLY = 2, 8
"""Seconds that STUN and TURN servers have to answer; and where only a relay is of use."""
FINGERPRINT = "sha-256"
STEADY = 2.0
"""Seconds for which the addresses of this host are taken for what they were."""
FIRST, LONGEST, TRIES = 0.1, 0.8, 20
"""Seconds before the first repetition of what sets up a connection, and at most between two; how
often it is sent in all: for 15 seconds."""


class Certificate(RTCCertificate):
    """A DTLS certificate for many connections: one OpenSSL context, one fingerprint taken once."""

    _context: SSL.Context | None = None
    _prints: list[RTCDtlsFingerprint] | None = None

    def getFingerprints(self) -> list[RTCDtlsFingerprint]:
        """The one by SHA-256, as browsers have it (RFC 8122, section 5, wants no more). aiortc
        takes three, four times for each call."""
        if self._prints is None:
            found = super().getFingerprints()
            self._prints = [one for one in found if one.algorithm == FINGERPRINT]
        return list(self._prints)

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            self._context = super()._create_ssl_context(srtp_profiles)
            # Kept for resumption, which WebRTC does not know, sessions would pile up.
            self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        return self._context


def reads_server(url: str) -> bool:
    """Whether aiortc can read the address of a STUN or TURN server; what it cannot it raises at."""
    try:
        parse_stun_turn_uri(url)
    except ValueError:
        logger.warning("%s is of no use here.", url)
        return False
    return True


_certificate: ContextVar[RTCCertificate | None] = ContextVar("certificate", default=None)


class _Certificates:
    """Where aiortc gets the certificate of a new connection."""

    @staticmethod
    def generateCertificate() -> RTCCertificate:
        """The one that is wanted just now, or a new one, which takes half a millisecond."""
        return _certificate.get() or RTCCertificate.generateCertificate()


rtcpeerconnection.RTCCertificate = _Certificates  # type: ignore[attr-defined,assignment]


def connection(configuration: RTCConfiguration, certificate: RTCCertificate) -> RTCPeerConnection:
    """A peer connection that has this certificate, and none of its own."""
    token = _certificate.set(certificate)
    try:
        return RTCPeerConnection(configuration)
    finally:
        _certificate.reset(token)


def remote_of(pc: RTCPeerConnection) -> SessionDescription:
    """What the peer has described last, as aiortc has read it. Only to be looked at."""
    described: SessionDescription = pc._RTCPeerConnection__remoteDescription()  # type: ignore[attr-defined]
    return described


class _HostAddresses:
    """aioice's list of the addresses of this host, looked up once for calls that begin together:
    a look goes through every interface."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[bool, bool], tuple[float, list[str]]] = {}

    def __call__(self, use_ipv4: bool, use_ipv6: bool) -> list[str]:
        now = self._clock()
        at, found = self._known.get((use_ipv4, use_ipv6), (-math.inf, []))
        if now - at > STEADY:
            found = _host_addresses(use_ipv4, use_ipv6)
            self._known[use_ipv4, use_ipv6] = now, found
        return list(found)


_host_addresses = ice.get_host_addresses
ice.get_host_addresses = _HostAddresses()


def dtls_of(pc: RTCPeerConnection) -> RTCDtlsTransport:
    """The DTLS transport of a bundled connection. Raises `LookupError` when it has none."""
    for transceiver in pc.getTransceivers():
        return transceiver.receiver.transport
    if pc.sctp is None:
        raise LookupError("the connection has no transport")
    return pc.sctp.transport


def is_dtls_server(dtls: RTCDtlsTransport) -> bool:
    """Whether we are the server of the handshake, which sends its last flight (DTLS 1.2)."""
    return dtls._role == "server"


def on_dtls_sent(dtls: RTCDtlsTransport, sent: Callable[[bytes], None]) -> None:
    """Let `sent` have each datagram that leaves by a DTLS transport itself, once it has."""
    send = dtls.transport._send

    async def sending(data: bytes) -> None:
        await send(data)
        sent(data)

    dtls.transport._send = sending


async def keep_sections(pc: RTCPeerConnection, sections: Sequence[tuple[str, str]]) -> None:
    """Forget what belongs to none of the `sections` (mid and kind) of the offer that a bundled
    connection has just taken, and count the rest as it stands there: aiortc knows no section
    that is stopped, nor one whose place another takes. Before anything else is awaited."""
    known = {
        (transceiver.mid, transceiver.kind): transceiver for transceiver in pc.getTransceivers()
    }
    kept = []
    for place, section in enumerate(sections):
        if section[1] != "application":
            kept.append(known.pop(section))
            kept[-1]._set_mline_index(place)
        elif pc.sctp is not None:
            pc.sctp.mid = section[0]
            pc._RTCPeerConnection__sctp_mline_index = place  # type: ignore[attr-defined]
    for transceiver in known.values():
        transceiver._setCurrentDirection("inactive")
    # Another list: what is still connecting goes through the one it has begun with.
    pc._RTCPeerConnection__transceivers = kept  # type: ignore[attr-defined]
    dtls, sctp = dtls_of(pc), pc.sctp
    if dtls.state != "connected":
        # Whatever waits for it needs what it waits for.
        return
    if sctp is not None and all(kind != "application" for _, kind in sections):
        pc._RTCPeerConnection__sctp = None  # type: ignore[attr-defined]
    for remote in ("remoteDtls", "remoteIce"):
        owners = getattr(pc, f"_RTCPeerConnection__{remote}")
        for owner in owners.keys() - {*kept, pc.sctp}:
            del owners[owner]
    if sctp is not None and pc.sctp is None:
        await sctp.stop()


def ice_of(dtls: RTCDtlsTransport) -> Connection:
    """The ICE connection under a DTLS transport."""
    return dtls.transport._connection


def stop_connecting(dtls: RTCDtlsTransport) -> None:
    """Let a negotiation that is under way end in peace when its transport is about to close.

    aiortc would start ICE for the next section, find it closed, and raise where nobody listens.
    """

    async def nothing(_: object) -> None:
        """Instead of starting."""

    dtls.start = nothing  # type: ignore[method-assign,assignment]
    dtls.transport.start = nothing  # type: ignore[method-assign,assignment]


def protocols(connection: Connection) -> list[StunProtocol]:
    """The sockets (and relayed addresses) of an ICE connection, once gathered."""
    return list(connection._protocols)


def gather_from(
    connection: Connection,
    protocols: Callable[[list[str]], list[StunProtocol]],
    public: list[str],
) -> None:
    """Let an ICE connection take its host candidates from `protocols`, which makes one for each
    local address, with its transport. Each is offered under every `public` address of its
    family too; STUN and TURN servers are asked as ever. From where the peer's checks come is
    remembered for `proven`. All requests meanwhile, and checks, are repeated as by `pauses`."""
    connection.check_incoming = _Checks(connection)  # type: ignore[method-assign]
    connection.check_start = partial(_check, connection)  # type: ignore[method-assign]

    async def candidates(component: int, addresses: list[str]) -> list[Candidate]:
        made = protocols(addresses)
        found = []
        for protocol in made:
            host, port = protocol.transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = _candidate(component, "host", host, port)
            found.append(protocol.local_candidate)
            found += [
                _candidate(component, "srflx", address, port, host)
                for address in public
                if (":" in address) == (":" in host)
            ]
        connection._protocols += made
        asked = [
            server_reflexive_candidate(protocol, connection.stun_server)
            for protocol in made
            if connection.stun_server and ":" not in protocol.local_candidate.host
        ]
        only = connection._transport_policy is TransportPolicy.RELAY
        with quickly():
            relayed = Connection.get_component_candidates(
                connection, component, [], ONLY if only else SERVERS
            )
            reflexive, more = await asyncio.gather(_in_time(asked), relayed)
        return found + reflexive + more

    connection.get_component_candidates = candidates  # type: ignore[method-assign,assignment]


def pauses() -> Iterator[float]:
    """Seconds to wait after each time that something is sent, until it is given up."""
    return (min(FIRST * 2**n, LONGEST) for n in range(TRIES))


_quick: ContextVar[bool] = ContextVar("quick", default=False)


@contextmanager
def quickly() -> Iterator[None]:
    """Let STUN transactions that begin meanwhile (in this task, and in those that it begins) be
    repeated as by `pauses`."""
    token = _quick.set(True)
    try:
        yield
    finally:
        _quick.reset(token)


class _Transaction(stun.Transaction):
    """As aioice's, which waits 0.5 s and doubles that without end."""

    def __init__(self, *arguments: Any, retransmissions: int | None = None, **named: Any) -> None:
        quick = _quick.get() and retransmissions is None
        tries = TRIES - 1 if quick else retransmissions
        super().__init__(*arguments, **named, retransmissions=tries)  # type: ignore[misc]
        self._pauses = pauses() if quick else None

    def _Transaction__retry(self) -> None:
        if self._pauses is not None:
            self._Transaction__timeout_delay = next(self._pauses, LONGEST)
        super()._Transaction__retry()  # type: ignore[misc]


stun.Transaction = _Transaction  # type: ignore[misc]


async def _check(connection: Connection, pair: CandidatePair) -> None:
    """Check a pair, in a task of its own."""
    with quickly():
        await Connection.check_start(connection, pair)
    checks: object = connection.check_incoming
    if isinstance(checks, _Checks) and pair.state is CandidatePair.State.SUCCEEDED:
        checks.answered = checks.answered or time.monotonic()


def checked(connection: Connection) -> float | None:
    """When a check of ours was answered first (monotonic, seconds), None while none was."""
    checks: object = connection.check_incoming
    return checks.answered if isinstance(checks, _Checks) else None


class _Checks:
    """Takes a connection's checks, and remembers from where authenticated ones came. Kept by the
    connection itself, so that it ends with it."""

    def __init__(self, connection: Connection) -> None:
        self.seen: set[tuple[StunProtocol, tuple[str, int]]] = set()
        self.answered: float | None = None
        self._connection = connection

    def __call__(
        self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol
    ) -> None:
        Connection.check_incoming(self._connection, message, addr, protocol)
        self.seen.add((protocol, (addr[0], addr[1])))


async def _in_time(
    asked: list[Coroutine[Any, Any, tuple[Candidate, None]]],
) -> list[Candidate]:
    """What servers that answer in time say of us."""
    if not asked:
        return []
    tasks = [asyncio.create_task(work) for work in asked]
    try:
        done, _ = await asyncio.wait(tasks, timeout=SERVERS)
    finally:
        for task in tasks:
            task.cancel()
    return [task.result()[0] for task in done if task.exception() is None]


def _candidate(
    component: int, kind: str, host: str, port: int, base: str | None = None
) -> Candidate:
    return Candidate(
        foundation=candidate_foundation(kind, "udp", base or host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, kind),
        host=host,
        port=port,
        type=kind,
        related_address=base,
        related_port=port if base else None,
    )


def refuse_data(connection: Connection, refuse: Callable[[bytes, int], None]) -> None:
    """Let nothing but STUN into an ICE connection; `refuse` gets what came."""
    connection.data_received = refuse  # type: ignore[method-assign,assignment]


def pass_data(connection: Connection, data: bytes) -> None:
    """Put a datagram into an ICE connection that otherwise refuses them."""
    Connection.data_received(connection, data, 1)


def waiting(connection: Connection) -> int:
    """How many datagrams wait to be read from an ICE connection."""
    return connection._queue.qsize()


def proven(connection: Connection, protocol: StunProtocol, address: tuple[str, int]) -> bool:
    """Whether whoever sends from `address` to `protocol` has shown the password of this call.

    True once a check of ours was answered from there, or an authenticated check came from
    there (RFC 8445, section 7). The latter alone must do: of two peers that both have relays
    each may settle on another pair, and aioice then breaks off its own check of the peer's.
    """
    checks: object = connection.check_incoming
    if isinstance(checks, _Checks) and (protocol, address) in checks.seen:
        return True
    return any(
        pair.protocol is protocol
        and pair.remote_addr == address
        and (pair.state is CandidatePair.State.SUCCEEDED or pair.remote_nominated)
        for pair in connection._check_list
    )


def nominated(connection: Connection) -> CandidatePair | None:
    """The pair that carries the call's data, if there is one."""
    return connection._nominated.get(1)


def nominations(connection: Connection) -> Mapping[int, CandidatePair]:
    """The same at all times: the pair that carries the data of each component (ours is 1)."""
    return connection._nominated


Codecs = list[RTCRtpCodecParameters]
_common = rtcpeerconnection.find_common_codecs


@dataclass(frozen=True, slots=True)
class Negotiator:
    """What a connection can do: the codecs it `offered` for a kind, and of the peer's (`common`)
    those that it takes."""

    offered: Callable[[str], Codecs]
    common: Callable[[Codecs], Codecs]


_negotiator: ContextVar[Negotiator | None] = ContextVar("negotiator", default=None)


class _KnownCodecs(dict[str, Codecs]):
    """aiortc's list of codecs, but for connections with a negotiator of their own."""

    def __getitem__(self, kind: str) -> Codecs:
        own = _negotiator.get()
        return super().__getitem__(kind) if own is None else own.offered(kind)


def _find_common(local: Codecs, remote: Codecs) -> Codecs:
    own = _negotiator.get()
    return _common(local, remote) if own is None else own.common(remote)


def _estimator() -> RemoteBitrateEstimator | None:
    """None for connections whose receivers stand still: it holds a thousand objects."""
    return RemoteBitrateEstimator() if _negotiator.get() is None else None


rtcrtpreceiver.RemoteBitrateEstimator = _estimator  # type: ignore[attr-defined,assignment]
rtcpeerconnection.CODECS = _KnownCodecs(CODECS)  # type: ignore[attr-defined]
rtcpeerconnection.find_common_codecs = _find_common  # type: ignore[assignment]


@contextmanager
def negotiating(negotiator: Negotiator) -> Iterator[None]:
    """Let descriptions that are set or created meanwhile (in this task) be made this way."""
    token = _negotiator.set(negotiator)
    try:
        yield
    finally:
        _negotiator.reset(token)


def hold_still(transceiver: RTCRtpTransceiver) -> None:
    """Keep aiortc from decoding, encoding and reporting for a transceiver."""

    async def nothing(_: object) -> None:
        """Instead of starting a thread and tasks."""

    transceiver.sender.send = nothing  # type: ignore[method-assign,assignment]
    transceiver.receiver.receive = nothing  # type: ignore[method-assign,assignment]


def sources_of(transceiver: RTCRtpTransceiver) -> tuple[int, int]:
    """The SSRC and the RTX SSRC with which a transceiver's answer says it sends."""
    return transceiver.sender._ssrc, transceiver.sender._rtx_ssrc


def codecs_of(transceiver: RTCRtpTransceiver) -> list[RTCRtpCodecParameters]:
    """The negotiated codecs; what is changed in them before the answer is in the answer."""
    return transceiver._codecs


def extensions_of(transceiver: RTCRtpTransceiver) -> dict[str, int]:
    """The ids of the negotiated header extensions, by URI."""
    return {extension.uri: extension.id for extension in transceiver._headerExtensions}


def take_packets(
    receiver: RTCRtpReceiver, take: Callable[[RtpPacket, int], Awaitable[None]]
) -> None:
    """Let `take` have a receiver's packets, authenticated, in place of its decoder; it gets
    each packet and when it arrived (ms)."""
    receiver._handle_rtp_packet = take  # type: ignore[method-assign,assignment]


async def send_feedback(receiver: RTCRtpReceiver, packet: AnyRtcpPacket) -> None:
    """Send an RTCP packet to whom a receiver receives from."""
    await receiver._send_rtcp(packet)


class Keys(Protocol):
    """The two SRTP sessions of a DTLS transport."""

    _rx_srtp: Session | None
    _tx_srtp: Session | None


@dataclass(frozen=True, slots=True)
class _Calls:
    rtp: Callable[[object, object, object], int]
    rtcp: Callable[[object, object, object], int]


class Cipher:
    """SRTP in place (RFC 3711): one packet at a time in one buffer, `view`.

    The sessions come with the handshake of the DTLS transport, once; until `ready` says so
    nothing can be opened.

    For whoever counts every microsecond: with the packet in `view` and its size in
    `length[0]`, `open_rtp()` and `seal_rtp()` work on it without a Python frame, give 0 when
    all is well and leave the new size there. They are None until `ready` has been true.
    """

    def __init__(self, dtls: RTCDtlsTransport) -> None:
        self._keys = cast(Keys, dtls)
        self._memory = ffi.new("unsigned char[]", BUFFER)
        self.length = self._length = ffi.new("int *")
        self.open_rtp: Callable[[], int] | None = None
        self.seal_rtp: Callable[[], int] | None = None
        self.view = memoryview(ffi.buffer(self._memory))
        self._open = _Calls(lib.srtp_unprotect, lib.srtp_unprotect_rtcp)
        self._seal = _Calls(lib.srtp_protect, lib.srtp_protect_rtcp)

    @property
    def ready(self) -> bool:
        """Whether the handshake has given us keys."""
        if self.open_rtp is not None:
            return True
        receiving, sending = self._keys._rx_srtp, self._keys._tx_srtp
        if receiving is None or sending is None:
            return False
        # The sessions own what these point to, and live as long as their transport does.
        here = self._memory, self._length
        self.seal_rtp = partial(lib.srtp_protect, sending._srtp[0], *here)
        self.open_rtp = partial(lib.srtp_unprotect, receiving._srtp[0], *here)
        return True

    def unprotect(self, data: bytes, rtcp: bool) -> int:
        """Copy a packet into the buffer and open it: its length, 0 when it is not genuine."""
        size = len(data)
        self.view[:size] = data
        return self._work(self._keys._rx_srtp, self._open, size, rtcp)

    def protect(self, size: int, rtcp: bool) -> int:
        """Seal the first `size` bytes of the buffer: the new length, 0 when impossible."""
        return self._work(self._keys._tx_srtp, self._seal, size, rtcp)

    def forget(self, ssrc: int) -> None:
        """Keep nothing of a source that we received."""
        if self._keys._rx_srtp is not None:
            with suppress(Error):
                # There is nothing to be kept of one from which no packet came.
                self._keys._rx_srtp.remove_stream(ssrc)

    def _work(self, session: Session | None, calls: _Calls, size: int, rtcp: bool) -> int:
        if session is None:
            return 0
        self._length[0] = size
        call = calls.rtcp if rtcp else calls.rtp
        if call(session._srtp[0], self._memory, self._length):
            return 0
        return int(self._length[0])
