"""Negative controls of the pytest plugin: people's own tests, against bots that do it wrong."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests import faulty
from tests.callers import needs_address
from tests.faulty import Parrot
from tests.stand import SEED, Stand, serving
from tests.test_faults_live import TRIES
from tests.test_pytest_plugin import SETTINGS

pytest_plugins = ["pytester"]
pytestmark = needs_address

BOTS: dict[str, type[Parrot]] = {
    "parrot": faulty.Parrot,
    "frozen": faulty.Frozen,
    "silent": faulty.Silent,
    "leaving": faulty.Leaving,
}
TOLD = {
    "parrot": ("", ""),
    "frozen": ("frozen", r"The picture stood still for [\d.]+ m?s\."),
    "silent": ("silent", r"the microphone is silent\."),
    "leaving": ("ended_early", r"The other side hung up after .* \(leaving hung up\.\)\."),
}
"""The reason, and what is said, of each."""

# Nothing in it asserts anything of the media.
THEIRS = """
import pytest

@pytest.fixture
def rtc_bot_args():
    return {"size": (160, 120)}

@pytest.mark.rtc_soak(seconds=1.6)
@pytest.mark.parametrize("name", NAMES)
async def test_bot(bot, name):
    await bot.connect(await bot("ann"), name)
"""


async def test_a_test_of_a_faulty_bot_fails_and_says_why(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    pytester.makeini(SETTINGS)
    async with serving(tmp_path / "data") as server, AsyncExitStack() as stack:
        for name, kind in BOTS.items():
            await stack.enter_async_context(Stand(server).on_line(kind(SEED), name))
        left = list(BOTS)
        for _ in range(TRIES):
            said = await asyncio.to_thread(strictly, pytester, server.url, left)
            # Only those that this machine was too busy to judge are asked again.
            left = [name for name in left if not judged(said, pytester.path, name)]
            if not left:
                return
    pytest.fail(f"This machine was too busy to judge: {', '.join(left)}.")


def strictly(pytester: pytest.Pytester, url: str, names: list[str]) -> str:
    """Run people's tests of these bots, where what cannot be judged fails; what was printed."""
    pytester.makepyfile(test_it=THEIRS.replace("NAMES", repr(names)))
    result = pytester.runpytest_subprocess(
        f"--rtc-url={url}", "--rtc-strict", "--rtc-json=all.json",
        # A gateway takes its time with pictures.
        "--rtc-fail=skew.median > 9s",
    )  # fmt: skip
    outcomes = result.parseoutcomes()
    assert set(outcomes) <= {"passed", "failed"}, result.stdout.str()
    return result.stdout.str()


def judged(said: str, folder: Path, name: str) -> bool:
    """Whether the bot of this name was judged, and so as it should be."""
    test = f"test_it.py::test_bot[{name}]"
    [call] = [
        c for c in json.loads((folder / "all.json").read_text())["calls"] if c["test"] == test
    ]
    codes = [reason["code"] for reason in call["reasons"]]
    if codes == ["lagged"]:
        assert (call["verdict"], call["outcome"]) == ("unproven", "failed")
        return False
    code, words = TOLD[name]
    assert codes[:1] == [code] * bool(code), said
    assert call["outcome"] == ("failed" if code else "passed"), said
    assert re.search(words, call["sentence"]), call["sentence"]
    if code:
        # The test says it, not only the report.
        _, _, failure = said.partition(f"_ test_bot[{name}] _")
        assert call["sentence"].split(" And ")[0] in " ".join(failure.split())
        assert f"FAILED {test} - Failed: Failed. " in said
    return True
