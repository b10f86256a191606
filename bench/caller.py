"""One call of the load generator: it plays a clip, counts what comes back, answers feedback."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    pack_remb_fci,
)
from msgspec import Struct

from bench import floor
from bench.clip import BITS, Reel
from bench.message import Speaker
from bench.player import Player
from bench.wire import Bare, Dial, Medium, WebRtc
from ringback.bots.media import parts

REPORT = 1.0
_FIR = 4


def _payload(packet: memoryview) -> bytes:
    """What an RTP packet carries, behind an extension of its header if there is one."""
    start = 12
    if packet[0] & 0x10:
        start += 4 + 4 * int.from_bytes(packet[14:16], "big")
    return bytes(packet[start:])


class Counts(Struct, frozen=True):
    """RTP packets, and how many pictures and sounds they made."""

    packets: int = 0
    pictures: int = 0
    sounds: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.packets + other.packets,
            self.pictures + other.pictures,
            self.sounds + other.sounds,
        )

    def since(self, before: Counts) -> Counts:
        """What was added after `before`."""
        return Counts(
            self.packets - before.packets,
            self.pictures - before.pictures,
            self.sounds - before.sounds,
        )


class Caller:
    """One call that sends `reels`, by `audio` and `video`. Enter `call` or `bare`, then `play`.

    `delays`: seconds that sounds were under way, there and back, once `timed` was asked for.
    """

    def __init__(
        self,
        reels: Mapping[str, Reel],
        certificate: parts.Certificate,
        label: str | None = None,
    ) -> None:
        self.delays: list[float] = []
        self.asked = 0
        self._reels = reels
        self._wire: WebRtc | Bare
        self._certificate = certificate
        self._label = label
        self._speaker: Speaker | None = None
        self._players: dict[str, Player] = {}
        self._video_type = -1
        self._packets = self._pictures = self._sounds = 0
        self._from: dict[int, int] = {}
        self._at: dict[bytes, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def call(self, dial: Dial) -> AsyncIterator[None]:
        """A call that is connected and silent until `play`."""
        self._wire = wire = WebRtc(self._take, self._certificate, tuple(self._reels), self._label)
        if wire.channel is not None:
            self._speaker = Speaker(wire.channel)
        async with wire.call(dial):
            yield
            self.stop()

    @asynccontextmanager
    async def bare(self, port: int) -> AsyncIterator[None]:
        """A socket to the floor instead of a call."""
        # Several generators may send to one floor, where each source has to be another.
        kinds = {"audio": floor.SOUND, "video": floor.PICTURES}
        media = {k: Medium(secrets.randbits(32), kinds[k]) for k in self._reels}
        self._wire = wire = Bare(self._take, media)
        async with wire.call(port):
            yield
            self.stop()

    def play(self, offset: float = 0.0, *, timed: bool = False) -> None:
        """Begin to send, `offset` seconds from now; `timed`: note how long sounds take."""
        for kind, medium in self._wire.media.items():
            self._players[kind] = player = Player(self._wire, medium, self._reels[kind])
            if timed and kind == "audio":
                player.at = self._at
            player.start(offset)
        if "video" in self._wire.media:
            self._video_type = self._wire.media["video"].payload_type
        self._report()

    def stop(self) -> None:
        """Send no more, neither media nor reports."""
        for player in self._players.values():
            player.stop()
        if self._speaker is not None:
            self._speaker.stop()
        if self._timer is not None:
            self._timer.cancel()

    @property
    def sent(self) -> Counts:
        """What was sent so far."""
        units = {kind: player.units for kind, player in self._players.items()}
        packets = sum(player.packets for player in self._players.values())
        return Counts(packets, units.get("video", 0), units.get("audio", 0))

    @property
    def back(self) -> Counts:
        """What came back so far."""
        return Counts(self._packets, self._pictures, self._sounds)

    def _take(self, packet: memoryview, rtcp: bool) -> None:
        if rtcp:
            self._feedback(packet)
            return
        self._packets += 1
        kind = packet[1] & 127
        if kind == self._video_type:
            # The last packet of a picture is marked; a sound is one packet.
            self._pictures += packet[1] >> 7
        else:
            self._sounds += 1
            if self._at and (sent := self._at.pop(_payload(packet), None)) is not None:
                self.delays.append(time.perf_counter() - sent)
        source = int.from_bytes(packet[8:12], "big")
        self._from[source] = int.from_bytes(packet[2:4], "big")

    def _feedback(self, packet: memoryview) -> None:
        for part in RtcpPacket.parse(bytes(packet)):
            if isinstance(part, RtcpPsfbPacket) and part.fmt in (RTCP_PSFB_PLI, _FIR):
                self.asked += 1
                self._players["video"].restart()

    def _report(self) -> None:
        """Once a second: a receiver's report, and what bit rate may be sent here (REMB), so
        that an encoder at the far end uses as much as we do."""
        self._timer = asyncio.get_running_loop().call_later(REPORT, self._report)
        if not self._from:
            return
        own = next(iter(self._wire.media.values())).ssrc
        reports = [
            RtcpReceiverInfo(source, 0, 0, sequence, 0, 0, 0)
            for source, sequence in self._from.items()
        ]
        estimate = pack_remb_fci(BITS * 3 // 2, list(self._from))
        feedback = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=own, media_ssrc=0, fci=estimate)
        self._wire.send(bytes(RtcpRrPacket(ssrc=own, reports=reports)) + bytes(feedback), rtcp=True)
