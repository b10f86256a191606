"""What every engine must do with recordings; a part of `engine_contract`."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from ringback.server.engine.base import Engine
from ringback.server.protocol import Consent, RecordingEnd
from ringback.server.recording import Person, Recording

PEOPLE = (
    Person("u-ann", "Ann", "ann", "s-ann", consent=Consent("Ann", 1000, "1")),
    Person("u-bob", "Bob", "bob", "s-bob"),
)


def recording(name: str, asked: int = 1000, people: tuple[Person, ...] = PEOPLE) -> Recording:
    """A new recording of the call `call of NAME`, which Ann asked for."""
    return Recording(name, f"call of {name}", people, "ann", asked, deadline=asked + 30_000)


def on(before: Recording) -> Recording:
    """Its next version, running."""
    return replace(
        before, version=before.version + 1, state="on", started=before.asked + 5, deadline=None
    )


def off(before: Recording) -> Recording:
    """Its next version, over."""
    return replace(
        before, version=before.version + 1, state="off", ended=before.asked + 9,
        reason=RecordingEnd.STOPPED, deadline=None,
    )  # fmt: skip


async def keep(engine: Engine, name: str, asked: int = 1000) -> Recording:
    """A recording that ran and is over."""
    one = recording(name, asked)
    for version in (one, on(one), off(on(one))):
        assert await engine.put_recording(version, version.version - 1 if version.version else None)
    return off(on(one))


class RecordingsContract:
    """Recordings."""

    async def test_a_recording_is_known_by_its_id(self, engine: Engine) -> None:
        one = recording("r")
        assert await engine.recording("r") is None
        assert await engine.put_recording(one, None)
        assert await engine.recording("r") == one

    async def test_a_recording_is_replaced_version_by_version(self, engine: Engine) -> None:
        one = recording("r")
        assert not await engine.put_recording(on(one), 0)
        await engine.put_recording(one, None)
        assert not await engine.put_recording(one, None)
        assert await engine.put_recording(on(one), 0)
        assert not await engine.put_recording(replace(on(one), state="paused"), 0)
        assert await engine.recording("r") == on(one)

    async def test_of_two_changes_at_once_one_is_refused(self, engine: Engine) -> None:
        one = recording("r")
        await engine.put_recording(one, None)
        tries = (engine.put_recording(on(one), 0), engine.put_recording(off(one), 0))
        assert sorted(await asyncio.gather(*tries)) == [False, True]

    async def test_live_recordings_are_found_by_their_call(self, engine: Engine) -> None:
        one, two = recording("r"), recording("s")
        await engine.put_recording(one, None)
        await engine.put_recording(two, None)
        assert await engine.live_recordings("call of r") == [one]
        assert sorted(r.id for r in await engine.live_recordings()) == ["r", "s"]
        await engine.put_recording(off(one), 0)
        assert await engine.live_recordings("call of r") == []
        assert await engine.live_recordings() == [two]
        assert await engine.recording("r") == off(one)

    async def test_an_ended_recording_changes_still_but_is_never_live(self, engine: Engine) -> None:
        one = await keep(engine, "r")
        assert await engine.put_recording(replace(one, version=3), 2)
        assert await engine.live_recordings() == []

    async def test_only_this_version_is_dropped(self, engine: Engine) -> None:
        one = await keep(engine, "r")
        await engine.put_recording(recording("s"), None)
        assert not await engine.drop_recording("r", one.version - 1)
        assert not await engine.drop_recording("nothing", 0)
        assert await engine.drop_recording("r", one.version)
        assert await engine.drop_recording("s", 0)
        assert await engine.recording("r") is None
        assert await engine.live_recordings() == []
        assert await engine.count_recordings("u-ann") == 0

    async def test_a_list_is_newest_first_and_in_pages(self, engine: Engine) -> None:
        kept = [await keep(engine, f"r{n}", asked=n * 10) for n in range(4)]
        newest = kept[::-1]
        assert await engine.recordings("u-ann", None, 10) == newest
        assert await engine.recordings("u-bob", None, 2) == newest[:2]
        assert await engine.recordings("u-bob", newest[1].asked, 10) == newest[2:]
        assert await engine.recordings("u-cat", None, 10) == []

    async def test_what_has_not_begun_counts_but_is_not_listed(self, engine: Engine) -> None:
        await engine.put_recording(recording("r"), None)
        assert await engine.recordings("u-ann", None, 10) == []
        assert await engine.count_recordings("u-ann") == 1
        await engine.put_recording(on(recording("r")), 0)
        assert await engine.recordings("u-ann", None, 10) == [on(recording("r"))]

    async def test_who_took_it_off_their_list_has_it_no_longer(self, engine: Engine) -> None:
        one = await keep(engine, "r")
        people = (replace(one.people[0], listed=False), one.people[1])
        await engine.put_recording(replace(one, version=3, people=people), 2)
        assert await engine.recordings("u-ann", None, 10) == []
        assert await engine.count_recordings("u-ann") == 0
        assert await engine.count_recordings("u-bob") == 1

    async def test_two_windows_of_one_user_have_it_once(self, engine: Engine) -> None:
        people = (PEOPLE[0], replace(PEOPLE[1], user="u-ann"))
        one = recording("r", people=people)
        await engine.put_recording(one, None)
        await engine.put_recording(on(one), 0)
        assert await engine.recordings("u-ann", None, 10) == [on(one)]
        assert await engine.count_recordings("u-ann") == 1

    async def test_old_ones_are_the_ended_ones_oldest_first(self, engine: Engine) -> None:
        kept = [await keep(engine, f"r{n}", asked=n * 10) for n in (2, 0, 1)]
        await engine.put_recording(recording("live", asked=0), None)
        assert await engine.old_recordings(20, 10) == [kept[1], kept[2]]
        assert await engine.old_recordings(100, 1) == [kept[1]]
