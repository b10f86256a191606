"""A call test as JUnit XML, as CI servers read it: a test case for the call and one for each
direction, with figures as properties."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from .outcome import Outcome
from .reasons import Reason
from .rows import measured

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
CLASS = "ringback.check"


def dumps(outcomes: Sequence[Outcome]) -> bytes:
    """The document as UTF-8: a suite for each call test."""
    root = ET.Element("testsuites", name="ringback check")
    for outcome in outcomes:
        root.append(_suite(outcome))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", f"{sum(outcome.observed.seconds for outcome in outcomes):.3f}")
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n".encode()


def _suite(outcome: Outcome) -> ET.Element:
    seen, verdict = outcome.observed, outcome.verdict
    suite = ET.Element("testsuite", name=_clean(outcome.title))
    facts = {
        "url": seen.url, "to": seen.to, "ending": seen.ending, "lag": f"{seen.lag:.3f}",
        "restarts": str(seen.restarts), "verdict": verdict.state,
        **{f"pair.{side}": pair for side, pair in seen.pairs.items()},
        **({"network": seen.network} if seen.network else {}),
        **({"seed": str(seen.seed)} if seen.seed is not None else {}),
    }  # fmt: skip
    cases = [_case(outcome, "call", None, facts)]
    for f in outcome.figures:
        cases.append(_case(outcome, f.name, f.name, measured(f)))
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", str(sum(case.find("error") is not None for case in cases)))
    suite.set("skipped", "0")
    suite.set("time", f"{seen.seconds:.3f}")
    started = datetime.fromtimestamp(seen.started, UTC)
    suite.set("timestamp", started.strftime("%Y-%m-%dT%H:%M:%S"))
    out = ET.SubElement(suite, "system-out")
    out.text = _clean("\n".join([verdict.sentence, *outcome.log]))
    return suite


def _case(
    outcome: Outcome, name: str, direction: str | None, figures: Mapping[str, int | float | str]
) -> ET.Element:
    took = f"{outcome.observed.seconds:.3f}"
    case = ET.Element("testcase", classname=CLASS, name=_clean(name), time=took)
    properties = ET.SubElement(case, "properties")
    for key, found in figures.items():
        text = f"{found:.6g}" if isinstance(found, float) else str(found)
        ET.SubElement(properties, "property", name=_clean(key), value=_clean(text))
    reasons = [r for r in outcome.verdict.reasons if r.direction == direction]
    if reasons:
        _reasons(case, "error" if outcome.verdict.state == "unproven" else "failure", reasons)
    return case


def _reasons(case: ET.Element, tag: str, reasons: Iterable[Reason]) -> None:
    first, *more = reasons
    told = ET.SubElement(case, tag, type=first.code.value, message=_clean(first.sentence))
    told.text = _clean("\n".join(f"{r.code.value}: {r.sentence}" for r in (first, *more)))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
