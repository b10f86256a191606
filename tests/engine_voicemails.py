"""What every engine must do with voicemail; a part of `engine_contract`."""

from __future__ import annotations

from msgspec.structs import replace

from ringback.server.engine.base import Claim, Engine
from ringback.server.voicebox import Voicebox, VoiceMessage


def message(
    id: str, begun: int = 1000, user: str = "u-bob", left: int | None = 2000
) -> VoiceMessage:
    """A message from Ann for Bob."""
    return VoiceMessage(
        id=id, kind="message", user=user, key="bob", name="Bob", from_name="Ann",
        call=f"call of {id}", after="k", begun=begun, left=left, seconds=3.5,
    )  # fmt: skip


class VoicemailsContract:
    """Who held a name, messages, and how somebody wants them."""

    async def test_the_last_holder_of_a_name_is_remembered(self, engine: Engine) -> None:
        assert await engine.holder("bob") is None
        await engine.claim(Claim(key="bob", name="Bob", user="u-bob"), 10.0)
        await engine.release("bob", "u-bob")
        found = await engine.holder("bob")
        assert found is not None
        assert (found.user, found.name, found.at) == ("u-bob", "Bob", 10_000)
        await engine.claim(Claim(key="bob", name="BOB", user="u-other"), 20.0)
        found = await engine.holder("bob")
        assert found is not None
        assert (found.user, found.name, found.at) == ("u-other", "BOB", 20_000)

    async def test_who_was_refused_a_name_and_bots_hold_none(self, engine: Engine) -> None:
        await engine.claim(Claim(key="bob", name="Bob", user="u-bob"), 10.0)
        await engine.claim(Claim(key="bob", name="Bob", user="u-thief"), 11.0)
        found = await engine.holder("bob")
        assert found is not None
        assert found.user == "u-bob"
        await engine.claim(Claim(key="echo", name="echo", user="bot:echo", bot=True), 12.0)
        assert await engine.holder("echo") is None

    async def test_a_voicebox_is_the_usual_one_until_it_is_kept(self, engine: Engine) -> None:
        assert await engine.voicebox("u", "bob") == Voicebox("u", "bob")
        box = Voicebox("u", "bob", on=False, greeting="g1", warned=5)
        await engine.put_voicebox(box)
        assert await engine.voicebox("u", "bob") == box
        assert await engine.voicebox("u", "bobby") == Voicebox("u", "bobby")
        assert await engine.voicebox("other", "bob") == Voicebox("other", "bob")

    async def test_a_greeting_is_somebodys_while_they_greet_with_it(self, engine: Engine) -> None:
        await engine.put_voicebox(Voicebox("u", "bob", greeting="g1"))
        assert await engine.greeting("g1")
        await engine.put_voicebox(Voicebox("u", "bob", greeting="g2"))
        assert not await engine.greeting("g1")
        assert await engine.greeting("g2")

    async def test_messages_are_kept_replaced_and_forgotten(self, engine: Engine) -> None:
        one = message("m1", left=None)
        assert await engine.message("m1") is None
        await engine.put_message(one)
        assert await engine.message("m1") == one
        await engine.put_message(replace(one, left=2000))
        assert await engine.message("m1") == message("m1")
        assert await engine.drop_message("m1")
        assert not await engine.drop_message("m1")
        assert await engine.message("m1") is None

    async def test_messages_are_listed_for_their_owner_newest_first(self, engine: Engine) -> None:
        for number in (1, 3, 2):
            await engine.put_message(message(f"m{number}", begun=number))
        await engine.put_message(message("other", user="u-eve"))
        assert [m.id for m in await engine.messages("u-bob")] == ["m3", "m2", "m1"]
        assert await engine.messages("nobody") == []

    async def test_old_messages_are_those_left_or_given_up_long_ago(self, engine: Engine) -> None:
        await engine.put_message(message("old", begun=1, left=100))
        await engine.put_message(message("new", begun=2, left=900))
        await engine.put_message(message("given up", begun=3, left=None))
        await engine.put_message(message("under way", begun=800, left=None))
        assert [m.id for m in await engine.old_messages(500, 500, 9)] == ["old", "given up"]
        assert [m.id for m in await engine.old_messages(500, 500, 1)] == ["old"]
