"""The pytest plugin in projects of its own: what passes, what fails, and what it says then."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ringback.bots.calltest.exchange import Exchange
from ringback.bots.calltest.options import CannotCheck
from tests.callers import needs_address
from tests.turn import SECRET, USER, needs_turn, turn_server

pytest_plugins = ["pytester"]
# They share one exchange.
pytestmark = [needs_address, pytest.mark.xdist_group("plugin")]

SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
addopts = --strict-markers -p no:cacheprovider -p no:aiohttp
"""
A_CALL = """
async def test_a_call(call, media):
    a, b = call.sides
    await media.proved(a, b, within=20)
    assert media.frames(b).lost == 0
    assert media.latency(b).p95 < 20
    assert media.freezes(b).still < 20
    assert abs(media.skew(b).median) < 20
    assert media.similarity(b).worst > 0.5
    assert media.sound(b).latency.count > 0
    assert media.figures(a).receiver == a.name
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Exchange() as exchange:
        yield exchange.url


class Project:
    """A project with tests of calls."""

    def __init__(self, pytester: pytest.Pytester, url: str) -> None:
        self.pytester = pytester
        self.url = url
        pytester.makeini(SETTINGS)

    @property
    def folder(self) -> Path:
        return self.pytester.path

    def run(self, test: str, *arguments: str, **counts: int) -> str:
        """Run a file of tests; what was printed. `counts` are the outcomes to be."""
        self.pytester.makepyfile(test_it=test)
        command = f"--rtc-url={self.url}", *arguments
        result = self.pytester.runpytest_subprocess(*command)
        for _ in range(2):
            # A machine that is too busy to judge says so, and is asked again.
            if "skipped" not in counts and result.parseoutcomes().get("skipped"):
                result = self.pytester.runpytest_subprocess(*command)
        result.assert_outcomes(**counts)
        return result.stdout.str()


@pytest.fixture
def project(pytester: pytest.Pytester, url: str) -> Project:
    return Project(pytester, url)


# --- by a relay alone ------------------------------------------------------------------------

RELAYED = """
import pytest

@pytest.mark.rtc_relay_only
async def test_relayed(call, media):
    await media.proved(*call.sides, within=20)

@pytest.mark.rtc_relay_only
async def test_relayed_echo(bot, media):
    ann = await bot("ann")
    await bot.connect(ann, "echo")
    await media.proved(ann, within=20)
"""


@needs_turn
async def test_relays_alone_carry_the_calls_of_a_test(pytester: pytest.Pytester) -> None:
    def tested(where: str) -> None:
        with Exchange(["--ice-server", f"turn:{where},{USER},{SECRET}"]) as exchange:
            project = Project(pytester, exchange.url)
            project.run(RELAYED, "--rtc-json=all.json", "--junitxml=all.xml", passed=2)

    async with turn_server(pytester.mkdir("turn")) as where:
        await asyncio.to_thread(tested, where)
    two, echo = json.loads((pytester.path / "all.json").read_text())["calls"]
    assert (len(two["pairs"]), len(echo["pairs"])) == (2, 1)
    pairs = [*two["pairs"].values(), *echo["pairs"].values()]
    assert all(pair.startswith("relay ") for pair in pairs)
    assert all(" - relay " in pair for pair in two["pairs"].values())
    properties = ElementTree.parse(pytester.path / "all.xml").iter("property")
    named = [p.get("value") for p in properties if str(p.get("name")).startswith("rtc.pair.")]
    assert sorted(map(str, named)) == sorted(pairs)


# --- what passes -----------------------------------------------------------------------------


def test_a_call_between_two_peers(project: Project) -> None:
    said = project.run(A_CALL, "--rtc-json=all.json", "--junitxml=all.xml", passed=1)
    assert "test_it.py::test_a_call" in said
    lines = [line.split() for line in said.splitlines() if line.startswith("  ")]
    assert lines.pop(0)[:2] == ["seen", "lost"]
    assert [line[:3] for line in lines] == [["a", "to", "b"], ["b", "to", "a"]]
    assert all(line[-1] == "passed" for line in lines)
    # Nothing is kept of a call that went well.
    assert not list((project.folder / "rtc-artifacts").iterdir())
    written = json.loads((project.folder / "all.json").read_text())
    [one] = written["calls"]
    assert (written["version"], one["verdict"], one["outcome"]) == (1, "passed", "passed")
    assert one["test"] == "test_it.py::test_a_call"
    assert [way["frames"]["lost"] for way in one["directions"]] == [0, 0]
    properties = {
        found.get("name"): found.get("value")
        for found in ElementTree.parse(project.folder / "all.xml").iter("property")
    }
    assert properties["rtc.verdict"] == "passed"
    [delivered] = [
        value for name, value in properties.items()
        if str(name).startswith("rtc.a-") and str(name).endswith(".frames.delivered")
    ]  # fmt: skip
    assert delivered is not None
    assert int(delivered) >= 5


@pytest.mark.parametrize("sound_only", [False, True])
def test_an_echo(project: Project, sound_only: bool) -> None:
    project.run(
        f"""
        async def test_echo(bot, media):
            ann = await bot("ann", sound_only={sound_only})
            call = await bot.connect(ann, "echo")
            await media.proved(ann, within=20)
            assert media.latency(ann).count > 0
            assert call.sides == (ann,)
        """,
        passed=1,
    )


def test_speech_that_is_asked_for(project: Project) -> None:
    project.run(
        """
        import pytest

        @pytest.mark.rtc_speech
        @pytest.mark.rtc_thresholds("speech < 0.01")
        async def test_echo(bot, media):
            ann = await bot("ann", sound_only=True)
            call = await bot.connect(ann, "echo")
            assert await call.last(3)
            assert 0 < await media.speech(ann) <= 1

        async def test_nobody_asked(bot, media):
            ann = await bot("ann", sound_only=True)
            await bot.connect(ann, "echo")
            with pytest.raises(AssertionError, match="rtc_speech asks for it"):
                await media.speech(ann)
            await media.proved(ann, within=20)
        """,
        passed=2,
    )


def test_each_codec_that_is_asked_for(project: Project) -> None:
    project.run(
        """
        import pytest
        seen = []

        @pytest.mark.rtc_codec("vp8", "h264")
        async def test_codecs(call, media):
            a, b = call.sides
            await media.proved(a, b, within=20)
            seen.append(media.figures(b).video.codec)

        def test_both():
            assert seen == ["vp8", "h264"]
        """,
        passed=3,
    )


def test_arguments_and_fixtures_of_ones_own(project: Project) -> None:
    project.run(
        """
        import pytest

        @pytest.fixture
        def rtc_bot_args():
            return {"size": (160, 120), "rate": 10}

        @pytest.fixture
        def rtc_thresholds():
            return ["frames.width != 160px"]

        @pytest.fixture
        async def ann(bot):
            return await bot("ann")

        async def test_small(bot, ann, media):
            bob = await bot("bob")
            await bot.connect(ann, bob)
            await media.proved(ann, bob, within=20)
            assert (media.frames(bob).width, media.frames(bob).height) == (160, 120)
        """,
        passed=1,
    )


def test_repeated_and_soaked(project: Project) -> None:
    said = project.run(
        """
        import pytest

        @pytest.mark.rtc_soak(seconds=1.5, calls=2)
        async def test_soak(call, media):
            a, b = call.sides
            await media.proved(a, b, within=20)
        """,
        "--rtc-repeat=2", "--rtc-json=all.json", "-v",
        passed=4,
    )  # fmt: skip
    assert "test_soak[round4]" in said
    calls = json.loads((project.folder / "all.json").read_text())["calls"]
    assert len({call["seed"] for call in calls}) == 4
    assert all(call["seconds"] >= 1.5 for call in calls)


def test_a_network_that_changes(project: Project) -> None:
    project.run(
        """
        import pytest

        @pytest.mark.rtc_net("delay=60ms")
        async def test_net(call, media, net):
            a, b = call.sides
            await media.proved(a, b, within=20)
            assert media.latency(b).least > 0.06
            net.change("up.loss=100%")
            with pytest.raises(AssertionError, match="Not proved"):
                # What is under way may still come.
                for _ in range(20):
                    await media.proved(a, b, within=0.5)
            net.change("delay=0ms")
            await media.proved(a, b, within=20)
            assert net.counts["up"]["lost"] > 0
        """,
        "--rtc-fail=frames.loss > 100%", "--rtc-fail=freezes.still > 1min",
        "--rtc-fail=sound.loss > 100%", "--rtc-fail=sound.silent > 100%",
        "--rtc-fail=frames.damage > 100%",
        passed=1,
    )  # fmt: skip


def test_in_several_processes(project: Project) -> None:
    said = project.run(
        A_CALL + A_CALL.replace("test_a_call", "test_another"), "-n2", "--rtc-seed=7",
        "--rtc-json=all.json", passed=2,
    )  # fmt: skip
    assert said.count("  a to b") == 2
    calls = json.loads((project.folder / "all.json").read_text())["calls"]
    assert {call["seed"] for call in calls} == {7}


BROWSER = """
import pytest

@pytest.mark.rtc_browser
async def test_page(bot, browser_bot, media):
    ann, bob = await bot("ann"), await browser_bot("bob", seconds=30)
    await bot.connect(ann, bob)
    await media.proved(ann, bob, within=30)
    assert media.frames(bob).delivered > 0
"""


IN_FIREFOX = BROWSER.replace("rtc_browser", 'rtc_browser("firefox")')


@pytest.mark.parametrize("test", [BROWSER, IN_FIREFOX], ids=["chromium", "firefox"])
def test_a_page_in_a_browser(project: Project, test: str) -> None:
    # What a browser makes of a call on a small busy machine is not what is tested here.
    loose = ("frames.loss", "sound.loss", "frames.damage", "sound.silent")
    said = project.run(
        test, *(f"--rtc-fail={name} > 100%" for name in loose),
        "--rtc-fail=freezes.still > 1min", "--rtc-fail=frames.scale < 1%",
        "--rtc-fail=skew.median > 9s", "--rtc-fail=skew.median < -9s",
        "--rtc-fail=frames.repeated > 9999", passed=1,
    )  # fmt: skip
    assert "ann to bob" in said
    assert "bob to ann" in said


def test_without_a_browser(project: Project) -> None:
    assert "--rtc-browser=off" in project.run(BROWSER, "--rtc-browser=off", "-rs", skipped=1)
    unmarked = BROWSER.replace("@pytest.mark.rtc_browser", "")
    project.run(unmarked, "--rtc-browser=off", skipped=1)
    assert "--rtc-browser=off" in project.run(IN_FIREFOX, "--rtc-browser=off", "-rs", skipped=1)


IN_CHROMIUM = BROWSER.replace("rtc_browser", 'rtc_browser("chromium")')


def test_a_browser_that_is_missing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one that the test names; the option speaks for tests that name none."""
    monkeypatch.setenv("PATH", "/nowhere")
    tests = "".join(
        test.replace("test_page", f"test_{number}")
        for number, test in enumerate((BROWSER, IN_FIREFOX, IN_CHROMIUM))
    )
    said = project.run(tests, "--rtc-browser=firefox", "-rs", skipped=3)
    assert said.count("There is no Chromium: apt-get install chromium.") == 1
    assert "There is no Firefox: apt-get install firefox-esr." in said
    project.run(tests, "--rtc-browser=firefox", "--rtc-strict", failed=3)


def test_a_browser_that_nobody_knows(project: Project) -> None:
    test = BROWSER.replace("rtc_browser", 'rtc_browser("lynx")')
    assert "lynx is none of chromium, firefox" in project.run(test, errors=1)


# --- what must not pass ------------------------------------------------------------------------


def test_a_dead_direction_is_found_without_an_assertion(project: Project) -> None:
    said = project.run(
        """
        import pytest

        @pytest.mark.rtc_net("up.blackout=0.0s-60s")
        @pytest.mark.rtc_soak(seconds=1)
        async def test_nothing_is_said(call):
            pass
        """,
        failed=1,
    )
    assert "Failed." in said
    [kept] = (project.folder / "rtc-artifacts").iterdir()
    names = {path.name for path in kept.iterdir()}
    assert {"frames.csv", "events.jsonl", "packets.csv", "stats.jsonl"} <= names


def test_what_was_not_proved_is_explained(project: Project) -> None:
    said = project.run(
        """
        async def test_silent(call, media, net):
            a, b = call.sides
            await media.proved(a, b, within=20)
            net.change("loss=100%")
            for _ in range(20):
                await media.proved(a, b, within=0.5)
        """,
        failed=1,
    )
    assert "AssertionError: Not proved in 0.5 s." in said
    assert "a to b" in said
    assert "of 5 pictures that are needed" in said


def test_thresholds_fail_a_test(project: Project) -> None:
    said = project.run(
        """
        import pytest

        @pytest.mark.rtc_thresholds("latency.least > 0ms")
        async def test_strict(call, media):
            a, b = call.sides
            await media.proved(a, b, within=20)
        """,
        failed=1,
    )
    assert "latency.least" in said


def test_a_call_nobody_answers(project: Project) -> None:
    said = project.run(
        """
        async def test_nobody(bot):
            await bot.connect(await bot("ann"), "nobody-is-called-so")
        """,
        failed=1,
    )
    assert "NoCall" in said


def test_nothing_measured_is_compared_with_nothing(project: Project) -> None:
    said = project.run(
        """
        async def test_early(bot, media):
            a, b = await bot("a"), await bot("b", sound_only=True)
            await bot.connect(b, "echo")
            assert media.frames(b).lost == 0
        """,
        failed=1,
    )
    assert "no picture was due yet" in said


def test_a_machine_too_busy_is_no_verdict(project: Project) -> None:
    test = """
        import time

        async def test_busy(call, media):
            a, b = call.sides
            await media.proved(a, b, within=20)
            time.sleep(0.8)
    """
    said = project.run(test, "-rs", skipped=1)
    assert "too busy to judge" in said
    project.run(test, "--rtc-strict", failed=1)


@pytest.mark.parametrize(
    ("test", "arguments", "words"),
    [
        ("def test_it(call):\n    pass", (), "must be `async def`"),
        (A_CALL, ("--rtc-fail=latency.p96 > 1ms",), "latency has"),
        (A_CALL, ("--rtc-net=tarin",), "no network called 'tarin'"),
        (
            "import pytest\n@pytest.fixture\ndef rtc_bot_args():\n    return {'colour': 1}\n"
            "async def test_it(call):\n    pass",
            (),
            "A peer has no colour",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_words(
    project: Project, test: str, arguments: tuple[str, ...], words: str
) -> None:
    assert words in project.run(test, *arguments, errors=1)


@pytest.mark.parametrize(
    ("test", "arguments", "words"),
    [
        (A_CALL, ("--rtc-repeat=0",), "a test runs at least once"),
        ("import pytest\n@pytest.mark.rtc_codec('vp7')\nasync def test_it(call):\n    pass", (),
         "vp7 is none of vp8, h264"),
    ],
)  # fmt: skip
def test_mistakes_that_end_the_run(
    project: Project, test: str, arguments: tuple[str, ...], words: str
) -> None:
    project.pytester.makepyfile(test_it=test)
    result = project.pytester.runpytest_subprocess(*arguments)
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    assert words in result.stdout.str() + result.stderr.str()


# --- where it is not used ------------------------------------------------------------------------


def test_it_imports_nothing_of_weight(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_light():
            heavy = {"aiortc", "av", "numpy", "aiohttp", "rich"} & set(sys.modules)
            assert "ringback.bots.pytest_plugin" in sys.modules
            assert not heavy
        """
    )
    done = pytester.run(
        sys.executable, "-m", "pytest", "-p", "no:aiohttp", "-p", "no:cacheprovider"
    )
    done.assert_outcomes(passed=1)
    assert "= calls =" not in done.stdout.str()


def test_a_server_that_does_not_start_is_told() -> None:
    with pytest.raises(CannotCheck, match="did not start"), Exchange(["--no-such-flag"]):
        pass
