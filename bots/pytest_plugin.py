"""Call tests in pytest: fixtures for peers and calls, and assertions that listen.

    async def test_a_call(call, media):
        a, b = call.sides
        await media.proved(a, b, within=2)
        assert media.frames(b).lost == 0

See docs/call-tests.md. Loaded by pytest wherever Ringback is installed, so it imports nothing of
weight before a fixture is used.
"""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .calltest.assertions import Media
    from .calltest.stage import Stage
    from .calltest.tools import Bots, Net, Pages
    from .calltest.verified import Call

MARKERS = (
    "rtc_net(profile): let the calls of this test pass a made up network.",
    "rtc_codec(name, ...): run this test once with each codec of pictures: vp8, h264.",
    "rtc_speech: judge how intelligible a voice stays, too (needs ringback[speech]).",
    "rtc_relay_only: let media of this test go through a TURN server only.",
    "rtc_browser(name): this test needs a browser, chromium or firefox where one is named; "
    "skipped with --rtc-browser=off.",
    "rtc_soak(seconds=0, calls=1): keep the calls on for so long; run the test so often.",
    "rtc_thresholds(text, ...): what fails a call of this test, like 'latency.p95 > 150ms'.",
)
BROWSERS = ("chromium", "firefox")
_ROUND, _CODEC = "rtc_round", "rtc_codec_name"
_RESULTS = "rtc"
_STAGE: pytest.StashKey[Stage] = pytest.StashKey()
_SEED: pytest.StashKey[int] = pytest.StashKey()


# --- the command line ------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options, all called `--rtc-...`."""
    group = parser.getgroup("rtc", "call tests that listen")
    add = group.addoption
    add("--rtc-url", metavar="URL", help="Test this Ringback; without it one is started.")
    add("--rtc-browser", choices=(*BROWSERS, "off"), default=BROWSERS[0],
        help="The browser of tests that name none; off skips all with a page.")  # fmt: skip
    add("--rtc-net", metavar="PROFILE", help="A network that all calls pass, like train.")
    add("--rtc-seed", type=int, metavar="N", help="What chance is to do; told in the header.")
    add("--rtc-artifacts", choices=("off", "on", "retain-on-failure"), default="retain-on-failure",
        help="When to keep what arrived in a call.")  # fmt: skip
    add("--rtc-output", default="rtc-artifacts", metavar="DIR", help="Where to keep it.")
    add("--rtc-json", metavar="FILE", help="Write all figures of all calls there.")
    add("--rtc-fail", action="append", default=[], metavar="TEXT",
        help="What fails a call, like 'latency.p95 > 150ms'. May be repeated.")  # fmt: skip
    add("--rtc-repeat", type=int, default=1, metavar="N", help="Run each call test so often.")
    add("--rtc-strict", action="store_true",
        help="A call that cannot be judged fails its test.")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers, choose a seed, and gather results where they come together."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    worker = getattr(config, "workerinput", None)
    seed = config.getoption("--rtc-seed")
    if worker is not None:
        seed = worker["rtc_seed"]
    elif seed is None:
        seed = random.SystemRandom().randrange(10**6)
    config.stash[_SEED] = seed
    if config.getoption("--rtc-repeat") < 1:
        raise pytest.UsageError("--rtc-repeat: a test runs at least once")
    if worker is None:
        config.pluginmanager.register(_Results(config), "rtc-results")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give the processes of pytest-xdist the same seed."""
    node.workerinput["rtc_seed"] = node.config.stash[_SEED]


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what to repeat a run with, where that was asked for."""
    asked = any(config.getoption(f"--rtc-{name}") for name in ("seed", "net", "url", "json"))
    return f"rtc: --rtc-seed {config.stash[_SEED]}" if asked else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for each codec, and as often as it is to be repeated."""
    if _CODEC not in metafunc.fixturenames:
        return
    node = metafunc.definition
    codecs = [str(name).lower() for mark in node.iter_markers("rtc_codec") for name in mark.args]
    if unknown := sorted(set(codecs) - {"vp8", "h264"}):
        raise pytest.UsageError(f"rtc_codec: {', '.join(unknown)} is none of vp8, h264")
    if codecs:
        metafunc.parametrize(_CODEC, list(dict.fromkeys(codecs)), indirect=True)
    soak = node.get_closest_marker("rtc_soak")
    calls = soak.kwargs.get("calls", 1) if soak is not None else 1
    rounds = calls * metafunc.config.getoption("--rtc-repeat")
    if rounds > 1:
        metafunc.parametrize(_ROUND, range(rounds), indirect=True, ids=lambda n: f"round{n + 1}")


# --- fixtures ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def rtc_server_args() -> Sequence[str]:
    """More arguments of `ringback serve` for the server that is started; to be overridden."""
    return ()


@pytest.fixture(scope="session")
def call_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a Ringback: that of `--rtc-url`, or of one that is started."""
    url = request.config.getoption("--rtc-url")
    if url:
        yield url
        return
    # Only needed where nobody names a server.
    arguments: Sequence[str] = request.getfixturevalue("rtc_server_args")
    calltest = _calltest()
    try:
        with calltest.Exchange(arguments) as exchange:
            yield exchange.url
    except calltest.CannotCheck as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def rtc_bot_args() -> dict[str, Any]:
    """What peers send: `size`, `rate`, `bit_rate`, `codec`, `sound_only`, `relay_only`,
    `speech`, `patience`; to be overridden."""
    return {}


@pytest.fixture
def rtc_thresholds() -> Sequence[str]:
    """What fails a call, like `latency.p95 > 150ms`; to be overridden."""
    return ()


@pytest.fixture
def rtc_round(request: pytest.FixtureRequest) -> int:
    """Which repetition of a test this is, from 0."""
    return int(getattr(request, "param", 0))


@pytest.fixture
def rtc_codec_name(request: pytest.FixtureRequest) -> str | None:
    """The codec a test is run with, where `rtc_codec` says so."""
    return getattr(request, "param", None)


@pytest.fixture
def rtc_stage(
    request: pytest.FixtureRequest,
    call_server: str,
    rtc_bot_args: dict[str, Any],
    rtc_thresholds: Sequence[str],
    rtc_round: int,
    rtc_codec_name: str | None,
) -> Stage:
    """What the other fixtures of a test share."""
    calltest, item, config = _calltest(), request.node, request.config
    if not inspect.iscoroutinefunction(item.obj):
        pytest.fail(f"{item.name} makes calls, so it must be `async def`.", pytrace=False)
    marked = [text for mark in item.iter_markers("rtc_thresholds") for text in mark.args]
    soak = item.get_closest_marker("rtc_soak")
    try:
        stage: Stage = calltest.Stage(
            calltest.Plan(
                url=call_server,
                options=calltest.options(
                    rtc_bot_args,
                    rtc_codec_name,
                    relay_only=_is_marked(item, "rtc_relay_only"),
                    speech=_is_marked(item, "rtc_speech"),
                ),
                thresholds=[
                    calltest.threshold(text)
                    for text in (*config.getoption("--rtc-fail"), *rtc_thresholds, *marked)
                ],
                seed=config.stash[_SEED] + rtc_round,
                folder=Path(config.getoption("--rtc-output")).absolute() / _file_name(item.nodeid),
                keep=config.getoption("--rtc-artifacts"),
                profile=calltest.network(_profile(item)),
                shaped="net" in request.fixturenames,
                strict=config.getoption("--rtc-strict"),
                browser=_browser(item),
                soak=float(soak.kwargs.get("seconds", 0)) if soak is not None else 0.0,
            )
        )
    except ValueError as error:
        pytest.fail(str(error), pytrace=False)
    item.stash[_STAGE] = stage
    return stage


@pytest.fixture
def bot(rtc_stage: Stage) -> Bots:
    """Makes peers: `ann = await bot("ann")`, and calls: `await bot.connect(ann, "echo")`."""
    made: Bots = _calltest().Bots(rtc_stage)
    return made


@pytest.fixture
def browser_bot(rtc_stage: Stage) -> Pages:
    """Makes people with a browser, who answer: `bob = await browser_bot("bob")`, and then
    `await bot.connect(ann, bob)`."""
    made: Pages = _calltest().Pages(rtc_stage)
    return made


@pytest.fixture
def call(rtc_stage: Stage) -> Call:
    """A call between two peers that is on when the test begins: `a, b = call.sides`. It is
    judged after the test, like all calls."""
    return rtc_stage.ask_for_call()


@pytest.fixture
def net(rtc_stage: Stage) -> Net:
    """The network that this test's calls pass: `net.change("loss=20%")`."""
    made: Net = _calltest().Net(rtc_stage)
    return made


@pytest.fixture
def media(rtc_stage: Stage) -> Media:
    """What there is to say of media: `await media.proved(a, b)`, `media.latency(b).p95`."""
    made: Media = _calltest().Media(rtc_stage)
    return made


def _calltest() -> Any:
    """All that is of weight. What misses for it is said in words."""
    try:
        from .calltest import tools
    except ModuleNotFoundError as error:
        pytest.fail(f"Call tests need {error.name}: pip install 'ringback[pytest]'", pytrace=False)
    return tools


def _is_marked(item: pytest.Item, name: str) -> bool:
    return item.get_closest_marker(name) is not None


def _browser(item: pytest.Item) -> str | None:
    """The one that the test names, else that of the option; None where none is wanted."""
    chosen: str = item.config.getoption("--rtc-browser")
    mark = item.get_closest_marker("rtc_browser")
    if mark is not None and mark.args:
        named = ", ".join(map(str, mark.args))
        if named not in BROWSERS:
            pytest.fail(f"rtc_browser: {named} is none of {', '.join(BROWSERS)}", pytrace=False)
        chosen = named if chosen != "off" else chosen
    return None if chosen == "off" else chosen


def _profile(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("rtc_net")
    found: str | None = mark.args[0] if mark is not None else item.config.getoption("--rtc-net")
    return found


def _file_name(nodeid: str) -> str:
    return re.sub(r"[^\w.-]+", "-", nodeid).strip("-")[:150]


# --- around a test -----------------------------------------------------------------------------


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what needs a browser, where none is wanted."""
    if _is_marked(item, "rtc_browser") and _browser(item) is None:
        pytest.skip("--rtc-browser=off")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Let the calls begin and end in the loop that the test itself runs in."""
    stage = item.stash.get(_STAGE, None)
    if isinstance(item, pytest.Function) and stage is not None:
        item.obj = _calltest().judging(stage, item.obj)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the figures to the report: to JUnit as properties, to our table as they are."""
    stage = item.stash.get(_STAGE, None)
    judged = stage.judged if stage is not None and call.when == "call" else []
    if judged:
        # JUnit takes them from the report about the end of a test, which is made of the item.
        item.user_properties += _calltest().properties(judged)
    report = yield
    if judged:
        setattr(report, _RESULTS, [_calltest().plain(one) for one in judged])
    return report


class _Results:
    """The calls of a whole run."""

    def __init__(self, config: pytest.Config) -> None:
        self._file: str | None = config.getoption("--rtc-json")
        self._seed = config.stash[_SEED]
        self._calls: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a report says of calls."""
        for plain in getattr(report, _RESULTS, ()):
            self._calls.append({"test": report.nodeid, "outcome": report.outcome, **plain})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show one line for each direction of each call, and write the file."""
        if self._calls:
            terminalreporter.section("calls")
            # pytest's own writer knows how wide the terminal is.
            width = terminalreporter._tw.fullwidth
            terminalreporter.write_line(_calltest().table(self._calls, width))
        if self._file is not None:
            _calltest().write(Path(self._file), self._seed, self._calls)
