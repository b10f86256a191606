"""A session description (RFC 8866) as lines, and which of them say what.

Pure. What comes from a stranger is bounded here, before anybody looks at what it says.
"""

from __future__ import annotations

import itertools
import re

from ringback.server.protocol import Part

MAX_SDP = 48 * 1024
MAX_LINES = 2000
MAX_LINE = 2048

TRANSPORT = ("a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup", "a=rtcp-mux")
"""How lines begin that say how to reach whoever wrote them."""
DIRECTIONS = ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")


class BadOffer(ValueError):
    """An offer or a candidate that cannot be taken; says which `part` of the call failed."""

    def __init__(self, sentence: str, part: Part = "signalling") -> None:
        super().__init__(sentence)
        self.part = part


def read_lines(sdp: str) -> list[str]:
    """The lines of a session description. Raises `BadOffer` for what is none."""
    if len(sdp) > MAX_SDP or len(sdp.encode()) > MAX_SDP:
        raise BadOffer("The offer is too long.")
    lines = [line for line in re.split(r"\r\n|\n", sdp) if line]
    if not lines or lines[0] != "v=0":
        raise BadOffer("The offer is not a session description.")
    if len(lines) > MAX_LINES or any(len(line) > MAX_LINE for line in lines):
        raise BadOffer("The offer is too long.")
    # aiortc splits at more characters than SDP does; nothing may hide behind them.
    if any(not line.isprintable() for line in lines):
        raise BadOffer("The offer has characters that no session description has.")
    return lines


def values(lines: list[str], attribute: str) -> list[str]:
    """What an attribute (`a=mid`) has for values, in the order of the lines."""
    return [line.partition(":")[2].strip() for line in lines if line.startswith(attribute + ":")]


def split(lines: list[str]) -> tuple[list[str], list[list[str]]]:
    """The session's lines and those of each media section."""
    starts = [n for n, line in enumerate(lines) if line.startswith("m=")] + [len(lines)]
    return lines[: starts[0]], [lines[a:b] for a, b in itertools.pairwise(starts)]


def bundles(session: list[str]) -> list[list[str]]:
    """The names (mid) in each group of sections that share a transport (RFC 9143)."""
    return [v.split()[1:] for v in values(session, "a=group") if v.split()[:1] == ["BUNDLE"]]
