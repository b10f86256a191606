"""Plays a tone and shows a picture that it draws itself: a ball that bounces.

ringback bot run bots/examples/studio.py --server URL --token TOKEN
"""

from __future__ import annotations

import array
import asyncio
import math
from collections.abc import AsyncIterator

from ringback import bots

WIDTH, HEIGHT, BALL = 320, 240, 12
RATE = 48_000


async def tone() -> AsyncIterator[bots.Sound]:
    """A tone of 440 Hz, in pieces of 20 ms. Each is asked for when it is time."""
    step, at = 2 * math.pi * 440 / RATE, 0
    while True:
        wave = (round(4000 * math.sin(step * (at + n))) for n in range(960))
        yield bots.Sound(array.array("h", wave).tobytes(), RATE)
        at += 960


async def ball() -> AsyncIterator[bots.Picture]:
    """A white ball on black, fifteen pictures a second."""
    number = 0
    while True:
        x = _bounce(number * 5, WIDTH - 2 * BALL) + BALL
        y = _bounce(number * 3, HEIGHT - 2 * BALL) + BALL
        rows = bytearray(WIDTH * HEIGHT)
        for dy in range(-BALL, BALL):
            half = math.isqrt(BALL * BALL - dy * dy)
            start = (y + dy) * WIDTH + x
            rows[start - half : start + half] = bytes([255]) * (2 * half)
        yield bots.Picture(bytes(rows), WIDTH, HEIGHT, "gray", time=number / 15)
        number += 1


def _bounce(way: int, length: int) -> int:
    """Where something is that goes to and fro."""
    return length - abs(way % (2 * length) - length)


@bots.bot("studio", about="Plays a tone and shows a bouncing ball.")
async def studio(call: bots.Call) -> None:
    """Both at once, until the caller hangs up."""
    async with asyncio.TaskGroup() as both:
        both.create_task(call.publish(tone()))
        both.create_task(call.publish(ball()))
