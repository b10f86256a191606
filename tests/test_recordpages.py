"""One's recordings over real HTTP: who sees what, ranges, deleting."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringback.server import protocol as p
from ringback.server.config import RecordingLimits
from ringback.server.identity import mint_bot_token
from ringback.server.keys import ENGINE, EXCHANGE, SECRET, SHELF
from ringback.server.recordpages import PAGE
from ringback.server.shelf import DAY, FOLDER, SIDECAR, sweep
from tests.clients import Crowd, eventually
from tests.conftest import NewReader, Serve
from tests.reading import Page, Reader
from tests.running import Server
from tests.tapes import START, Tape, enter, lay

ID = "0123456789abcdef"
PATH = f"/recordings/{ID}"


async def user_of(reader: Reader, name: str) -> str:
    """The user id in somebody's cookie."""
    engine = reader.server.app[ENGINE]
    async with reader.connected(name):
        claim = await engine.claim_of(name.casefold(), 0.0)
    assert claim is not None
    return claim.user


@pytest.fixture
async def ann(new_reader: NewReader) -> Reader:
    return new_reader()


@pytest.fixture
async def bob(new_reader: NewReader) -> Reader:
    return new_reader()


@pytest.fixture
async def eve(new_reader: NewReader) -> Reader:
    return new_reader()


@pytest.fixture
async def shared(server: Server, ann: Reader, bob: Reader) -> Path:
    """A finished recording of Ann and Bob; its folder."""
    people = {"Ann": await user_of(ann, "Ann"), "Bob": await user_of(bob, "Bob")}
    await enter(server.app[ENGINE], ID, people)
    return lay(server.data, ID, [Tape("Ann", 1.0), Tape("Bob", 0.8, offset=0.3)])


def there(path: Path) -> bool:
    """Whether something lies there."""
    return path.exists()


async def fetch(reader: Reader, path: str, **headers: str) -> tuple[int, bytes, Any]:
    """Status, body and headers."""
    async with reader.session.get(path, headers=headers) as response:
        return response.status, await response.read(), response.headers


async def listed(reader: Reader) -> list[dict[str, Any]]:
    """What the list for scripts holds."""
    status, body, _ = await fetch(reader, "/recordings/list.json")
    assert status == 200
    found: list[dict[str, Any]] = json.loads(body)["recordings"]
    return found


# --- the list


async def test_nothing_was_recorded_yet(ann: Reader) -> None:
    page = await ann.get("/recordings/")
    assert page.status == 200
    assert page.headers["Cache-Control"] == "private, no-cache"
    assert "No recordings yet" in page.words
    assert "Calling the recorder records your sound and picture" in page.words
    assert await listed(ann) == []


async def test_both_see_it_and_nobody_else(
    shared: Path, ann: Reader, bob: Reader, eve: Reader
) -> None:
    for reader, other in ((ann, "Bob"), (bob, "Ann")):
        page = await reader.get("/recordings/")
        assert f"With {other}" in page.words
        assert f"{PATH}/1.webm" in page.links
        [item] = await listed(reader)
        assert item["peers"] == [other]
        assert item["state"] == "finished"
        assert item["started"] == START
        assert [(p["name"], p["own"]) for p in item["pieces"]] == [
            ("Ann", reader is ann),
            ("Bob", reader is bob),
        ]
        # The parts lie on one time line: the second ends at 0.3 + 0.8 s.
        assert item["duration_ms"] == pytest.approx(1100)
        assert item["bytes"] == sum((shared / f"{n}.webm").stat().st_size for n in (1, 2))
    assert "No recordings yet" in (await eve.get("/recordings/")).words
    assert await listed(eve) == []


async def test_the_list_says_nothing_of_users(shared: Path, server: Server, ann: Reader) -> None:
    recording = await server.app[ENGINE].recording(ID)
    assert recording is not None
    page = (await ann.get("/recordings/")).source
    _, body, headers = await fetch(ann, "/recordings/list.json")
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "private, no-store"
    for person in recording.people:
        assert person.user not in page
        assert person.user not in body.decode()


async def test_a_page_of_many(server: Server, ann: Reader) -> None:
    people = {"Ann": await user_of(ann, "Ann")}
    for number in range(PAGE + 2):
        await enter(server.app[ENGINE], f"r{number}", people, start=START + number)
    first = await ann.get("/recordings/")
    [older] = [link for link in first.links if "before=" in link]
    second = await ann.get(older)
    shown = [first.source.count('data-recording="'), second.source.count('data-recording="')]
    assert shown == [PAGE, 2]
    assert not [link for link in second.links if "before=" in link]
    assert (await ann.get("/recordings/?before=x")).source.count('data-recording="') == PAGE


async def test_names_are_text(server: Server, ann: Reader) -> None:
    people = {"Ann": await user_of(ann, "Ann"), "<b>Bob": "u-bob"}
    await enter(server.app[ENGINE], ID, people)
    lay(server.data, ID, [Tape("Ann", 0.2), Tape("<b>Bob", 0.2)])
    page = await ann.get("/recordings/")
    assert "<b>" not in page.source
    assert "With <b>Bob" in page.words


async def test_an_address_without_its_slash(ann: Reader) -> None:
    page = await ann.get("/recordings?before=5")
    assert (page.status, page.location) == (303, "/recordings/?before=5")


# --- its states


async def test_one_that_runs(server: Server, ann: Reader) -> None:
    await enter(server.app[ENGINE], ID, {"Ann": await user_of(ann, "Ann")}, live=True)
    lay(server.data, ID, [Tape("Ann", 0.2)], ended=None)
    [item] = await listed(ann)
    assert (item["state"], item["peers"]) == ("running", [])
    page = await ann.get("/recordings/")
    assert "You alone running" in " ".join(page.words.split())
    assert f"{PATH}/1.webm" not in page.links


async def test_one_whose_recorder_died(server: Server, ann: Reader) -> None:
    await enter(server.app[ENGINE], ID, {"Ann": await user_of(ann, "Ann")})
    lay(server.data, ID, [Tape("Ann", 0.2)], ended=None)
    [item] = await listed(ann)
    assert item["state"] == "unfinished"
    assert "put in order" in item["words"]
    assert (await fetch(ann, f"{PATH}/1.webm"))[0] == 200


@pytest.mark.parametrize(
    "sidecar",
    [
        None,
        "",
        "{",
        "[]",
        '{"participants": 3}',
        '{"participants": [{"file": "1.webm", "offset_ms": "soon"}]}',
        '{"participants": []}',
        '{"participants": [{"name": "Ann", "file": "gone.webm"}]}',
        '{"participants": [{"name": "Ann", "file": "../../secret"}]}',
        '{"participants": [{"name": "Ann", "file": "recording.json"}]}',
    ],
)
async def test_one_that_cannot_be_read(server: Server, ann: Reader, sidecar: str | None) -> None:
    await enter(server.app[ENGINE], ID, {"Ann": await user_of(ann, "Ann")})
    if sidecar is not None:
        folder = server.data / FOLDER / ID
        folder.mkdir(parents=True)
        (folder / SIDECAR).write_text(sidecar)
        (folder / "1.webm").write_bytes(b"film")
    [item] = await listed(ann)
    assert (item["state"], item["pieces"]) == ("unreadable", [])
    page = await ann.get("/recordings/")
    assert "The files of this recording are gone or cannot be read." in page.words
    for name in ("1.webm", "1.jpg", SIDECAR, "gone.webm"):
        assert (await fetch(ann, f"{PATH}/{name}"))[0] == 404
    assert (await delete(ann)).status == 303
    assert await listed(ann) == []


async def test_more_in_the_sidecar_than_is_known_does_no_harm(server: Server, ann: Reader) -> None:
    await enter(server.app[ENGINE], ID, {"Ann": await user_of(ann, "Ann")})
    lay(server.data, ID, [Tape("Ann", 0.2)], v=2, novelty={"a": [1]})
    assert [item["state"] for item in await listed(ann)] == ["finished"]


# --- files


async def test_a_file_goes_out_with_its_kind_and_to_nobody_else(
    shared: Path, ann: Reader, bob: Reader, eve: Reader
) -> None:
    for name, kind in (("1.webm", "video/webm"), ("2.webm", "video/webm"), ("1.jpg", "image/jpeg")):
        content = (shared / name).read_bytes()
        for reader in (ann, bob):
            status, body, headers = await fetch(reader, f"{PATH}/{name}")
            assert (status, body) == (200, content)
            assert headers["Content-Type"] == kind
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "private, no-store"
            assert headers["Accept-Ranges"] == "bytes"
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "Content-Disposition" not in headers
        status, body, headers = await fetch(eve, f"{PATH}/{name}")
        assert status == 404
        assert content not in body
        assert headers["Cache-Control"] == "no-store"


async def test_sound_alone_is_called_so(server: Server, ann: Reader) -> None:
    await enter(server.app[ENGINE], ID, {"Ann": await user_of(ann, "Ann")})
    lay(server.data, ID, [Tape("Ann", 0.2, picture=False)])
    _, _, headers = await fetch(ann, f"{PATH}/1.webm")
    assert headers["Content-Type"] == "audio/webm"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=100-", 100, None), ("bytes=-50", -50, None)],
)
async def test_a_range_goes_out_and_the_right_is_asked_each_time(
    shared: Path, ann: Reader, eve: Reader, asked: str, first: int, last: int | None
) -> None:
    content = (shared / "1.webm").read_bytes()
    status, body, headers = await fetch(ann, f"{PATH}/1.webm", Range=asked)
    wanted = content[first:] if last is None else content[first : last + 1]
    assert (status, body) == (206, wanted)
    start = first % len(content)
    expected = f"bytes {start}-{start + len(wanted) - 1}/{len(content)}"
    assert headers["Content-Range"] == expected
    assert headers["Cache-Control"] == "private, no-store"
    status, body, _ = await fetch(eve, f"{PATH}/1.webm", Range=asked)
    assert status == 404
    assert wanted not in body


async def test_a_range_that_is_none(shared: Path, ann: Reader) -> None:
    size = (shared / "1.webm").stat().st_size
    status, _, headers = await fetch(ann, f"{PATH}/1.webm", Range=f"bytes={size}-")
    assert status == 416
    assert headers["Content-Range"] == f"bytes */{size}"


async def test_a_file_to_keep_has_a_name(shared: Path, ann: Reader) -> None:
    _, _, headers = await fetch(ann, f"{PATH}/2.webm?save")
    said = headers["Content-Disposition"]
    assert said.startswith('attachment; filename="Recording 2023-11-14 22-13 Bob.webm"')


@pytest.mark.parametrize(
    "name",
    [
        SIDECAR,
        "3.webm",
        "notes.txt",
        "%2e%2e%2f%2e%2e%2fsecret",
        "..%2f..%2fringback.sqlite3",
        "1.webm%00.jpg",
        "1.webm%2f",
        ".hidden.webm",
        "other.webm",
    ],
)
async def test_nothing_else_goes_out(shared: Path, ann: Reader, name: str) -> None:
    (shared / "notes.txt").write_text("private")
    (shared / "other.webm").write_text("not in the sidecar")
    assert (await ann.get(f"{PATH}/{name}")).status == 404


@pytest.mark.parametrize("id", ["..", "%2e%2e", "unknown", "x" * 200, "%2e%2e%2f%2e%2e", "a%2fb"])
async def test_no_other_folder_is_reached(shared: Path, ann: Reader, id: str) -> None:
    for path in (f"/recordings/{id}/1.webm", f"/recordings/{id}/delete"):
        assert (await ann.get(path)).status == 404


async def test_a_link_in_the_folder_is_not_followed(
    shared: Path, server: Server, ann: Reader
) -> None:
    (shared / "1.webm").unlink()
    (shared / "1.webm").symlink_to(server.data / "secret")
    status, body, _ = await fetch(ann, f"{PATH}/1.webm")
    assert status == 404
    assert (server.data / "secret").read_bytes() not in body


async def test_a_program_without_the_cookie_gets_nothing(shared: Path, server: Server) -> None:
    async with aiohttp.ClientSession() as http:
        for path in (f"{PATH}/1.webm", f"{PATH}/delete"):
            async with http.get(server.url + path) as response:
                assert response.status == 404


async def test_files_are_of_one_s_own_recordings_only(
    shared: Path, server: Server, eve: Reader
) -> None:
    """Eve has a recording too; its id does not open Ann's, nor Ann's folder by its files."""
    await enter(server.app[ENGINE], "eves", {"Eve": await user_of(eve, "Eve")})
    lay(server.data, "eves", [Tape("Eve", 0.2)])
    assert (await fetch(eve, "/recordings/eves/1.webm"))[0] == 200
    assert (await fetch(eve, f"{PATH}/1.webm"))[0] == 404
    assert (await eve.get(f"/recordings/eves/..%2f{ID}%2f1.webm")).status == 404


# --- deleting


async def delete(reader: Reader, path: str = PATH, **fields: str) -> Page:
    """Confirm the deletion as the page that asks offers it."""
    asked = await reader.get(f"{path}/delete")
    form = {"csrf": asked.fields.get("csrf", "")} | fields
    return await reader.post(f"{path}/delete", form, Origin=reader.server.url)


async def test_who_deletes_has_it_no_longer_and_the_other_still_has(
    shared: Path, ann: Reader, bob: Reader
) -> None:
    asked = await ann.get(f"{PATH}/delete")
    assert "Bob still has it" in asked.words
    answer = await delete(ann)
    assert (answer.status, answer.location) == (303, "/recordings/?deleted=1")
    assert await listed(ann) == []
    for path in ("1.webm", "2.webm", "1.jpg", "delete"):
        assert (await ann.get(f"{PATH}/{path}")).status == 404
    assert (await fetch(ann, f"{PATH}/1.webm", Range="bytes=0-9"))[0] == 404
    assert [item["id"] for item in await listed(bob)] == [ID]
    assert (await fetch(bob, f"{PATH}/1.webm"))[0] == 200
    assert "Nobody else has it any more" in (await bob.get(f"{PATH}/delete")).words


async def test_the_files_go_with_the_last_list(
    shared: Path, server: Server, ann: Reader, bob: Reader
) -> None:
    await delete(ann)
    assert there(shared)
    await delete(bob)
    assert not there(shared)
    assert await server.app[ENGINE].recording(ID) is None
    assert (await bob.get(f"{PATH}/1.webm")).status == 404
    assert (await delete(bob)).status == 404


async def test_two_windows_of_one_browser_are_one_list(server: Server, ann: Reader) -> None:
    user = await user_of(ann, "Ann")
    await enter(server.app[ENGINE], ID, {"Ann": user, "Ann2": user})
    folder = lay(server.data, ID, [Tape("Ann", 0.2), Tape("Ann2", 0.2)])
    assert len(await listed(ann)) == 1
    await delete(ann)
    assert not there(folder)


async def test_strangers_delete_nothing(shared: Path, eve: Reader) -> None:
    assert (await eve.get(f"{PATH}/delete")).status == 404
    assert (await delete(eve, csrf="0" * 64)).status == 404
    assert there(shared)


async def test_another_site_deletes_nothing(shared: Path, ann: Reader) -> None:
    form = (await ann.get(f"{PATH}/delete")).fields
    answer = await ann.post(f"{PATH}/delete", form, Origin="https://evil.test")
    assert answer.status == 403
    wrong = await ann.post(f"{PATH}/delete", {"csrf": "0" * 64}, Origin=ann.server.url)
    assert wrong.status == 403
    assert "Send this form once more." in wrong.words
    assert [item["id"] for item in await listed(ann)] == [ID]


async def test_what_runs_is_not_deleted(server: Server, ann: Reader) -> None:
    await enter(server.app[ENGINE], ID, {"Ann": await user_of(ann, "Ann")}, live=True)
    answer = await delete(ann)
    assert answer.status == 409
    assert "Stop the recording first." in answer.words
    assert len(await listed(ann)) == 1


async def test_files_that_cannot_be_removed_are_logged(
    shared: Path, server: Server, ann: Reader, bob: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    (server.data / FOLDER).rename(server.data / "elsewhere")
    (server.data / FOLDER).write_text("no folder")
    await delete(ann)
    assert (await delete(bob)).status == 303
    assert f"The files of the recording {ID} cannot be removed" in caplog.text


# --- how much one may keep


async def test_who_has_filled_their_room_records_no_more(serve: Serve, crowd: Crowd) -> None:
    server = await serve(recordings=RecordingLimits(each_megabytes=0.02))
    ann = Reader(server)
    user = await user_of(ann, "Ann")
    shelf = server.app[SHELF]
    await enter(server.app[ENGINE], ID, {"Ann": user})
    folder = lay(server.data, ID, [Tape("Ann", 3.0)])
    size = await shelf.measure([ID, "unknown", ".."])
    assert size == sum(path.stat().st_size for path in folder.iterdir()) > 20_000
    bot = await crowd.connect(server)
    await bot.say("hello", v=1, token=mint_bot_token(server.app[SECRET], "recorder", 60))
    await bot.hear("welcome")
    call = p.Call(
        call="s", to="recorder", media=p.Media(), description=p.Description("offer", "v=0"), id="1"
    )
    async with ann.connected("Ann") as line:
        await line.send_str(p.encode(call).decode())
        refused = json.loads(await line.receive_str())
    assert refused["code"] == "cannot_record"
    assert refused["message"].startswith("You have recordings of 0 MB, all that there is room for")
    await ann.session.close()


# --- what is too old, and what belongs to nobody


async def test_the_old_go_and_the_young_stay(server: Server, ann: Reader) -> None:
    user, engine, shelf = await user_of(ann, "Ann"), server.app[ENGINE], server.app[SHELF]
    recordbook = server.app[EXCHANGE].recordbook
    for id, start in (("old", START), ("young", START + 5 * DAY * 1000)):
        await enter(engine, id, {"Ann": user}, start=start)
        lay(server.data, id, [Tape("Ann", 0.1, picture=False)])
    await enter(engine, "running", {"Ann": user}, live=True)
    now = START / 1000 + 7 * DAY
    assert await sweep(shelf, recordbook, 0, now) == 0
    assert {item["id"] for item in await listed(ann)} == {"old", "young", "running"}
    assert await sweep(shelf, recordbook, 3, now) == 0
    assert {item["id"] for item in await listed(ann)} == {"young", "running"}
    assert sorted(os.listdir(server.data / FOLDER)) == ["young"]


async def test_strays_are_counted_and_go_when_old(server: Server) -> None:
    shelf, recordbook = server.app[SHELF], server.app[EXCHANGE].recordbook
    folder = lay(server.data, "stray", [Tape("Ann", 0.1, picture=False)])
    (server.data / FOLDER / "a file").write_text("left alone")
    (server.data / FOLDER / "link").symlink_to(server.data)
    written = folder.stat().st_mtime
    assert await sweep(shelf, recordbook, 0, written + 400 * DAY) == 1
    assert await sweep(shelf, recordbook, 3, written + 2 * DAY) == 1
    assert await sweep(shelf, recordbook, 3, written + 4 * DAY) == 0
    assert sorted(os.listdir(server.data / FOLDER)) == ["a file", "link"]
    assert (server.data / "secret").is_file()


async def test_the_server_sweeps_by_itself(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    first = await serve()
    await enter(first.app[ENGINE], "old", {"Ann": "u-ann"})
    old = lay(first.data, "old", [Tape("Ann", 0.1, picture=False)])
    stray = lay(first.data, "stray", [Tape("Ann", 0.1, picture=False)])
    await first.stop()
    second = await serve(data=first.data, recordings=RecordingLimits(days=1))
    await eventually(lambda: not old.exists() and "1 folders of recordings" in caplog.text)
    assert there(stray)
    assert await second.app[ENGINE].recording("old") is None
