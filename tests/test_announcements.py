"""The tone and the sentences of voicemail, measured."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from ringback.bots import announcements
from tests.callers import pitch
from tests.marked import play


async def test_the_tone() -> None:
    [cue] = [piece async for piece in announcements.beep()]
    sound = cue.sound
    assert len(sound.data) == 2 * round(announcements.BEEP * sound.rate)
    frame = av.AudioFrame("s16", "mono", len(sound.data) // 2)
    frame.planes[0].update(sound.data)
    frame.sample_rate = sound.rate
    assert pitch([frame]) == pytest.approx(announcements.BEEP_PITCH, rel=0.01)


@pytest.mark.parametrize("path", [announcements.GREETING, announcements.TOO_SHORT])
def test_the_sentences_can_be_heard_and_go_out_as_they_are(path: Path) -> None:
    found = play(path)
    assert found.codecs == {"opus"}
    assert 3 < found.seconds < 10
    assert 0.25 < found.loudest < 1
