"""RTP payload formats: packets to pictures and sounds, and back. Pure.

VP8 (RFC 7741), VP9 (RFC 9628), H.264 (RFC 6184), Opus (RFC 7587) and G.711 (RFC 3551). Nothing
is decoded. What strangers sent meets these functions first: whatever is malformed raises
`ValueError`, and nothing else is ever raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from . import h264, sound, vp8, vp9
from .picture import Payload, Picture

Codec = Literal["VP8", "VP9", "H264", "opus", "PCMU", "PCMA"]
CODECS: tuple[Codec, ...] = get_args(Codec)
SMALLEST = 64

__all__ = ["CODECS", "SMALLEST", "Codec", "Payload", "Picture", "assemble", "begins", "packetise"]


def assemble(codec: Codec, payloads: Sequence[Payload]) -> Picture:
    """One picture, or one packet of sound, from all the payloads of one RTP timestamp in order.

    None may be missing. H.264 comes as Annex B with four-byte start codes; VP9 with more than
    one layer as a superframe. Sound is one packet, given back as it is. Raises `ValueError`
    when the payloads are no whole picture.
    """
    match codec:
        case "VP8":
            return vp8.assemble(payloads)
        case "VP9":
            return vp9.assemble(payloads)
        case "H264":
            return h264.assemble(payloads)
        case _:
            return sound.assemble(payloads)


def begins(codec: Codec, payload: Payload) -> bool:
    """Whether a payload may be the first of a picture; malformed ones are not.

    For VP8 and VP9 it then is. An H.264 picture has no such mark: a parameter set, for example,
    may open a picture or follow another, so what came before decides (its marker bit).
    """
    try:
        match codec:
            case "VP8":
                return vp8.begins(payload)
            case "VP9":
                return vp9.begins(payload)
            case "H264":
                return h264.begins(payload)
            case _:
                return len(payload) > 0
    except ValueError:
        return False


def packetise(codec: Codec, data: bytes, most: int = 1200, *, singly: bool = False) -> list[bytes]:
    """The payloads, of at most `most` bytes each, that carry a picture or a packet of sound.

    Takes what `assemble` gives (H.264 with start codes of three or four bytes). The last one's
    packet gets the marker bit. Raises `ValueError` when `data` is nothing of this codec, when
    `most` is under `SMALLEST`, for sound longer than `most`, which cannot be divided,
    and likewise for a longer unit of H.264 where each must travel `singly` (mode 0).
    """
    if most < SMALLEST:
        raise ValueError(f"payloads of {most} bytes are too small")
    match codec:
        case "VP8":
            return vp8.packetise(data, most)
        case "VP9":
            return vp9.packetise(data, most)
        case "H264":
            return h264.singly(data, most) if singly else h264.packetise(data, most)
        case _:
            return sound.packetise(data, most)
