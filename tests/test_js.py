"""The tests of the browser code that need no browser, in `tests/js`, run by node."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "js"
MODULES = Path(__file__).parents[1] / "static" / "js"
PATIENCE = 120


async def run(*files: Path) -> tuple[int, str]:
    """Run test files with node; its exit code and what it printed."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; `make lint` needs it too")
    process = await asyncio.create_subprocess_exec(
        node, "--test", *map(str, files),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_browser_modules() -> None:
    files = sorted(FOLDER.glob("*.test.js"))
    assert len(files) >= 5
    code, output = await run(*files)
    assert code == 0, output


async def test_a_failing_test_is_noticed(tmp_path: Path) -> None:
    broken = tmp_path / "broken.test.mjs"
    module = (MODULES / "backoff.js").as_uri()
    broken.write_text(
        f'import test from "node:test";\nimport {{ backoff }} from "{module}";\n'
        'test("wrong", () => { if (backoff(0) > 0) throw new Error("as it should"); });\n'
    )
    code, output = await run(broken)
    assert code != 0
    assert "as it should" in output
