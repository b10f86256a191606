"""Networks by name, written by oneself, and from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ringback.bots.calltest.link import Link
from ringback.bots.calltest.profiles import MAX_FILE, PROFILES, Change, Profile, profile


@pytest.mark.parametrize("name", ["wifi", "4g", "train", "satellite", "lossy"])
def test_names(name: str) -> None:
    assert profile(name) == profile(f" {name} ") == PROFILES[name]
    assert profile(name).name == name
    for link in (profile(name).up, profile(name).down):
        assert link.differs()


def test_there_are_those_and_no_others() -> None:
    assert set(PROFILES) == {"wifi", "4g", "train", "satellite", "lossy"}
    assert profile("none") == profile("") == Profile()


def test_the_numbers_are_those_of_their_sources() -> None:
    # Firefox's developer tools; RFC 8867; RFC 2488; RFC 8868.
    assert (PROFILES["wifi"].up.rate, PROFILES["wifi"].down.rate) == (15e6, 30e6)
    assert (PROFILES["4g"].up.rate, PROFILES["4g"].down.rate) == (3e6, 4e6)
    assert (PROFILES["4g"].up.delay, PROFILES["4g"].up.jitter) == (0.05, 0.03)
    assert 0.2396 <= PROFILES["satellite"].up.delay <= 0.279
    assert PROFILES["lossy"].up.loss == PROFILES["lossy"].down.loss == 0.1
    train = PROFILES["train"]
    assert [train.up.rate, *(change.up.rate for change in train.changes)] == [1e6, 2.5e6, 6e5, 1e6]
    assert all(change.up.blackout == train.up.blackout for change in train.changes)


def test_ones_own() -> None:
    found = profile("loss=2%,delay=40ms,up.rate=500k")
    assert found.down == Link(loss=0.02, delay=0.04)
    assert found.up == Link(loss=0.02, delay=0.04, rate=500e3)
    assert found.name == "loss=2%,delay=40ms,up.rate=500k"
    assert found.changes == ()


def test_what_is_said_of_one_direction_counts_more() -> None:
    found = profile("up.loss=5%, loss=1%")
    assert (found.up.loss, found.down.loss) == (0.05, 0.01)


def test_one_with_a_name_can_be_changed() -> None:
    found = profile("4g,down.loss=2%")
    assert found.up == PROFILES["4g"].up
    assert found.down.loss == 0.02
    assert found.down.rate == 4e6
    train = profile("train,delay=10ms")
    assert {change.up.delay for change in train.changes} == {0.01}
    assert [change.up.rate for change in train.changes] == [2.5e6, 6e5, 1e6]


def test_changes_go_on_from_what_was_before() -> None:
    found = profile("delay=40ms; 10s: loss=20%; 15s: up.loss=0,rate=1M; 20s: wifi")
    assert found.up == Link(delay=0.04)
    assert found.changes[0] == Change(10.0, *[Link(delay=0.04, loss=0.2)] * 2)
    assert found.changes[1].up == Link(delay=0.04, rate=1e6)
    assert found.changes[1].down == Link(delay=0.04, rate=1e6, loss=0.2)
    assert found.changes[2] == Change(20.0, PROFILES["wifi"].up, PROFILES["wifi"].down)


TOML = """
base = "wifi"
loss = "2%"
[up]
rate = "500k"
[[changes]]
at = "10s"
delay = "100ms"
[changes.down]
loss = 0.3
[[changes]]
at = 20
blackout = ["20s-21s", "25s-26s"]
"""


def test_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "office.toml"
    path.write_text(TOML)
    found = profile(str(path))
    assert found.name == "office"
    assert (found.up.rate, found.down.rate, found.up.loss) == (500e3, 30e6, 0.02)
    first, second = found.changes
    assert (first.at, first.up.delay, first.up.loss, first.down.loss) == (10.0, 0.1, 0.02, 0.3)
    assert (second.at, second.down.loss) == (20.0, 0.3)
    assert second.up.blackout == ((20.0, 21.0), (25.0, 26.0))


def test_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"name": "mine", "loss": "2%", "up": {"rate": 500000}}))
    assert profile(str(path)) == Profile("mine", Link(loss=0.02, rate=5e5), Link(loss=0.02))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wfi", "no network called 'wfi': there is 4g, lossy, satellite, train, wifi"),
        ("los=2%", "There is no 'los': a network has loss"),
        ("left.loss=2%", "There is no 'left.loss'"),
        ("up.left.loss=2%", "There is no 'left.loss'"),
        ("loss=2", "is no share"),
        ("loss=", "cannot be read"),
        ("loss=1%,loss=2%", "loss is said twice"),
        ("wifi,4g", "base is said twice"),
        ("delay=2m", "delay is a time of at most 30 seconds"),
        ("wifi; loss=2%", "written like 10s: loss=20%"),
        ("wifi; x: loss=2%", "a change: 'x' cannot be read"),
        ("wifi; 5s: loss=2%; 5s: loss=3%", "in the order of their times"),
        ("train; 7s: loss=2%", "in the order of their times"),
        ("wifi; 5s: train", "changes by itself"),
        (";".join(["wifi", *(f"{n + 1}s: loss=1%" for n in range(101))]), "at most 100 times"),
    ],
)
def test_what_is_wrong_is_told_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        profile(text)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.toml", "loss = ", "x.toml: "),
        ("x.toml", "loss = '2'", "x.toml: loss: '2' is no share"),
        ("x.toml", "name = 5", "`name` is a text"),
        ("x.toml", "changes = 5", "`changes` a list"),
        ("x.toml", "[[changes]]\nloss = 0.5", "says `at` which second"),
        ("x.toml", "[up.down]\nloss = 0.5", "There is no 'down'"),
        ("x.toml", "base = 5", "no network called 5"),
        ("x.toml", "#" * (MAX_FILE + 1), "too long"),
        ("x.json", "{", "x.json: "),
        ("x.json", "[]", "A network is a table"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_in_words(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=words):
        profile(str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        profile(str(tmp_path / "gone.toml"))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"x\.toml"):
        profile(str(tmp_path / "x.toml"))
