"""Answers commands in a chat room: !time, !roll 2d6, !who, !help.

ROOM=kitchen ringback bot run bots/examples/clerk.py --server URL --token TOKEN
"""

from __future__ import annotations

import datetime
import os
import random
import re

from ringback import bots

ROOM = os.environ.get("ROOM", "lobby")
HELP = "I know !time, !roll 2d6, !who and !help."

clerk = bots.Bot("clerk", about="Answers commands in the chat: !help.")


@clerk.room(ROOM)
async def desk(room: bots.Room) -> None:
    """Greet who comes and answer what is asked; bots are left alone."""
    async for event in room:
        match event:
            case bots.Came(who=who, bot=False):
                await room.say(f"Hello, {who}. {HELP}")
            case bots.Said(who=who, text=text, bot=False) if text.startswith("!"):
                await room.say(answer(room, who, text))


def answer(room: bots.Room, who: str, text: str) -> str:
    """What to say to a command."""
    command, _, rest = text[1:].partition(" ")
    match command.lower():
        case "time":
            return f"It is {datetime.datetime.now(datetime.UTC):%H:%M} UTC."
        case "roll":
            return roll(who, rest or "1d6")
        case "who":
            return f"Here are {', '.join(room.members)}."
    return HELP


def roll(who: str, dice: str) -> str:
    """Throw dice: `2d6` are two with six sides."""
    match = re.fullmatch(r"([1-9]\d?)d([2-9]|[1-9]\d{1,2})", dice.strip())
    if match is None:
        return f"{who}, write it like !roll 2d6."
    thrown = [random.randint(1, int(match[2])) for _ in range(int(match[1]))]
    return f"{who} has thrown {' + '.join(map(str, thrown))} = {sum(thrown)}."
