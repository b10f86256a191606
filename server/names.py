"""What a name may be: of a person, of a room; which names are one, and which are kept.

Rules:

1. A name is shown to other people and stands in addresses, so nothing in it may be invisible,
   reorder the text around it, or look like the end of a path.
2. Two names are one name when `fold` gives the same for both.
3. Names of bots and of the exchange belong to them, also in letters that only look alike.

Pure: no I/O, no clock, no randomness, nothing of Ringback imported.
"""

from __future__ import annotations

import re
import unicodedata

NAME_LENGTH = 32
ROOM_LENGTH = 64
# Longer than anything that could still shrink to a name: do not even normalise it.
_INPUT_LENGTH = 1024
# Vietnamese, Thai, Hebrew and Indic writing stack up to this many; more is a tower.
_MARKS = 4

# General categories (UAX #44) that never stand in a name: control, format (bidi controls,
# joiners, tags), surrogates, private use, unassigned, line and paragraph separators.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Blank or zero-width, though their category is that of a letter, a mark or a symbol.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U0001d159\ufffc\ufffd"
)
# Variation selectors choose between pictures of one character; they name nothing.
_SELECTORS = dict.fromkeys([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])


class BadName(ValueError):
    """The text cannot be a name; `str()` says why in a sentence for people."""


def clean(text: str) -> str:
    """The name that somebody meant when they typed `text`.

    NFKC (UAX #15), without white space around it and with single spaces inside, 1 to
    `NAME_LENGTH` characters. Cleaning a clean name changes nothing. Raises `BadName`.
    """
    _guard(text, "A name", NAME_LENGTH)
    return _check(_tidy(text), "A name", NAME_LENGTH)


def clean_room(text: str) -> str:
    """The room that somebody meant, in the folded form in which rooms are compared and shown.

    As `clean`, but up to `ROOM_LENGTH` characters and with no dot at either end.
    Raises `BadName`.
    """
    what = "The name of a room"
    _guard(text, what, ROOM_LENGTH)
    # Checked before folding too: what folding loses must not slip through.
    _check(_tidy(text), what, ROOM_LENGTH)
    room = _check(fold(text), what, ROOM_LENGTH)
    if room.startswith(".") or room.endswith("."):
        raise BadName(f"{what} cannot begin or end with a dot.")
    return room


def fold(name: str) -> str:
    """The key under which a name is compared (caseless, as in Unicode 3.13, D146).

    Folding a folded name changes nothing; names that clean to the same fold to the same.
    """
    folded = _tidy(name)
    for _ in range(4):
        before = folded
        folded = _tidy(unicodedata.normalize("NFD", folded).casefold())
        if folded == before:
            break
    return folded


def reserved(name: str) -> bool:
    """Whether a name is that of a bot or of the exchange, or looks like one."""
    return any(shape in _KEPT for shape in _shapes(name))


def _tidy(text: str) -> str:
    text = unicodedata.normalize("NFKC", text.translate(_SELECTORS))
    return re.sub(r" +", " ", "".join(_space(c) for c in text)).strip()


def _space(character: str) -> str:
    return " " if unicodedata.category(character) == "Zs" else character


def _guard(text: str, what: str, limit: int) -> None:
    if len(text) > _INPUT_LENGTH:
        raise BadName(f"{what} can have at most {limit} characters.")


def _check(name: str, what: str, limit: int) -> str:
    if not name:
        raise BadName(f"{what} needs at least one letter or digit.")
    if len(name) > limit:
        raise BadName(f"{what} can have at most {limit} characters.")
    if "/" in name or "\\" in name:
        raise BadName(f"{what} cannot contain a slash.")
    kinds = [unicodedata.category(character) for character in name]
    if not _BLANK.isdisjoint(name) or not _REFUSED.isdisjoint(kinds):
        raise BadName(f"{what} cannot contain invisible or control characters.")
    if kinds[0][0] == "M" or _longest_tower(kinds) > _MARKS:
        raise BadName(f"{what} cannot have accents without a letter, or piles of them.")
    # Symbols count: a name may well be one picture. Punctuation alone is none.
    if not any(kind[0] in "LNS" for kind in kinds):
        raise BadName(f"{what} needs at least one letter or digit.")
    return name


def _longest_tower(kinds: list[str]) -> int:
    longest = height = 0
    for kind in kinds:
        height = height + 1 if kind in ("Mn", "Me") else 0
        longest = max(longest, height)
    return longest


# --- look-alikes --------------------------------------------------------------------------
#
# A name's skeleton is what remains when letters that look alike are written as one. Two names
# may be mistaken for each other when their skeletons are equal. It is compared with the few
# kept names only, so it may be coarse: people are free to mix scripts otherwise.
#
# Each row: a Latin letter, then what may stand for it. First Greek, Cyrillic and Armenian
# (capitals only where they look like another letter than their small ones do), then Latin
# letters with strokes and hooks, which have no decomposition. Accents, full width, circles,
# and mathematical letters are not here: NFKD and the loss of marks undo them.
_LETTERS = """
a αаɑӕ    b βΒВвьъЬЪɓ   c сςꮯ      d ԁđɗժ    e εеєэɛɘəҽ   f ғϝֆƒ
g ɡցɢǥ    h ΗнНһհћħɦ    i ιіɩı     j јյɉ     k кκқƙ       l ӏլłɭ|ǀ
m мΜ      n ηΝпռոлиɲ    o οоσօøѳө  p ρрΡРþք  q ԛզգʠ       r гґɼɽя
s ѕՏƨʂ    t τтŧƭ        u υսцμ     v νѵʋ     w ωԝшщѡɯ     x χхΧХ×
y уγΥҮүƴ  z ζΖʐƶȥ
"""
# Digits in any script count by their value.
_DIGITS = dict(zip("0123456789", "olzeasgtbg", strict=True))
_SYMBOLS = {
    "@": "a", "$": "s", "!": "l", "|": "l", "€": "e", "£": "l", "¢": "c", "+": "t", "(": "c",
    "<": "c", "[": "c", "{": "c", "*": "o", "°": "o", "¡": "l", "¦": "l", "∂": "d", "§": "s",
    "©": "c", "®": "r", "¥": "y", "#": "h", "^": "a",
}  # fmt: skip
_SMALL_CAPITALS = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡ\0ʏᴢ"
# Letters in black circles and squares and as flags have no decomposition either.
_PICTURED = (0x1F150, 0x1F170, 0x1F1E6)
# i, l, 1 and | are one; so are pairs that run together. Applied to both sides.
_RUN_TOGETHER = (("i", "l"), ("rn", "m"), ("vv", "w"), ("cl", "d"))

_BOTS = ("echo", "recorder", "voicemail")
_OURS = ("admin", "administrator", "exchange", "moderator", "operator", "ringback", "server",
         "support", "system")  # fmt: skip


def _letters() -> dict[int, str]:
    words = _LETTERS.split()
    table = {ord(c): latin for latin, row in zip(words[::2], words[1::2], strict=True) for c in row}
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    table |= {ord(c): latin for latin, c in zip(alphabet, _SMALL_CAPITALS, strict=True)}
    for first in _PICTURED:
        table |= {first + place: latin for place, latin in enumerate(alphabet)}
    return table


_LETTER_TABLE = _letters()


def _skeleton(name: str, symbols: bool) -> str:
    """A name in plain small Latin letters, as far as it looks like them."""
    text = unicodedata.normalize("NFKD", name)
    # Twice: capitals first, as they stand, then what folding made small.
    text = text.translate(_LETTER_TABLE).casefold().translate(_LETTER_TABLE)
    text = "".join(_as_letter(character, symbols) for character in text)
    for pair, one in _RUN_TOGETHER:
        text = text.replace(pair, one)
    return text


def _as_letter(character: str, symbols: bool) -> str:
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return _DIGITS[str(digit)]
    if symbols and character in _SYMBOLS:
        return _SYMBOLS[character]
    return character if unicodedata.category(character)[0] == "L" else ""


def _shapes(name: str) -> tuple[str, str, str]:
    # A symbol may stand for a letter, be there for decoration, or both: "@dmin", "~echo~".
    inner = re.sub(r"^[\W_]+|[\W_]+$", "", name)
    return _skeleton(name, False), _skeleton(name, True), _skeleton(inner, True)


_KEPT = frozenset(
    _skeleton(word + ending, False) for word in _BOTS + _OURS for ending in ("", "bot")
)
