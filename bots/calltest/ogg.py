"""Sound that a browser records while it goes on: Opus in Ogg (RFC 7845, RFC 3533), by pieces."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from av import AudioCodecContext, AudioResampler, CodecContext, Packet
from numpy.typing import NDArray

RATE = 48_000
LATELY = 32
"""Pieces by which it is judged when sound was there."""
_PAGE = struct.Struct("<4sBBqIIIB")
_BEGINS = 2
_Pcm = NDArray[np.int16]


class OggOpus:
    """Takes a file as it grows; gives its sound, one channel, 48,000 samples a second. A file that
    begins anew is another one. Raises `ValueError` for what is no Ogg."""

    def __init__(self) -> None:
        self._kept = b""
        self._packet = b""
        self._packets = 0
        self._skip = 0
        self._codec: AudioCodecContext | None = None
        self._mono = AudioResampler("s16", "mono", RATE)

    def decode(self, data: bytes) -> _Pcm:
        """The sound that is whole with these bytes."""
        self._kept += data
        parts = [pcm for packet in self._whole() if len(pcm := self._take(packet))]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def _whole(self) -> Iterator[bytes]:
        """The packets of all pages that are there to their end."""
        while (page := self._page()) is not None:
            flags, table, body = page
            if flags & _BEGINS:
                self._packet, self._packets, self._codec = b"", 0, None
            at = 0
            for size in table:
                self._packet += body[at : at + size]
                at += size
                # One of 255 bytes goes on in the next.
                if size < 255:
                    packet, self._packet = self._packet, b""
                    yield packet

    def _page(self) -> tuple[int, bytes, bytes] | None:
        """The flags, the sizes of segments, and the segments of the next page."""
        if len(self._kept) < _PAGE.size:
            return None
        magic, version, flags, *_, segments = _PAGE.unpack_from(self._kept)
        if (magic, version) != (b"OggS", 0):
            raise ValueError("This is no page of Ogg.")
        head = _PAGE.size + segments
        table = self._kept[_PAGE.size : head]
        if len(table) < segments or len(self._kept) < head + sum(table):
            return None
        body = self._kept[head : head + sum(table)]
        self._kept = self._kept[head + sum(table) :]
        return flags, table, body

    def _take(self, packet: bytes) -> _Pcm:
        """The sound of a packet; of the first two, which tell about the file, none."""
        self._packets += 1
        if self._packets == 1:
            if packet[:8] != b"OpusHead" or len(packet) < 19:
                raise ValueError("This is no Opus in Ogg.")
            self._skip = int.from_bytes(packet[10:12], "little")
            self._codec = CodecContext.create("libopus", "r")
            self._codec.sample_rate = RATE
            self._codec.layout = "stereo"
        if self._packets <= 2 or self._codec is None:
            return np.zeros(0, np.int16)
        decoded = self._codec.decode(Packet(packet))
        made = [_samples(one) for frame in decoded for one in self._mono.resample(_untimed(frame))]
        pcm = np.concatenate(made) if made else np.zeros(0, np.int16)
        skipped = min(self._skip, len(pcm))
        self._skip -= skipped
        return pcm[skipped:]


class Recorded:
    """What a browser records of one track, and when each piece of it was there.

    A piece is handed over when it is full and the page has time for it. So it counts as there when
    it would have been if it had taken no longer than the quickest of the last pieces.
    """

    def __init__(self) -> None:
        self._ogg = OggOpus()
        self._samples = 0
        self._leads: deque[float] = deque(maxlen=LATELY)

    def take(self, at: float, data: bytes) -> tuple[float, _Pcm]:
        """More of it, handed over at `at` (s): its sound, and when the first sample was there."""
        pcm = self._ogg.decode(data)
        begun = self._samples / RATE
        self._samples += len(pcm)
        if len(pcm):
            self._leads.append(at - self._samples / RATE)
        return begun + min(self._leads, default=at), pcm


def _untimed(frame: Any) -> Any:
    frame.pts = None
    return frame


def _samples(frame: Any) -> _Pcm:
    return np.frombuffer(bytes(frame.planes[0])[: 2 * frame.samples], np.int16)
