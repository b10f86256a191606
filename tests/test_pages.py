"""The pages over real HTTP: what they answer, where they lead, what they keep."""

from __future__ import annotations

import html
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ringback.server import names, pages
from ringback.server import protocol as p
from ringback.server.engine.base import EngineError
from ringback.server.keys import EXCHANGE
from tests.conftest import NewReader
from tests.reading import Reader
from tests.running import Server


@pytest.fixture
async def ann(new_reader: NewReader) -> Reader:
    return new_reader()


@pytest.fixture
async def bob(new_reader: NewReader) -> Reader:
    return new_reader()


TAKEN = p.ERRORS[p.ErrorCode.NAME_TAKEN]
RESERVED = p.ERRORS[p.ErrorCode.NAME_RESERVED]
HIDDEN = "cannot contain invisible or control characters."


# --- home


async def test_home_asks_for_a_room_and_a_name(ann: Reader) -> None:
    page = await ann.get("/")
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "private, no-cache"
    assert page.fields["room_name"] == ""
    assert page.fields["username"] == ""
    assert len(page.fields["csrf"]) == 64
    assert "/call/" in {urlsplit(link).path for link in page.links}


async def test_home_takes_a_room_from_its_address(ann: Reader) -> None:
    page = await ann.get("/?room=%3Cb%3E%22garden")
    assert page.fields["room_name"] == '<b>"garden'
    assert "<b>" not in page.source


async def test_home_lists_who_is_where(ann: Reader, bob: Reader) -> None:
    async with ann.connected("Ann", "kitchen", "garden"), bob.connected("Bob", "kitchen"):
        page = await bob.get("/")
    assert page.words.index("kitchen") < page.words.index("garden")


async def test_home_is_the_same_guest_again(ann: Reader) -> None:
    assert (await ann.get("/")).fields["csrf"] == (await ann.get("/")).fields["csrf"]


async def test_two_guests_have_two_forms(ann: Reader, bob: Reader) -> None:
    assert (await ann.get("/")).fields["csrf"] != (await bob.get("/")).fields["csrf"]


# --- joining


async def test_joining_leads_to_the_room(ann: Reader) -> None:
    page = await ann.join("Kitchen", "  Ann ")
    assert page.status == 303
    assert page.location == "/room/kitchen/Ann/"
    assert (await ann.get(page.location)).status == 200


async def test_joining_unlisted_says_so_to_the_room(ann: Reader) -> None:
    page = await ann.join("kitchen", "Ann", unlisted="on")
    assert page.location == "/room/kitchen/Ann/?unlisted=1"


async def test_the_name_is_remembered(ann: Reader) -> None:
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
    ann: Reader, room: str, name: str, status: int, reason: str
) -> None:
    page = await ann.join(room, name)
    assert page.status == status
    assert reason in page.words
    assert page.fields["room_name"] == room
    assert page.fields["username"] == name
    # The form that came back can be sent.
    again = {"room_name": "kitchen", "username": "Ann", "csrf": page.fields["csrf"]}
    assert (await ann.post("/", again)).status == 303


async def test_both_reasons_are_said(ann: Reader) -> None:
    page = await ann.join("a/b", "c/d")
    assert "The name of a room cannot contain a slash." in page.words
    assert "A name cannot contain a slash." in page.words


async def test_a_name_that_was_refused_is_not_remembered(ann: Reader) -> None:
    await ann.join("kitchen", "echo")
    assert (await ann.get("/")).fields["username"] == ""


async def test_a_name_in_use_is_refused(ann: Reader, bob: Reader) -> None:
    async with ann.connected("Ann"):
        for alike in ("Ann", "ANN", "ａｎｎ"):
            page = await bob.join("kitchen", alike)
            assert page.status == 409
            assert TAKEN in page.words
            assert page.fields["username"] == alike
        assert (await bob.join("kitchen", "Bob")).status == 303


async def test_who_has_a_name_may_use_it_in_another_tab(ann: Reader) -> None:
    async with ann.connected("Ann"):
        assert (await ann.join("kitchen", "Ann")).status == 303


# --- rooms


async def test_a_room_knows_its_reader(ann: Reader) -> None:
    page = await ann.get("/room/kitchen/Ann/")
    assert page.status == 200
    assert {"kitchen", "Ann"} <= set(page.body.values())
    assert "camera=(self)" in page.headers["Permissions-Policy"]
    assert (await ann.get("/")).fields["username"] == "Ann"


async def test_what_people_call_themselves_is_text(ann: Reader) -> None:
    evil = '<img src=x onerror="alert(1)">'
    page = await ann.get(pages.room_path(evil.casefold(), evil))
    assert page.status == 200
    assert evil in page.body.values()
    assert evil not in page.source
    assert html.escape(evil, quote=False) in page.source.replace("&#34;", '"')


@pytest.mark.parametrize(
    "name", ["50%", "a%2Fb", "%41", "a?b#c", "a..b", "a b+c", "ü & ö", "🦊", "a;b=c", "'\"<>"]
)
async def test_any_name_stands_in_an_address(ann: Reader, name: str) -> None:
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
async def test_other_ways_lead_to_the_one_address(ann: Reader, asked: str, canonical: str) -> None:
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
    ann: Reader, path: str, status: int, reason: str
) -> None:
    page = await ann.get(path)
    assert page.status == status
    assert reason in page.words
    asked = [unquote(part, errors="replace") for part in path.split("/")]
    assert page.fields["room_name"] == asked[2]
    assert page.fields["csrf"]


async def test_an_address_that_is_no_utf_8_is_taken_as_it_is_written(ann: Reader) -> None:
    page = await ann.get("/room/kitchen/%FF/?unlisted=%FF")
    assert page.status == 200
    assert "%FF" in page.body.values()


async def test_somebody_elses_room_page_leads_to_the_form(ann: Reader, bob: Reader) -> None:
    async with ann.connected("Ann"):
        page = await bob.get("/room/kitchen/Ann/")
        assert page.status == 409
        assert TAKEN in page.words
        assert page.fields["room_name"] == "kitchen"
        assert page.fields["username"] == "Ann"
        assert (await ann.get("/room/kitchen/Ann/")).status == 200


# --- calls


async def test_the_call_page_asks_who_one_is(ann: Reader) -> None:
    page = await ann.get("/call/")
    assert page.status == 200
    assert page.fields["username"] == ""
    assert page.fields["csrf"]
    assert "camera=(self)" in page.headers["Permissions-Policy"]


async def test_the_call_page_knows_who_one_said_one_is(ann: Reader) -> None:
    page = await ann.call_as(" Ann ")
    assert page.status == 303
    assert page.location == "/call/"
    assert "Ann" in (await ann.get("/call/")).body.values()


async def test_the_call_page_knows_a_name_from_a_room(ann: Reader) -> None:
    await ann.join("kitchen", "Ann")
    assert "Ann" in (await ann.get("/call/")).body.values()


@pytest.mark.parametrize("more", [{"path": "/call/?to=Bob+%26+Co"}, {"to": "Bob & Co"}])
async def test_whom_to_call_is_kept_over_the_form(ann: Reader, more: dict[str, str]) -> None:
    page = await ann.call_as("Ann", **more)
    assert page.location == "/call/?to=Bob+%26+Co"
    assert "Bob & Co" in (await ann.get(page.location)).body.values()


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [("", 400, "at least one letter"), ("a/b", 400, "a slash"), ("echo", 409, RESERVED)],
)
async def test_a_bad_name_for_calls_comes_back(
    ann: Reader, name: str, status: int, reason: str
) -> None:
    page = await ann.call_as(name, to="Bob")
    assert page.status == status
    assert reason in page.words
    assert page.fields["username"] == name
    assert page.fields["to"] == "Bob"
    assert (await ann.get("/call/")).fields["username"] == ""


async def test_a_window_keeps_its_name_when_another_takes_a_new_one(ann: Reader) -> None:
    await ann.call_as("Ann")
    await ann.call_as("Bea")
    for path, name in (("/call/?as=Ann", "Ann"), ("/call/?as=Bea", "Bea"), ("/call/", "Bea")):
        page = await ann.get(path)
        assert page.status == 200
        assert page.body["data-username"] == name


async def test_a_window_cannot_take_a_name_that_is_not_free(ann: Reader) -> None:
    page = await ann.get("/call/?as=echo")
    assert page.status == 409
    assert page.fields["username"] == "echo"


async def test_a_taken_name_for_calls_comes_back(ann: Reader, bob: Reader) -> None:
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
async def test_everything_a_page_names_is_there(ann: Reader, path: str) -> None:
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
async def test_a_page_needs_nothing_that_its_policy_forbids(ann: Reader, path: str) -> None:
    source = (await ann.get(path)).source
    assert "<style" not in source
    assert " style=" not in source
    assert "<script>" not in source
    assert " on" + "click=" not in source


async def test_a_page_that_is_not_there_says_so(ann: Reader) -> None:
    page = await ann.get("/no/such/page")
    assert page.status == 404
    assert "There is no page at this address." in page.words
    assert "/" in page.links


async def test_a_page_when_the_store_fails_says_so(
    server: Server, ann: Reader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise EngineError("disk full")

    monkeypatch.setattr(server.app[EXCHANGE], "listed_rooms", fail)
    page = await ann.get("/")
    assert page.status == 503
    assert "We cannot reach what we have stored." in page.words
    assert "disk full" not in page.source
    assert "disk full" in caplog.text


# --- what robots and browsers ask for by themselves


async def test_robots_leave_rooms_alone(ann: Reader) -> None:
    page = await ann.get("/robots.txt")
    assert page.status == 200
    assert "Disallow: /room/" in page.source.splitlines()


async def test_the_icon_is_found_without_a_page(ann: Reader) -> None:
    async with ann.session.get("/favicon.ico") as response:
        assert response.status == 200
        assert response.content_type.startswith("image/")
