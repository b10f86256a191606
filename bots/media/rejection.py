"""Media sections that are rejected: in an answer, or in an offer because they were stopped.

Pure. A browser that stops a transceiver offers its section with port 0, outside the bundle (RFC
8829, section 5.2.2), and may use the place for another one later. aiortc knows neither, so it
never sees such a section: it is taken out of the offer, and put back, rejected, into the answer
(RFC 8829, section 5.3.1). In an answer to an offer of ours it reads as agreed and inactive.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from .description import DIRECTIONS, TRANSPORT, BadOffer, bundles, split, values

_SECTION = re.compile(r"m=([a-z]+) \d{1,5}(?:/\d+)? (\S+ .+)")
# What of a section of ours the peer has not said, where it rejected it.
_UNSAID = (*TRANSPORT, *DIRECTIONS, "a=candidate", "a=end-of-candidates", "a=ssrc", "b=")


class Rejected(NamedTuple):
    """A section of an offer that is rejected: where it stands, and how the answer says so."""

    place: int
    lines: tuple[str, ...]


def rejected_in(session: list[str], media: list[list[str]]) -> set[int]:
    """The places of the sections that are rejected.

    Port 0 says so, but for sections that only have their bundle's transport (RFC 9143, section
    6); and so does that a section is inactive and not in the bundle that there is.
    """
    groups = bundles(session)
    bundled = {mid for group in groups for mid in group}
    found = set()
    for place, section in enumerate(media):
        inside = bool(bundled.intersection(values(section, "a=mid")[:1]))
        if section[0].split(" ")[1:2] == ["0"]:
            rejected = not (inside and "a=bundle-only" in section)
        else:
            rejected = bool(groups) and not inside and "a=inactive" in section
        if rejected:
            found.add(place)
    return found


def take_out(
    session: list[str], media: list[list[str]]
) -> tuple[list[str], list[list[str]], list[Rejected]]:
    """An offer without the sections that are rejected in it, and those. Raises `BadOffer`."""
    places = rejected_in(session, media)
    if not places:
        return session, media, []
    rejected = [Rejected(place, _rejecting(media[place])) for place in sorted(places)]
    gone = {mid for place in places for mid in values(media[place], "a=mid")}
    left = [section for place, section in enumerate(media) if place not in places]
    groups = [[mid for mid in group if mid not in gone] for group in bundles(session)]
    return _bundled(session, groups), left, rejected


def put_back(answer: str, rejected: Iterable[Rejected]) -> str:
    """An answer to what was left of an offer, with the sections that are rejected."""
    session, media = split(answer.splitlines())
    for place, lines in rejected:
        media.insert(place, list(lines))
    return "\r\n".join([*session, *itertools.chain(*media)]) + "\r\n"


def nothing_left(rejected: Iterable[Rejected]) -> str:
    """The answer to an offer in which every section is rejected."""
    return put_back("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", rejected)


def as_inactive(
    session: list[str], media: list[list[str]], offered: list[list[str]], places: Collection[int]
) -> tuple[list[str], list[list[str]]]:
    """An answer whose sections at `places` are rejected, as if they were agreed and inactive;
    `offered` are the sections of our offer."""
    taken = [section for place, section in enumerate(media) if place not in places]
    groups = bundles(session)
    if not groups and len(taken) == 1:
        # Alone it needs no group; for us it becomes one of several again.
        groups = [values(taken[0], "a=mid")[:1]]
    filled = list(media)
    for place in sorted(places):
        filled[place] = [line for line in offered[place] if not line.startswith(_UNSAID)]
        filled[place].append("a=inactive")
        groups = [[*group, values(offered[place], "a=mid")[0]] for group in groups]
    return _bundled(session, groups), filled


def _bundled(session: list[str], groups: list[list[str]]) -> list[str]:
    kept = [line for line in session if not line.startswith("a=group:BUNDLE")]
    return kept + ["a=group:BUNDLE " + " ".join(group) for group in groups if group]


def _rejecting(section: list[str]) -> tuple[str, ...]:
    match = _SECTION.fullmatch(section[0])
    if match is None:
        raise BadOffer("The offer has media that nobody here knows.", "media")
    names = [f"a=mid:{mid}" for mid in values(section, "a=mid")[:1]]
    return (f"m={match[1]} 0 {match[2]}", "c=IN IP4 0.0.0.0", *names, "a=inactive")
