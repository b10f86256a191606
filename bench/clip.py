"""What the callers of a measurement send: a picture and a sound, encoded once beforehand.

640x480 at 30 pictures/s, VP8 at about 1 Mbit/s, and Opus at 20 ms a packet; it loops.
"""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import av
import msgspec
from msgspec import Struct

WIDTH, HEIGHT, RATE, BITS = 640, 480, 30, 1_000_000
SOUND_RATE, SOUND_SAMPLES = 48_000, 960
SECONDS = 4
PAYLOAD = 1150


class Clip(Struct, frozen=True):
    """Encoded pictures and sounds, in order."""

    pictures: list[bytes]
    sounds: list[bytes]

    @property
    def bits(self) -> float:
        """Bits of picture a second."""
        return sum(map(len, self.pictures)) * 8 * RATE / len(self.pictures)


class Reel(Struct, frozen=True):
    """One medium ready to be sent: the RTP payloads of each picture or sound, as browsers cut
    them; `ticks` of a clock of `rate` Hz lie between two."""

    units: list[list[bytes]]
    ticks: int
    rate: int


def reels(clip: Clip) -> dict[str, Reel]:
    """A clip's reels, `audio` and `video`."""
    return {
        "audio": Reel([[sound] for sound in clip.sounds], SOUND_SAMPLES, SOUND_RATE),
        "video": Reel([_payloads(picture) for picture in clip.pictures], 90_000 // RATE, 90_000),
    }


def make(seconds: int = SECONDS) -> Clip:
    """Encode a clip; the first picture is the only key frame."""
    return Clip(_pictures(seconds * RATE), _sounds(seconds * SOUND_RATE // SOUND_SAMPLES))


def save(clip: Clip, path: Path) -> None:
    """Write a clip where a caller's process can `load` it."""
    path.write_bytes(msgspec.msgpack.encode(clip))


def load(path: Path) -> Clip:
    """A clip that was saved."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Clip)


def _payloads(picture: bytes) -> list[bytes]:
    """A VP8 frame in RTP payloads of one size (RFC 7741): the first has its start bit set."""
    parts = -(-len(picture) // PAYLOAD)
    size = -(-len(picture) // parts)
    return [
        (b"\x00" if start else b"\x10") + picture[start : start + size]
        for start in range(0, len(picture), size)
    ]


def _pictures(count: int) -> list[bytes]:
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.bit_rate, codec.framerate, codec.time_base = BITS, Fraction(RATE), Fraction(1, RATE)
    codec.gop_size = count
    codec.options = {
        "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0",
        "minrate": str(BITS), "maxrate": str(BITS), "bufsize": str(BITS),
    }  # fmt: skip
    scene = _scene(WIDTH + 2 * count)
    encoded: list[bytes] = []
    for number in range(count):
        packets = codec.encode(_picture(scene, number))
        encoded += [bytes(packet) for packet in packets]
    return encoded + [bytes(packet) for packet in codec.encode(None)]


def _scene(width: int) -> list[bytes]:
    """A wide landscape of patches and grain that the camera pans over: codecs have work."""
    dice = random.Random(1)
    columns = range(width // 16 + 1)
    patches = [[dice.randrange(32, 224) for _ in columns] for _ in range(HEIGHT // 16)]
    grain = bytes(dice.randrange(24) for _ in range(width + 997))
    rows = []
    for y in range(HEIGHT):
        patch, shift = patches[y // 16], dice.randrange(997)
        rows.append(bytes(patch[x // 16] + grain[x + shift] for x in range(width)))
    return rows


def _picture(scene: list[bytes], number: int) -> av.VideoFrame:
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    luma, *chroma = frame.planes
    padding = bytes(luma.line_size - WIDTH)
    left = 2 * number
    luma.update(b"".join(row[left : left + WIDTH] + padding for row in scene))
    for plane in chroma:
        plane.update(bytes([128]) * plane.buffer_size)
    frame.pts, frame.time_base = number, Fraction(1, RATE)
    return frame


def _sounds(count: int) -> list[bytes]:
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = SOUND_RATE, "stereo", "s16"
    codec.bit_rate, codec.time_base = 96_000, Fraction(1, SOUND_RATE)
    dice = random.Random(2)
    encoded: list[bytes] = []
    for number in range(count):
        frame = av.AudioFrame(format="s16", layout="stereo", samples=SOUND_SAMPLES)
        frame.sample_rate, frame.pts = SOUND_RATE, number * SOUND_SAMPLES
        frame.time_base = Fraction(1, SOUND_RATE)
        frame.planes[0].update(dice.randbytes(frame.planes[0].buffer_size))
        encoded += [bytes(packet) for packet in codec.encode(frame)]
    return encoded
