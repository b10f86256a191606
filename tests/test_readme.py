"""What the README promises is there."""

from __future__ import annotations

import re

import pytest

from ringback.server.config import Config
from ringback.server.settings import SETTINGS

from .process import ROOT

README = (ROOT / "README.md").read_text()
ROWS = re.findall(r"^\| `(--[a-z-]+)` \| `(RINGBACK_[A-Z_]+)` \| ([^|]*) \|", README, re.MULTILINE)


def test_settings_are_those_of_the_command() -> None:
    assert len(ROWS) >= 8
    known = {s.variable: s for s in SETTINGS}
    for flag, variable, default in ROWS:
        setting = known[variable]
        assert flag in setting.flag.split("/"), f"{flag} is no flag of {setting.name}"
        value = getattr(Config(), setting.name)
        shown = "on" if value is True else f"{value:g}" if isinstance(value, float) else str(value)
        if setting.many:
            assert default.startswith(("none", "see"))
        else:
            assert default.split(",")[0] == f"`{shown}`", f"default of {flag}"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).is_file()


def test_verbs_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for verb in set(re.findall(r"make ([a-z]+)", README)) - {"for"}:
        assert re.search(rf"^{verb}:", makefile, re.MULTILINE), f"make {verb}"
