"""What is told of a call test: in the terminal, as JSON, as JUnit XML, as one HTML file."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import pytest
from rich.console import Console

from ringback.bots.calltest import report_html, report_json, report_junit, report_table
from ringback.bots.calltest.buckets import course
from ringback.bots.calltest.figures import NAMES
from ringback.bots.calltest.observed import Observed, Step
from ringback.bots.calltest.outcome import Outcome, Still, conclude, tally
from ringback.bots.calltest.plots import plots
from ringback.bots.calltest.rows import rows
from ringback.bots.calltest.thresholds import threshold
from ringback.bots.calltest.units import show
from tests.observations import BEGAN, direction, echo, measure, observed, png

NASTY = "<script>alert(\"x\")</script> & 'quoted' \x00\x1b[31m"


def lossy() -> Outcome:
    """Ann's pictures suffer: twenty are missing in a row, two cannot be read."""
    there = direction(jitter=0.02)
    there.seen[10:12] = [
        replace(seen, stream=None, sequence=None, stamp=None) for seen in there.seen[10:12]
    ]
    del there.seen[20:40]
    call = observed(there, direction("bob", "ann", 0x456, seed=1))
    call.files = {"packets": "out/packets.csv"}
    stills = [
        Still("ann to bob", "first picture", png()),
        Still("ann to bob", "least like what was sent", b"\xff\xd8\xff" + b"\0" * 40),
    ]
    return conclude(call, [threshold("latency.p95 > 1ms")], stills, ["line one", "line two"])


def passed() -> Outcome:
    return conclude(echo())


def nasty() -> Outcome:
    """Everything that came from outside is hostile."""
    call = observed(replace(direction(), sender=NASTY, receiver=NASTY))
    call.url, call.to, call.reason, call.network = NASTY, NASTY, NASTY, NASTY
    call.steps.append(Step(BEGAN, "ann", "ice", NASTY))
    call.pairs, call.files = {NASTY: NASTY}, {NASTY: NASTY}
    call.ending = "failed"
    return conclude(call, [], [Still(f"{NASTY} to {NASTY}", NASTY, png())], [NASTY])


# --- the terminal ---------------------------------------------------------------------------


def printed(*outcomes: Outcome, width: int = 80, colour: bool = False) -> str:
    out = io.StringIO()
    system = "standard" if colour else None
    report_table.show_all(
        outcomes,
        Console(file=out, width=width, force_terminal=colour, color_system=system, highlight=False),  # type: ignore[arg-type]
    )
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_fits_and_ends_with_the_verdict(width: int) -> None:
    for outcome in (passed(), lossy(), nasty()):
        text = printed(outcome, width=width)
        assert all(len(line.rstrip()) <= width for line in text.splitlines())
        # No name steers the terminal.
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)
        sentence = re.sub(r"[\x00-\x1f]", " ", outcome.verdict.sentence)
        assert "".join(text.split()).endswith("".join(sentence.split()))


def test_at_80_columns_a_clean_call_has_one_line_for_each_figure() -> None:
    text = printed(conclude(observed()))
    labels = [label for label, _ in rows(measure(observed())[0])]
    lines = text.splitlines()
    assert [line[:16].strip() for line in lines[2 : 2 + len(labels)]] == labels
    assert "75 of 75 identified" in text
    assert "\x1b" not in text


def test_every_reason_is_told_when_there_are_several() -> None:
    outcome = lossy()
    text = " ".join(printed(outcome).split())
    assert len(outcome.verdict.reasons) > 2
    for reason in outcome.verdict.reasons:
        assert reason.code.value in text
        assert reason.sentence in text


def test_colour_only_says_what_the_words_say() -> None:
    outcome = lossy()
    assert "\x1b[" in printed(outcome, colour=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", printed(outcome, colour=True)) == printed(outcome)


def test_many_calls_are_counted() -> None:
    text = printed(passed(), lossy(), passed(), conclude(observed(lag=1.0)))
    assert text.splitlines()[-1] == "2 of 4 calls passed, 1 failed, 1 stayed unproven."
    assert "lagged" in text


def test_what_several_calls_come_to() -> None:
    busy = conclude(observed(lag=1.0))
    assert tally([passed(), passed()]).exit_code == 0
    assert tally([passed(), busy]).exit_code == 2
    assert tally([passed(), busy, lossy()]).exit_code == 1
    assert tally([]).exit_code == 2
    assert tally([lossy(), lossy()]).reasons["lost"] == 2


# --- JSON -----------------------------------------------------------------------------------


def test_json_says_everything_in_a_form_that_can_be_read_back() -> None:
    outcomes = [lossy(), passed()]
    read = msgspec.json.decode(report_json.dumps(outcomes), type=report_json.Document)
    assert (read.format, read.version) == ("ringback-check", report_json.VERSION)
    assert (read.exit_code, read.passed, read.failed, read.unproven) == (1, 1, 1, 0)
    bad, good = read.calls
    assert bad.state == "failed"
    assert {reason.code for reason in bad.reasons} >= {"lost", "threshold"}
    assert good.reasons == []
    [way] = good.directions
    assert way.round_trip
    assert way.figures["frames.delivered"] == 75
    assert set(way.figures) <= set(NAMES)
    assert "speech" not in way.figures
    assert bad.started == "2025-06-15T15:06:40.000+00:00"
    assert "latency.p95 > 1ms" in bad.thresholds


def test_json_bears_anything() -> None:
    read = msgspec.json.decode(report_json.dumps([nasty()]), type=report_json.Document)
    assert read.calls[0].url == NASTY


# --- JUnit ----------------------------------------------------------------------------------


def test_junit_has_a_case_for_the_call_and_each_direction() -> None:
    root = ET.fromstring(report_junit.dumps([lossy(), passed()]))
    assert root.tag == "testsuites"
    assert {k: root.get(k) for k in ("tests", "failures", "errors")} == {
        "tests": "5", "failures": "2", "errors": "0",
    }  # fmt: skip
    suite = root[0]
    assert [case.get("name") for case in suite.iter("testcase")] == [
        "call", "ann to bob", "bob to ann",
    ]  # fmt: skip
    failure = suite.find("testcase[@name='ann to bob']/failure")
    assert failure is not None
    assert failure.get("type") == "frozen"
    assert "lost: " in (failure.text or "")
    assert "latency.p95" in (failure.text or "")
    found = suite.find("testcase[@name='bob to ann']/properties/property[@name='latency.p95']")
    assert found is not None
    assert float(found.get("value", "")) == pytest.approx(0.04)


def test_junit_keeps_to_the_order_that_readers_expect() -> None:
    root = ET.fromstring(report_junit.dumps([lossy(), nasty()]))
    attributes = {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"}
    for suite in root:
        assert set(suite.keys()) == attributes
        assert [child.tag for child in suite] == ["testcase"] * (len(suite) - 1) + ["system-out"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
        for case in suite.iter("testcase"):
            assert {"classname", "name", "time"} == set(case.keys())
            assert [child.tag for child in case][:1] == ["properties"]


def test_junit_calls_what_could_not_be_judged_an_error() -> None:
    root = ET.fromstring(report_junit.dumps([conclude(observed(lag=1.0))]))
    assert (root.get("errors"), root.get("failures")) == ("1", "0")
    error = root.find(".//error")
    assert error is not None
    assert error.get("type") == "lagged"


def test_junit_bears_anything() -> None:
    text = report_junit.dumps([nasty()])
    root = ET.fromstring(text)
    assert b"\x00" not in text
    assert b"\x1b" not in text
    assert "<script>" in (root[0].get("name") or "")


# --- HTML -----------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Everything of a page that matters here. Raises on tags that do not nest."""

    VOID = {"meta", "img", "link", "br", "hr", "input"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def links(self) -> Iterator[str]:
        for _, attributes in self.tags:
            for name in ("src", "href", "action", "data"):
                if attributes.get(name) is not None:
                    yield str(attributes[name])


def read(*outcomes: Outcome) -> Reader:
    return Reader(report_html.render(outcomes))


def test_the_page_says_what_came_of_it() -> None:
    page = read(lossy())
    text = " ".join(" ".join(page.words).split())
    for part in (
        "Failed", "pictures were lost", "latency.p95",
        "Telephone rings", "udp host 192.0.2.1:5000", "line two", "out/packets.csv",
        "first picture", "Latency as a table", "freezes.still > 1s",
    ):  # fmt: skip
        assert part in text, part
    assert all(name in text for name in NAMES)


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    for outcome in (lossy(), passed(), nasty()):
        page = read(outcome)
        assert not page.all("script")
        assert not page.all("link")
        for link in page.links():
            assert link.startswith(("#", "data:image/png;base64,", "data:image/jpeg;base64,"))
        for _, attributes in page.tags:
            assert not any(name.startswith("on") for name in attributes)
        [style] = re.findall(r"<style>(.*?)</style>", report_html.render([outcome]), re.DOTALL)
        assert "url(" not in style
        assert "@import" not in style


def test_what_comes_from_outside_is_text() -> None:
    text = report_html.render([nasty()])
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_every_plot_and_picture_has_words_and_a_table() -> None:
    page = read(lossy(), passed())
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    drawings = [a for a in page.all("svg") if a.get("role") == "img"]
    assert len(drawings) == 4 * 3
    for drawing in drawings:
        for name in str(drawing["aria-labelledby"]).split():
            assert name in ids
    assert all(a.get("role") == "img" or a.get("aria-hidden") == "true" for a in page.all("svg"))
    assert all(a.get("alt") for a in page.all("img"))
    assert len(page.all("details")) == 4 * 3 + 3
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1


def test_the_timeline_tells_of_freezes_and_gaps_where_they_were() -> None:
    there = direction()
    del there.seen[20:40]
    del there.sounds[100:150]
    call = observed(there, direction("bob", "ann", 0x456, seed=1))
    told = list(report_html.events(call, report_html._moments(
        call, [course(way, call) for way in call.directions]
    )))  # fmt: skip
    lines = [(event.words, event.side, event.detail) for event in told]
    frozen = lines.index(("The picture stands still", "bob", "for 1.40 s"))
    gap = lines.index(("Sound is missing", "bob", "for 1.00 s"))
    placed = next(step.at for step in call.steps if step.name == "placed")
    # The picture before the first that is missing, and the sound before, were shown then.
    assert told[frozen].at == show(there.seen[19].shown - placed, "time")
    last = there.sounds[99]
    assert told[gap].at == show(last.arrived + last.seconds - placed, "time")
    assert told[frozen].begin is None
    assert lines[-1][0] == "Call ended"
    page = report_html.render([conclude(call)])
    assert "The picture stands still" in page
    assert "shorter freezes" not in page


def test_of_many_freezes_the_longest_are_told() -> None:
    there = direction(seconds=60.0)
    there.seen = [seen for n, seen in enumerate(there.seen) if n % 20 < 12]
    page = report_html.render([conclude(observed(there, seconds=60.0))])
    assert page.count("The picture stands still") == report_html.MOST_MOMENTS
    assert re.search(r"\d+ shorter freezes and gaps are left out", page)


def test_a_call_of_sound_alone_has_its_losses_drawn() -> None:
    there = direction(kinds=("audio",))
    del there.heard[3:5]
    call = observed(there)
    made = {plot.title: plot for plot in plots(course(there, call), there.kinds)}
    assert list(made) == ["Latency", "Loss", "Bitrate"]
    found = measure(call)[0].sound
    assert made["Loss"].words == f"Of {found.due} marked sounds 2 lost."
    assert sum(int(row[2]) for row in made["Loss"].rows) == found.lost == 2


def test_connections_made_anew_are_told() -> None:
    call = observed()
    call.restarts = 3
    assert "restarts: 3" in printed(conclude(call))
    assert "<dt>Restarts</dt><dd>3</dd>" in report_html.render([conclude(call)])
    assert "restarts: none" in printed(passed())


def test_plots_draw_inside_of_their_frame() -> None:
    page = read(lossy(), conclude(echo(way=1.5, seconds=5.0)))
    for tag in ("circle", "rect"):
        for a in page.all(tag):
            x, y = float(a.get("cx") or a.get("x") or 0), float(a.get("cy") or a.get("y") or 0)
            assert 0 <= x <= 400
            assert 0 <= y <= 200
            assert float(a.get("width") or 0) >= 0
            assert float(a.get("height") or 0) >= 0


def test_a_report_is_bounded() -> None:
    many = read(*([passed()] * 30), lossy())
    assert len(many.all("article")) == report_html.MOST_CALLS
    assert "21 more calls are counted, but not shown." in " ".join(many.words)
    # Who did not pass is shown first, under its own number.
    assert many.all("article")[0]["id"] == "call-31"
    large = Still("ann and back", "huge", png() + b"\0" * report_html.MOST_BYTES)
    log = [f"line {number}" for number in range(3000)]
    page = report_html.render([conclude(echo(), [], [large] * 20, log)])
    assert page.count("This picture is too large for the report.") == report_html.MOST_STILLS
    assert "1000 earlier lines are left out." in page
    assert "line 999\n" not in page


def test_a_long_call_makes_no_longer_page() -> None:
    hour = direction(kinds=("video",), seconds=3600.0, rate=5.0)
    outcome = conclude(observed(hour, seconds=3600.0))
    assert len(report_html.render([outcome])) < 150_000


@pytest.mark.parametrize(
    "call",
    [
        Observed("http://x", "bob", 0.0, 0.0, 0.0),
        observed(replace(direction(), seen=[], heard=[], sounds=[], samples=[]), seconds=0.0),
        replace(observed(), steps=[]),
        echo(kinds=("audio",)),
        echo(kinds=("video",)),
    ],
    ids=["nothing", "nothing-arrived", "no-steps", "sound", "pictures"],
)
def test_a_report_can_be_made_of_whatever_was_seen(call: Observed) -> None:
    outcome = conclude(call)
    read(outcome)
    printed(outcome)
    ET.fromstring(report_junit.dumps([outcome]))
    report_json.dumps([outcome])


def test_a_report_needs_a_call_and_a_still_a_picture() -> None:
    with pytest.raises(ValueError, match="no call"):
        report_html.render([])
    with pytest.raises(ValueError, match="PNG or a JPEG"):
        Still("ann to bob", "x", b"GIF89a")
    assert Still("ann to bob", "x", b"\xff\xd8\xff").type == "image/jpeg"
