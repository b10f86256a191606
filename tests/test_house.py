"""The house as a whole: its plan, its links, and nothing in it of the place where it was built."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from . import markdown

if TYPE_CHECKING:
    from .running import Server

ROOT = Path(__file__).parent.parent
# What tools make, and what others wrote.
NOT_OURS = {
    ".git", ".venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache",
    ".hypothesis", "build", "dist", "data", "vendor",
}  # fmt: skip

Texts = Mapping[str, str]


def walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        ours = path.name not in NOT_OURS and not path.name.endswith(".egg-info")
        if path.is_symlink() or not ours:
            continue
        if path.is_dir():
            yield from walk(path)
        else:
            yield path


@pytest.fixture(scope="module")
def texts() -> Texts:
    """Every text of ours, by its path from the top."""
    found = {}
    for path in walk(ROOT):
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            found[path.relative_to(ROOT).as_posix()] = content.decode()
    return found


# --- links ----------------------------------------------------------------------------------


def broken_links(texts: Texts) -> Iterator[str]:
    for name, text in texts.items():
        if not name.endswith(".md"):
            continue
        for link in markdown.links(text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (ROOT / name).parent / path if path else ROOT / name
            if not target.exists() or not target.resolve().is_relative_to(ROOT.resolve()):
                yield f"{name}: there is no {link}"
            elif anchor:
                there = target.resolve().relative_to(ROOT.resolve()).as_posix()
                if anchor not in markdown.anchors(texts.get(there, "")):
                    yield f"{name}: there is no heading for {link}"


def test_links_in_documents_lead_somewhere(texts: Texts) -> None:
    assert list(broken_links(texts)) == []


@pytest.mark.parametrize(
    "link", ["docs/gone.md", "docs/protocol.md#gone", "#gone", "../outside.md", "../"]
)
def test_a_link_that_leads_nowhere_is_noticed(texts: Texts, link: str) -> None:
    assert list(broken_links({**texts, "README.md": f"[here]({link})"})) != []


def test_links_that_are_right_pass(texts: Texts) -> None:
    right = "[a](docs/protocol.md#client-chat) [b](#top) ![c](LICENSE) [d](https://example.org/x)"
    text = f"# Top\n{right}\n```\n[e](gone)\n```\n"
    assert list(broken_links({**texts, "README.md": text})) == []


# --- the plan -------------------------------------------------------------------------------


def plan_faults(plan: str, texts: Texts) -> Iterator[str]:
    [tree] = [f.text for f in markdown.fences(plan) if f.heading == "The tree"]
    named = set(re.findall(r"[\w-]+\.(?:py|js)\b", tree))
    modules = {Path(name).name for name in texts if re.match(r"(server|bots)/.*\.py$", name)}
    for name in sorted(modules - named - {"__init__.py"}):
        yield f"{name} is not in the tree"
    for name in sorted(named - {Path(name).name for name in texts}):
        yield f"{name} in the tree is gone"
    for folder in re.findall(r"^([\w/]+)/ ", tree, flags=re.MULTILINE):
        if not (ROOT / folder).is_dir():
            yield f"{folder}/ in the tree is gone"


def test_the_plan_is_the_house(texts: Texts) -> None:
    assert list(plan_faults(texts["ARCHITECTURE.md"], texts)) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("callkeeper.py", "bookkeeper.py"),
        ("\n  media/  ", "\nmedia/  "),
        ("wire.js ", "wires.js "),
        ("templates/  ", "patterns/  "),
    ],
)
def test_another_plan_is_noticed(texts: Texts, right: str, wrong: str) -> None:
    plan = texts["ARCHITECTURE.md"]
    assert right in plan
    assert list(plan_faults(plan.replace(right, wrong), texts)) != []


def test_a_file_that_is_not_in_the_plan_is_noticed(texts: Texts) -> None:
    more = {**texts, "server/engine/novel.py": ""}
    assert "novel.py is not in the tree" in plan_faults(texts["ARCHITECTURE.md"], more)


def test_the_plan_is_short(texts: Texts) -> None:
    assert len(texts["ARCHITECTURE.md"].splitlines()) < 150


# --- nothing of the place -------------------------------------------------------------------

# In pieces, so that this file does not name what it looks for.
REGISTRY = re.compile(
    r"\b(?:py" + r"pi\.|files\.python" + r"hosted|test\.py" + r"pi|registry\.(?:np" + r"mjs|yarn)"
    r"|proxy\.golang|index\.crates|(?:https?://|@)[\w.-]*(?:regis" + r"try|artifac" + r"tory|nex"
    r"us|dev" + r"pi|mir" + r"ror)[\w.-]*\.\w)"
)
PLACES = re.compile(
    r"(?<![\w.}>~-])/(?:wo" + r"rk/|ro" + r"ot/|mnt/|workspace/|build/|bui" + r"lds/"
    r"|home/(?!somebody\b)\w|Us" + r"ers/|t" + r"mp/|opt/(?!ringback/)\w)"
)


def strangers(texts: Texts) -> Iterator[str]:
    for name, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            for pattern in (REGISTRY, PLACES):
                if (found := pattern.search(line)) is not None:
                    yield f"{name}:{number}: {found.group()}"


def test_no_file_names_a_registry_or_a_place_on_this_machine(texts: Texts) -> None:
    assert list(strangers(texts)) == []


@pytest.mark.parametrize(
    "line",
    [
        '"resolved": "https://registry.' + 'npmjs.org/typescript"',
        "pip install --index-url https://py" + "pi.example.org/simple",
        "https://files.python" + "hosted.org/packages/x.whl",
        "url = https://my-mir" + "ror.test/simple",
        "cd /wo" + "rk/main",
        'Path("/ro' + 'ot/x")',
        "`/ho" + "me/ann/ringback`",
        "see /t" + "mp/log.txt",
        "/op" + "t/venv/bin/python",
    ],
)
def test_a_stranger_is_noticed(line: str) -> None:
    assert list(strangers({"x.md": line})) != []


@pytest.mark.parametrize(
    "line",
    [
        "/usr/bin/chromium is Debian's",
        "from ringback/build/x or ./build/ and a/tmp/b",
        "ExecStart=/opt/ringback/bin/ringback --data /var/lib/ringback",
        "https://keepachangelog.com/ and https://www.w3.org/TR/webrtc/",
        "the registry of names: registry.py",
    ],
)
def test_what_is_no_stranger_passes(line: str) -> None:
    assert list(strangers({"x.md": line})) == []


# --- the data folder ------------------------------------------------------------------------


async def test_every_file_in_the_data_folder_is_told_of(server: Server, texts: Texts) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws}/ws/room/kitchen/Ann/") as ann,
    ):
        await ann.send_json({"message": "Tea?"})
        await ann.receive(timeout=20)
    files = {path.name for path in walk(server.data)}
    assert files >= {"ringback.sqlite3", "secret"}
    section = markdown.sections(texts["docs/operate.md"])["The data folder"]
    cells = [row[0] for row in markdown.table(section)]
    told = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    told |= {"ringback.sqlite3" + ending for ending in told if ending.startswith("-")}
    assert files <= told
