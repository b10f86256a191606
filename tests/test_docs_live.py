"""What the documents show, tried on a real server."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from ringback import __version__

from . import markdown

if TYPE_CHECKING:
    from .running import Server

PROTOCOL = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
OPERATE = (Path(__file__).parent.parent / "docs" / "operate.md").read_text()
FENCES = list(markdown.fences(PROTOCOL))
PATIENCE = 20.0

Json = dict[str, Any]


# --- the client in twenty lines -------------------------------------------------------------


@pytest.fixture
def client(tmp_path: Path) -> Path:
    [source] = [fence.text for fence in FENCES if fence.kind == "python"]
    assert len([line for line in source.splitlines() if line]) <= 20
    path = tmp_path / "client.py"
    path.write_text(source)
    return path


@asynccontextmanager
async def run(client: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", str(client), *arguments, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def test_the_client_of_twenty_lines_runs(server: Server, client: Path) -> None:
    url = f"{server.ws}/ws"
    async with run(client, url, "Ann", "Kitchen") as ann:
        assert await line(ann) == "Here: Ann"
        assert await line(ann) == "Ann: I am Ann."
        async with run(client, url, "Ben", "kitchen") as ben:
            assert await line(ben) == "Here: Ann Ben"
            assert await line(ben) == "Ben: I am Ben."
            assert await line(ann) == "Ben: I am Ben."
        async with run(client, url, "ann", "kitchen") as other:
            _, words = await other.communicate()
            assert words.decode().strip() == "Somebody else is using this name now. Choose another."
            assert other.returncode == 1


# --- the plain sockets ----------------------------------------------------------------------


def shown(kind: str, type_: str = "") -> Json:
    """The one example of a kind, or of a type among them."""
    found = [json.loads(fence.text) for fence in FENCES if fence.kind == kind]
    [one] = [example for example in found if not type_ or example["type"] == type_]
    return dict(one)


async def hear(socket: aiohttp.ClientWebSocketResponse) -> Json:
    return dict(await socket.receive_json(timeout=PATIENCE))


async def test_the_plain_room_is_as_shown(server: Server) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws}/ws/room/kitchen/Ann/") as ann,
    ):
        await ann.send_json(shown("json plain-room-client"))
        said, example = await hear(ann), shown("json plain", "chat_message")
        times = [said.pop("datetime"), example.pop("datetime")]
        assert said == example
        # With a fraction or without: both are the one form of ISO 8601 in UTC.
        assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}(\.\d+)?\+00:00", time) for time in times)
        await ann.send_json({"message": " "})
        assert await hear(ann) == shown("json plain", "error")


async def test_the_plain_room_refuses_as_told(server: Server) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws}/ws/room/kitchen/echo/") as nobody,
    ):
        assert (await hear(nobody))["data"]["code"] == "name_reserved"
        assert (await nobody.receive(timeout=PATIENCE)).data == 4403


async def test_a_plain_call_is_as_shown(server: Server) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws}/ws/call/") as ben,
    ):
        async with http.ws_connect(f"{server.ws}/ws/call/") as ann:
            greeting = shown("json plain", "connection")
            assert [await hear(ann), await hear(ben)] == [greeting, greeting]
            login = shown("json plain-call-client", "login")
            await ben.send_json(login | {"data": {"name": "Ben"}})
            # A refusal shows that the one before was done: there is no other answer.
            await ben.send_json(login)
            assert (await hear(ben))["data"]["code"] == "hello_again"
            await ann.send_json(login)
            await ann.send_json(shown("json plain-call-client", "call"))
            assert await hear(ben) == shown("json plain", "call_received")
            await ann.send_json(shown("json plain-call-client", "ICEcandidate"))
            assert await hear(ben) == shown("json plain", "ICEcandidate")
            await ben.send_json(shown("json plain-call-client", "answer_call"))
            assert await hear(ann) == shown("json plain", "call_answered")
        assert await hear(ben) == shown("json plain", "call_ended")


# --- what the ground rules promise ----------------------------------------------------------


async def test_handshakes_are_answered_as_told(server: Server) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{server.url}/ws", headers={"Origin": "http://else.test"}) as answer:
            assert answer.status == 403
        async with http.get(f"{server.url}/ws") as answer:
            assert answer.status == 426


async def test_a_resume_goes_as_told(server: Server) -> None:
    """Welcome, then the rooms, then what was directed; and not twice with one key."""
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{server.ws}/ws") as ann:
            await ann.send_json({"type": "hello", "v": 1, "name": "Ann"})
            welcome = await hear(ann)
            await ann.send_json({"type": "join", "room": "kitchen"})
            await ann.send_json({"type": "join", "room": "garden"})
            kitchen, garden = await hear(ann), await hear(ann)
            assert garden["room"] == "garden"
        mark = {"epoch": kitchen["epoch"], "seq": kitchen["seq"]}
        session = {"session": welcome["session"], "key": welcome["key"]}
        resume = session | {"n": 0, "rooms": {"kitchen": mark}}
        hello = {"type": "hello", "v": 1, "name": "Ann", "resume": resume}
        async with http.ws_connect(f"{server.ws}/ws") as back:
            await back.send_json(hello)
            said = [await hear(back) for _ in range(3)]
            assert said[0]["resumed"] is True
            assert said[0]["key"] != welcome["key"]
            assert [(m["type"], m["room"]) for m in said[1:]] == [
                ("joined", "kitchen"),
                ("resync", "garden"),
            ]
            again = resume | {"key": said[0]["key"]}
            async with http.ws_connect(f"{server.ws}/ws") as other:
                await other.send_json(hello | {"resume": again})
                assert (await hear(other))["resumed"] is True
                assert (await back.receive(timeout=PATIENCE)).data == 4409
                async with http.ws_connect(f"{server.ws}/ws") as late:
                    await late.send_json(hello)
                    assert (await hear(late))["code"] == "name_taken"


async def test_what_a_stop_says_is_as_told(server: Server) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{server.ws}/ws") as ann:
        await ann.send_json({"type": "hello", "v": 1})
        assert (await hear(ann))["name"] is None
        stopping = asyncio.create_task(server.stop())
        assert await hear(ann) == {"type": "drain", "after_ms": round(server.config.drain * 1000)}
        assert (await ann.receive(timeout=PATIENCE)).data == 1001
        await stopping


# --- what operate.md tells to do ------------------------------------------------------------


async def test_a_backup_can_be_made_while_the_server_runs(server: Server, tmp_path: Path) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws}/ws/room/kitchen/Ann/") as ann,
    ):
        await ann.send_json({"message": "Tea?"})
        await hear(ann)
    [command] = [f.text for f in markdown.fences(OPERATE) if f.kind == "sh" and "VACUUM" in f.text]
    program, *arguments = shlex.split(command)
    assert program == "python"
    assert arguments[2:] == ["data/ringback.sqlite3", "backup.sqlite3"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=server.data.parent, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    with closing(sqlite3.connect(server.data.parent / "backup.sqlite3")) as backup:
        assert backup.execute("SELECT text FROM messages").fetchall() == [("Tea?",)]


async def test_the_health_is_as_shown(server: Server) -> None:
    [example] = [json.loads(f.text) for f in markdown.fences(OPERATE) if f.kind == "json"]
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/healthz") as answer:
        health = await answer.json()
    assert health.pop("version") == __version__
    del example["version"]
    assert health == example
