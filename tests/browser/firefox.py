"""Somebody in front of a Firefox without a window: what they do on Ringback's pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from ringback.bots.calltest.browser import literal
from ringback.bots.calltest.firefox import FirefoxWindow, opened
from tests.browser.person import PATIENCE

HERE = Path(__file__).parent
NUMBERS = count(1)
STATE = "(state) => document.querySelector('#phone').dataset.callState === state"


class Firefox:
    """One window of a browser, used by one person after another. Its camera and its microphone are
    those that Firefox makes up itself."""

    def __init__(self, window: FirefoxWindow) -> None:
        self.window = window
        self._script: str | None = None

    async def somebody(self, script: str) -> None:
        """From now on, somebody new, in whose pages `script` runs before their own, besides
        `inside.js`."""
        window = self.window
        await window.bidi.tell("storage.deleteCookies")
        if self._script is not None:
            await window.bidi.tell("script.removePreloadScript", script=self._script)
        self._script = await window.prepare((HERE / "inside.js").read_text(), script)

    async def open_calls(self, url: str, script: str = "", name: str = "Fay") -> str:
        """Somebody new, on the call page; their name, which begins with `name`."""
        name = f"{name} {next(NUMBERS)}"
        await self.window.visit(f"{url}/")
        await self.somebody(script)
        await self.window.visit(f"{url}/call/")
        await self.window.fill("#username", name)
        await self.window.press("form:has(#username) [type=submit]")
        assert await self.window.appears('body[data-wire="open"]', PATIENCE)
        return name

    async def run(self, function: str, value: Any = None) -> Any:
        """What a function of the page makes of a value, or what its promise becomes."""
        return await self.window.run(f"({function})({literal(value)})")

    async def until(self, function: str, value: Any = None) -> None:
        """Wait until a function of a value holds; fails with what the page shows."""
        met = await self.run(
            f"""async (value) => {{
              const end = performance.now() + {PATIENCE * 1000};
              while (!({function})(value) && performance.now() < end)
                await new Promise((resolve) => setTimeout(resolve, 50));
              return Boolean(({function})(value));
            }}""",
            value,
        )
        assert met, f"never {function}: {await self.run('() => document.body.innerText')}"

    async def phone_is(self, state: str) -> None:
        """Wait until the telephone is in a state."""
        await self.until(STATE, state)

    async def press(self, name: str) -> None:
        """Press the button of exactly this name."""
        await self.window.press_found("accessibility", {"role": "button", "name": name})

    async def receives(self, *, picture: bool = True, sound: bool = True) -> dict[str, Any]:
        """Wait until more moving pictures and more sound arrive than now; the last measurement."""
        since = await self.run("() => inside.measure()")
        wanted = {"picture": picture, "sound": sound, "patience": PATIENCE * 1000}
        found = await self.run("([since, wanted]) => inside.grown(since, wanted)", [since, wanted])
        assert found["held"], f"nothing new: {since} -> {found['now']}"
        now: dict[str, Any] = found["now"]
        return now


@asynccontextmanager
async def firefox() -> AsyncIterator[Firefox]:
    """A browser of one's own, gone at the end with everything it started."""
    async with opened() as window:
        yield Firefox(window)
