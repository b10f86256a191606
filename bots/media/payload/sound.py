"""Sound: one packet is one frame. Opus (RFC 7587, RFC 6716) and G.711 (RFC 3551). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .picture import Payload, Picture

# RFC 6716, section 3.1: frame lengths at 48 kHz by the configuration number.
_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)
_LONGEST = 5760


def assemble(payloads: Sequence[Payload]) -> Picture:
    """The one payload as it is."""
    if len(payloads) != 1 or not len(payloads[0]):
        raise ValueError("sound is one packet that is not empty")
    return Picture(bytes(payloads[0]), True, None)


def packetise(data: bytes, most: int) -> list[bytes]:
    """The one packet as it is."""
    if not 0 < len(data) <= most:
        raise ValueError("sound is one packet that is not empty and fits")
    return [data]


def opus_ticks(data: Payload) -> int:
    """How long an Opus packet lasts, in ticks of 48 kHz. Raises `ValueError` when it is none."""
    if not len(data):
        raise ValueError("an empty packet")
    configuration, code = data[0] >> 3, data[0] & 3
    if configuration < 12:
        frame = _SILK[configuration & 3]
    elif configuration < 16:
        frame = _HYBRID[configuration & 1]
    else:
        frame = _CELT[configuration & 3]
    if code < 3:
        count = 1 if code == 0 else 2
    elif len(data) < 2:
        raise ValueError("the count of frames is cut off")
    else:
        count = data[1] & 63
    if not 0 < frame * count <= _LONGEST:
        raise ValueError("no packet lasts that long")
    return frame * count


def opus_channels(data: Payload) -> int:
    """How many channels an Opus packet was coded with (1 or 2)."""
    if not len(data):
        raise ValueError("an empty packet")
    return 2 if data[0] & 4 else 1
