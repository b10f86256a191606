"""Music on hold: plays a file again and again; any key skips to its beginning.

MUSIC=my.ogg ringback bot run bots/examples/hold.py --server URL --token TOKEN
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ringback import bots

# Opus goes out as it is, so a caller costs next to nothing; anything else is coded anew.
MUSIC = Path(os.environ.get("MUSIC", Path(__file__).with_name("hold.ogg")))


@bots.bot("hold", about="Plays music until somebody has time.", max_calls=500)
async def hold(call: bots.Call) -> None:
    """Play; begin again at the press of a key."""
    keys = call.events()
    while True:
        music = asyncio.create_task(call.play(MUSIC, loop=True))
        try:
            while not isinstance(await anext(keys), bots.Digit):
                pass
        finally:
            music.cancel()
            await asyncio.wait((music,))
        if not music.cancelled():
            music.result()
