"""Somebody who reads pages and sends forms over real HTTP, without a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser

import aiohttp
from yarl import URL

from ringback.server import protocol as p
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


class Reader:
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
    async def connected(
        self, name: str, *rooms: str
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """On the line under a name, in some rooms."""
        await self.get("/")
        async with self.session.ws_connect("/ws", origin=self.server.url) as line:
            await line.send_str(p.encode(p.Hello(v=p.VERSION, name=name)).decode())
            welcome = p.decode_server(await line.receive_str())
            assert isinstance(welcome, p.Welcome)
            for room in rooms:
                await line.send_str(p.encode(p.Join(room=room)).decode())
                assert isinstance(p.decode_server(await line.receive_str()), p.Joined)
            yield line
