"""Thresholds that were passed, as sentences with numbers. Pure."""

from __future__ import annotations

from .figures import Figures
from .reasons import Code
from .thresholds import Threshold
from .units import show


def sentence(rule: Threshold, f: Figures) -> str:
    """What a passed threshold means in this direction."""
    frames, sound = f.frames, f.sound
    match rule.code:
        case Code.STALE:
            kinds = ((frames.stale, "pictures"), (sound.stale, "sounds"))
            amounts = " and ".join(f"{count} {kind}" for count, kind in kinds if count)
            return f"{amounts} came from another time, as of an earlier call."
        case Code.FROZEN:
            return f"The picture stood still for {show(f.freezes.still, 'time')}."
        case Code.LOST:
            return (
                f"{frames.lost} of {frames.due} pictures were lost ({show(frames.loss, 'share')})."
            )
        case Code.DAMAGED:
            return (
                f"{frames.damaged} of {frames.seen} pictures arrived damaged: the marks of "
                f"{frames.erased} cannot be read, {frames.torn} are of two pictures."
            )
        case Code.REPEATED:
            return f"{frames.repeated} pictures arrived twice, of {frames.seen} seen."
        case Code.REORDERED:
            return f"{frames.reordered} of {frames.identified} pictures came after newer ones."
        case Code.HALF_SIZE:
            return (
                f"Pictures arrived at {show(frames.scale, 'share')} of the height they were sent "
                f"with, {frames.width} by {frames.height} pixels."
            )
        case Code.SILENT:
            return (
                f"{show(sound.silent, 'share')} of {show(sound.seconds, 'time')} of sound is "
                "silence: the microphone is silent."
            )
        case Code.LOST_SOUND:
            return (
                f"{sound.lost} of {sound.due} marked sounds were lost "
                f"({show(sound.loss, 'share')})."
            )
        case Code.LATE_SOUND | Code.EARLY_SOUND:
            return _skewed(f)
        case Code.GARBLED_SPEECH:
            return f"Speech is hard to understand: its intelligibility is {rule.found(f)} of 1."
    return f"{rule.name} is {rule.found(f)}, and '{rule.text}' fails the call."


def _skewed(f: Figures) -> str:
    middle = f.skew.median or 0.0
    words = "behind" if middle < 0 else "ahead of"
    return (
        f"Sound is {show(abs(middle), 'time')} {words} the picture: {f.skew.verdict} by "
        "ITU-R BT.1359-1."
    )
