"""The page of recordings in a real browser, with real files on the shelf."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Locator, expect

from ringback.server.keys import ENGINE
from ringback.server.protocol import RecordingEnd
from ringback.server.recording import finish
from tests.browser.person import SENT_BACK, NewPerson, Person
from tests.browser.test_access import everything_has_a_name, one_page, tab_to
from tests.running import Server
from tests.tapes import START, Tape, enter, lay

ID = "0123456789abcdef"
OFFSET = 0.7


async def seated(server: Server, new_person: NewPerson, *, name: str = "Ann") -> tuple[Person, str]:
    """Somebody whose user id is known."""
    person = await new_person(server.url, name)
    await person.open_calls()
    claim = await server.app[ENGINE].claim_of(name.casefold(), 0.0)
    assert claim is not None
    return person, claim.user


async def with_recording(server: Server, new_person: NewPerson) -> Person:
    """Ann, who was recorded with Bob: her part of 4 s, his of 3.3 s that begins 0.7 s later."""
    ann, user = await seated(server, new_person)
    await enter(server.app[ENGINE], ID, {"Ann": user, "Bob": "u-bob"})
    lay(server.data, ID, [Tape("Ann", 4.0), Tape("Bob", 3.3, offset=OFFSET)])
    await ann.goto("/recordings/")
    return ann


async def stand(ann: Person) -> list[dict[str, Any]]:
    """Where each of the open files is (s), and whether it plays."""
    found: list[dict[str, Any]] = await ann.page.evaluate(
        "[...document.querySelectorAll('details[open] video')].map("
        "v => ({at: v.currentTime, paused: v.paused, muted: v.muted, volume: v.volume}))"
    )
    return found


def seek_bar(ann: Person) -> Locator:
    """The position of the open player."""
    return ann.page.get_by_role("slider", name="Position")


async def until_near(ann: Person, at: float) -> None:
    """Wait until both files stand at `at` on the time line."""
    await ann.page.wait_for_function(
        "([at, offset]) => { const [a, b] = document.querySelectorAll('details[open] video');"
        " const near = (v, to) => Math.abs(v.currentTime - to) < 0.05 && !v.seeking;"
        " return near(a, at) && near(b, Math.max(0, at - offset)); }",
        arg=[at, OFFSET],
    )


async def test_one_gets_there_and_nothing_is_there_yet(
    server: Server, new_person: NewPerson
) -> None:
    ann = await new_person(server.url, "Ann")
    await ann.open_calls()
    await ann.page.get_by_role("link", name="Recordings").click()
    await expect(ann.page.get_by_role("heading", name="No recordings yet")).to_be_visible()
    await one_page(ann, "Recordings")
    assert await everything_has_a_name(ann) >= 4
    await ann.page.get_by_role("button", name="Record myself").click()
    await expect(ann.dial).to_have_value("recorder")


async def test_the_list_reads_like_a_call_list(server: Server, new_person: NewPerson) -> None:
    ann = await with_recording(server, new_person)
    row = ann.page.locator(f"#r-{ID}")
    await expect(row.get_by_role("heading")).to_have_text("With Bob")
    await expect(row).to_contain_text("0:04")
    shown = await ann.page.evaluate(
        "([start]) => new Intl.DateTimeFormat(undefined,"
        " {dateStyle: 'medium', timeStyle: 'short'}).format(new Date(start))",
        [START],
    )
    await expect(row).to_contain_text(shown)
    picture = row.locator("img.thumbnail")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("i => i.decode().then(() => i.naturalWidth)") == 160
    await one_page(ann, "Recordings")
    await row.get_by_text("Play").first.click()
    await expect(seek_bar(ann)).to_be_visible()
    assert await everything_has_a_name(ann) >= 8


async def test_both_parts_play_in_step(server: Server, new_person: NewPerson) -> None:
    ann = await with_recording(server, new_person)
    await ann.page.locator("summary").click()
    # Once Bob's part has begun both run, and are never far apart again.
    await ann.page.wait_for_function(
        "() => [...document.querySelectorAll('details[open] video')][1].currentTime > 0.8"
    )
    apart = await ann.page.evaluate(
        """async (offset) => {
          const [a, b] = document.querySelectorAll('details[open] video');
          let worst = 0;
          for (let n = 0; n < 60; n += 1) {
            await new Promise(requestAnimationFrame);
            if (!a.paused && !b.paused) {
              worst = Math.max(worst, Math.abs(a.currentTime - offset - b.currentTime));
            }
          }
          return worst;
        }""",
        OFFSET,
    )
    assert apart < 0.1
    await expect(ann.button("Play")).to_be_visible()  # the end
    assert all(each["paused"] for each in await stand(ann))
    await expect(seek_bar(ann)).to_have_attribute("aria-valuetext", "4 seconds of 4 seconds")
    await ann.press("Play")
    await expect(ann.button("Pause")).to_be_visible()  # from the beginning
    await ann.page.wait_for_function(
        "() => document.querySelector('details[open] video').currentTime < 3"
    )
    await ann.press("Pause")


async def test_the_player_by_keyboard(server: Server, new_person: NewPerson) -> None:
    ann = await with_recording(server, new_person)
    keyboard = ann.page.keyboard
    await tab_to(ann, ann.page.locator("summary"))
    await keyboard.press("Enter")
    await tab_to(ann, ann.button("Pause"))
    await keyboard.press("Enter")
    await expect(ann.button("Play")).to_be_focused()
    await tab_to(ann, seek_bar(ann))
    await keyboard.press("End")
    await expect(seek_bar(ann)).to_have_attribute("aria-valuetext", "4 seconds of 4 seconds")
    await keyboard.press("ArrowLeft")
    await until_near(ann, 0)
    await keyboard.press("Home")
    await keyboard.press("ArrowRight")
    await until_near(ann, 4)
    await keyboard.press("Home")
    await keyboard.press("Space")
    await expect(ann.button("Pause")).to_be_visible()
    await keyboard.press("Space")
    await expect(ann.button("Play")).to_be_visible()
    await expect(ann.page.locator("body > [data-announcer]")).to_have_text("Paused")
    await tab_to(ann, ann.button("Sound off"))
    await keyboard.press("Enter")
    assert all(each["muted"] for each in await stand(ann))
    await tab_to(ann, ann.page.get_by_role("slider", name="Volume"))
    await keyboard.press("ArrowRight")
    assert [(each["muted"], each["volume"]) for each in await stand(ann)] == [(False, 0.05)] * 2


async def test_one_seeks_with_the_mouse(server: Server, new_person: NewPerson) -> None:
    ann = await with_recording(server, new_person)
    await ann.page.locator("summary").click()
    await ann.press("Pause")
    bar = seek_bar(ann)
    box = await bar.bounding_box()
    assert box is not None
    await bar.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    await expect(bar).to_have_attribute("aria-valuetext", "2 seconds of 4 seconds")
    at = float(await bar.evaluate("bar => Number(bar.value)"))
    assert 1.8 < at < 2.2
    await until_near(ann, at)


async def test_closing_one_silences_it(server: Server, new_person: NewPerson) -> None:
    ann = await with_recording(server, new_person)
    await ann.page.locator("summary").click()
    await ann.page.wait_for_function("() => !document.querySelector('video').paused")
    await ann.page.locator("summary").click()
    await ann.page.wait_for_function(
        "() => [...document.querySelectorAll('video')].every(v => v.paused)"
    )


async def test_what_cannot_be_played_says_so(server: Server, new_person: NewPerson) -> None:
    ann, user = await seated(server, new_person)
    await enter(server.app[ENGINE], ID, {"Ann": user})
    folder = lay(server.data, ID, [Tape("Ann", 0.5)])
    (folder / "1.webm").write_bytes(b"no film at all" * 100)
    await ann.goto("/recordings/")
    await ann.page.locator("summary").click()
    trouble = ann.page.get_by_role("alert")
    await expect(trouble).to_contain_text("This browser cannot play this recording")


async def test_what_runs_can_be_played_once_it_is_over(
    server: Server, new_person: NewPerson
) -> None:
    ann, user = await seated(server, new_person)
    engine = server.app[ENGINE]
    live = await enter(engine, ID, {"Ann": user}, live=True)
    await ann.goto("/recordings/")
    row = ann.page.locator(f"#r-{ID}")
    await expect(row).to_contain_text("running")
    lay(server.data, ID, [Tape("Ann", 0.5)])
    over = finish(live, RecordingEnd.STOPPED, "ann", START + 1000)
    assert await engine.put_recording(over, live.version)
    await expect(row.get_by_text("Play").first).to_be_visible()
    await expect(row).to_contain_text("You stopped the recording.")


async def test_one_downloads_a_part(server: Server, new_person: NewPerson) -> None:
    ann = await with_recording(server, new_person)
    await ann.page.locator("summary").click()
    async with ann.page.expect_download() as download:
        await ann.page.get_by_role("button", name="Download Bob’s part").click()
    got = await download.value
    assert got.suggested_filename == "Recording 2023-11-14 22-13 Bob.webm"
    path = await got.path()
    assert path.read_bytes() == (server.data / "recordings" / ID / "2.webm").read_bytes()


async def test_deleting_asks_first(server: Server, new_person: NewPerson) -> None:
    ann = await with_recording(server, new_person)
    ann.allow(SENT_BACK)
    delete = ann.page.get_by_role("button", name="Delete the recording with Bob")
    await delete.click()
    await one_page(ann, "Delete a recording")
    await expect(ann.page.get_by_text("Bob still has it")).to_be_visible()
    assert await everything_has_a_name(ann) >= 3
    await ann.page.get_by_role("button", name="Keep it").click()
    await delete.click()
    await ann.press("Delete")
    await expect(ann.page.get_by_role("heading", name="No recordings yet")).to_be_visible()
    await expect(ann.page.locator(".note")).to_contain_text("The recording is deleted.")
    await expect(ann.page).to_have_url(f"{server.url}/recordings/")
    answer = await ann.page.goto(f"{server.url}/recordings/{ID}/1.webm")
    assert answer is not None
    assert answer.status == 404
