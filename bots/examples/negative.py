"""Shows callers themselves as a negative: pictures are decoded, changed and sent; the sound goes
back as it came, undecoded.

    ringback bot run bots/examples/negative.py --server URL --token TOKEN --workers 2
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from ringback import bots

# What numpy would do, without numpy: each value of a pixel by its opposite.
OPPOSITE = bytes(255 - value for value in range(256))


async def turned(pictures: AsyncIterator[bots.Picture]) -> AsyncIterator[bots.Picture]:
    """Pictures with every colour turned into its opposite."""
    async for picture in pictures:
        yield replace(picture, data=picture.data.translate(OPPOSITE))


@bots.bot("negative", about="Shows you as a negative.", max_calls=4)
async def negative(call: bots.Call) -> None:
    """Both kinds at once. A picture that is late is left out by itself: see `Track.video`."""
    async with asyncio.TaskGroup() as both:
        both.create_task(call.publish(turned(call.video.video(width=320))))
        both.create_task(call.publish(call.audio.frames()))
