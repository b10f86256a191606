"""A call test as one HTML file that opens anywhere: nothing is fetched, nothing is run."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from ringback import __version__

from .buckets import Course, course
from .observed import Observed, Step
from .outcome import Outcome, Still, tally
from .plots import HEIGHT, LEFT, RIGHT, WIDTH, plots
from .reasons import MEANING
from .rows import every, rows
from .span import offsets
from .units import show

# What a report holds at most: calls as a whole, and of each pictures, bytes of one, log lines.
MOST_CALLS = 10
MOST_STILLS = 12
MOST_BYTES = 2 << 20
MOST_LINES = 2000

_STEPS = {
    "placed": "Call placed",
    "ringing": "Telephone rings",
    "answered": "Answered",
    "gathered": "Candidates known",
    "checked": "First check came back",
    "ice": "ICE has a pair",
    "dtls": "DTLS has keys",
    "packet": "First packet",
    "picture": "First picture",
    "sound": "First sound",
    "restart": "Connected anew",
    "freeze": "The picture stands still",
    "gap": "Sound is missing",
    "ended": "Call ended",
}
_AFTERWARDS = ("restart", "freeze", "gap", "ended")
MOST_MOMENTS = 30
_HEADINGS = {"passed": "Passed", "failed": "Failed", "unproven": "No verdict"}


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the timeline. `begin` and `width`: where its bar lies, in percent; None for what
    has no place in the setting up."""

    words: str
    side: str
    detail: str
    at: str
    begin: float | None = None
    width: float = 0.0


def render(outcomes: Sequence[Outcome]) -> str:
    """The whole file. Of more than `MOST_CALLS` calls those that did not pass come first, and the
    rest is only counted. Raises `ValueError` without a call."""
    if not outcomes:
        raise ValueError("there is no call to report on")
    counted = tally(outcomes)
    numbered = list(enumerate(outcomes, 1))
    chosen = sorted(numbered, key=lambda item: item[1].verdict.state == "passed")[:MOST_CALLS]
    state = {0: "passed", 1: "failed", 2: "unproven"}[counted.exit_code]
    single = len(outcomes) == 1
    text: str = _template().render(
        css=Markup(_read("report.css")),
        version=__version__,
        state=state,
        heading=_HEADINGS[state],
        headings=_HEADINGS,
        sentence=_words(outcomes[0]) if single else counted.sentence,
        counted=None if single else counted,
        left_out=len(outcomes) - len(chosen),
        calls=[_call(number, outcome) for number, outcome in chosen],
        meaning={code.value: words for code, words in MEANING.items()},
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
    )
    return text


def _read(name: str) -> str:
    return files("ringback.bots").joinpath("calltest", name).read_text(encoding="utf-8")


def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_read("report.html"))


def _words(outcome: Outcome) -> str:
    """The verdict without its first word, which stands above it."""
    return outcome.verdict.sentence.partition(" ")[2]


def _call(number: int, outcome: Outcome) -> dict[str, Any]:
    seen = outcome.observed
    courses = [course(direction, seen) for direction in seen.directions]
    moments = _moments(seen, courses)
    stills = [_still(still) for still in outcome.stills[:MOST_STILLS]]
    return {
        "number": number,
        "words": _words(outcome),
        "outcome": outcome,
        "verdict": outcome.verdict,
        "facts": _facts(seen),
        "ways": [
            {
                "figures": f,
                "rows": rows(f),
                "plots": plots(way, f.kinds),
                "stills": [still for still in stills if still["direction"] == f.name],
                "every": list(every(f)),
            }
            for f, way in zip(outcome.figures, courses, strict=True)
        ],
        "events": list(events(seen, moments[:MOST_MOMENTS])),
        "untold": max(0, len(moments) - MOST_MOMENTS),
        "log": outcome.log[-MOST_LINES:],
        "cut": max(0, len(outcome.log) - MOST_LINES),
    }


def _facts(seen: Observed) -> list[tuple[str, str]]:
    started = datetime.fromtimestamp(seen.started, UTC)
    found = [
        ("Called", seen.to),
        ("At", seen.url),
        ("Began", started.strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("Measured", show(seen.seconds, "time")),
        ("Ended", f"{seen.ending}{f': {seen.reason}' if seen.reason else ''}"),
        ("Network", seen.network or "as it is"),
        ("Own delay", f"at most {show(seen.lag, 'time')}"),
    ]
    if seen.seed is not None:
        found.append(("Seed", str(seen.seed)))
    found.append(("Restarts", str(seen.restarts or "none")))
    return found


def _still(still: Still) -> dict[str, str]:
    """A picture as an address that holds it; one too large is left out, and says so."""
    large = len(still.data) > MOST_BYTES
    data = b"" if large else still.data
    return {
        "direction": still.direction,
        "caption": still.caption,
        "source": "" if large else f"data:{still.type};base64,{b64encode(data).decode()}",
    }


def _moments(seen: Observed, courses: Sequence[Course]) -> list[Step]:
    """When in the call pictures stood still and sound was missing, the longest first, as steps by
    the clock of the process that judges."""
    found: list[tuple[float, Step]] = []
    for direction, way in zip(seen.directions, courses, strict=True):
        for name, spans, back in (("freeze", way.frozen, 0), ("gap", way.gaps, 1)):
            for at, length in spans:
                begin = seen.began + at - back * length
                lasted = f"for {show(length, 'time')}" if length else "and was bridged in time"
                found.append((length, Step(begin, direction.receiver, name, lasted)))
    return [step for _, step in sorted(found, key=lambda item: -item[0])]


def events(seen: Observed, moments: Sequence[Step] = ()) -> Iterable[Event]:
    """The timeline: what was set up, each with a bar from the step before it to itself, and what
    happened afterwards, `moments` by our clock among it. Times are by the caller's clock, since
    the call was placed."""
    known = offsets(seen)
    placed = next((step.at - known[step.side] for step in seen.steps if step.side in known), 0.0)
    times = [
        (step.at - known[step.side] - placed, step)
        for step in seen.steps
        if step.side in known and step.name in _STEPS
    ]
    times += [(moment.at - placed, moment) for moment in moments]
    times.sort(key=lambda item: item[0])
    setting = [at for at, step in times if step.name not in _AFTERWARDS]
    whole = max(setting, default=0.0) or 1.0
    before = 0.0
    for at, step in times:
        words = _STEPS[step.name]
        if step.name in _AFTERWARDS:
            yield Event(words, step.side, step.detail, show(at, "time"))
            continue
        begin, end = 100 * max(0.0, before) / whole, 100 * max(0.0, at) / whole
        yield Event(
            words, step.side, step.detail, show(at, "time"), round(begin, 2), round(end - begin, 2)
        )
        before = at
