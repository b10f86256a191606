"""Calls: live ones in memory, every change of state in the database."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from msgspec.structs import replace

from ringback.server.calls import Call

from . import tables
from .writer import Writer


class CallBook:
    """Live calls. Memory may be ahead of the database by candidates, which come in dozens and
    are worth nothing once the server was restarted. About `keep` ended ones are kept."""

    def __init__(self, writer: Writer, stored: list[Call], keep: int) -> None:
        self._keep = keep
        self._writer = writer
        self._live: dict[str, Call] = {}
        self._by_key: dict[str, dict[str, None]] = {}
        self._ahead: set[str] = set()
        self._storing: dict[str, asyncio.Future[Any]] = {}
        for call in stored:
            self._set(call)

    def get(self, call: str) -> Call | None:
        """A live call by id."""
        return self._live.get(call)

    def all(self, key: str | None = None) -> list[Call]:
        """Live calls: all, or those a folded name is a party of."""
        if key is None:
            return list(self._live.values())
        return [self._live[call] for call in self._by_key.get(key, {})]

    def ahead(self) -> list[Call]:
        """Live calls whose newest version is not stored."""
        return [self._live[call] for call in self._ahead]

    async def put(self, call: Call, expect: int | None) -> bool:
        """Replace version `expect` of a call, or create it; see `Engine.put_call`."""
        while (storing := self._storing.get(call.id)) is not None:
            await asyncio.wait([storing])
        old = self._live.get(call.id)
        if expect is None:
            if old is not None:
                return False
            return await self._store(call, partial(tables.add_call, keep=self._keep))
        if old is None or old.version != expect:
            return False
        if call == replace(old, version=call.version, candidates=call.candidates):
            self._set(call)
            self._ahead.add(call.id)
            return True
        return await self._store(call, tables.set_call)

    async def _store(self, call: Call, work: Any) -> bool:
        # No await since the comparison: nobody can have come between.
        future = self._writer.submit(partial(work, call=call), partial(self._stored, call))
        self._storing[call.id] = future
        future.add_done_callback(lambda _: self._storing.pop(call.id))
        return await asyncio.shield(future)

    def _stored(self, call: Call, done: bool) -> None:
        if done:
            self._ahead.discard(call.id)
            self._set(call)

    def _set(self, call: Call) -> None:
        if call.live:
            self._live[call.id] = call
            for key in call.keys:
                self._by_key.setdefault(key, {})[call.id] = None
        elif self._live.pop(call.id, None) is not None:
            for key in set(call.keys):
                theirs = self._by_key[key]
                del theirs[call.id]
                if not theirs:
                    del self._by_key[key]
