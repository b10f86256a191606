"""Voicemail through the exchange, as scripts on a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ringback.server import protocol as p
from ringback.server.config import VoicemailLimits
from ringback.server.protocol import ErrorCode
from ringback.server.voicebox import AFTER, GIVEN_UP
from tests.playbook import OFFER, START, Board, Player, make_board

NOW = round(START * 1000)


@pytest.fixture
async def board() -> AsyncIterator[Board]:
    made = await make_board()
    yield made
    await made.close()


async def missed(board: Board, call: str = "k") -> tuple[Player, Player, Player]:
    """Alice has called Bob, who declined; the bot is there."""
    bot = await board.bot("voicemail")
    alice, bob = await board.come("alice"), await board.come("bob")
    await decline(alice, bob, call)
    return alice, bob, bot


async def decline(alice: Player, bob: Player, call: str) -> None:
    await alice.call(call, "bob")
    alice.hears("ringing")
    bob.hears("ring")
    await bob.says(p.Decline(call=call))
    alice.hears("ended", reason="declined", voicemail=True)
    bob.hears("ended")


def leave(call: str = "v", after: str | None = "k", **more: Any) -> p.Call:
    """A call to voicemail."""
    media = p.Media(video=False)
    return p.Call(call=call, to="voicemail", media=media, description=OFFER, after=after, **more)


async def order(alice: Player, bot: Player, message: p.Call) -> dict[str, Any]:
    """Call voicemail, which answers; what it is to keep."""
    await alice.says(message)
    ring = bot.hears("ring", call=message.call)
    alice.hears("ringing")
    await bot.answer(message.call)
    alice.hears("answered")
    found: dict[str, Any] = ring["voicemail"]
    return found


async def left(bot: Player, id: str, seconds: float = 5.0) -> None:
    await bot.says(p.TellMessage(message=id, state="left", seconds=seconds))


# --- leaving one


async def test_after_a_decline_a_message_is_left_and_bob_is_told(board: Board) -> None:
    alice, bob, bot = await missed(board)
    told = await order(alice, bot, leave())
    assert told == {"id": told["id"], "kind": "message", "to": "bob", "most": 180.0}
    assert "guest" not in str(told)
    bob.silent()
    await left(bot, told["id"])
    bob.hears("voicemail", unheard=1, total=1)
    await left(bot, told["id"])
    bob.silent()
    [message] = await board.exchange.messages.listed("guest of bob")
    assert (message.from_name, message.name, message.seconds) == ("alice", "bob", 5.0)
    assert message.left == NOW


@pytest.mark.parametrize("how", ["no answer", "unavailable", "busy", "cancelled"])
async def test_after_which_ends_one_may_be_left(board: Board, how: str) -> None:
    await board.bot("voicemail")
    alice, bob = await board.come("alice"), await board.come("bob")
    if how == "unavailable":
        await bob.drops()
        await board.passes(31)
    if how == "busy":
        carol = await board.come("carol")
        await carol.call("other", "bob")
    await alice.call("k", "bob")
    if how == "no answer":
        alice.hears("ringing")
        await board.passes(46)
    if how == "cancelled":
        alice.hears("ringing")
        await alice.hangup("k")
    offered = how != "cancelled"
    assert ("voicemail" in alice.hears("ended")) == offered
    if offered:
        await alice.says(leave())
    else:
        await alice.refused(ErrorCode.NO_VOICEMAIL, leave())


async def test_bob_is_told_when_he_comes_back_and_nobody_else_who_takes_his_name(
    board: Board,
) -> None:
    alice, bob, bot = await missed(board)
    await bob.drops()
    told = await order(alice, bot, leave())
    await board.passes(31)
    await left(bot, told["id"])
    other = await board.come("bob", guest="somebody else")
    other.silent()
    assert await board.exchange.messages.listed("somebody else") == []
    assert await board.exchange.messages.of("somebody else", told["id"]) is None
    await other.drops()
    await board.passes(31)
    bob = await board.come("bob")
    bob.hears("voicemail", unheard=1, total=1)


async def test_a_message_is_for_who_was_called_whoever_took_the_name_since(board: Board) -> None:
    alice, bob, bot = await missed(board)
    await bob.drops()
    await board.passes(31)
    await board.come("bob", guest="somebody else")
    told = await order(alice, bot, leave())
    await left(bot, told["id"])
    assert len(await board.exchange.messages.listed("guest of bob")) == 1


async def test_nobody_ever_had_the_name(board: Board) -> None:
    await board.bot("voicemail")
    alice = await board.come("alice")
    await alice.call("k", "nobody")
    assert "voicemail" not in alice.hears("ended", reason="unavailable")
    words = await alice.refused(ErrorCode.NO_VOICEMAIL, leave())
    assert words == "nobody takes no messages."


async def test_who_has_no_cookie_gets_no_messages(board: Board) -> None:
    await board.bot("voicemail")
    alice = await board.come("alice")
    bob = await board.come("bob", guest="anonymous-1")
    await alice.call("k", "bob")
    alice.hears("ringing")
    bob.hears("ring")
    await bob.says(p.Decline(call="k"))
    assert "voicemail" not in alice.hears("ended")


async def test_only_the_caller_of_a_call_just_missed_leaves_one_and_once(board: Board) -> None:
    alice, bob, bot = await missed(board)
    carol = await board.come("carol")
    await carol.refused(ErrorCode.NO_SUCH_CALL, leave())
    await bob.refused(ErrorCode.NO_SUCH_CALL, leave())
    await alice.refused(ErrorCode.NO_SUCH_CALL, leave(after="other"))
    await alice.refused(ErrorCode.NO_VOICEMAIL, leave(after=None))
    told = await order(alice, bot, leave())
    await left(bot, told["id"])
    bob.hears("voicemail")
    await alice.hangup("v")
    alice.hears("ended")
    words = await alice.refused(ErrorCode.NO_VOICEMAIL, leave("w"))
    assert words == "You have left a message for bob already."
    await decline(alice, bob, "k2")
    await board.passes(AFTER + 1)
    await alice.refused(ErrorCode.NO_VOICEMAIL, leave("x", "k2"))


async def test_what_was_discarded_can_be_left_again(board: Board) -> None:
    alice, bob, bot = await missed(board)
    dropped: list[str] = []
    board.exchange.messages.on_drop = dropped.append
    told = await order(alice, bot, leave())
    await bot.says(p.TellMessage(message=told["id"], state="discarded"))
    assert dropped == [told["id"]]
    await alice.hangup("v")
    alice.hears("ended")
    again = await order(alice, bot, leave("w")) if bot.hears("ended") else {}
    assert again["id"] != told["id"]
    bob.silent()


async def test_only_voicemail_takes_messages_and_speaks_of_them(board: Board) -> None:
    alice, bob, bot = await missed(board)
    echo = await board.bot("echo")
    call = p.Call(call="e", to="echo", media=p.Media(), description=OFFER, after="k")
    await alice.refused(ErrorCode.BAD_TARGET, call)
    told = await order(alice, bot, leave())
    say = p.TellMessage(message=told["id"], state="left", seconds=1.0)
    for player in (alice, bob, echo):
        await player.refused(ErrorCode.NOT_YOUR_CALL, say)
    await bot.says(p.TellMessage(message="unknown", state="left"))
    assert await board.exchange.messages.listed("guest of bob") == []


async def test_voicemail_is_no_contact(board: Board) -> None:
    await board.bot("echo")
    await board.bot("voicemail")
    alice = await board.come("alice")
    await alice.says(p.Contacts(watch=True))
    assert [c["name"] for c in alice.hears("contacts")["people"]] == ["echo", "alice"]


# --- off


async def test_off_for_one_person(board: Board) -> None:
    alice, bob, _ = await missed(board)
    await bob.says(p.Settings(voicemail=False))
    await alice.refused(ErrorCode.NO_VOICEMAIL, leave())
    await alice.call("k2", "bob")
    alice.hears("ringing")
    bob.hears("ring")
    await bob.says(p.Decline(call="k2"))
    assert "voicemail" not in alice.hears("ended")
    await bob.says(p.Settings(voicemail=True))
    await alice.says(leave())


async def test_settings_change_only_what_they_name(board: Board) -> None:
    bob = await board.come("bob")
    await bob.says(p.Settings(call_waiting=False))
    await bob.says(p.Settings(voicemail=False))
    claim = await board.engine.claim_of("bob", START)
    assert claim is not None
    assert not claim.call_waiting
    await bob.says(p.Settings(call_waiting=True))
    assert not (await board.exchange.messages.box("guest of bob", "bob")).on


async def test_off_for_the_server() -> None:
    board = await make_board(voicemail=VoicemailLimits(on=False))
    await board.bot("voicemail")
    alice, bob = await board.come("alice"), await board.come("bob")
    await alice.call("k", "bob")
    alice.hears("ringing")
    bob.hears("ring")
    await bob.says(p.Decline(call="k"))
    assert "voicemail" not in alice.hears("ended")
    await alice.refused(ErrorCode.NO_VOICEMAIL, leave())
    await board.close()


async def test_without_the_bot_nothing_is_offered(board: Board) -> None:
    alice, bob = await board.come("alice"), await board.come("bob")
    await alice.call("k", "bob")
    alice.hears("ringing")
    bob.hears("ring")
    await bob.says(p.Decline(call="k"))
    assert "voicemail" not in alice.hears("ended")


# --- greetings


async def test_a_bot_that_takes_no_more_calls_is_not_offered(board: Board) -> None:
    alice, bob, bot = await missed(board)
    await alice.says(leave())
    bot.hears("ring")
    alice.hears("ringing")
    await alice.hangup("v")
    alice.hears("ended")
    bot.hears("ended")

    async def offered(call: str) -> bool:
        await alice.call(call, "bob")
        alice.hears("ringing")
        bob.hears("ring")
        await bob.says(p.Decline(call=call))
        bob.hears("ended")
        return "voicemail" in alice.hears("ended")

    await bot.says(p.Capacity(max_calls=1, accepting=False))
    assert not await offered("draining")
    await bot.drops()
    assert not await offered("draining, and away")
    await bot.returns()
    await bot.says(p.Capacity(max_calls=1, accepting=True))
    await bot.drops()
    assert await offered("back in a moment")
    await bot.returns()
    await order(alice, bot, leave("w", after="back in a moment"))
    carol = await board.come("carol")
    await carol.call("full", "bob")
    carol.hears("ringing")
    bob.hears("ring")
    await bob.says(p.Decline(call="full"))
    assert "voicemail" not in carol.hears("ended")
    second = await board.bot("voicemail")
    await carol.call("room", "bob")
    carol.hears("ringing")
    await bob.says(p.Decline(call="room"))
    carol.hears("ended", voicemail=True)
    second.silent()


async def test_callers_hear_the_greeting_that_was_recorded_last(board: Board) -> None:
    alice, bob, bot = await missed(board)
    dropped: list[str] = []
    board.exchange.messages.on_drop = dropped.append
    made = []
    for call in ("g1", "g2"):
        told = await order(bob, bot, leave(call, None, greeting=True))
        assert told == {"id": told["id"], "kind": "greeting", "to": "bob", "most": 30.0}
        await left(bot, told["id"])
        await bob.hangup(call)
        bob.hears("ended")
        bot.hears("ended")
        made.append(told["id"])
    assert dropped == made[:1]
    assert await board.exchange.messages.known(made[1])
    assert (await order(alice, bot, leave()))["greeting"] == made[1]
    await board.exchange.messages.forget_greeting("guest of bob", "bob")
    assert dropped == made
    assert not await board.exchange.messages.known(made[1])
    assert await board.exchange.messages.listed("guest of bob") == []


# --- one's own


async def test_playing_and_deleting_is_told_in_every_window(board: Board) -> None:
    alice, bob, bot = await missed(board)
    other = await board.come("bob")
    told = await order(alice, bot, leave())
    await left(bot, told["id"])
    dropped: list[str] = []
    keeper = board.exchange.messages
    keeper.on_drop = dropped.append
    for player in (bob, other):
        player.hears("voicemail", unheard=1, total=1)
    await keeper.heard("guest of bob", told["id"])
    await keeper.heard("guest of bob", told["id"])
    for player in (bob, other):
        assert "unheard" in player.hears("voicemail", total=1)
        player.silent()
    for user in ("guest of alice", "guest of carol"):
        with pytest.raises(p.ProtocolError):
            await keeper.heard(user, told["id"])
        with pytest.raises(p.ProtocolError):
            await keeper.delete(user, told["id"])
    await keeper.delete("guest of bob", told["id"])
    assert dropped == [told["id"]]
    bob.hears("voicemail", unheard=0, total=0)
    assert await keeper.listed("guest of bob") == []


# --- room


async def fill(board: Board, alice: Player, bob: Player, bot: Player, count: int) -> list[str]:
    """Alice leaves so many messages."""
    ids = []
    for number in range(count):
        call, missed_call = f"v{len(board.tokens)}-{board.clock.now()}-{number}", f"k{number}"
        missed_call += f"-{board.clock.now()}"
        await decline(alice, bob, missed_call.replace(".", "_"))
        told = await order(alice, bot, leave(call.replace(".", "_"), missed_call.replace(".", "_")))
        await left(bot, told["id"])
        bob.hears("voicemail")
        await alice.hangup(call.replace(".", "_"))
        alice.hears("ended")
        bot.hears("ended")
        ids.append(told["id"])
        await board.passes(1)
    return ids


async def small() -> tuple[Board, Player, Player, Player]:
    board = await make_board(voicemail=VoicemailLimits(messages=5))
    bot = await board.bot("voicemail")
    return board, await board.come("alice"), await board.come("bob"), bot


async def test_who_was_warned_loses_the_oldest_to_new_ones() -> None:
    board, alice, bob, bot = await small()
    dropped: list[str] = []
    board.exchange.messages.on_drop = dropped.append
    ids = await fill(board, alice, bob, bot, 5)
    assert (await board.exchange.messages.box("guest of bob", "bob")).warned is not None
    await board.exchange.messages.heard("guest of bob", ids[2])
    assert bob.hears("voicemail", unheard=4, total=5, nearly_full=True)
    more = await fill(board, alice, bob, bot, 2)
    assert dropped == [ids[2], ids[0]]
    kept = [m.id for m in await board.exchange.messages.listed("guest of bob")]
    assert kept == [more[1], more[0], ids[4], ids[3], ids[1]]
    await board.close()


async def test_who_was_not_warned_loses_nothing_and_callers_hear_that_it_is_full() -> None:
    board, alice, bob, bot = await small()
    await fill(board, alice, bob, bot, 3)
    await bob.drops()
    await board.passes(31)
    for number in range(2):
        await alice.call(f"m{number}", "bob")
        alice.hears("ended", reason="unavailable", voicemail=True)
        told = await order(alice, bot, leave(f"w{number}", f"m{number}"))
        await left(bot, told["id"])
        await alice.hangup(f"w{number}")
        alice.hears("ended")
        bot.hears("ended")
    await alice.call("m", "bob")
    alice.hears("ended")
    words = await alice.refused(ErrorCode.VOICEMAIL_FULL, leave("w", "m"))
    assert words == "The voicemail of bob is full. Try to call again later."
    bob = await board.come("bob")
    bob.hears("voicemail", unheard=5, total=5, nearly_full=True)
    await order(alice, bot, leave("w", "m"))
    await board.close()


async def test_what_came_at_the_same_time_takes_nothing_from_who_was_not_warned() -> None:
    board, alice, bob, bot = await small()
    await fill(board, alice, bob, bot, 3)
    await bob.drops()
    await board.passes(31)
    dropped: list[str] = []
    board.exchange.messages.on_drop = dropped.append
    callers = [alice, *[await board.come(f"caller {n}") for n in range(2)]]
    told = []
    for number, caller in enumerate(callers):
        await caller.call(f"m{number}", "bob")
        caller.hears("ended", reason="unavailable", voicemail=True)
        told.append(await order(caller, bot, leave(f"w{number}", f"m{number}")))
    for one in told:
        await left(bot, one["id"])
    assert dropped == []
    assert len(await board.exchange.messages.listed("guest of bob")) == 6
    await board.close()


async def test_a_warning_is_over_when_there_is_room_again() -> None:
    board, alice, bob, bot = await small()
    ids = await fill(board, alice, bob, bot, 4)
    keeper = board.exchange.messages
    assert (await keeper.box("guest of bob", "bob")).warned is not None
    await keeper.delete("guest of bob", ids[0])
    assert "nearly_full" not in bob.hears("voicemail", unheard=3, total=3)
    assert (await keeper.box("guest of bob", "bob")).warned is None
    await board.close()


async def test_what_is_old_or_was_never_completed_is_forgotten() -> None:
    board, alice, bob, bot = await small()
    [old] = await fill(board, alice, bob, bot, 1)
    await decline(alice, bob, "k")
    given_up = await order(alice, bot, leave())
    await board.passes(GIVEN_UP + 1)
    assert await board.exchange.messages.forget_old(10) == [given_up["id"]]
    await board.passes(90 * 86_400)
    assert await board.exchange.messages.forget_old(10) == [old]
    assert not await board.exchange.messages.known(old)
    await board.close()
