"""A side that is a page: its film and its tape, and what is made of what its probe reads."""

from __future__ import annotations

import asyncio
import base64
import wave
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av import VideoFrame

from ringback.bots.calltest import browser, marks, page_side, reels
from ringback.bots.calltest.album import Album
from ringback.bots.calltest.chirps import RATE, WORDS, Chirps, Ear
from ringback.bots.calltest.marks import Mark
from ringback.bots.calltest.observed import SeenPicture
from ringback.bots.calltest.options import CannotCheck, NoCall, Options
from ringback.bots.calltest.page_side import PageSide
from ringback.bots.calltest.page_talk import PageTalk
from ringback.bots.calltest.reels import png
from ringback.bots.calltest.run import page_url
from ringback.bots.calltest.scene import Scene

OURS, THEIRS = 40, 1200


class Page(browser.Window):
    """Stands where a window does: its probe tells what it was given, one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[dict[str, Any]] = []
        self.clock = 5000.0
        self.all_told = asyncio.Event()
        self.secure = True
        self.codecs = ["video/VP8"]
        self.shown: set[str] = set()
        self.done: list[str] = []
        self.refuses = ""

    async def visit(self, url: str) -> None:
        self.done.append(f"visit {url}")
        if self.refuses:
            raise browser.BrowserError(self.refuses)

    async def appears(self, selector: str, seconds: float) -> bool:
        return selector in self.shown

    async def fill(self, selector: str, text: str) -> None:
        self.done.append(f"fill {selector} {text}")

    async def press(self, selector: str) -> None:
        self.done.append(f"press {selector}")
        if self.refuses:
            raise browser.BrowserError(self.refuses)

    async def screenshot(self) -> bytes:
        if self.refuses:
            raise browser.BrowserError(self.refuses)
        return b"PNG"

    async def run(self, script: str) -> Any:
        if script == "ringbackProbe.now()":
            await asyncio.sleep(0)
            return self.clock
        if script == "isSecureContext":
            return self.secure
        if script.startswith("RTCRtpSender"):
            return self.codecs
        if script.endswith(".callState"):
            return "connecting"
        assert script == "ringbackProbe.take()"
        empty = {
            "pictures": [],
            "sounds": [],
            "steps": [],
            "stills": [],
            "lost": 0,
            "inbound": [],
            "pair": "",
        }
        if not self.told:
            self.all_told.set()
        return {**empty, "at": self.clock, **(self.told.pop(0) if self.told else {})}


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    made = ThreadPoolExecutor(1)
    yield made
    made.shutdown()


def talk(page: Page, pool: ThreadPoolExecutor, steps: list[tuple[str, str]]) -> PageTalk:
    def note(name: str, detail: str = "", at: float | None = None) -> None:
        steps.append((name, detail))

    return PageTalk(page, Options(), OURS, THEIRS, pool, note, lambda: None)


def picture(own: bool, at: float, number: int, stream: int) -> dict[str, Any]:
    return {
        "own": own, "at": 1000 * at, "shown": 1000 * at + 2, "width": 320, "height": 240,
        "torn": False, "stream": stream, "sequence": number & 0xFFFF, "stamp": 7,
    }  # fmt: skip


def seen(number: int, *, gap: bool = False) -> SeenPicture:
    return SeenPicture(0.0, 0.0, OURS, number, None, 320, 240, gap=gap)


async def told(page: Page, pool: ThreadPoolExecutor, *batches: dict[str, Any]) -> PageTalk:
    """A talk whose probe has told all this."""
    page.told = list(batches)
    made = talk(page, pool, [])
    made.begin(0.0)
    async with asyncio.timeout(30):
        await page.all_told.wait()
    await made.finish()
    return made


async def test_what_a_page_sees(pool: ThreadPoolExecutor) -> None:
    erasure = picture(False, 3.0, 0, 0) | {"torn": True}
    for field in ("stream", "sequence", "stamp"):
        del erasure[field]
    batch = {"pictures": [picture(False, 1.0, 65_535, THEIRS), picture(False, 2.0, 65_536, THEIRS),
                          erasure]}  # fmt: skip
    made = await told(Page(), pool, {"pictures": [picture(False, 0.5, 60_000, THEIRS)]}, batch)
    numbers = [s.sequence for s in made.book.seen]
    assert numbers[2] == (numbers[1] or 0) + 1, "numbers count on over what a mark holds"
    assert numbers[3] is None
    assert made.book.seen[3].torn
    assert (made.book.seen[1].arrived, made.book.seen[1].shown) == (1.0, 1.002)


async def test_what_a_browser_leaves_out_was_not_sent(pool: ThreadPoolExecutor) -> None:
    camera = [picture(True, number / 10, number, OURS) for number in range(10)]
    made = await told(Page(), pool, {"pictures": [*camera, picture(True, 2.0, 3, OURS)]})
    # 2 and 6 did not arrive; only in the place of 6 are packets missing. After 8 came nothing.
    made.settle([seen(n, gap=n == 7) for n in (0, 1, 3, 4, 5, 7, 8)], [])
    assert [p.sequence for p in made.book.sent] == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    made.settle([], [])
    assert [p.sequence for p in made.book.sent] == list(range(10)), "nothing arrived: all is lost"


async def test_what_was_captured_before_counts_only_if_it_arrived(
    pool: ThreadPoolExecutor,
) -> None:
    page = Page()
    page.told = [{"pictures": [picture(True, n / 10, n, OURS) for n in range(10)]}]
    made = talk(page, pool, [])
    made.begin(0.45)
    async with asyncio.timeout(30):
        await page.all_told.wait()
    await made.finish()
    made.settle([seen(n) for n in range(4, 10)], [])
    assert [p.sequence for p in made.book.sent] == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("rate", [48_000, 44_100])
async def test_chirps_of_both_ways(pool: ThreadPoolExecutor, rate: int) -> None:
    def sounds(own: bool, stream: int) -> list[dict[str, Any]]:
        pcm = Chirps(stream).pcm(0, 2 * RATE)
        there = np.interp(np.arange(2 * rate) * RATE / rate, np.arange(len(pcm)), pcm)
        step = rate // 100
        return [
            {"own": own, "rate": rate, "at": 1000 * (10 + (at + step) / rate),
             "pcm": base64.b64encode(there[at : at + step].astype(np.int16).tobytes()).decode()}
            for at in range(0, 2 * rate, step)
        ]  # fmt: skip

    made = await told(Page(), pool, {"sounds": [*sounds(True, OURS), *sounds(False, THEIRS)]})
    made.settle([], [])
    assert [c.number for c in made.book.sent_chirps[:3]] == [0, 1, 2]
    for chirp in made.book.sent_chirps:
        assert chirp.at == pytest.approx(10 + chirp.number * 0.5, abs=0.002)
    assert {h.stream for h in made.book.heard} == {THEIRS % WORDS}
    for heard in made.book.heard:
        assert heard.number is not None
        assert heard.at == pytest.approx(10 + heard.number * 0.5, abs=0.002)
    assert len(made.book.sounds) == 200
    assert sum(s.seconds for s in made.book.sounds) == pytest.approx(2.0)


async def test_clocks_counters_and_steps(pool: ThreadPoolExecutor) -> None:
    page, steps = Page(), list[tuple[str, str]]()
    made = talk(page, pool, steps)
    await made.open()
    now = asyncio.get_running_loop().time()
    assert made.clocks.offset == pytest.approx(5.0 - now, abs=5)
    assert 0 <= made.clocks.error < 5
    page.told = [
        {
            "lost": 3, "pair": "host a - host b (udp)", "steps": [{"at": 1.0, "name": "ice"}] * 2,
            "inbound": [{"kind": "video", "packets": 5, "bytes": 600, "lost": 1,
                         "keyframes_asked": 2, "jitter": 0.01, "codec": "H264"}],
        }
    ]  # fmt: skip
    made.begin(0.0)
    async with asyncio.timeout(30):
        await page.all_told.wait()
    # What is told once the counters are gone again is told in `samples` no more.
    page.told = [
        {"inbound": [{"kind": "audio", "packets": 0, "bytes": 0, "lost": 0, "keyframes_asked": 0,
                      "jitter": None, "codec": "opus"}]}
    ]  # fmt: skip
    await made.finish()
    assert made.refused == 3
    assert made.pair == "host a - host b (udp)"
    assert made.codecs == {"video": "H264", "audio": "opus"}
    assert [s.kind for s in made.samples()] == ["audio"]
    assert steps == [("ice", ""), ("packet", "video")]


# --- the page and its part in the call ------------------------------------------------------

WIRE = 'body[data-wire="open"]'
CONNECTED = '#phone[data-call-state="connected"]'


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """The window of whichever browser is asked for."""
    made = Page()
    made.shown = {WIRE}

    @asynccontextmanager
    async def opened(*arguments: Any) -> AsyncIterator[Page]:
        yield made

    for name in browser.BROWSERS:
        monkeypatch.setattr(page_side, name, opened)
    return made


def side(pool: ThreadPoolExecutor, which: browser.Browser, **changes: Any) -> PageSide:
    return PageSide(
        "http://there", "bob", browser=which, options=Options(**changes), stream=OURS, seconds=5,
        ca=None, pool=pool,
    )  # fmt: skip


@pytest.mark.parametrize("which", browser.BROWSERS)
async def test_a_page_enters_and_answers(
    pool: ThreadPoolExecutor, page: Page, which: browser.Browser
) -> None:
    async with side(pool, which) as bob:
        page.write("log: hello")
        assert bob.console == ["log: hello"]
        party = bob.listen()
        page.shown |= {"#answer", CONNECTED}
        await party.connect(1)
        assert page.done == [
            "visit http://there/call/", "fill #username bob",
            "press form:has(#username) [type=submit]", "press #answer",
        ]  # fmt: skip
        assert [step.name for step in bob.steps] == ["answered"]
        assert await bob.screenshot() == b"PNG"
        page.crashed()
        assert party.over.is_set()
        assert (party.ending, party.why()) == ("failed", "The page crashed.")
        page.refuses = "gone"
        assert await bob.screenshot() is None


@pytest.mark.parametrize(
    ("shown", "ending", "words"),
    [
        (set[str](), "never answered", "The page did not ring in 3 s."),
        ({"#answer"}, "never connected", "The page is connecting after 20 s."),
    ],
)
async def test_a_call_that_does_not_come_about(
    pool: ThreadPoolExecutor, page: Page, shown: set[str], ending: str, words: str
) -> None:
    async with side(pool, "firefox") as bob:
        page.shown |= shown
        with pytest.raises(NoCall, match=words) as caught:
            await bob.listen().connect(3)
        assert caught.value.ending == ending
        page.shown.add("#answer")
        page.refuses = "it is not there to be pressed"
        with pytest.raises(NoCall, match="The page fails: it is not there to be pressed."):
            await bob.listen().connect(3)


@pytest.mark.parametrize(
    ("which", "secure", "codecs", "shown", "refuses", "code", "words"),
    [
        ("chromium", True, ["video/VP8"], WIRE, "refused", "unreachable", "opened: refused."),
        ("chromium", False, ["video/VP8"], WIRE, "", "unreachable", "http://there no camera"),
        ("chromium", True, ["video/H264"], "", "", "unreachable", "not on the line after 60 s"),
        ("chromium", True, ["video/VP8"], WIRE, "", "codec_missing", "This Chromium has no H.264."),
        ("firefox", True, ["video/VP8"], WIRE, "", "codec_missing", "OpenH264 in MOZ_GMP_PATH"),
    ],
)
async def test_a_page_that_cannot_be_tested(
    pool: ThreadPoolExecutor, page: Page, which: browser.Browser, secure: bool,
    codecs: list[str], shown: str, refuses: str, code: str, words: str,
) -> None:  # fmt: skip
    page.secure, page.codecs, page.shown, page.refuses = secure, codecs, {shown}, refuses
    with pytest.raises(CannotCheck, match=words) as caught:
        async with side(pool, which, codec="H264"):
            pass
    assert caught.value.code == code
    if code == "codec_missing":
        page.shown.add(WIRE)
        async with side(pool, which, codec="H264", sound_only=True):
            pass


async def test_a_page_that_answers_no_more(pool: ThreadPoolExecutor) -> None:
    class Gone(Page):
        async def run(self, script: str) -> Any:
            raise browser.BrowserError("the browser is gone")

    steps = list[tuple[str, str]]()
    made = talk(Gone(), pool, steps)
    made.begin(0.0)
    await made.finish()
    assert ("log", "the page answers no more: the browser is gone") in steps


def test_what_is_kept_of_a_console_is_bounded() -> None:
    page = Page()
    for number in range(browser.LINES + 9):
        page.write(str(number))
    assert page.console == [str(number) for number in range(browser.LINES)]


# --- what the browser is given --------------------------------------------------------------


def test_a_film_is_marked_picture_by_picture(tmp_path: Path) -> None:
    scene = Scene(9, 320, 240)
    reels.film(tmp_path / "film.y4m", scene, 15.0, 1.0)
    head, _, rest = (tmp_path / "film.y4m").read_bytes().partition(b"\n")
    assert head == b"YUV4MPEG2 W320 H240 F15000:1000 Ip A1:1 C420"
    size = 320 * 240 * 3 // 2
    assert len(rest) == 15 * (size + 6)
    for number in range(15):
        at = number * (size + 6)
        assert rest[at : at + 6] == b"FRAME\n"
        luma = np.frombuffer(rest[at + 6 : at + 6 + 320 * 240], np.uint8).reshape(240, 320)
        assert marks.read(luma).mark == Mark(9, number, 0)


def test_a_tape_is_marked_sound_by_sound() -> None:
    with wave.open(BytesIO(reels.tape(Chirps(9), 2.0))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        pcm = np.frombuffer(file.readframes(2 * RATE), np.int16)
    assert [heard.number for heard in Ear().hear(pcm)][:3] == [0, 1, 2]


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("http://a:8000", "http://a:8000"),
        ("https://a/", "https://a"),
        ("wss://a/ws", "https://a"),
        ("ws://a:1/ws", "http://a:1"),
    ],
)
def test_where_the_pages_are(url: str, page: str) -> None:
    assert page_url(url) == page


# --- pictures that are compared -------------------------------------------------------------


def still(number: int, *, stream: int = THEIRS, size: tuple[int, int] = (320, 240),
          brighter: int = 0) -> dict[str, Any]:  # fmt: skip
    """A picture as a page showed it: red, green and blue."""
    scene = Scene(stream, *size)
    planes = scene.picture(Mark(stream, number, 7))
    planes[: size[1]] = np.clip(planes[: size[1]].astype(int) + brighter, 16, 235)
    picture = VideoFrame.from_ndarray(planes, "yuv420p")
    return {
        "stream": stream, "sequence": number, "stamp": 7,
        "png": base64.b64encode(png(picture)).decode(),
    }  # fmt: skip


def test_what_a_page_showed_is_like_what_was_sent() -> None:
    album = Album(Scene(THEIRS, 320, 240))
    found = album.take([still(5), still(21, brighter=40)])
    assert list(found) == [5, 21]
    assert found[5] > 0.97
    assert 0 < found[21] < found[5]
    assert album.first == base64.b64decode(still(5)["png"])
    assert album.worst == base64.b64decode(still(21, brighter=40)["png"])


def test_pictures_of_others_and_of_other_sizes_are_not_compared() -> None:
    album = Album(Scene(THEIRS, 320, 240))
    assert album.take([still(5, stream=OURS), still(5, size=(160, 120))]) == {}
    assert album.first is None
    assert album.worst is None


async def test_how_like_they_are_is_noted_where_they_were_seen(pool: ThreadPoolExecutor) -> None:
    pictures = [picture(False, n / 10, 65_534 + n, THEIRS) for n in range(4)]
    batch = {"pictures": pictures, "stills": [still(1), still(9)]}
    made = await told(Page(), pool, batch)
    alike = [seen.similarity for seen in made.book.seen]
    assert alike[:3] == [None] * 3
    assert (alike[3] or 0) > 0.97
    assert made.album.first is not None
