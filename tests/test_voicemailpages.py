"""One's voicemail over real HTTP: who sees and hears what, playing, deleting, settings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from ringback.server import protocol as p
from ringback.server.config import VoicemailLimits
from ringback.server.identity import mint_bot_token
from ringback.server.keys import ENGINE, EXCHANGE, SECRET, VOICE_SHELF
from ringback.server.shelf import DAY, SIDECAR, VOICEMAIL_FOLDER
from ringback.server.voicebox import Voicebox
from ringback.server.voicemailpages import sweep
from tests.clients import Crowd, eventually
from tests.conftest import NewReader, Serve
from tests.reading import Page, Reader
from tests.running import Server
from tests.tapes import START, Tape, lay, leave

ID = "0123456789abcdef"
PATH = f"/voicemail/{ID}"


async def user_of(reader: Reader, name: str) -> str:
    """The user id in somebody's cookie; the browser remembers the name."""
    assert (await reader.call_as(name)).status == 303
    async with reader.connected(name):
        claim = await reader.server.app[ENGINE].claim_of(name.casefold(), 0.0)
    assert claim is not None
    return claim.user


@pytest.fixture
async def bob(new_reader: NewReader) -> Reader:
    return new_reader()


@pytest.fixture
async def eve(new_reader: NewReader) -> Reader:
    return new_reader()


@pytest.fixture
async def user(bob: Reader) -> str:
    return await user_of(bob, "Bob")


@pytest.fixture
async def folder(server: Server, user: str) -> Path:
    """A message of Ann for Bob; the folder of its file."""
    return await leave(server, ID, user)


def there(path: Path) -> bool:
    """Whether something lies there."""
    return path.exists()


async def fetch(reader: Reader, path: str, **headers: str) -> tuple[int, bytes, Any]:
    """Status, body and headers."""
    async with reader.session.get(path, headers=headers) as response:
        return response.status, await response.read(), response.headers


async def send(reader: Reader, path: str, **fields: str) -> Page:
    """Send a form as the page of voicemail does."""
    csrf = (await reader.get("/voicemail/")).body.get("data-csrf", "")
    return await reader.post(path, {"csrf": csrf} | fields, Origin=reader.server.url)


async def greeting(server: Server, user: str, id: str, key: str = "bob") -> Path:
    """Give somebody a greeting of their own; the folder of its file."""
    await server.app[ENGINE].put_voicebox(Voicebox(user, key, greeting=id))
    tape = Tape("Bob", 0.3, picture=False)
    return lay(server.data, id, [tape], shelf=VOICEMAIL_FOLDER)


# --- the page


async def test_nothing_was_left_yet(bob: Reader, user: str) -> None:
    page = await bob.get("/voicemail/")
    assert page.status == 200
    assert page.headers["Cache-Control"] == "private, no-cache"
    assert "No messages" in page.words
    assert "record a greeting below" in page.words
    assert "microphone=(self)" in page.headers["Permissions-Policy"]
    assert "/voicemail/usual.webm" in page.links


async def test_who_has_no_name_is_told_what_to_do(eve: Reader) -> None:
    page = await eve.get("/voicemail/")
    assert "Choose a name on the page of calls" in page.words
    assert "/call/" in page.links
    assert "Callers can leave a message" not in page.words
    assert "data-username" not in page.body


async def test_whose_it_is_sees_it_and_nobody_else(
    folder: Path, bob: Reader, user: str, eve: Reader
) -> None:
    page = await bob.get("/voicemail/")
    words = " ".join(page.words.split())
    assert "Ann New 2023-11-14 22:13 UTC · 0:02" in words
    assert f"{PATH}/1.webm" in page.links
    assert "/call/?as=Bob&to=Ann" in page.links
    assert user not in page.source
    await user_of(eve, "Eve")
    other = await eve.get("/voicemail/")
    assert "No messages" in other.words
    assert ID not in other.source


async def test_who_takes_the_name_later_sees_nothing(folder: Path, eve: Reader) -> None:
    page = await eve.get("/voicemail/?as=Bob")
    assert ID not in page.source
    assert (await fetch(eve, f"{PATH}/1.webm?as=Bob"))[0] == 404


async def test_what_broke_off_says_so(server: Server, bob: Reader, user: str) -> None:
    await leave(server, "whole", user)
    assert "It breaks off" not in (await bob.get("/voicemail/")).words
    await leave(server, "half", user, cut=True)
    assert (await bob.get("/voicemail/")).words.count("It breaks off") == 1


async def test_a_message_under_another_name_says_so(
    folder: Path, server: Server, bob: Reader, user: str
) -> None:
    await leave(server, "other", user, name="Robert", by="Carol", at=START + 1, heard=True)
    page = await bob.get("/voicemail/")
    words = " ".join(page.words.split())
    assert "Carol For Robert ·" in words
    assert "For Bob" not in words
    assert words.index("Carol") < words.index("Ann New")
    assert page.source.count("new-mark") == 1
    as_robert = " ".join((await bob.get("/voicemail/?as=Robert")).words.split())
    assert "For Bob" in as_robert
    assert "For Robert" not in as_robert


async def test_names_are_text(server: Server, bob: Reader, user: str) -> None:
    await leave(server, ID, user, by="<b>Ann", seconds=0.2)
    page = await bob.get("/voicemail/")
    assert "<b>" not in page.source
    assert "<b>Ann" in page.words


async def test_a_message_without_its_sound(folder: Path, bob: Reader) -> None:
    (folder / SIDECAR).write_text("{")
    page = await bob.get("/voicemail/")
    assert "The sound of this message is gone" in page.words
    assert f"{PATH}/1.webm" not in page.links


async def test_an_address_without_its_slash(bob: Reader) -> None:
    page = await bob.get("/voicemail?as=Bob")
    assert (page.status, page.location) == (303, "/voicemail/?as=Bob")


async def test_every_page_says_how_many_are_new(
    folder: Path, server: Server, bob: Reader, user: str, eve: Reader
) -> None:
    await leave(server, "two", user, name="Robert", seconds=0.2)
    await leave(server, "three", user, seconds=0.2, heard=True)
    for path in ("/", "/call/", "/recordings/", "/room/kitchen/Bob/"):
        page = await bob.get(path)
        assert 'aria-label="Voicemail, 2 new"' in page.source, path
        assert 'data-elsewhere="1"' in page.source, path
        other = (await eve.get(path.replace("Bob", "Eve"))).source
        assert 'class="badge" hidden' in other, path


async def test_nearly_full_is_said_and_noted(serve: Serve) -> None:
    server = await serve(voicemail=VoicemailLimits(messages=3))
    bob = Reader(server)
    user = await user_of(bob, "Bob")
    keeper = server.app[EXCHANGE].messages
    for number in range(2):
        await leave(server, f"m{number}", user, seconds=0.1)
    assert "nearly full" not in (await bob.get("/voicemail/")).words
    assert (await keeper.box(user, "bob")).warned is None
    await leave(server, "m2", user, seconds=0.1)
    assert "Your voicemail is nearly full." in (await bob.get("/voicemail/")).words
    assert (await keeper.box(user, "bob")).warned is not None
    await bob.session.close()


async def test_off_for_the_server(serve: Serve) -> None:
    server = await serve(voicemail=VoicemailLimits(on=False))
    bob = Reader(server)
    await user_of(bob, "Bob")
    page = await bob.get("/voicemail/")
    assert page.status == 200
    assert "There is no voicemail on this server" in page.words
    for path in ("/", "/call/", "/recordings/", "/room/kitchen/Bob/", "/voicemail/"):
        assert "/voicemail/" not in (await bob.get(path)).links, path
    await bob.session.close()


# --- files


async def test_only_whose_it_is_hears_it(folder: Path, server: Server, bob: Reader) -> None:
    content = (folder / "1.webm").read_bytes()
    status, body, headers = await fetch(bob, f"{PATH}/1.webm")
    assert (status, body) == (200, content)
    assert headers["Content-Type"] == "audio/webm"
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Accept-Ranges"] == "bytes"
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}{PATH}/1.webm") as answer:
        assert answer.status == 404


async def test_in_ranges_and_for_each_of_them_asked_anew(
    folder: Path, server: Server, bob: Reader, user: str, eve: Reader
) -> None:
    content = (folder / "1.webm").read_bytes()
    status, body, headers = await fetch(bob, f"{PATH}/1.webm", Range="bytes=10-19")
    assert (status, body) == (206, content[10:20])
    assert headers["Content-Range"] == f"bytes 10-19/{len(content)}"
    await user_of(eve, "Eve")
    status, body, _ = await fetch(eve, f"{PATH}/1.webm", Range="bytes=10-19")
    assert status == 404
    assert content[10:20] not in body
    await server.app[EXCHANGE].messages.delete(user, ID)
    assert (await fetch(bob, f"{PATH}/1.webm", Range="bytes=10-19"))[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        f"{ID}/{SIDECAR}",
        f"{ID}/2.webm",
        f"{ID}/other.webm",
        f"{ID}/..%2f..%2fsecret",
        f"{ID}/1.webm%00.jpg",
        "%2e%2e/1.webm",
        "unknown/1.webm",
        "unknown/delete",
        f"{ID}%2f1.webm/1.webm",
    ],
)
async def test_nothing_else_goes_out(folder: Path, bob: Reader, path: str) -> None:
    (folder / "other.webm").write_text("not in the sidecar")
    assert (await bob.get(f"/voicemail/{path}")).status == 404


async def test_what_is_not_complete_is_not_served(
    folder: Path, server: Server, bob: Reader
) -> None:
    engine = server.app[ENGINE]
    message = await engine.message(ID)
    assert message is not None
    await engine.put_message(replace(message, left=None))
    assert (await fetch(bob, f"{PATH}/1.webm"))[0] == 404
    assert "No messages" in (await bob.get("/voicemail/")).words


# --- greetings


async def test_one_s_own_greeting_is_one_s_own(
    server: Server, bob: Reader, user: str, eve: Reader
) -> None:
    mine = await greeting(server, user, "hello")
    page = await bob.get("/voicemail/")
    assert "/voicemail/hello/1.webm?as=Bob" in page.links
    assert "your own greeting" in page.words
    content = (mine / "1.webm").read_bytes()
    assert (await fetch(bob, "/voicemail/hello/1.webm"))[1] == content
    await user_of(eve, "Eve")
    assert (await fetch(eve, "/voicemail/hello/1.webm?as=Bob"))[0] == 404


async def test_a_greeting_for_another_name_in_another_window(
    server: Server, bob: Reader, user: str
) -> None:
    await greeting(server, user, "hello", "robert")
    assert (await fetch(bob, "/voicemail/hello/1.webm"))[0] == 404
    assert (await fetch(bob, "/voicemail/hello/1.webm?as=Robert"))[0] == 200


async def test_back_to_the_usual_greeting(server: Server, bob: Reader, user: str) -> None:
    mine = await greeting(server, user, "hello")
    answer = await send(bob, "/voicemail/usual?as=Bob")
    assert (answer.status, answer.location) == (303, "/voicemail/?usual=1&as=Bob")
    await eventually(lambda: not there(mine))
    page = await bob.get("/voicemail/")
    assert "the usual greeting" in page.words
    assert (await fetch(bob, "/voicemail/hello/1.webm"))[0] == 404


# --- what one does


async def test_heard_once_played(folder: Path, server: Server, bob: Reader, eve: Reader) -> None:
    await user_of(eve, "Eve")
    assert (await send(eve, f"{PATH}/heard")).status == 404
    assert (await bob.post(f"{PATH}/heard", {"csrf": "0"}, Origin=server.url)).status == 403
    assert "Voicemail, 1 new" in (await bob.get("/")).source
    assert (await send(bob, f"{PATH}/heard")).status == 204
    page = await bob.get("/voicemail/")
    assert "new-mark" not in page.source
    assert 'class="badge" hidden' in (await bob.get("/")).source


async def test_played_in_one_window_is_told_in_another(folder: Path, bob: Reader) -> None:
    async with bob.connected("Bob") as line:
        assert json.loads(await line.receive_str())["unheard"] == 1
        await send(bob, f"{PATH}/heard")
        told = json.loads(await line.receive_str())
    assert told["type"] == "voicemail"
    assert told["unheard"] == 0


async def test_deleting_asks_first_and_takes_the_file(
    folder: Path, server: Server, bob: Reader, eve: Reader
) -> None:
    asked = await bob.get(f"{PATH}/delete?as=Bob")
    assert "From Ann" in asked.words
    assert "You have not heard it yet." in asked.words
    await user_of(eve, "Eve")
    assert (await eve.get(f"{PATH}/delete")).status == 404
    assert (await send(eve, f"{PATH}/delete")).status == 404
    assert (await bob.post(f"{PATH}/delete", {"csrf": "0"}, Origin=server.url)).status == 403
    foreign = await bob.post(f"{PATH}/delete", asked.fields, Origin="https://evil.test")
    assert foreign.status == 403
    assert there(folder)
    answer = await bob.post(f"{PATH}/delete?as=Bob", asked.fields, Origin=server.url)
    assert (answer.status, answer.location) == (303, "/voicemail/?deleted=1&as=Bob")
    await eventually(lambda: not there(folder))
    assert "No messages" in (await bob.get("/voicemail/")).words
    assert (await bob.get(f"{PATH}/delete")).status == 404
    assert (await send(bob, f"{PATH}/delete")).status == 404


async def test_off_and_on(server: Server, bob: Reader, user: str, eve: Reader) -> None:
    keeper = server.app[EXCHANGE].messages
    assert "checked" in (await bob.get("/voicemail/")).source
    assert (await send(bob, "/voicemail/settings")).status == 204
    assert not (await keeper.box(user, "bob")).on
    assert "checked" not in (await bob.get("/voicemail/")).source
    assert (await keeper.box(user, "robert")).on
    assert (await send(bob, "/voicemail/settings?as=Robert")).status == 204
    assert not (await keeper.box(user, "robert")).on
    assert (await send(bob, "/voicemail/settings", on="1")).status == 204
    assert (await keeper.box(user, "bob")).on
    assert (await bob.post("/voicemail/settings", {"on": "1"}, Origin=server.url)).status == 403
    assert (await send(eve, "/voicemail/settings")).status == 404


# --- files that go


async def test_what_the_bot_discards_is_removed(server: Server, user: str, crowd: Crowd) -> None:
    folder = await leave(server, ID, user)
    message = await server.app[ENGINE].message(ID)
    assert message is not None
    await server.app[ENGINE].put_message(replace(message, left=None))
    bot = await crowd.connect(server)
    await bot.say("hello", v=1, token=mint_bot_token(server.app[SECRET], "voicemail", 60))
    await bot.hear("welcome")
    told = p.TellMessage(message=ID, state="discarded")
    await bot.say("message", message=told.message, state=told.state)
    await eventually(lambda: not there(folder))
    assert await server.app[ENGINE].message(ID) is None


async def test_the_old_and_the_incomplete_go(server: Server, user: str) -> None:
    exchange, shelf = server.app[EXCHANGE], server.app[VOICE_SHELF]
    now = round(exchange.clock.now() * 1000)
    await leave(server, "old", user, at=now - round(100 * DAY * 1000), seconds=0.1)
    await leave(server, "young", user, at=now, seconds=0.1)
    begun = await leave(server, "begun", user, at=now - round(8 * DAY * 1000), seconds=0.1)
    message = await server.app[ENGINE].message("begun")
    assert message is not None
    await server.app[ENGINE].put_message(replace(message, left=None))
    await greeting(server, user, "hello")
    stray = lay(server.data, "stray", [Tape("Ann", 0.1, picture=False)], shelf=VOICEMAIL_FOLDER)
    os.utime(stray, (1, 1))
    assert await sweep(shelf, exchange, 0.0) == 1
    assert not there(begun)
    assert await sweep(shelf, exchange, 90.0) == 0
    assert sorted(os.listdir(server.data / VOICEMAIL_FOLDER)) == ["hello", "young"]


async def test_the_server_sweeps_by_itself(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    first = await serve()
    old = await leave(first, "old", "u-bob", seconds=0.1)
    stray = lay(first.data, "stray", [Tape("Ann", 0.1, picture=False)], shelf=VOICEMAIL_FOLDER)
    await first.stop()
    await serve(data=first.data)
    await eventually(lambda: not there(old) and "1 folders of voicemail" in caplog.text)
    assert there(stray)
