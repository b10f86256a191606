"""What may be a name, when two are one, and which are kept."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ringback.server import names

INVISIBLE = [
    "\u200b",  # zero-width space
    "\u200c",  # zero-width non-joiner
    "\u200d",  # zero-width joiner
    "\u2060",  # word joiner
    "\ufeff",  # byte order mark
    "\u00ad",  # soft hyphen
    "\u034f",  # combining grapheme joiner
    "\u115f",  # Hangul choseong filler
    "\u3164",  # Hangul filler
    "\uffa0",  # half-width Hangul filler
    "\u2800",  # blank Braille pattern
    "\u180e",  # Mongolian vowel separator
    "\U000e0041",  # tag letter
    "\U0001d159",  # null notehead
    "\ufffc",  # object replacement
]
BIDI = [chr(c) for c in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
CONTROL = ["\0", "\x07", "\x1b", "\x7f", "\x80", "\x9f"]
NOT_CHARACTERS = ["\ud800", "\udfff", "\ue000", "\uffff", "\U0010ffff", "\u0378"]

texts = st.text(max_size=48) | st.text(
    st.sampled_from(" .\t\u00a0\u3000abCİßſΣς\u0301\u0345\u1fb3ﬃ½ǰΐ\ufe0f\u1100\u1161")
)


# --- clean


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Ann", "Ann"),
        ("  Ann \n", "Ann"),
        ("Ann\u00a0Bo", "Ann Bo"),
        ("Ann \u3000  Bo", "Ann Bo"),
        ("Ａｎｎ", "Ann"),
        ("Zoe\u0308", "Zoë"),
        ("Ann \u2764\ufe0f", "Ann \u2764"),
        ("e\ufe0f\u0301", "é"),
        ("田中さん", "田中さん"),
        ("Олег", "Олег"),
        ("नमिता", "नमिता"),
        ("Nguyễn", "Nguyễn"),
        ("🦊", "🦊"),
        ("O'Neill-Smith, Jr.", "O'Neill-Smith, Jr."),
        ('<b>&"', '<b>&"'),
        ("x" * 32, "x" * 32),
    ],
)
def test_clean_gives_the_name_that_was_meant(typed: str, meant: str) -> None:
    assert names.clean(typed) == meant


@pytest.mark.parametrize(
    "text", ["", " ", "\t\n", "\u00a0", ".", "..", "...", "-", "_!?", "\ufe0f"]
)
def test_clean_wants_a_letter_or_digit(text: str) -> None:
    with pytest.raises(names.BadName, match="at least one letter or digit"):
        names.clean(text)


@pytest.mark.parametrize("text", ["x" * 33, "ﬃ" * 11, "x" * 100_000, "\u0301" * 2000])
def test_clean_refuses_what_is_too_long(text: str) -> None:
    with pytest.raises(names.BadName, match=r"^A name can have at most 32 characters\.$"):
        names.clean(text)


@pytest.mark.parametrize("text", ["a/b", "/", "a／b", "a\\b", "../x"])
def test_clean_refuses_slashes(text: str) -> None:
    with pytest.raises(names.BadName, match="cannot contain a slash"):
        names.clean(text)


@pytest.mark.parametrize("character", INVISIBLE + BIDI + CONTROL + NOT_CHARACTERS)
def test_clean_refuses_what_cannot_be_seen(character: str) -> None:
    with pytest.raises(names.BadName, match="invisible or control"):
        names.clean(f"Ann{character}Bo")


@pytest.mark.parametrize(
    "text", ["\u0301Ann", "\u00b4Ann", "a" + "\u0301\u0302" * 4, "A\u20dd" * 2 + "\u20dd" * 4]
)
def test_clean_refuses_lone_and_piled_accents(text: str) -> None:
    with pytest.raises(names.BadName, match="accents"):
        names.clean(text)


@given(texts)
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    try:
        name = names.clean(text)
    except names.BadName:
        return
    assert names.clean(name) == name
    assert 1 <= len(name) <= names.NAME_LENGTH
    assert name == name.strip()
    assert unicodedata.is_normalized("NFKC", name)


@given(st.text(), st.sampled_from(INVISIBLE + BIDI + CONTROL + NOT_CHARACTERS), st.text())
def test_nothing_invisible_survives(before: str, hidden: str, after: str) -> None:
    try:
        name = names.clean(before + hidden + after)
    except names.BadName:
        return
    # Only a control at the very edge, where white space is trimmed, may be lost on the way.
    assert hidden not in name
    for character in name:
        kind = unicodedata.category(character)
        assert kind not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert kind != "Zs" or character == " "
        assert unicodedata.bidirectional(character) not in {"LRO", "RLO", "LRE", "RLE", "PDF"}


# --- fold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann", "aNN"),
        ("ANN", "ａｎｎ"),
        ("Straße", "STRASSE"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("Zoë", "ZOE\u0308"),
        ("Ann  Bo", "ann\u00a0bo"),
        ("\u1fb3", "\u0391\u0399"),
    ],
)
def test_the_same_name_folds_to_the_same(one: str, other: str) -> None:
    assert names.fold(one) == names.fold(other)


@pytest.mark.parametrize(("one", "other"), [("Ann", "Anna"), ("Zoë", "Zoe"), ("Bob", "Воb")])
def test_different_names_fold_to_different_keys(one: str, other: str) -> None:
    assert names.fold(one) != names.fold(other)


def test_fold_is_stable_for_every_character() -> None:
    folded = {chr(code): names.fold(chr(code)) for code in range(0x110000)}
    changed = {key for character, key in folded.items() if key != character}
    assert len(changed) > 1000
    assert [key for key in changed if names.fold(key) != key] == []


@given(texts)
def test_fold_is_stable(text: str) -> None:
    key = names.fold(text)
    assert names.fold(key) == key


@given(texts)
def test_fold_does_not_see_what_clean_changes(text: str) -> None:
    try:
        name = names.clean(text)
    except names.BadName:
        assume(False)
    assert names.fold(name) == names.fold(text)


# --- rooms


@pytest.mark.parametrize(
    ("typed", "room"),
    [("Kitchen", "kitchen"), (" The  Garden ", "the garden"), ("Café", "café"), ("v1.2", "v1.2"),
     ("x" * 64, "x" * 64), ("STRASSE", "strasse"), ("Straße", "strasse")],
)  # fmt: skip
def test_rooms_are_folded(typed: str, room: str) -> None:
    assert names.clean_room(typed) == room


@pytest.mark.parametrize("text", [".", "..", "...", "…", "", "a/b", "x" * 65, "ß" * 33, "a\u200bb"])
def test_some_texts_are_no_room(text: str) -> None:
    with pytest.raises(names.BadName, match="The name of a room"):
        names.clean_room(text)


@pytest.mark.parametrize("text", [".hidden", "end.", "end\u2026", " .x"])
def test_a_room_has_no_dot_at_either_end(text: str) -> None:
    with pytest.raises(names.BadName, match="begin or end with a dot"):
        names.clean_room(text)


@given(texts)
def test_a_room_stays_as_it_is(text: str) -> None:
    try:
        room = names.clean_room(text)
    except names.BadName:
        return
    assert names.clean_room(room) == room
    assert names.fold(room) == room


# --- kept names


@pytest.mark.parametrize(
    "name",
    ["echo", "recorder", "voicemail", "ringback", "server", "system", "admin", "operator",
     "exchange", "administrator", "Echo Bot", "echo-bot", "ECHO"],
)  # fmt: skip
def test_kept_names_are_kept(name: str) -> None:
    assert names.reserved(name)


@pytest.mark.parametrize(
    "name",
    [
        "есho",  # Cyrillic e, s
        "ЕСНО",  # all Cyrillic capitals
        "ΕCΗΟ",  # Greek capitals
        "εςhο",  # Greek small letters
        "еchо",
        "ech0",
        "3ch0",
        "ec\u0127o",
        "éçhö",
        "e\u0301cho",
        "ｅｃｈｏ",
        "𝔢𝔠𝔥𝔬",
        "ⓔⓒⓗⓞ",
        "🅔🅒🅗🅞",
        "🇪🇨🇭🇴",
        "ᴇᴄʜᴏ",
        "e c h o",
        "echo.",
        "-echo-",
        "!echo!",
        "e_c_h_o",
        "(echo)",
        "e.c.h.o",
        "€cho",
        "e(ho",
        "ec\u200bho",
        "ech೦",  # Kannada zero
        "v0icemai1",
        "VoiceMaiI",
        "Voice Mail",
        "r3c0rd3r",
        "@dmin",
        "adrnin",
        "aclmin",
        "$ystem",
        "5y5tem",
        "ringbасk",
        "rіngback",
        "Ѕerver",
        "0perator",
        "exchαnge",
        "ADΜΙΝ",  # Greek capitals M, I, N
    ],
)
def test_look_alikes_are_kept(name: str) -> None:
    assert names.reserved(name)


@pytest.mark.parametrize(
    "name",
    ["Ann", "Bob", "Marie", "Олег", "Елена", "Ελένη", "Νίκος", "田中", "Զարուհի", "יעל",
     "Echo Park", "Recorders", "Ernie", "Clive", "Servet", "Jecho", "Misha", "Anna-Lena", "Vivian",
     "O'Brien", "Max 2", "1", "🦊", "e", "Ringo", "Adam", "Sista", "echo2u", "中echo"],
)  # fmt: skip
def test_names_of_people_are_free(name: str) -> None:
    assert not names.reserved(name)


@given(
    st.sampled_from(["echo", "recorder", "voicemail", "operator"]),
    st.data(),
)
def test_no_decoration_frees_a_kept_name(word: str, data: st.DataObject) -> None:
    # Any letter may be capital, full width or accented, and anything unseen or thin may stand
    # between two letters: the name stays kept.
    disguises: list[Callable[[str], str]] = [
        str,
        str.upper,
        lambda letter: chr(ord(letter) + 0xFEE0),
        lambda letter: letter + "\u0301",
    ]
    gaps = ["", " ", ".", "-", "_", "\u00b7", "'", "\u0335"]
    name = "".join(
        data.draw(st.sampled_from(disguises))(letter) + data.draw(st.sampled_from(gaps))
        for letter in word
    )
    assert names.reserved(name)


@given(texts)
def test_any_text_may_be_asked_about(text: str) -> None:
    assert names.reserved(text) in (True, False)
