"""Recording a call as people see it: the question, the mark on both sides, the end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Locator, expect

from ringback.server.recording import SOLO_TEXT, TEXT
from tests.browser.person import NewPerson, Person, connected, talking
from tests.browser.recorder import StubRecorder, recorder
from tests.browser.test_access import everything_has_a_name, tab_to
from tests.callers import needs_address
from tests.clients import Client, Crowd, eventually
from tests.running import Server

pytestmark = needs_address


@pytest_asyncio.fixture(loop_scope="session")
async def bot(server: Server) -> AsyncIterator[StubRecorder]:
    """A recorder on the line."""
    async with recorder(server) as stub:
        yield stub


def mark(person: Person) -> Locator:
    """The mark that says that a call is recorded."""
    return person.page.locator("#recording-mark")


def question(person: Person) -> Locator:
    """Where somebody is asked whether they agree."""
    return person.page.locator("#recording-question")


async def news(person: Person, words: str) -> None:
    """Wait for words about the recording, in view and read aloud."""
    await expect(person.page.locator("#recording-news")).to_have_text(words)
    await expect(person.page.locator("#phone > [data-announcer]")).to_have_text(words)


async def ask(person: Person) -> None:
    """Press Record, read what it means, and ask."""
    await person.press("More")
    await person.press("Record this call")
    await expect(person.page.locator("#record-asking")).to_contain_text(TEXT)
    await person.press("Agree and ask")


async def shows(person: Person, words: str) -> None:
    """Wait until the mark says something."""
    await expect(mark(person)).to_be_visible()
    await expect(mark(person)).to_have_text(words)


async def recorded(server: Server, new_person: NewPerson) -> tuple[Person, Person]:
    """Ann and Bob, whose call is being recorded."""
    ann, bob = await talking(server.url, new_person)
    await ask(ann)
    await bob.press("Agree")
    await shows(ann, "Recording")
    await shows(bob, "Recording")
    return ann, bob


async def test_asked_agreed_recorded_stopped(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann, bob = await talking(server.url, new_person)
    await ask(ann)
    await shows(ann, "Asking…")
    await expect(question(bob)).to_contain_text("Ann asks to record this call.")
    await expect(question(bob)).to_contain_text(TEXT)
    await expect(bob.page.locator("#phone > [data-announcer]")).to_have_text(
        "Ann asks to record this call. Agree or decline."
    )
    assert await everything_has_a_name(bob) >= 8
    await bob.press("Agree")
    for person in (ann, bob):
        await shows(person, "Recording")
        await news(person, "This call is being recorded.")
    await eventually(lambda: bot.legs == {"Ann": 1, "Bob": 1})
    assert {consent.name for consent in bot.orders[0].participants} == {"Ann", "Bob"}
    await mark(bob).click()
    panel = bob.page.get_by_role("region", name="Recording", exact=True)
    await expect(panel.get_by_role("listitem")).to_have_text(
        ["You", "Ann", "recorder, which records you both"]
    )
    await everything_has_a_name(bob)
    # The call itself goes on as it was.
    await ann.receives()
    await bob.receives()
    await bob.press("Stop")
    await news(ann, "Bob stopped the recording.")
    await news(bob, "You stopped the recording.")
    for person in (ann, bob):
        await expect(mark(person)).to_be_hidden()
        assert (await person.measure())["connections"] == 1
    assert [told.state for told in bot.told] == ["off", "off"]
    await ann.press("Hang up")
    for person in (ann, bob):
        await person.phone_is("ended")
        await expect(person.page.get_by_role("button", name="Recordings")).to_be_visible()


async def test_declined(server: Server, new_person: NewPerson, bot: StubRecorder) -> None:
    ann, bob = await talking(server.url, new_person)
    await ask(ann)
    await bob.press("Do not record me")
    await news(ann, "Bob does not want to be recorded. Nothing is recorded.")
    await expect(mark(ann)).to_be_hidden()
    await expect(question(bob)).to_be_hidden()
    await bob.receives()
    assert bot.orders == []
    await ann.press("Hang up")
    await ann.phone_is("ended")
    await expect(ann.page.locator("#recorded")).to_be_hidden()


async def test_who_asked_asks_no_longer(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann, bob = await talking(server.url, new_person)
    await ask(ann)
    await expect(question(bob)).to_be_visible()
    await mark(ann).click()
    await ann.press("Ask no longer")
    await expect(question(bob)).to_be_hidden()
    await news(bob, "Ann no longer asks to record this call.")
    await expect(mark(ann)).to_be_hidden()


async def test_withdrawn(server: Server, new_person: NewPerson, bot: StubRecorder) -> None:
    ann, bob = await recorded(server, new_person)
    await eventually(lambda: bot.legs == {"Ann": 1, "Bob": 1})
    await mark(bob).click()
    await bob.press("I no longer agree to be recorded")
    await news(ann, "Bob no longer agrees to being recorded. The recording has stopped.")
    await expect(mark(ann)).to_be_hidden()
    await expect(mark(bob)).to_be_hidden()
    await eventually(lambda: not bot.legs.total())
    await ann.receives()


async def test_paused_and_resumed(server: Server, new_person: NewPerson, bot: StubRecorder) -> None:
    ann, bob = await recorded(server, new_person)
    await mark(ann).click()
    await ann.press("Pause")
    await shows(bob, "Paused")
    await news(bob, "Ann paused the recording.")
    await eventually(lambda: "paused" in [told.state for told in bot.told])
    await mark(bob).click()
    await bob.press("Go on")
    await shows(ann, "Recording")
    await ann.press("Pause")
    await shows(bob, "Paused")


async def test_the_recorder_ends_it(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann, bob = await recorded(server, new_person)
    await bot.end("disk_full")
    for person in (ann, bob):
        await news(person, "The server has no room left, so the recording has ended.")
        await expect(mark(person)).to_be_hidden()


async def test_the_leg_follows_what_is_sent(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann, _ = await recorded(server, new_person)
    await eventually(lambda: bot.legs == {"Ann": 1, "Bob": 1})
    sent = "() => inside.sent()"
    before = await ann.page.evaluate(sent)
    assert before == [{"audio": True, "video": True}] * 2
    await ann.press("Camera off")
    await ann.page.wait_for_function(
        "() => inside.sent().every(({audio, video}) => audio && !video)"
    )
    await ann.press("Camera off")
    await ann.press("Mute")
    await ann.page.wait_for_function(
        "() => inside.sent().every(({audio, video}) => !audio && video)"
    )


async def test_a_reload_places_the_leg_again(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann, bob = await recorded(server, new_person)
    await eventually(lambda: bot.legs == {"Ann": 1, "Bob": 1})
    orders = len(bot.orders)
    await bob.page.reload()
    await connected(bob)
    await shows(bob, "Recording")
    await eventually(lambda: len(bot.orders) > orders and bot.legs == {"Ann": 1, "Bob": 1})
    assert bot.orders[-1].name == "Bob"
    assert bot.orders[-1].id == bot.orders[0].id
    await shows(ann, "Recording")
    await ann.receives()
    await mark(bob).click()
    await bob.press("Stop")
    await expect(mark(ann)).to_be_hidden()


async def test_a_reload_asks_again(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann, bob = await talking(server.url, new_person)
    await ask(ann)
    await expect(question(bob)).to_be_visible()
    await bob.page.reload()
    await connected(bob)
    await expect(question(bob)).to_contain_text("Ann asks to record this call.")
    await ann.page.reload()
    await connected(ann)
    await shows(ann, "Asking…")
    await bob.press("Agree")
    await shows(ann, "Recording")


async def test_a_leg_whose_connection_broke_is_replaced(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann, bob = await recorded(server, new_person)
    await eventually(lambda: bot.legs == {"Ann": 1, "Bob": 1})
    orders = len(bot.orders)
    await ann.page.evaluate("() => inside.cut()")  # the newest connection: the leg
    await eventually(lambda: len(bot.orders) > orders and bot.legs == {"Ann": 1, "Bob": 1})
    await shows(bob, "Recording")


async def test_no_recorder_is_told(server: Server, new_person: NewPerson) -> None:
    ann, bob = await talking(server.url, new_person)
    await ask(ann)
    await news(ann, "The recorder is not here right now. Try again later.")
    await expect(question(bob)).to_be_hidden()
    await expect(mark(ann)).to_be_hidden()


@pytest_asyncio.fixture(loop_scope="session")
async def old(server: Server, bot: StubRecorder) -> AsyncIterator[Client]:
    """A client of the plain socket, which knows nothing of consent."""
    crowd = Crowd()
    yield await crowd.phone(server, "Old")
    await crowd.close()


async def test_a_program_cannot_be_asked(
    server: Server, new_person: NewPerson, old: Client
) -> None:
    ann = await new_person(server.url, "Ann")
    await ann.open_calls()
    await ann.call("Old")
    ring = await old.until("call_received")
    answer = await ann.page.evaluate(
        """async (offer) => {
          const far = globalThis.far = new RTCPeerConnection();
          await far.setRemoteDescription(offer);
          await far.setLocalDescription();
          return {type: "answer", sdp: far.localDescription.sdp};
        }""",
        ring["data"]["rtcMessage"],
    )
    await old.say("answer_call", data={"caller": "Ann", "rtcMessage": answer})
    await ask(ann)
    await news(ann, "Old calls from a program that cannot ask for consent.")
    await expect(mark(ann)).to_be_hidden()


async def test_everything_by_keyboard(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann, bob = await talking(server.url, new_person)
    await tab_to(ann, ann.button("More"))
    await ann.page.keyboard.press("Enter")
    await tab_to(ann, ann.button("Record this call"))
    await ann.page.keyboard.press("Enter")
    await expect(ann.button("Agree and ask")).to_be_focused()
    await ann.page.keyboard.press("Escape")
    await expect(ann.page.locator("#record-asking")).to_be_hidden()
    await expect(ann.button("More")).to_be_focused()
    await ask(ann)
    await tab_to(bob, bob.button("Agree"))
    await bob.page.keyboard.press("Enter")
    await shows(ann, "Recording")
    await tab_to(ann, mark(ann))
    await ann.page.keyboard.press("Enter")
    await tab_to(ann, ann.button("Stop"))
    await ann.page.keyboard.press("Enter")
    await expect(mark(bob)).to_be_hidden()


async def test_the_small_call_leads_to_the_question(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann, bob = await talking(server.url, new_person)
    await bob.press("Make the call small")
    await ask(ann)
    await expect(bob.button("Agree")).to_be_hidden()
    await bob.press("Read and answer")
    await expect(question(bob)).to_contain_text(TEXT)
    await bob.press("Agree")
    await shows(bob, "Recording")
    await bob.press("Make the call small")
    await shows(bob, "Recording")


# --- oneself


async def test_calling_the_recorder_says_so_before(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann = await new_person(server.url, "Ann")
    await ann.open_calls()
    warning = ann.page.get_by_text(SOLO_TEXT)
    await expect(warning).to_be_hidden()
    row = ann.page.locator('#contacts li[data-name="recorder"]')
    await row.get_by_role("button", name="Call recorder").click()
    await expect(warning).to_be_visible()
    await expect(ann.dial).to_have_value("recorder")
    await expect(ann.button("Record me")).to_be_focused()
    assert bot.orders == []
    await ann.press("Record me")
    await connected(ann)
    await shows(ann, "Recording")
    await expect(ann.page.locator("#recording-news")).to_have_text("You are being recorded.")
    assert [consent.name for consent in bot.orders[0].participants] == ["Ann"]
    await expect(warning).to_be_hidden()
    await ann.press("More")
    await expect(ann.button("Record this call")).to_be_hidden()
    await mark(ann).click()
    await expect(ann.button("I no longer agree to be recorded")).to_be_hidden()
    await ann.press("Stop")
    await ann.phone_is("ended")
    await expect(ann.button("Call again")).to_be_hidden()
    await expect(ann.button("Recordings")).to_be_visible()


async def test_another_name_takes_the_warning_away(
    server: Server, new_person: NewPerson, bot: StubRecorder
) -> None:
    ann = await new_person(server.url, "Ann")
    await ann.open_calls()
    await ann.goto("/call/?to=recorder")
    warning = ann.page.get_by_text(SOLO_TEXT)
    await expect(warning).to_be_visible()
    await ann.dial.fill("recorders")
    await expect(warning).to_be_hidden()
    await expect(ann.button("Call")).to_be_visible()
