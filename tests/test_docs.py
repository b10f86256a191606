"""docs/protocol.md says what the code says, and the browser code knows all of it.

Each comparison is a function from texts to complaints, so that it is tried on a broken copy too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from docs import draw
from ringback.bots.calltest import report_json
from ringback.bots.calltest.amounts import KEYS
from ringback.bots.calltest.profiles import profile
from ringback.server import protocol as p
from ringback.server import recording, workshop_messages
from ringback.server.config import Config
from ringback.server.connection import MALFORMED

from . import markdown

ROOT = Path(__file__).parent.parent
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
MESSAGES_JS = (ROOT / "static" / "js" / "messages.js").read_text()

Struct = type[msgspec.Struct]
Compare = Callable[[str], Iterator[str]]


# --- what the code says ---------------------------------------------------------------------


def messages() -> dict[str, Struct]:
    """Every message, by its heading."""
    said = {f"Client: `{tag}`": message for tag, message in p.CLIENT_TYPES.items()}
    return said | {f"Server: `{tag}`": message for tag, message in p.SERVER_TYPES.items()}


def objects() -> dict[str, Struct]:
    """Every object that messages are made of, by its heading."""
    found: dict[str, Struct] = {}

    def look(kind: inspect.Type) -> None:
        match kind:
            case inspect.StructType(cls=cls, fields=inner):
                if not issubclass(cls, p.Event | p.Request):
                    found[f"Object: {cls.__name__}"] = cls
                for field in inner:
                    look(field.type)
            case inspect.UnionType(types=types):
                for one in types:
                    look(one)
            case inspect.ListType(item_type=item):
                look(item)
            case inspect.DictType(value_type=value):
                look(value)

    for message in messages().values():
        look(inspect.type_info(message))
    del found["Object: Limits"]  # has a table of its own
    return found


def fields(struct: Struct) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return info.fields


def common(struct: Struct) -> set[str]:
    """The fields that are described once for all messages of a kind."""
    if issubclass(struct, p.Request):
        return {"id"}
    return {"n"} if issubclass(struct, p.Directed) else set()


NAMED = {
    p.Reason: "[reason](#end-reasons)",
    p.RecordingEnd: "[reason](#recording-ends)",
    p.ErrorCode: "[code](#error-codes)",
}


def words(kind: inspect.Type) -> str:
    """A type in the words of the document."""
    match kind:
        case inspect.StrType(pattern=str()):
            return "Id"
        case inspect.StrType(max_length=256):
            return "Word"
        case inspect.StrType(max_length=most):
            return "string" if most is None else f"string of at most {most}"
        case inspect.IntType(ge=0):
            return "Count"
        case inspect.IntType(ge=least, le=most) | inspect.FloatType(ge=least, le=most):
            word = "integer" if isinstance(kind, inspect.IntType) else "number"
            return word if least is None else f"{word}, {least} to {most}"
        case inspect.BoolType():
            return "boolean"
        case inspect.NoneType():
            return "null"
        case inspect.LiteralType(values=values):
            return " or ".join(f"`{value}`" for value in sorted(map(str, values)))
        case inspect.UnionType(types=types):
            return " or ".join(words(one) for one in types)
        case inspect.ListType(item_type=item):
            return f"list of {words(item)}"
        case inspect.DictType(key_type=key, value_type=value):
            return f"object of {words(value)} by {words(key)}"
        case inspect.EnumType(cls=cls) if cls in NAMED:
            return NAMED[cls]
        case inspect.StructType(cls=cls) if issubclass(cls, p.Event):
            tag = cls.__struct_config__.tag
            return f"[{tag}](#server-{tag})"
        case inspect.StructType(cls=cls):
            return f"[{cls.__name__}](#object-{cls.__name__.lower()})"
    raise AssertionError(f"no words for {kind}")


def default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    no_value = field.default is msgspec.NODEFAULT
    value = field.default_factory() if no_value else field.default
    return f"`{json.dumps(value)}`"


# --- what the document says -----------------------------------------------------------------


def message_fields(text: str) -> Iterator[str]:
    parts = markdown.sections(text)
    structs = messages() | objects()
    for heading in sorted(parts):
        described = heading.startswith(("Client: ", "Server: ", "Object: "))
        if described and heading not in structs.keys() | {"Object: Limits"}:
            yield f"{heading} is nothing the code knows"
    for heading, struct in structs.items():
        if heading not in parts:
            yield f"{heading} is missing"
            continue
        said = {markdown.code(row[0]): tuple(row[1:3]) for row in markdown.table(parts[heading])}
        meant = {
            field.encode_name: (words(field.type), default(field))
            for field in fields(struct)
            if field.encode_name not in common(struct)
        }
        for name in sorted(said.keys() | meant.keys()):
            if said.get(name) != meant.get(name):
                yield f"{heading}: {name}: says {said.get(name)}, is {meant.get(name)}"


def meanings(text: str) -> Iterator[str]:
    """Every row of every table of fields means something."""
    for heading, section in markdown.sections(text).items():
        if heading.startswith(("Client: ", "Server: ", "Object: ")):
            for row in markdown.table(section):
                if len(row) != 4 or not row[3]:
                    yield f"{heading}: {row[0]} has no meaning"


def rows_of(text: str, heading: str) -> dict[str, list[str]]:
    rows = markdown.table(markdown.sections(text).get(heading, ""))
    return {markdown.code(row[0]) or row[0]: row[1:] for row in rows}


def differences(what: str, said: dict[str, str], meant: dict[str, str]) -> Iterator[str]:
    for name in sorted(said.keys() | meant.keys()):
        if said.get(name) != meant.get(name):
            yield f"{what} {name}: says {said.get(name)}, is {meant.get(name)}"


def error_codes(text: str) -> Iterator[str]:
    rows = rows_of(text, "Error codes")
    meant = {str(code): p.ERRORS[code] for code in p.ErrorCode}
    yield from differences("error", {code: row[0] for code, row in rows.items()}, meant)
    starred = {code for code, row in rows.items() if r"\*" in row[1]}
    for code in starred ^ {*MALFORMED, p.ErrorCode.TOO_FAST}:
        yield f"error {code}: whether it counts as one of form is told wrongly"
    for heading, section in markdown.sections(text).items():
        for line in re.findall(r"^Errors: (.+)$", section, flags=re.MULTILINE):
            for code in set(re.findall(r"`(\w+)`", line)) - set(p.ErrorCode):
                yield f"{heading}: there is no error {code}"


def end_reasons(text: str) -> Iterator[str]:
    said = {reason: " / ".join(row) for reason, row in rows_of(text, "End reasons").items()}
    meant = {str(reason): " / ".join(p.REASONS[reason]) for reason in p.Reason}
    yield from differences("reason", said, meant)


def recording_ends(text: str) -> Iterator[str]:
    said = {reason: " / ".join(row) for reason, row in rows_of(text, "Recording ends").items()}
    meant = {str(reason): " / ".join(p.RECORDING_ENDS[reason]) for reason in p.RecordingEnd}
    yield from differences("reason", said, meant)


def consent_texts(text: str) -> Iterator[str]:
    """What people agree to is shown word for word, with its version."""
    quoted = re.findall(r"(?:^> .+\n)+", text, flags=re.MULTILINE)
    said = {" ".join(quote.replace("> ", "").split()) for quote in quoted}
    for words in (recording.TEXT, recording.SOLO_TEXT):
        if words not in said:
            yield f"not shown: {words}"
    if f"The text of now has version `{recording.VERSION}`" not in text:
        yield "another version of the text"


def close_codes(text: str) -> Iterator[str]:
    said = {code: row[0] for code, row in rows_of(text, "Close codes").items()}
    meant = {str(v): k for k, v in vars(p.CloseCode).items() if isinstance(v, int)}
    yield from differences("close code", said, meant)


def limits(text: str) -> Iterator[str]:
    said = {name: row[0].replace(",", "") for name, row in rows_of(text, "Limits").items()}
    values = msgspec.structs.asdict(p.Limits())
    meant = {k: json.dumps(v) if v is True else f"{v:g}" for k, v in values.items()}
    meant |= {k: str(v) for k, v in values.items() if type(v) is int}
    yield from differences("limit", said, meant)


def times(text: str) -> Iterator[str]:
    rows = rows_of(text, "Times").values()
    said = {markdown.code(by).removeprefix("--"): seconds for seconds, by in rows if "-" in by}
    names = ("ring", "connect", "reconnect", "hold", "ping", "drain")
    yield from differences("time", said, {n: f"{getattr(Config(), n):g}" for n in names})


def drawn(text: str) -> Iterator[str]:
    for name, (file, make) in draw.DRAWN.items():
        if file == "protocol.md" and draw.draw(text, name, make()) != text:
            yield f"the {name} is not as it is drawn: python -m docs.draw"


def examples(text: str) -> Iterator[str]:
    seen = set[str]()
    for kind, source, heading in markdown.fences(text):
        if kind not in ("json client", "json server"):
            continue
        given = json.loads(source)
        side = "Client" if kind == "json client" else "Server"
        seen.add(f"{side}: `{given['type']}`")
        try:
            known = p.decode(source) if side == "Client" else p.decode_server(source)
        except (p.ProtocolError, msgspec.DecodeError) as error:
            yield f"{heading}: {source.strip()}: {error}"
            continue
        if side == "Server" and json.loads(p.encode(known)) != given:
            yield f"{heading}: the server says it otherwise: {p.encode(known).decode()}"
        if isinstance(known, p.Error) and known.message != p.ERRORS[known.code]:
            yield f"{heading}: {known.code} is said in other words"
    for heading in sorted(set(messages()) - seen):
        yield f"{heading} has no example"


def plain_types(text: str) -> Iterator[str]:
    rows = markdown.table(markdown.sections(text)["`/ws/call/`"])
    said = {markdown.code(row[1]) for row in rows if row[0] in ("client", "both")}
    for kind in sorted(said ^ set(workshop_messages.DATA)):
        yield f"the plain socket for calls: {kind} is told or known, not both"


# (what compares, what to break in the document, what it becomes)
COMPARISONS: list[tuple[Compare, str, str]] = [
    (message_fields, "| `cid` | Id | required | random", "| `cid` | Word | required | random"),
    (message_fields, "### Client: `leave`", "### Client: `go`"),
    (message_fields, "| `winner` |", "| `victor` |"),
    (message_fields, "| `sdpMid` | Word or null | `null`", "| `sdpMid` | Word or null | `1`"),
    (meanings, "| the room in its one form |", "| |"),
    (error_codes, "| `in_call` |", "| `in_a_call` |"),
    (error_codes, "The message is too long.", "The message is long."),
    (error_codes, r"a binary frame \*", "a binary frame"),
    (error_codes, "Errors: `bad_room`, `too_many_rooms`", "Errors: `bad_room`, `many_rooms`"),
    (end_reasons, "{peer} gave up calling.", "{peer} gave up."),
    (recording_ends, "You no longer ask to record", "You asked no longer to record"),
    (consent_texts, "Only you can play", "You can play"),
    (consent_texts, "now has version `1`", "now has version `2`"),
    (close_codes, "| 4413 | SLOW_READER |", "| 4412 | SLOW_READER |"),
    (limits, "| `sdp` | 49,152 |", "| `sdp` | 65,536 |"),
    (limits, "| `outbox_age` | 15 |", "| `outbox_age` | 20 |"),
    (times, "| 45 | `--ring` |", "| 60 | `--ring` |"),
    (drawn, "| `glare` | exchange |", "| `glare` | caller |"),
    (drawn, "ringing --> connecting: answer", "ringing --> connected: answer"),
    (examples, '"type": "leave", "id"', '"type": "leave", "from": "Ann", "id"'),
    (examples, '"here": true}', '"here": true, "bot": false}'),
    (examples, '{"type": "drain", "after_ms": 2000}', '{"type": "resync"}'),
    (examples, "Join the room first.", "First join the room."),
    (plain_types, "| client | `answer_call`", "| client | `answer`"),
]


@pytest.mark.parametrize("compare", dict.fromkeys(c for c, _, _ in COMPARISONS))
def test_the_document_says_what_the_code_says(compare: Compare) -> None:
    assert list(compare(PROTOCOL)) == []


@pytest.mark.parametrize(("compare", "right", "wrong"), COMPARISONS)
def test_a_wrong_document_is_noticed(compare: Compare, right: str, wrong: str) -> None:
    assert right in PROTOCOL
    assert list(compare(PROTOCOL.replace(right, wrong))) != []


def test_the_common_fields_are_told_once() -> None:
    parts = markdown.sections(PROTOCOL)
    assert "may carry `id` (Id or null, default `null`)" in parts["Requests and replies"]
    assert "carry `n` (integer" in parts["Numbers"]
    field = next(f for f in fields(p.Request) if f.encode_name == "id")
    assert (words(field.type), default(field)) == ("Id or null", "`null`")


def test_a_part_that_is_missing_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="0 parts called settings"):
        draw.draw(PROTOCOL, "settings", "")


def test_settings_are_drawn_in_operate() -> None:
    text = (ROOT / "docs" / "operate.md").read_text()
    assert draw.draw(text, "settings", draw.settings()) == text


def test_networks_are_drawn_in_call_tests() -> None:
    text = (ROOT / "docs" / "call-tests.md").read_text()
    assert draw.draw(text, "networks", draw.networks()) == text


def test_everything_that_may_be_said_of_a_network_is_told() -> None:
    text = (ROOT / "docs" / "call-tests.md").read_text()
    rows = markdown.table(markdown.sections(text)["One's own network"])
    assert [markdown.code(row[0]) for row in rows] == list(KEYS)
    assert [key for row in rows for key in profile_keys(row[1])] == list(KEYS)


def profile_keys(cell: str) -> list[str]:
    """What the example in a cell, which is to be one, says."""
    text = markdown.code(cell)
    assert profile(text).up.differs(), text
    return [part.partition("=")[0] for part in text.split(",")][-1:]


# --- what the browser code knows ------------------------------------------------------------


def typedefs(source: str) -> dict[str, str]:
    """The types that comments define, by name."""
    text = re.sub(r"^\s*\* ?", "", source, flags=re.MULTILINE)
    found = re.finditer(r"@typedef \{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\} (\w+)", text)
    return {m[2]: " ".join(m[1].split()) for m in found}


def members(body: str) -> dict[str, str]:
    """The members of an object type; a name that may be missing ends in `?`."""
    depth, start, parts = 0, 1, []
    for place, character in enumerate(body):
        depth += character in "{<[("
        depth -= character in "}>])"
        if (character == "," and depth == 1) or (character == "}" and depth == 0):
            parts.append(body[start:place])
            start = place + 1
    return dict(part.strip().split(": ", 1) for part in parts if part.strip())


# Names in the browser code that differ from those here.
JS_NAMES = {"Call": "PlaceCall", "Error": "ErrorMessage", "Record": "CallRecord"}


def browser(source: str) -> Iterator[str]:
    types = typedefs(source)
    for heading, struct in (messages() | objects() | {"Limits": p.Limits}).items():
        name = JS_NAMES.get(struct.__name__, struct.__name__)
        body = types.get(name, "")
        if not body.startswith("{"):
            yield f"the browser code does not know {heading} ({name})"
            continue
        known = members(body)
        tag = struct.__struct_config__.tag
        if tag is not None and known.pop("type", None) != f'"{tag}"':
            yield f"{name} is not of type {tag}"
        # In objects that the server sends whole, nothing is optional.
        loose = tag is not None or heading == "Object: Resume"
        meant = {f.encode_name + ("?" if loose and not f.required else "") for f in fields(struct)}
        said = set(known) if loose else {field.rstrip("?") for field in known}
        for field in sorted(said ^ meant):
            yield f"{name}: {field} is {'unknown' if field in meant else 'too much'}"
    for union, known_types in (("CLIENT", p.CLIENT_TYPES), ("SERVER", p.SERVER_TYPES)):
        listed = re.search(rf"{union}_TYPES = \[(.*?)\]", source, flags=re.DOTALL)
        there = set(re.findall(r'"(\w+)"', listed[1])) if listed else set()
        for tag in sorted(there ^ set(known_types)):
            yield f"{union}_TYPES: {tag}"


def test_the_browser_code_knows_every_message_and_field() -> None:
    assert list(browser(MESSAGES_JS)) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("unlisted?: boolean", "hidden?: boolean"),
        ("cid: string}} Chat\n", "cid?: string}} Chat\n"),
        ('{type: "leave"', '{type: "left"'),
        ("sdpMid: string | null, ", ""),
        ("}} ContactChange\n", "}} Change\n"),
        ('"drain", ', ""),
        ("voicemail?: boolean}} Ended", "voicemail?: boolean, extra: number}} Ended"),
        ("hello: number, on: boolean", "on: boolean"),
    ],
)
def test_what_the_browser_code_does_not_know_is_noticed(right: str, wrong: str) -> None:
    assert right in MESSAGES_JS
    assert list(browser(MESSAGES_JS.replace(right, wrong))) != []


CALL_TESTS = (ROOT / "docs" / "call-tests.md").read_text()


@pytest.mark.parametrize("name", ["networks", "figures", "reasons", "thresholds"])
def test_call_tests_are_told_as_the_code_has_them(name: str) -> None:
    make = draw.DRAWN[name][1]
    assert draw.draw(CALL_TESTS, name, make()) == CALL_TESTS, "python -m docs.draw"


def test_every_field_of_a_json_report_is_told() -> None:
    told = set(re.findall(r"`(\w+)`", CALL_TESTS))
    kinds = (
        report_json.Document, report_json.CallEntry, report_json.DirectionEntry,
        report_json.StepEntry, report_json.ReasonEntry,
    )  # fmt: skip
    missing = {field for kind in kinds for field in kind.__struct_fields__} - told
    assert not missing
