"""Messages whose call to voicemail broke: what the exchange makes of them, and says."""

from __future__ import annotations

from typing import Any

from ringback.server import protocol as p
from ringback.server.config import VoicemailLimits
from ringback.server.protocol import ErrorCode
from ringback.server.voicebox import GIVEN_UP, UNDER_WAY
from tests.playbook import Board, Player, make_board
from tests.test_exchange_voicemail import board, decline, leave, left, missed, order

__all__ = ["board"]
LOST = "The connection to voicemail was lost."


async def died(board: Board, bot: Player) -> Player:
    """The bot's process dies, and another one takes its place."""
    await bot.drops()
    return await board.bot("voicemail")


def cut(id: str, seconds: float = 3.0) -> p.TellMessage:
    """What the second says of a message that the first had under way."""
    return p.TellMessage(message=id, state="left", seconds=seconds, cut=True)


async def test_another_bot_brings_what_the_first_one_had(board: Board) -> None:
    alice, bob, bot = await missed(board)
    told = await order(alice, bot, leave())
    second = await died(board, bot)
    alice.silent()
    await second.says(cut(told["id"]))
    bob.hears("voicemail", unheard=1, total=1)
    words = f"{LOST} What you said until then is sent to bob."
    alice.hears("ended", call="v", reason="lost", message=words)
    [message] = await board.exchange.messages.listed("guest of bob")
    assert message.cut
    assert message.seconds == 3.0
    assert await board.live() == []


async def test_where_nothing_was_left_the_caller_is_told_and_may_say_it_again(
    board: Board,
) -> None:
    alice, bob, bot = await missed(board)
    told = await order(alice, bot, leave())
    second = await died(board, bot)
    await second.says(p.TellMessage(message=told["id"], state="discarded"))
    alice.hears("ended", reason="lost", message=f"{LOST} Nothing was sent.")
    bob.silent()
    again = await order(alice, second, leave("w"))
    assert again["id"] != told["id"]


async def test_while_no_other_bot_comes_nothing_is_promised(board: Board) -> None:
    alice, bob, bot = await missed(board)
    told = await order(alice, bot, leave())
    await alice.progress("v", "connected")
    await bot.drops()
    await board.passes(31)
    alice.hears("ended", reason="lost", message=f"{LOST} What you said may not be sent.")
    second = await board.bot("voicemail")
    await second.says(cut(told["id"]))
    bob.hears("voicemail", total=1)
    alice.silent()


async def test_a_message_that_broke_off_by_itself_ends_no_call(board: Board) -> None:
    alice, bob, bot = await missed(board)
    told = await order(alice, bot, leave())
    await bot.says(cut(told["id"]))
    bob.hears("voicemail", total=1)
    alice.silent()
    await alice.hangup("v")
    alice.hears("ended", reason="hangup", message="You hung up.")


async def greeting(board: Board) -> tuple[Player, Player, dict[str, Any]]:
    """Bob records a greeting."""
    bot, bob = await board.bot("voicemail"), await board.come("bob")
    return bob, bot, await order(bob, bot, leave("g", None, greeting=True))


async def test_half_a_greeting_greets_nobody(board: Board) -> None:
    bob, bot, told = await greeting(board)
    dropped: list[str] = []
    board.exchange.messages.on_drop = dropped.append
    second = await died(board, bot)
    await second.says(cut(told["id"]))
    bob.hears("ended", reason="lost", message=f"{LOST} Your greeting is not saved.")
    assert dropped == [told["id"]]
    assert (await board.exchange.messages.box("guest of bob", "bob")).greeting is None


async def test_a_whole_greeting_is_saved_whoever_brings_it(board: Board) -> None:
    bob, bot, told = await greeting(board)
    second = await died(board, bot)
    await left(second, told["id"])
    bob.hears("ended", reason="lost", message=f"{LOST} Your greeting is saved.")
    assert (await board.exchange.messages.box("guest of bob", "bob")).greeting == told["id"]


async def test_a_greeting_of_which_nothing_is_known(board: Board) -> None:
    bob, bot, _ = await greeting(board)
    await bob.progress("g", "connected")
    await bot.drops()
    await board.passes(31)
    bob.hears("ended", reason="lost", message=f"{LOST} It may not be saved.")


async def test_what_is_never_completed_takes_no_place_for_long_and_is_given_up() -> None:
    board = await make_board(voicemail=VoicemailLimits(messages=1))
    bot = await board.bot("voicemail")
    alice, bob = await board.come("alice"), await board.come("bob")
    await decline(alice, bob, "k")
    told = await order(alice, bot, leave())
    await alice.hangup("v")
    alice.hears("ended")
    bot.hears("ended")
    await decline(alice, bob, "l")
    await alice.refused(ErrorCode.VOICEMAIL_FULL, leave("w", "l"))
    await board.passes(UNDER_WAY + 1)
    await decline(alice, bob, "m")
    await order(alice, bot, leave("x", "m"))
    assert await board.exchange.messages.forget_old(10) == []
    await board.passes(GIVEN_UP - UNDER_WAY)
    assert await board.exchange.messages.forget_old(10) == [told["id"]]
    await bot.says(cut(told["id"]))
    bob.silent()
    await board.close()
