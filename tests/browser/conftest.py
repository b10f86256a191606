"""One Chromium for all tests of a process, people in front of it, and servers on its event loop.

Playwright belongs to the event loop it was started on, so everything here runs on the loop of
the whole session, the servers too.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from tests.browser.kept import Place
from tests.browser.person import PATIENCE, Person
from tests.browser.person import NewPerson as NewPerson
from tests.conftest import MakeConfig, Serve
from tests.process import running
from tests.running import Server

HERE = Path(__file__).parent
FLAGS = (
    "--no-sandbox",  # as root there is none
    "--use-fake-device-for-media-stream=device-count=3",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A name that browsers do not take for this machine: a page there is not secure.
    "--host-resolver-rules=MAP elsewhere.test 127.0.0.1",
)
FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=PATIENCE * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here share a browser, so they share its event loop."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a failure, so that the fixtures can show what was on the pages."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@asynccontextmanager
async def launched(*flags: str) -> AsyncIterator[Browser]:
    """A Chromium with more flags."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("These tests need Chromium: apt-get install chromium", pytrace=False)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser of all tests."""
    async with launched() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def serve(make_config: MakeConfig) -> AsyncIterator[Serve]:
    """As everywhere, on the browser's event loop."""
    started: list[Server] = []

    async def start(**changes: Any) -> Server:
        config = make_config(**changes)
        config.data.mkdir(parents=True, exist_ok=True)
        started.append(Server(config))
        await started[-1].start()
        return started[-1]

    yield start
    for server in reversed(started):
        await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def server(serve: Serve) -> Server:
    """A Ringback that runs for this test, without bots."""
    return await serve()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def exchange(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a `ringback serve` with its bots on the line."""
    data = tmp_path_factory.mktemp("exchange")
    async with running("--data", str(data)) as process:
        await process.until("Bots on the line: .*echo")
        yield process.url.rstrip("/")


@pytest_asyncio.fixture(loop_scope="session")
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A whole Ringback, with the recorder on the line."""
    async with running("--data", str(tmp_path), "--record-limit", "free_megabytes=0") as process:
        await process.until("Bots on the line: .*recorder")
        yield Place(process.url.rstrip("/"), tmp_path / "recordings")


@pytest_asyncio.fixture(loop_scope="session")
async def new_person(request: pytest.FixtureRequest, chromium: Browser) -> AsyncIterator[NewPerson]:
    """Seats people in front of browsers of their own; their pages must stay without errors.

    `await new_person(url, name)`; `beside=person` opens one more window of that browser;
    `script=` runs in the page before its own; the rest goes to the browser's context.
    """
    contexts: list[BrowserContext] = []
    people: list[Person] = []

    async def seat(
        url: str, name: str, *, beside: Person | None = None, script: str = "", **options: Any
    ) -> Person:
        if beside is None:
            given = {"permissions": ["camera", "microphone"]} | options
            contexts.append(await chromium.new_context(**given))
            await contexts[-1].add_init_script(path=HERE / "inside.js")
        context = beside.context if beside else contexts[-1]
        page = await context.new_page()
        if script:
            await page.add_init_script(script)
        people.append(Person(context, page, url, name))
        return people[-1]

    yield seat
    if request.node.stash.get(FAILED, False):
        shown = [await person.describe() for person in people]
        request.node.add_report_section("teardown", "pages", "\n".join(shown))
    for context in contexts:
        await context.close()
    assert [fault for person in people for fault in person.faults] == []
