"""While one speaks to voicemail one sees how loud one is."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.person import NewPerson, two
from tests.callers import needs_address


@needs_address
async def test_one_sees_that_one_is_heard(exchange: str, new_person: NewPerson) -> None:
    ann, bob = await two(exchange, new_person)
    await ann.call("Bob")
    await bob.rung("Ann")
    await bob.press("Decline")
    await ann.press("Leave a message")
    level = ann.page.locator("#voicemail-level")
    await expect(level).to_be_hidden()
    await ann.press("Skip to the tone")
    await expect(level).to_be_visible()
    # The device beeps once a second.
    await ann.page.wait_for_function(
        "() => Number(document.querySelector('#voicemail-level').style"
        ".getPropertyValue('--level')) > 0.2"
    )
    await ann.press("Discard")
    await expect(level).to_be_hidden()
