"""The pages over real HTTP: what they answer, where they lead, what they keep."""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from yarl import URL

from ringback import __version__
from ringback.server import names, pages
from ringback.server import protocol as p
from ringback.server.engine.base import EngineError
from ringback.server.keys import ENGINE, EXCHANGE
from tests.running import Server


class Page(HTMLParser):
    """An answer, and what of its page these tests look at."""

    def __init__(self, response: aiohttp.ClientResponse, text: str) -> None:
        super().__init__()
        self.status = response.status
        self.headers = response.headers
        self.source = text
        self.fields: dict[str, str] = {}
        self.body: dict[str, str] = {}
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "input":
            self.fields[found.get("name", "")] = found.get("value", "")
        if tag == "body":
            self.body = found
        self.links += [found[name] for name in ("href", "src", "action") if name in found]

    def handle_data(self, data: str) -> None:
        self.words += data

    @property
    def location(self) -> str:
        return self.headers["Location"]


class Browser:
    """Somebody with a browser: cookies, and forms sent as they were shown."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.session = aiohttp.ClientSession(server.url, cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path: str, follow: bool = False) -> Page:
        url = URL(self.server.url + path, encoded=True)
        async with self.session.get(url, allow_redirects=follow) as response:
            return Page(response, await response.text())

    async def post(self, path: str, data: object = None, **headers: str) -> Page:
        async with self.session.post(
            path, data=data, headers=headers, allow_redirects=False
        ) as response:
            return Page(response, await response.text())

    async def join(self, room: str, name: str, **more: str) -> Page:
        """Fill in the form on the home page and send it."""
        form = (await self.get("/")).fields
        fields = {"room_name": room, "username": name, "csrf": form["csrf"]} | more
        return await self.post("/", fields, Origin=self.server.url)

    async def call_as(self, name: str, path: str = "/call/", **more: str) -> Page:
        """Fill in the form of the call page and send it."""
        csrf = (await self.get("/")).fields["csrf"]
        fields = {"username": name, "csrf": csrf} | more
        return await self.post(path, fields, Origin=self.server.url)

    @asynccontextmanager
    async def connected(self, name: str, *rooms: str) -> AsyncIterator[None]:
        """On the line under a name, in some rooms."""
        await self.get("/")
        async with self.session.ws_connect("/ws", origin=self.server.url) as line:
            await line.send_str(p.encode(p.Hello(v=p.VERSION, name=name)).decode())
            welcome = p.decode_server(await line.receive_str())
            assert isinstance(welcome, p.Welcome)
            for room in rooms:
                await line.send_str(p.encode(p.Join(room=room)).decode())
                assert isinstance(p.decode_server(await line.receive_str()), p.Joined)
            yield


NewBrowser = Callable[[], Browser]


@pytest.fixture
async def new_browser(server: Server) -> AsyncIterator[NewBrowser]:
    made: list[Browser] = []

    def make() -> Browser:
        made.append(Browser(server))
        return made[-1]

    yield make
    for browser in made:
        await browser.session.close()


@pytest.fixture
async def ann(new_browser: NewBrowser) -> Browser:
    return new_browser()


@pytest.fixture
async def bob(new_browser: NewBrowser) -> Browser:
    return new_browser()


TAKEN = p.ERRORS[p.ErrorCode.NAME_TAKEN]
RESERVED = p.ERRORS[p.ErrorCode.NAME_RESERVED]
HIDDEN = "cannot contain invisible or control characters."


# --- home


async def test_home_asks_for_a_room_and_a_name(ann: Browser) -> None:
    page = await ann.get("/")
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "private, no-cache"
    assert page.fields["room_name"] == ""
    assert page.fields["username"] == ""
    assert len(page.fields["csrf"]) == 64
    assert "/call/" in {urlsplit(link).path for link in page.links}


async def test_home_takes_a_room_from_its_address(ann: Browser) -> None:
    page = await ann.get("/?room=%3Cb%3E%22garden")
    assert page.fields["room_name"] == '<b>"garden'
    assert "<b>" not in page.source


async def test_home_lists_who_is_where(ann: Browser, bob: Browser) -> None:
    async with ann.connected("Ann", "kitchen", "garden"), bob.connected("Bob", "kitchen"):
        page = await bob.get("/")
    assert page.words.index("kitchen") < page.words.index("garden")


async def test_home_is_the_same_guest_again(ann: Browser) -> None:
    assert (await ann.get("/")).fields["csrf"] == (await ann.get("/")).fields["csrf"]


async def test_two_guests_have_two_forms(ann: Browser, bob: Browser) -> None:
    assert (await ann.get("/")).fields["csrf"] != (await bob.get("/")).fields["csrf"]


# --- joining


async def test_joining_leads_to_the_room(ann: Browser) -> None:
    page = await ann.join("Kitchen", "  Ann ")
    assert page.status == 303
    assert page.location == "/room/kitchen/Ann/"
    assert (await ann.get(page.location)).status == 200


async def test_joining_unlisted_says_so_to_the_room(ann: Browser) -> None:
    page = await ann.join("kitchen", "Ann", unlisted="on")
    assert page.location == "/room/kitchen/Ann/?unlisted=1"


async def test_the_name_is_remembered(ann: Browser) -> None:
    await ann.join("kitchen", "Zoë")
    assert (await ann.get("/")).fields["username"] == "Zoë"


@pytest.mark.parametrize(
    ("room", "name", "status", "reason"),
    [
        ("", "Ann", 400, "The name of a room needs at least one letter or digit."),
        ("kitchen", "", 400, "A name needs at least one letter or digit."),
        ("kit/chen", "Ann", 400, "The name of a room cannot contain a slash."),
        (".kitchen", "Ann", 400, "The name of a room cannot begin or end with a dot."),
        ("x" * 65, "Ann", 400, "The name of a room can have at most 64 characters."),
        ("kitchen", "x" * 33, 400, "A name can have at most 32 characters."),
        ("kitchen", "A\u202enn", 400, f"A name {HIDDEN}"),
        ("kitchen", "A\x07nn", 400, f"A name {HIDDEN}"),
        ("kit\u200bchen", "Ann", 400, f"The name of a room {HIDDEN}"),
        ("kitchen", "echo", 409, RESERVED),
        ("kitchen", "есhо", 409, RESERVED),
        ("", "echo", 400, RESERVED),
    ],
)
async def test_the_form_comes_back_with_the_reason(
    ann: Browser, room: str, name: str, status: int, reason: str
) -> None:
    page = await ann.join(room, name)
    assert page.status == status
    assert reason in page.words
    assert page.fields["room_name"] == room
    assert page.fields["username"] == name
    # The form that came back can be sent.
    again = {"room_name": "kitchen", "username": "Ann", "csrf": page.fields["csrf"]}
    assert (await ann.post("/", again)).status == 303


async def test_both_reasons_are_said(ann: Browser) -> None:
    page = await ann.join("a/b", "c/d")
    assert "The name of a room cannot contain a slash." in page.words
    assert "A name cannot contain a slash." in page.words


async def test_a_name_that_was_refused_is_not_remembered(ann: Browser) -> None:
    await ann.join("kitchen", "echo")
    assert (await ann.get("/")).fields["username"] == ""


async def test_a_name_in_use_is_refused(ann: Browser, bob: Browser) -> None:
    async with ann.connected("Ann"):
        for alike in ("Ann", "ANN", "ａｎｎ"):
            page = await bob.join("kitchen", alike)
            assert page.status == 409
            assert TAKEN in page.words
            assert page.fields["username"] == alike
        assert (await bob.join("kitchen", "Bob")).status == 303


async def test_who_has_a_name_may_use_it_in_another_tab(ann: Browser) -> None:
    async with ann.connected("Ann"):
        assert (await ann.join("kitchen", "Ann")).status == 303


# --- forms that are not ours


@pytest.mark.parametrize("path", ["/", "/call/"])
async def test_a_form_without_its_token_comes_back(ann: Browser, path: str) -> None:
    await ann.get("/")
    for token in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "ä"}):
        fields = {"room_name": "kitchen", "username": "Ann"} | token
        page = await ann.post(path, fields)
        assert page.status == 403
        assert "Allow cookies for this site" in page.words
        assert page.fields["username"] == "Ann"


async def test_a_form_of_another_guest_comes_back(ann: Browser, bob: Browser) -> None:
    csrf = (await ann.get("/")).fields["csrf"]
    await bob.get("/")
    page = await bob.post("/", {"room_name": "kitchen", "username": "Bob", "csrf": csrf})
    assert page.status == 403
    assert page.fields["room_name"] == "kitchen"


async def test_a_form_sent_without_cookies_comes_back_and_works_then(ann: Browser) -> None:
    csrf = (await ann.get("/")).fields["csrf"]
    ann.session.cookie_jar.clear()
    page = await ann.post("/", {"room_name": "kitchen", "username": "Ann", "csrf": csrf})
    assert page.status == 403
    assert (await ann.post("/", page.fields)).status == 303


@pytest.mark.parametrize("path", ["/", "/call/"])
async def test_a_form_from_another_site_is_refused(ann: Browser, path: str) -> None:
    csrf = (await ann.get("/")).fields["csrf"]
    fields = {"room_name": "kitchen", "username": "Ann", "csrf": csrf}
    assert (await ann.post(path, fields, Origin="https://evil.example")).status == 403
    assert (await ann.get("/")).fields["username"] == ""


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("text/plain", b"csrf=1", 415),
        ("application/x-www-form-urlencoded", b"username=\xff\xfe", 400),
        ("application/x-www-form-urlencoded; charset=nonsense", b"username=Ann", 400),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 20_000, 413),
        ("application/x-www-form-urlencoded", b"a=&" * 5_000, 413),
        ("application/x-www-form-urlencoded", b"", 403),
        ("application/x-www-form-urlencoded", b"%ff=%fe&csrf=%ff&username=%ed%a0%80", 403),
        ("application/x-www-form-urlencoded", b"&&==&;;%&%zz", 403),
    ],
)
async def test_what_is_no_form_has_its_answer(
    ann: Browser, kind: str, body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/", "/call/"):
        page = await ann.post(path, body, **{"Content-Type": kind})
        assert page.status == status
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_a_sender_who_goes_away_is_no_error(
    server: Server, ann: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection(server.config.host, server.port)
    writer.write(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\nusername="
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    # Served after that connection was seen to be gone.
    await ann.get("/")
    await ann.get("/")
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


# --- rooms


async def test_a_room_knows_its_reader(ann: Browser) -> None:
    page = await ann.get("/room/kitchen/Ann/")
    assert page.status == 200
    assert {"kitchen", "Ann"} <= set(page.body.values())
    assert "camera=(self)" in page.headers["Permissions-Policy"]
    assert (await ann.get("/")).fields["username"] == "Ann"


async def test_what_people_call_themselves_is_text(ann: Browser) -> None:
    evil = '<img src=x onerror="alert(1)">'
    page = await ann.get(pages.room_path(evil.casefold(), evil))
    assert page.status == 200
    assert evil in page.body.values()
    assert evil not in page.source
    assert html.escape(evil, quote=False) in page.source.replace("&#34;", '"')


@pytest.mark.parametrize(
    "name", ["50%", "a%2Fb", "%41", "a?b#c", "a..b", "a b+c", "ü & ö", "🦊", "a;b=c", "'\"<>"]
)
async def test_any_name_stands_in_an_address(ann: Browser, name: str) -> None:
    page = await ann.join(name, name)
    assert page.status == 303
    there = await ann.get(page.location)
    assert there.status == 200
    assert name in there.body.values()
    assert names.clean_room(name) in there.body.values()


written = st.text(st.characters(exclude_categories=["C", "M", "Z"]), min_size=1, max_size=16)


@given(written, written)
def test_a_path_holds_the_room_and_the_name(room: str, name: str) -> None:
    try:
        room, name = names.clean_room(room), names.clean(name)
    except names.BadName:
        assume(False)
    path = pages.room_path(room, name)
    assert path.isascii()
    parts = [unquote(part) for part in path.split("/")]
    assert parts == ["", "room", room, name, ""]
    assert not {".", ".."} & set(parts), "a browser would take these for steps"


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("/room/Kitchen/Ann/", "/room/kitchen/Ann/"),
        ("/room/kitchen/%20Ann%20/", "/room/kitchen/Ann/"),
        ("/room/KITCHEN/%EF%BC%A1nn/?unlisted=1", "/room/kitchen/Ann/?unlisted=1"),
        ("/room/kitchen/Ann", "/room/kitchen/Ann/"),
        ("/room/kitchen/Ann?unlisted=1", "/room/kitchen/Ann/?unlisted=1"),
        ("/room/kit%20chen", "/room/kit%20chen/"),
        ("/room/kitchen/", "/?room=kitchen"),
        ("/room/a%26b%3D/", "/?room=a%26b%3D"),
        ("/call", "/call/"),
        ("/call?to=Bob", "/call/?to=Bob"),
    ],
)
async def test_other_ways_lead_to_the_one_address(ann: Browser, asked: str, canonical: str) -> None:
    page = await ann.get(asked)
    assert page.status == 303
    assert page.location == canonical


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/room/kitchen/echo/", 409, RESERVED),
        ("/room/kitchen/%E2%80%AEAnn/", 400, f"A name {HIDDEN}"),
        ("/room/kitchen/a%2Fb/", 400, "A name cannot contain a slash."),
        ("/room/kitchen/%00/", 400, f"A name {HIDDEN}"),
        ("/room/.kitchen/Ann/", 400, "The name of a room cannot begin or end with a dot."),
        (f"/room/{'x' * 65}/Ann/", 400, "The name of a room can have at most 64 characters."),
    ],
)
async def test_an_address_with_a_bad_name_leads_to_the_form(
    ann: Browser, path: str, status: int, reason: str
) -> None:
    page = await ann.get(path)
    assert page.status == status
    assert reason in page.words
    asked = [unquote(part, errors="replace") for part in path.split("/")]
    assert page.fields["room_name"] == asked[2]
    assert page.fields["csrf"]


async def test_an_address_that_is_no_utf_8_is_taken_as_it_is_written(ann: Browser) -> None:
    page = await ann.get("/room/kitchen/%FF/?unlisted=%FF")
    assert page.status == 200
    assert "%FF" in page.body.values()


async def test_somebody_elses_room_page_leads_to_the_form(ann: Browser, bob: Browser) -> None:
    async with ann.connected("Ann"):
        page = await bob.get("/room/kitchen/Ann/")
        assert page.status == 409
        assert TAKEN in page.words
        assert page.fields["room_name"] == "kitchen"
        assert page.fields["username"] == "Ann"
        assert (await ann.get("/room/kitchen/Ann/")).status == 200


# --- calls


async def test_the_call_page_asks_who_one_is(ann: Browser) -> None:
    page = await ann.get("/call/")
    assert page.status == 200
    assert page.fields["username"] == ""
    assert page.fields["csrf"]
    assert "camera=(self)" in page.headers["Permissions-Policy"]


async def test_the_call_page_knows_who_one_said_one_is(ann: Browser) -> None:
    page = await ann.call_as(" Ann ")
    assert page.status == 303
    assert page.location == "/call/"
    assert "Ann" in (await ann.get("/call/")).body.values()


async def test_the_call_page_knows_a_name_from_a_room(ann: Browser) -> None:
    await ann.join("kitchen", "Ann")
    assert "Ann" in (await ann.get("/call/")).body.values()


@pytest.mark.parametrize("more", [{"path": "/call/?to=Bob+%26+Co"}, {"to": "Bob & Co"}])
async def test_whom_to_call_is_kept_over_the_form(ann: Browser, more: dict[str, str]) -> None:
    page = await ann.call_as("Ann", **more)
    assert page.location == "/call/?to=Bob+%26+Co"
    assert "Bob & Co" in (await ann.get(page.location)).body.values()


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [("", 400, "at least one letter"), ("a/b", 400, "a slash"), ("echo", 409, RESERVED)],
)
async def test_a_bad_name_for_calls_comes_back(
    ann: Browser, name: str, status: int, reason: str
) -> None:
    page = await ann.call_as(name, to="Bob")
    assert page.status == status
    assert reason in page.words
    assert page.fields["username"] == name
    assert page.fields["to"] == "Bob"
    assert (await ann.get("/call/")).fields["username"] == ""


async def test_a_taken_name_for_calls_comes_back(ann: Browser, bob: Browser) -> None:
    await bob.call_as("Ann")
    async with ann.connected("Ann"):
        page = await bob.call_as("ann")
        assert page.status == 409
        assert TAKEN in page.words
        # Remembered from before, and somebody else's since.
        page = await bob.get("/call/?to=Carl")
        assert page.status == 409
        assert TAKEN in page.words
        assert page.fields["username"] == "Ann"
        assert page.fields["to"] == "Carl"
    assert (await ann.get("/call/")).status == 200


# --- every page


PAGES = ["/", "/room/kitchen/Ann/", "/room/kitchen/echo/", "/call/", "/no/such/page"]


@pytest.mark.parametrize("path", PAGES)
async def test_everything_a_page_names_is_there(ann: Browser, path: str) -> None:
    page = await ann.get(path)
    files = [link for link in page.links if link.startswith("/static/")]
    assert files
    for link in files:
        async with ann.session.get(link) as response:
            assert response.status == 200, link
            assert "immutable" in response.headers["Cache-Control"], link
    for link in page.links:
        assert not urlsplit(link).netloc, f"{link} is outside"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_needs_nothing_that_its_policy_forbids(ann: Browser, path: str) -> None:
    source = (await ann.get(path)).source
    assert "<style" not in source
    assert " style=" not in source
    assert "<script>" not in source
    assert " on" + "click=" not in source


async def test_a_page_that_is_not_there_says_so(ann: Browser) -> None:
    page = await ann.get("/no/such/page")
    assert page.status == 404
    assert "There is no page at this address." in page.words
    assert "/" in page.links


async def test_a_page_when_the_store_fails_says_so(
    server: Server, ann: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise EngineError("disk full")

    monkeypatch.setattr(server.app[EXCHANGE], "listed_rooms", fail)
    page = await ann.get("/")
    assert page.status == 503
    assert "We cannot reach what we have stored." in page.words
    assert "disk full" not in page.source
    assert "disk full" in caplog.text


# --- what machines ask about


async def health(browser: Browser) -> tuple[int, dict[str, Any]]:
    async with browser.session.get("/healthz") as response:
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.json()


async def test_health_when_all_is_well(ann: Browser) -> None:
    assert await health(ann) == (200, {"status": "ok", "version": __version__, "engine": "ok"})


async def test_health_when_the_engine_fails(
    server: Server, ann: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise EngineError("The disk is full.")

    monkeypatch.setattr(server.app[ENGINE], "check", fail)
    status, told = await health(ann)
    assert status == 503
    assert told == {"status": "failing", "version": __version__, "engine": "The disk is full."}


async def test_health_when_the_engine_does_not_answer(
    server: Server, ann: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(server.app[ENGINE], "check", hang)
    monkeypatch.setattr(pages, "_CHECK_SECONDS", 0.05)
    status, told = await health(ann)
    assert status == 503
    assert told["engine"] == "The engine did not answer within 0.05 seconds."


async def test_robots_leave_rooms_alone(ann: Browser) -> None:
    page = await ann.get("/robots.txt")
    assert page.status == 200
    assert "Disallow: /room/" in page.source.splitlines()


async def test_the_icon_is_found_without_a_page(ann: Browser) -> None:
    async with ann.session.get("/favicon.ico") as response:
        assert response.status == 200
        assert response.content_type.startswith("image/")
