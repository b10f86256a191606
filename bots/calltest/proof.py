"""What is wrong with one direction of a call, apart from thresholds. Pure.

A direction is proved when enough different pictures and sounds of its own stream were identified:
at least `LEAST_PICTURES` and `LEAST_SOUNDS`, and at least half of those that were due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .figures import Figures
from .observed import Direction
from .reasons import Code, Reason
from .units import show

LEAST_PICTURES = 5
LEAST_SOUNDS = 1
LEAST_SHARE = 0.5
# An echo of an echo brings pictures again after newer ones; single late copies are duplicates.
_LOOPED, _LOOPED_SHARE = 3, 0.2


def pictures_proved(figures: Figures) -> bool:
    """Whether enough pictures of the right stream were identified."""
    frames = figures.frames
    share = frames.delivered >= LEAST_SHARE * frames.due
    return frames.identified >= LEAST_PICTURES and share


def sounds_proved(figures: Figures) -> bool:
    """Whether enough marked sounds of the right stream were identified."""
    sound = figures.sound
    return sound.identified >= LEAST_SOUNDS and sound.delivered >= LEAST_SHARE * sound.due


def proved(figures: Figures) -> bool:
    """Whether all that was promised in this direction arrived, provably."""
    return ("video" not in figures.kinds or pictures_proved(figures)) and (
        "audio" not in figures.kinds or sounds_proved(figures)
    )


def dead(figures: Figures) -> bool:
    """Whether nothing whatever arrived."""
    packets = figures.video.packets + figures.audio.packets
    return not (packets or figures.frames.seen or figures.sound.heard or figures.sound.seconds)


def identities(
    figures: Figures, direction: Direction, directions: Sequence[Direction]
) -> Iterator[Reason]:
    """Whose pictures and sounds arrived instead of, or beside, those of the sender."""
    own = {d.stream for d in directions if d.sender == figures.receiver} - {direction.stream}
    known = {d.stream: d.sender for d in directions if d.stream != direction.stream}
    pictures, sounds = figures.strange, figures.strange_sounds
    own_sounds = {d.word for d in directions if d.sender == figures.receiver} - {direction.word}
    back = [
        bool(found) and set(found) <= mine
        for kind, found, mine in (("video", pictures, own), ("audio", sounds, own_sounds))
        if kind in figures.kinds
    ]
    if own and back and all(back):
        yield Reason(
            Code.ECHOES_ITSELF,
            f"{figures.receiver} receives what it sends itself: "
            f"{_amounts(sum(pictures.values()), sum(sounds.values()))}.",
            figures.name,
        )
        return
    known_sounds = {d.word: d.sender for d in directions if d.word != direction.word}
    yield from _strangers(figures, "picture", pictures, known)
    yield from _strangers(figures, "sound", sounds, known_sounds)


def _strangers(
    figures: Figures, kind: str, found: Mapping[int, int], known: Mapping[int, str]
) -> Iterator[Reason]:
    for stream, count in sorted(found.items(), key=lambda item: -item[1]):
        amount = f"{count} {kind}{'s' if count != 1 else ''}"
        if stream in known:
            yield Reason(
                Code.SWAPPED_TRACKS,
                f"{figures.receiver} got {amount} of {known[stream]} where {figures.sender}'s "
                "belong: tracks are swapped.",
                figures.name,
            )
        else:
            yield Reason(
                Code.WRONG_STREAM,
                f"{figures.receiver} got {amount} of a stranger (stream {stream}) where "
                f"{figures.sender}'s belong.",
                figures.name,
            )


def _amounts(pictures: int, sounds: int) -> str:
    parts = [f"{pictures} pictures" if pictures else "", f"{sounds} sounds" if sounds else ""]
    return " and ".join(part for part in parts if part)


def circles(figures: Figures) -> Iterator[Reason]:
    """Pictures that come round again."""
    again = figures.looped
    if again >= _LOOPED and again >= _LOOPED_SHARE * figures.frames.identified:
        yield Reason(
            Code.ECHOES_ITSELF,
            f"{again} pictures came again after newer ones: an echo echoes itself.",
            figures.name,
        )


def pictures(figures: Figures, direction: Direction, others: Sequence[Figures]) -> Iterator[Reason]:
    """Why too few pictures were identified, if so; where it is the codec, `codecs` says it."""
    frames, video = figures.frames, figures.video
    if "video" not in figures.kinds or pictures_proved(figures):
        return
    if frames.identified:
        yield Reason(
            Code.TOO_FEW,
            f"Only {frames.identified} different pictures were identified, {frames.delivered} of "
            f"{frames.due} that were due: that proves nothing.",
            figures.name,
        )
    elif _no_keyframe(figures, direction):
        sent = sum(picture.keyframe for picture in direction.sent)
        yield Reason(
            Code.KEYFRAMES,
            f"{video.packets} packets of pictures arrived, but no keyframe to begin with "
            f"({video.keyframes_asked} times one was asked for, {sent} were sent).",
            figures.name,
        )
    elif not frames.wrong and (video.packets or not _another_codec(figures, others, "video")):
        yield Reason(
            Code.NO_PICTURE,
            f"No picture of {figures.sender} was identified; {frames.sent} were sent, "
            f"{frames.seen} seen, {frames.damaged} of them damaged, {frames.stale} stale.",
            figures.name,
        )


def _no_keyframe(figures: Figures, direction: Direction) -> bool:
    """Whether the want of a keyframe is why nothing was decoded: one was asked for in vain, or
    none was among what was coded."""
    frames, video = figures.frames, figures.video
    if not video.packets or frames.keyframes or frames.wrong or frames.stale:
        return False
    coded = [picture for picture in direction.sent if picture.bytes]
    never = bool(coded) and not any(picture.keyframe for picture in coded)
    return never or (video.keyframes_asked > 0 and frames.damaged == frames.seen)


def sounds(figures: Figures, others: Sequence[Figures]) -> Iterator[Reason]:
    """Why too few marked sounds were identified, if so; where it is the codec, `codecs` says
    it."""
    sound = figures.sound
    if "audio" not in figures.kinds or sounds_proved(figures):
        return
    if sound.identified:
        yield Reason(
            Code.TOO_FEW,
            f"Only {sound.identified} different marked sounds were identified, "
            f"{sound.delivered} of {sound.due} that were due: that proves nothing.",
            figures.name,
        )
    elif sound.seconds and sound.silent > LEAST_SHARE:
        yield Reason(
            Code.SILENT,
            f"{show(sound.seconds, 'time')} of sound arrived, and {show(sound.silent, 'share')} "
            f"of it is silence (at {show(sound.level, 'level')}): the microphone is silent.",
            figures.name,
        )
    elif any(other.sound.identified for other in others) and not sound.seconds:
        yield Reason(
            Code.ONE_WAY_SOUND,
            f"No sound of {figures.sender} reached {figures.receiver}, of {sound.sent} marked "
            "ones that were sent; in the other direction there is sound.",
            figures.name,
        )
    elif not sound.wrong and (sound.seconds or not _another_codec(figures, others, "audio")):
        yield Reason(
            Code.NO_SOUND,
            f"No marked sound of {figures.sender} was identified; {sound.sent} were sent, "
            f"{show(sound.seconds, 'time')} of sound arrived, {sound.unread} of {sound.heard} "
            "heard could not be read.",
            figures.name,
        )


def speech(f: Figures, direction: Direction) -> Iterator[Reason]:
    """Whether speech that was promised could be judged, where sound arrived at all."""
    if direction.spoken and f.speech is None and f.sound.identified:
        words = "Too little speech was heard to judge how intelligible it is."
        yield Reason(Code.TOO_FEW, words, f.name)


def codecs(figures: Figures, others: Sequence[Figures]) -> Iterator[Reason]:
    """Whether the codec that was asked for is the one in use."""
    for kind, words in (("video", "pictures"), ("audio", "sound")):
        if _another_codec(figures, others, kind):
            flow = figures.flow(kind)
            used = f"the codec of {words} is {flow.codec}"
            if flow.codec is None:
                used = f"no codec of {words} was agreed on"
            yield Reason(Code.CODEC, f"{flow.wanted} was asked for, but {used}.", figures.name)


def _another_codec(figures: Figures, others: Sequence[Figures], kind: str) -> bool:
    """Whether a kind does not come in the codec that was asked for. Where one was agreed on in
    another direction only, it is not the codec for want of which nothing comes."""
    flow = figures.flow(kind)
    if kind not in figures.kinds or not flow.wanted or flow.wanted == flow.codec:
        return False
    return flow.codec is not None or not any(other.flow(kind).codec for other in others)


def clocks(figures: Figures) -> Iterator[Reason]:
    """Whether a clock was set during the call."""
    step = figures.clock.jump
    if step is not None:
        yield Reason(
            Code.CLOCK_JUMP,
            f"A clock jumped by {show(abs(step), 'time')} during the call: no time after that "
            "can be trusted.",
            figures.name,
        )
