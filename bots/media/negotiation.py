"""Which codecs we know, and what of an offer we take: aiortc's own list has neither VP9 nor AV1.

Pure. Nothing here is decoded, so of a codec that is known every profile is: what the peer
offers is answered with its own payload types and parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from aiortc import RTCRtpCodecParameters
from aiortc.rtcrtpparameters import ParametersDict, RTCRtcpFeedback

MAX_CODECS = 64

# By kind and name, the clock rates; `telephone-event` comes with sound, never alone.
KNOWN: dict[str, dict[str, tuple[int, ...]]] = {
    "audio": {
        "opus": (48000,),
        "g722": (8000,),
        "pcmu": (8000,),
        "pcma": (8000,),
        "telephone-event": (48000, 8000),
    },
    "video": {"vp8": (90000,), "vp9": (90000,), "h264": (90000,), "av1": (90000,)},
}
BESIDES = {"telephone-event"}
FEEDBACK = {
    "audio": [RTCRtcpFeedback("nack")],
    "video": [
        RTCRtcpFeedback("nack"),
        RTCRtcpFeedback("nack", "pli"),
        RTCRtcpFeedback("goog-remb"),
        RTCRtcpFeedback("ccm", "fir"),
    ],
}

Takes = Callable[[RTCRtpCodecParameters], bool]


def _h264(profile: str, mode: str = "1") -> ParametersDict:
    return {
        "level-asymmetry-allowed": "1",
        "packetization-mode": mode,
        "profile-level-id": profile,
    }


# What we offer, in the order of preference: name, clock rate, channels, payload type, parameters.
_OFFERED: dict[str, list[tuple[str, int, int | None, int, ParametersDict]]] = {
    "audio": [
        ("opus", 48000, 2, 111, {"minptime": 10, "useinbandfec": 1}),
        ("G722", 8000, 1, 9, {}),
        ("PCMU", 8000, 1, 0, {}),
        ("PCMA", 8000, 1, 8, {}),
        ("telephone-event", 48000, 1, 110, {"0-16": None}),
        ("telephone-event", 8000, 1, 126, {"0-16": None}),
    ],
    "video": [
        ("VP8", 90000, None, 96, {}),
        ("VP9", 90000, None, 98, {"profile-id": "0"}),
        ("H264", 90000, None, 102, _h264("42e01f")),
        ("H264", 90000, None, 104, _h264("42001f")),
        ("H264", 90000, None, 106, _h264("4d001f")),
        ("H264", 90000, None, 108, _h264("64001f")),
        ("AV1", 90000, None, 112, {}),
        ("H264", 90000, None, 114, _h264("42e01f", "0")),
    ],
}


def offered(kind: str, takes: Takes) -> list[RTCRtpCodecParameters]:
    """The codecs to offer: of those we know, what `takes` says yes to."""
    found: list[RTCRtpCodecParameters] = []
    for name, rate, channels, number, parameters in _OFFERED[kind]:
        codec = RTCRtpCodecParameters(
            mimeType=f"{kind}/{name}",
            clockRate=rate,
            channels=channels,
            payloadType=number,
            rtcpFeedback=_feedback(kind, name, FEEDBACK[kind]),
            parameters=dict(parameters),
        )
        if takes(codec):
            found.append(codec)
            if kind == "video":
                found.append(
                    RTCRtpCodecParameters(
                        mimeType="video/rtx",
                        clockRate=rate,
                        payloadType=number + 1,
                        parameters={"apt": number},
                    )
                )
    return found


def common(theirs: Sequence[RTCRtpCodecParameters]) -> list[RTCRtpCodecParameters]:
    """What we know of what the peer can do, in its order; empty when there is no real codec."""
    found: dict[int, RTCRtpCodecParameters] = {}
    for codec in theirs[:MAX_CODECS]:
        number, kind = codec.payloadType, codec.mimeType.partition("/")[0]
        if number is None or number in found:
            continue
        if codec.name.lower() == "rtx":
            base = found.get(_apt(codec))
            known = base is not None and base.clockRate == codec.clockRate
        else:
            known = codec.clockRate in KNOWN.get(kind, {}).get(codec.name.lower(), ())
        if known:
            found[number] = replace(
                codec,
                rtcpFeedback=_feedback(kind, codec.name, codec.rtcpFeedback),
                parameters=dict(codec.parameters),
            )
    return keep(list(found.values()), lambda codec: True)


def keep(codecs: Sequence[RTCRtpCodecParameters], takes: Takes) -> list[RTCRtpCodecParameters]:
    """Those that `takes` says yes to, with their retransmission; empty when no real codec is."""
    kept: dict[int, RTCRtpCodecParameters] = {}
    for codec in codecs:
        rtx = codec.name.lower() == "rtx"
        if (_apt(codec) in kept) if rtx else takes(codec):
            kept[codec.payloadType or 0] = codec
    if all(codec.name.lower() in BESIDES | {"rtx"} for codec in kept.values()):
        return []
    return list(kept.values())


def _apt(codec: RTCRtpCodecParameters) -> int:
    """What a retransmission format stands for; -1 when it does not say."""
    apt = codec.parameters.get("apt")
    return apt if isinstance(apt, int) else -1


def _feedback(kind: str, name: str, theirs: Sequence[RTCRtcpFeedback]) -> list[RTCRtcpFeedback]:
    if name.lower() in BESIDES | {"rtx"}:
        return []
    return [f for f in FEEDBACK.get(kind, []) if f in theirs]
