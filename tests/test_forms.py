"""Forms: whose they are, and what is no form."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.server import forms
from tests.conftest import NewReader
from tests.reading import Reader
from tests.running import Server

SECRET = bytes(range(32))


@pytest.fixture
async def ann(new_reader: NewReader) -> Reader:
    return new_reader()


@pytest.fixture
async def bob(new_reader: NewReader) -> Reader:
    return new_reader()


# --- tokens


def test_a_form_is_for_one_guest() -> None:
    token = forms.token_for(SECRET, "u-1")
    assert forms.matches(SECRET, "u-1", token)
    assert not forms.matches(SECRET, "u-2", token)
    assert not forms.matches(bytes(32), "u-1", token)
    assert "u-1" not in token


@given(st.text(st.characters(exclude_categories=[])))
def test_nothing_else_is_a_form_of_ours(shown: str) -> None:
    assert not forms.matches(SECRET, "u-1", shown)


# --- over HTTP


@pytest.mark.parametrize("path", ["/", "/call/"])
async def test_a_form_without_its_token_comes_back(ann: Reader, path: str) -> None:
    await ann.get("/")
    for token in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "ä"}):
        fields = {"room_name": "kitchen", "username": "Ann"} | token
        page = await ann.post(path, fields)
        assert page.status == 403
        assert "Allow cookies for this site" in page.words
        assert page.fields["username"] == "Ann"


async def test_a_form_of_another_guest_comes_back(ann: Reader, bob: Reader) -> None:
    csrf = (await ann.get("/")).fields["csrf"]
    await bob.get("/")
    page = await bob.post("/", {"room_name": "kitchen", "username": "Bob", "csrf": csrf})
    assert page.status == 403
    assert page.fields["room_name"] == "kitchen"


async def test_a_form_sent_without_cookies_comes_back_and_works_then(ann: Reader) -> None:
    csrf = (await ann.get("/")).fields["csrf"]
    ann.session.cookie_jar.clear()
    page = await ann.post("/", {"room_name": "kitchen", "username": "Ann", "csrf": csrf})
    assert page.status == 403
    assert (await ann.post("/", page.fields)).status == 303


@pytest.mark.parametrize("path", ["/", "/call/"])
async def test_a_form_from_another_site_is_refused(ann: Reader, path: str) -> None:
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
    ann: Reader, kind: str, body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/", "/call/"):
        page = await ann.post(path, body, **{"Content-Type": kind})
        assert page.status == status
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_a_sender_who_goes_away_is_no_error(
    server: Server, ann: Reader, caplog: pytest.LogCaptureFixture
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
