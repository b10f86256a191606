"""The shape of the code: who may import whom, and which browser code knows the page.

Each rule is a function from sources to complaints, tried here on sources that break it,
and then on the code as it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVER = "ringback.server."

PURE = {"protocol", "calls", "admission", "names", "recording", "voicebox"}
# Shells: each speaks to the outside in its own way, and knows none of the others.
SHELLS = {"sockets", "pages", "recordpages", "voicemailpages", "workshop", "api"}
# What composes the parts; everything else is composed.
COMPOSERS = {"app", "serve", "__main__"}
# The deciding half: nothing in it knows HTTP, sockets, or who asks.
DECIDING = {
    "exchange", "rooms", "people", "session", "switchboard", "callkeeper", "registrar", "clock",
    "limiter", "instances", "recordbook", "recordkeeper", "voicemails",
    "messagekeeper",
}  # fmt: skip
# No I/O, no clock and no randomness: these come in as arguments.
WORLD = {
    "aiohttp", "aiosqlite", "asyncio", "datetime", "http", "io", "logging", "os", "pathlib",
    "random", "secrets", "shutil", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib", "uuid",
}  # fmt: skip

# Browser code that runs without a page: in a test, or one day in a worker.
PAGELESS = (
    "wire.js", "phone.js", "call.js", "link.js", "local-media.js", "outbox.js",
    "call-recording.js", "recorder-leg.js", "playback.js", "voicemail-call.js",
    "marks.js", "chirps.js",
)  # fmt: skip
PAGE_WORDS = re.compile(
    r"\b(document|window|HTML\w*Element|querySelector\w*|innerHTML|getElementById|"
    r"customElements)\b"
)

Sources = Mapping[str, str]
Graph = dict[str, set[str]]


# --- Python ------------------------------------------------------------------------------


def module_of(path: Path) -> str:
    """The import name of a file: `server/app.py` is `ringback.server.app`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in ("server", "bots"):
        parts = ("ringback", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def python_sources(*folders: str) -> dict[str, str]:
    paths = [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py"))]
    # A package counts under the name of its `__init__`, so that relative imports resolve.
    return {
        module_of(p) + (".__init__" if p.name == "__init__.py" else ""): p.read_text()
        for p in paths
    }


def imports(module: str, source: str) -> set[str]:
    """Every module and name imported anywhere in a source, in full."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".")[: -node.level]
                base = ".".join([*package, base] if base else package)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def own(names: set[str]) -> set[str]:
    """The modules of `ringback.server`, by short name, that a set of imports names."""
    short = {name.removeprefix(SERVER).split(".")[0] for name in names if name.startswith(SERVER)}
    return short


def pure_rule(sources: Sources) -> Iterator[str]:
    for module, source in sources.items():
        short = own({module}).pop()
        if short not in PURE:
            continue
        names = imports(module, source)
        ours = {name for name in names if name.split(".")[0] in ("ringback", "server", "bots")}
        strangers = {n for n in ours if not n.startswith(SERVER)} | (own(ours) - PURE)
        world = {name for name in names if name.split(".")[0] in WORLD}
        for name in sorted(strangers | world):
            yield f"{short} is pure and imports {name}"


def shells_rule(sources: Sources) -> Iterator[str]:
    for module, source in sources.items():
        short = own({module}).pop()
        inside = own(imports(module, source))
        if short in SHELLS:
            for other in sorted(inside & (SHELLS - {short})):
                yield f"{short} imports {other}"
        if short not in COMPOSERS:
            for other in sorted(inside & ((SHELLS | COMPOSERS) - {short})):
                yield f"{short} imports {other}, which composes or is a shell"


def deciding_rule(sources: Sources) -> Iterator[str]:
    allowed = DECIDING | PURE | {"engine", "config"}
    for module, source in sources.items():
        short = own({module}).pop()
        names = imports(module, source)
        if short in DECIDING or (short == "engine" and "embedded" not in module):
            for other in sorted(own(names) - allowed):
                yield f"{module} decides or stores and imports {other}"
            for name in sorted(n for n in names if n.split(".")[0].startswith("aiohttp")):
                yield f"{module} decides or stores and imports {name}"


def bots_rule(sources: Sources) -> Iterator[str]:
    for module, source in sources.items():
        for name in sorted(imports(module, source)):
            if module.startswith(SERVER) and name.startswith("ringback.bots"):
                yield f"{module} imports {name}"
            if module.startswith("ringback.bots") and own({name}) - {"protocol"}:
                # `from ringback.server import protocol` is the one module bots may have.
                yield f"{module} imports {name}"


def aiortc_rule(sources: Sources) -> Iterator[str]:
    """What lies inside aiortc and aioice is touched in one folder only."""
    for module, source in sources.items():
        for name in sorted(imports(module, source)):
            inner = name.startswith(("aioice", "aiortc.rtc", "aiortc.codecs"))
            if inner and not module.startswith("ringback.bots.media."):
                yield f"{module} imports {name}"
            if module.startswith(SERVER) and name.split(".")[0] in ("aiortc", "aioice", "av"):
                yield f"{module} imports {name}: the server never touches media"


def bare_rule(sources: Sources) -> Iterator[str]:
    for module, source in sources.items():
        for name in sorted(imports(module, source)):
            if name.split(".")[0] in ("server", "bots", "templates", "static"):
                yield f"{module} imports {name} without `ringback.` before it"


@pytest.fixture(scope="module")
def server() -> Sources:
    return python_sources("server")


@pytest.fixture(scope="module")
def everything() -> Sources:
    return python_sources("server", "bots", "tests", "bench")


@pytest.mark.parametrize("rule", [pure_rule, shells_rule, deciding_rule])
def test_server(server: Sources, rule: object) -> None:
    assert callable(rule)
    assert list(rule(server)) == []


@pytest.mark.parametrize("rule", [bots_rule, bare_rule, aiortc_rule])
def test_everything(everything: Sources, rule: object) -> None:
    assert callable(rule)
    sources = everything
    if rule is aiortc_rule:  # tests may look inside: that is how the contract is kept
        sources = {m: s for m, s in everything.items() if m.startswith("ringback.")}
    assert list(rule(sources)) == []


def test_the_rules_know_the_files(server: Sources) -> None:
    there = own(set(server))
    missing = (PURE | DECIDING | SHELLS | COMPOSERS) - there - {"api"}
    assert not missing, "a rule names a file that is gone"


BROKEN = {
    pure_rule: {
        "calls": "import time",
        "protocol": "from .config import Config",
        "names": "import ringback.bots",
    },
    shells_rule: {
        "sockets": "from .pages import x",
        "pages": "from ringback.server import workshop",
        "connection": "from . import app",
    },
    deciding_rule: {
        "exchange": "from aiohttp import web",
        "rooms": "from .identity import user_of",
        "engine.base": "from ..sockets import x",
    },
    bots_rule: {"supervise": "import ringback.bots.echo", "app": "from ..bots import echo"},
    bare_rule: {"tls": "import server.config", "app": "from bots import client"},
    aiortc_rule: {"app": "import aiortc", "sockets": "from aioice import Connection"},
}


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: str(rule.__name__))
def test_a_rule_can_be_broken(rule: object) -> None:
    assert callable(rule)
    sources = {SERVER + short: "" for short in PURE}
    for short, line in BROKEN[rule].items():
        complaints = list(rule(sources | {SERVER + short: line}))
        assert len(complaints) >= 1, line
        assert short.split(".")[0] in complaints[0]


def test_bots_may_have_the_protocol_and_nothing_else() -> None:
    for line in ("from ringback.server import protocol", "from ..server.protocol import Chat"):
        assert not list(bots_rule({"ringback.bots.echo": line}))
    for line in (
        "from ringback.server.names import clean",
        "from ..server import exchange",
        "import ringback.server.app",
        "if True:\n    from ringback.server import config",
    ):
        assert list(bots_rule({"ringback.bots.echo": line}))
    assert list(aiortc_rule({"ringback.bots.echo": "from aiortc.rtcdtlstransport import x"}))


# --- browser code -------------------------------------------------------------------------


def code_of(source: str) -> str:
    """JavaScript without its comments and without the words that stand in quotes."""
    quoted = "|".join(rf"{q}(?:\\.|[^{q}\\])*{q}" for q in "\"'`")
    tokens = rf"//[^\n]*|/\*.*?\*/|{quoted}"

    def kept(match: re.Match[str]) -> str:
        text = match.group()
        # Between back quotes, `${...}` holds code.
        return " ".join(re.findall(r"\$\{([^}]*)\}", text)) if text[0] == "`" else " "

    return re.sub(tokens, kept, source, flags=re.DOTALL)


def js_imports(source: str) -> set[str]:
    """The files named in `import`, `export ... from` and `import(...)`, as written."""
    quoted = r"[\"']([^\"']+)[\"']"
    patterns = (
        rf"^\s*(?:import|export)\b[^;'\"()=]*\bfrom\s*{quoted}",
        rf"^\s*import\s*{quoted}",
        rf"\bimport\(\s*{quoted}",
    )
    return {name for pattern in patterns for name in re.findall(pattern, source, re.MULTILINE)}


def pageless(sources: Sources) -> set[str]:
    """The modules that know no page, and all that these import."""
    reached, todo = set[str](), [name for name in PAGELESS if name in sources]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += [Path(i).name for i in js_imports(sources[name]) if Path(i).name in sources]
    return reached


def page_rule(sources: Sources) -> Iterator[str]:
    for name in sorted(pageless(sources)):
        for word in sorted(set(PAGE_WORDS.findall(code_of(sources[name])))):
            yield f"{name} says {word}"


@pytest.fixture(scope="module")
def scripts() -> Sources:
    return {p.name: p.read_text() for p in sorted((ROOT / "static" / "js").rglob("*.js"))}


def test_wire_and_call_modules_know_no_page(scripts: Sources) -> None:
    assert set(PAGELESS) <= set(scripts), "a rule names a file that is gone"
    assert list(page_rule(scripts)) == []


def test_the_page_rule_can_be_broken() -> None:
    sources = {
        "wire.js": 'import { x } from "./deep/helper.js"; // the document\nlet s = "window";',
        "helper.js": "/** window */ export const x = 1;",
        "page.js": "document.title = 'x';",
    }
    assert list(page_rule(sources)) == []
    sources["helper.js"] += " const t = `in this window`;"
    assert list(page_rule(sources)) == []
    for code in (" document.title;", " `${document.title}`;"):
        broken = {**sources, "helper.js": sources["helper.js"] + code}
        assert list(page_rule(broken)) == ["helper.js says document"]


def test_imports_are_found_and_nothing_else() -> None:
    source = """
        import "./a.js";
        import { x,
          y } from './b.js';
        export { z } from "./c.js";
        const d = await import("./d.js");
        make("span", "from", "who"); // import it
        export const words = ["from"];
    """
    assert js_imports(source) == {"./a.js", "./b.js", "./c.js", "./d.js"}
    assert js_imports('export function greet() { return "hello"; }') == set()


def test_browser_code_fetches_nothing_from_outside(scripts: Sources) -> None:
    for path in sorted((ROOT / "static" / "js").rglob("*.js")):
        for name in js_imports(path.read_text()):
            assert name.startswith("."), f"{path.name} imports {name}"
            assert (path.parent / name).is_file(), f"{path.name} imports {name}"


def test_templates_hold_no_code_and_nothing_from_outside() -> None:
    templates = sorted((ROOT / "templates").rglob("*.html"))
    assert templates
    for path in templates:
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), f"{path.name}: inline script"
        assert not re.search(r"<[^>]*\son[a-z]+\s*=", text), f"{path.name}: inline handler"
        assert not re.search(r"(?:src|href)\s*=\s*[\"'](?:https?:)?//", text), path.name
        assert "|safe" not in text.replace(" ", ""), f"{path.name}: text taken for HTML"
