"""Two sides that negotiate with real peer connections: restarts, reloads, and both at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import NewPerson
from tests.running import Server

TWO_SIDES = (Path(__file__).parent / "two_sides.js").read_text()

# What happens in an established call, as a script over `sides`. While a side holds, what it
# says reaches the other only at `flush`; `offering` waits until it has something to say.
OFFERING = """
const offering = async (side) => {
  while (!side.outbox.some(({ description }) => description)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
const { caller, callee } = sides;
"""
HAPPENINGS = {
    "nothing": "",
    "the caller restarts": "caller.signalling.link.restart();",
    "the callee restarts": "callee.signalling.link.restart();",
    "both restart at once": """
        caller.hold = callee.hold = true;
        caller.signalling.link.restart(); callee.signalling.link.restart();
        await Promise.all([offering(caller), offering(callee)]);
        caller.flush(); callee.flush();""",
    "the caller's page is loaded again": "caller.reload();",
    "the callee's page is loaded again": "callee.reload();",
    "the callee's page is loaded twice": "callee.reload(); callee.reload();",
    "both pages are loaded again, the caller is heard first": """
        caller.hold = callee.hold = true;
        caller.reload(); callee.reload();
        await Promise.all([offering(caller), offering(callee)]);
        caller.flush(); callee.flush();""",
    "both pages are loaded again, the callee is heard first": """
        caller.hold = callee.hold = true;
        caller.reload(); callee.reload();
        await Promise.all([offering(caller), offering(callee)]);
        callee.flush(); caller.flush();""",
    "the callee's page is loaded again while the caller restarts": """
        caller.hold = callee.hold = true;
        caller.signalling.link.restart(); await offering(caller);
        callee.reload(); await offering(callee);
        caller.flush(); callee.flush();""",
    "the caller's page is loaded again while the callee restarts": """
        caller.hold = callee.hold = true;
        callee.signalling.link.restart(); await offering(callee);
        caller.reload(); await offering(caller);
        callee.flush(); caller.flush();""",
}


@pytest.mark.parametrize("what", HAPPENINGS)
async def test_the_call_goes_on(what: str, server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann")
    await ann.goto("/")
    script = await ann.page.get_attribute("script[type=module]", "src")
    assert script is not None
    await ann.page.evaluate(TWO_SIDES, script.rsplit("/", 1)[0])
    await ann.page.evaluate("sides.connect()")
    before = await ann.page.evaluate("sides.settled()")
    assert before["ok"], before
    await ann.page.evaluate(f"(async () => {{{OFFERING}{HAPPENINGS[what]}}})()")
    after = await ann.page.evaluate("sides.settled()")
    assert after["ok"], after
    assert after["failures"] == []
    await ann.page.evaluate("sides.close()")
