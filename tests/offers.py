"""Offers as browsers write them in the course of a call."""

from __future__ import annotations

import re


def stopped(offer: str, *mids: str) -> str:
    """An offer whose sections of these names are stopped, as Chromium writes it."""
    head, *sections = re.split("(?m)^(?=m=)", offer)
    for n, section in enumerate(sections):
        [mid] = re.findall("(?m)^a=mid:(.*)$", section)
        if mid in mids:
            section = re.sub(r"(?m)^(m=\w+) \d+", r"\1 0", section)
            section = re.sub("(?m)^a=(ssrc|msid).*\n", "", section)
            sections[n] = section.replace("a=sendrecv", "a=inactive")
    left = [mid for mid in re.findall("BUNDLE (.*)", head)[0].split() if mid not in mids]
    return "".join([re.sub("BUNDLE .*", f"BUNDLE {' '.join(left)}", head), *sections])
