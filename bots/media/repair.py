"""Finishing what a process left behind when it died: recordings without an end."""

from __future__ import annotations

import logging
from pathlib import Path

import av
from av import AudioStream, VideoStream
from av.error import FFmpegError

from . import sidecar, thumbnail
from .mend import mend
from .payload import Codec
from .sidecar import MOST_GAPS, Participant, Pictures, Sidecar, Sound, gaps_noted

_CODECS: dict[str, Codec] = {
    "vp8": "VP8", "vp9": "VP9", "h264": "H264",
    "opus": "opus", "pcm_mulaw": "PCMU", "pcm_alaw": "PCMA",
}  # fmt: skip

logger = logging.getLogger(__name__)


def repair(folder: Path) -> Sidecar:
    """Finish the recording in `folder`, if it is not finished. Blocks.

    Raises `OSError` and `ValueError` when its sidecar cannot be read or written.
    """
    about = sidecar.read(folder)
    if about.ended is not None:
        return about
    files = {path.stem: path for path in folder.iterdir() if path.suffix in (".webm", ".mkv")}
    ended = about.started
    for number, participant in enumerate(about.participants, 1):
        path = files.get(str(number))
        if path is not None:
            ended = max(ended, round(path.stat().st_mtime * 1000))
            _finish(participant, path)
    about.ended, about.reason = ended, "failed"
    sidecar.write(folder, about)
    return about


def _finish(participant: Participant, path: Path) -> None:
    try:
        length, notes = mend(path)
        audio, video = _count(path)
    except (ValueError, FFmpegError) as error:
        # Killed, or without power, before its head was on the disk: nothing is in it.
        logger.warning("%s cannot be repaired: %s", path, error)
        length, notes, audio, video = 0, [], None, None
    if audio is None and video is None:
        participant.file, participant.bytes, participant.duration_ms = "", 0, 0
        participant.audio = participant.video = None
        return
    participant.file, participant.duration_ms = path.name, length
    participant.bytes = path.stat().st_size
    participant.audio = audio
    _tell_gaps(participant, path, notes)
    before, participant.video = participant.video, video
    if before is not None and video is not None:
        # Larger ones may have come later than the file's head says.
        largest = max(before, video, key=lambda pictures: pictures.width * pictures.height)
        video.width, video.height = largest.width, largest.height
    participant.thumbnail = thumbnail.make(path)


def _tell_gaps(participant: Participant, path: Path, notes: list[bytes]) -> None:
    """The file knows of all gaps; the sidecar was written a while before its end."""
    try:
        gaps = gaps_noted(notes)
    except ValueError as error:
        logger.warning("What is missing in %s cannot be read from its notes: %s", path, error)
        return
    if len(gaps) > len(participant.gaps) + participant.gaps_more:
        participant.gaps, participant.gaps_more = gaps[:MOST_GAPS], len(gaps[MOST_GAPS:])


def _count(path: Path) -> tuple[Sound | None, Pictures | None]:
    """What is in a file. What was noted last is older than what was written last."""
    audio: Sound | None = None
    video: Pictures | None = None
    with av.open(str(path)) as container:
        for packet in container.demux():
            if not packet.size:
                continue
            stream = packet.stream
            codec = _CODECS.get(stream.codec_context.codec.canonical_name, "")
            if isinstance(stream, VideoStream):
                video = video or Pictures(codec, stream.width, stream.height)
                video.frames += 1
            elif isinstance(stream, AudioStream):
                audio = audio or Sound(codec)
                audio.frames += 1
    return audio, video


def unfinished(parent: Path) -> list[Path]:
    """The folders below `parent` whose recordings have no end. Blocks; some may be running."""
    found: list[Path] = []
    for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
        if not (folder / sidecar.NAME).is_file():
            continue
        try:
            if sidecar.read(folder).ended is None:
                found.append(folder)
        except (OSError, ValueError) as error:
            logger.warning("What is known of the recording in %s cannot be read: %s", folder, error)
    return found
