"""The configuration is frozen and checked, wherever its values came from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.server.config import (
    LONGEST,
    Config,
    ConfigError,
    RecordingLimits,
    VoicemailLimits,
    is_loopback,
    replace,
)
from ringback.server.protocol import IceServer, Limits
from ringback.server.settings import PREFIX, SETTINGS, SettingError, read, unknown


def test_defaults_are_good_and_reach_nobody_else() -> None:
    config = Config()
    assert config.loopback
    assert not config.secure
    assert config.ice_servers == ()
    assert (config.ring, config.connect, config.reconnect, config.hold) == (45, 15, 30, 30)
    assert config.limits == Limits()


def test_frozen() -> None:
    with pytest.raises(AttributeError):
        Config().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", ""),
        ("host", "two words"),
        ("host", "http://here"),
        ("host", "user@here"),
        ("port", -1),
        ("port", 65_536),
        ("tls", "on"),
        ("ring", 0.0),
        ("ring", -1.0),
        ("connect", math.nan),
        ("reconnect", math.inf),
        ("hold", LONGEST + 1),
        ("ping", 0.0),
        ("bot_calls", 0),
        ("bot_load", 0.0),
        ("bot_load", math.nan),
        ("bot_drain", -0.1),
        ("drain", -0.1),
        ("drain", math.nan),
        ("limits", Limits(text=0)),
        ("limits", Limits(text=65_537, message=70_000)),
        ("limits", Limits(sdp=70_000, message=80_000)),
        ("limits", Limits(candidate=5_000)),
        ("limits", Limits(message=1_000)),
        ("limits", Limits(outbox_age=math.nan)),
        ("limits", Limits(hello=-1.0)),
        ("recordings", RecordingLimits(minutes=0.0)),
        ("recordings", RecordingLimits(each=0)),
        ("recordings", RecordingLimits(days=-1.0)),
        ("recordings", RecordingLimits(megabytes=math.inf)),
        ("recordings", RecordingLimits(free_megabytes=math.nan)),
        ("voicemail", VoicemailLimits(messages=0)),
        ("voicemail", VoicemailLimits(minutes=math.inf)),
        ("voicemail", VoicemailLimits(days=-1.0)),
        ("ice_servers", (IceServer(["http://example.org"]),)),
        ("ice_servers", (IceServer(["stun:"]),)),
        ("ice_servers", (IceServer(["turn:example.org"]),)),
        ("ice_servers", (IceServer(["turn:example.org"], "user"),)),
        ("origins", ("example.org",)),
        ("origins", ("https://example.org/page",)),
        ("origins", ("https://EXAMPLE.org",)),
        ("origins", ("https://user@example.org",)),
        ("origins", ("https://example.org:port",)),
        ("origins", ("ftp://example.org",)),
        ("origins", ("null",)),
        ("media_ports", (80, 90)),
        ("media_ports", (5001, 5000)),
        ("media_ports", (5000, 65_536)),
        ("public_addresses", ("example.org",)),
        ("public_addresses", ("127.0.0.1",)),
        ("allow_peers", ("everybody",)),
        ("allow_peers", ("192.168.0.1/16",)),
        ("call_bandwidth", 63),
        ("call_bandwidth", 1_000_001),
        ("log_level", "loud"),
    ],
)
def test_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**{name: value})
    assert caught.value.name == name
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "0.0.0.0"),
        ("host", "::"),
        ("host", "exchange.example.org"),
        ("port", 0),
        ("port", 65_535),
        ("drain", 0.0),
        ("tls", (Path("cert.pem"), Path("key.pem"))),
        ("ice_servers", (IceServer(["stun:stun.example.org:3478"]),)),
        ("ice_servers", (IceServer(["turns:example.org"], "user", "word"),)),
        ("origins", ("https://example.org", "http://localhost:9000", "http://[::1]:9000")),
        ("log_level", "debug"),
    ],
)
def test_taken(name: str, value: Any) -> None:
    assert getattr(Config(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.example.org", False),
    ],
)
def test_limits_off_only_for_this_machine(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone
    if alone:
        assert not Config(host=host, limits=Limits(on=False)).limits.on
    else:
        with pytest.raises(ConfigError, match="limits"):
            Config(host=host, limits=Limits(on=False))


def test_replace_checks_again() -> None:
    config = replace(Config(), port=1234)
    assert config.port == 1234
    with pytest.raises(ConfigError):
        replace(config, port=-1)


# --- flags and environment ----------------------------------------------------------------


def test_nothing_given_is_the_default() -> None:
    assert read({}, {}) == Config()
    assert read({s.name: () if s.many else None for s in SETTINGS}, {"HOME": "/x"}) == Config()


def test_every_field_has_its_setting() -> None:
    assert [s.name for s in SETTINGS] == list(Config.__struct_fields__)


# Something other than the default for each setting: as text, and as the value it stands for.
EXAMPLES: dict[str, tuple[str, Any]] = {
    "host": ("192.0.2.7", "192.0.2.7"),
    "port": ("9001", 9001),
    "data": ("/srv/ringback", Path("/srv/ringback")),
    "tls": ("cert.pem,key.pem", (Path("cert.pem"), Path("key.pem"))),
    "bots": ("off", False),
    "bot_calls": ("7", 7),
    "bot_load": ("0.5", 0.5),
    "bot_drain": ("9", 9.0),
    "ring": ("3.5", 3.5),
    "connect": ("4", 4.0),
    "reconnect": ("5", 5.0),
    "hold": ("6", 6.0),
    "ping": ("7", 7.0),
    "drain": ("0", 0.0),
    "limits": ("text=100,outbox_age=2.5", Limits(text=100, outbox_age=2.5)),
    "recordings": ("minutes=2.5,each=3,days=0", RecordingLimits(minutes=2.5, each=3, days=0.0)),
    "voicemail": ("messages=3,off", VoicemailLimits(messages=3, on=False)),
    "ice_servers": (
        "turn:t.example.org,me,secret",
        (IceServer(["turn:t.example.org"], "me", "secret"),),
    ),
    "media_ports": ("40000-40099", (40_000, 40_099)),
    "public_addresses": ("192.0.2.7,2001:db8::7", ("192.0.2.7", "2001:db8::7")),
    "allow_peers": ("private local-names", ("private", "local-names")),
    "call_bandwidth": ("1500", 1_500),
    "origins": ("https://example.org/", ("https://example.org",)),
    "log_level": ("error", "error"),
}  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.name)
def test_by_environment_and_by_flag(setting: Any) -> None:
    text, value = EXAMPLES[setting.name]
    assert setting.variable == PREFIX + setting.name.upper()
    by_variable = read({}, {setting.variable: text})
    by_flag = read({setting.name: (text,) if setting.many else text}, {})
    assert getattr(by_variable, setting.name) == getattr(by_flag, setting.name) == value
    assert value != getattr(Config(), setting.name)


def test_flags_go_before_the_environment() -> None:
    assert read({"port": "1"}, {"RINGBACK_PORT": "2"}).port == 1
    assert read({"bots": True}, {"RINGBACK_BOTS": "off"}).bots
    flags = {"limits": ("text=5",)}
    assert read(flags, {"RINGBACK_LIMITS": "rooms=2"}).limits == Limits(text=5)


@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_each_limit(name: str) -> None:
    if name == "on":
        assert not read({"limits": ("off",)}, {}).limits.on
        assert read({"limits": ("off", "on")}, {}).limits.on
        return
    changed = read({"limits": (f"{name}=7", "message=60000,text=9,sdp=9,candidate=9")}, {}).limits
    expected = 60_000 if name == "message" else 9 if name in ("text", "sdp", "candidate") else 7
    assert getattr(changed, name) == expected
    assert isinstance(getattr(changed, name), type(getattr(Limits(), name)))


def test_several_of_a_kind() -> None:
    environ = {
        "RINGBACK_ICE_SERVERS": "stun:a.example.org turn:b.example.org,me,se,cret",
        "RINGBACK_ORIGINS": " https://a.example.org  http://b.example.org:8080 ",
        "RINGBACK_LIMITS": " text=1 , rooms=2 ,",
    }
    config = read({}, environ)
    assert config.ice_servers == (
        IceServer(["stun:a.example.org"]),
        IceServer(["turn:b.example.org"], "me", "se,cret"),
    )
    assert config.origins == ("https://a.example.org", "http://b.example.org:8080")
    assert config.limits == Limits(text=1, rooms=2)


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        ({"port": "http"}, {}, "--port is a whole number"),
        ({"port": "70000"}, {}, "--port lies between 0 and 65535; 70000 does not"),
        ({}, {"RINGBACK_PORT": "http"}, "RINGBACK_PORT is a whole number"),
        ({}, {"RINGBACK_PORT": "-1"}, "RINGBACK_PORT lies between"),
        ({"ring": "long"}, {}, "--ring is a number"),
        ({"ring": "nan"}, {}, "--ring is more than 0"),
        ({}, {"RINGBACK_BOTS": "perhaps"}, "RINGBACK_BOTS is on or off"),
        ({"tls": "on"}, {}, "--tls is off, self-signed, or CERT,KEY"),
        ({"tls": "cert.pem,"}, {}, "--tls is off"),
        ({"limits": ("words=3",)}, {}, "--limit 'words=3' is none of calls_per_minute, "),
        ({"limits": ("text",)}, {}, "--limit 'text' is none of"),
        ({"limits": ("on=off",)}, {}, "--limit 'on=off' is none of"),
        ({"limits": ("text=1.5",)}, {}, "--limit text is a whole number"),
        ({"limits": ("text=-1",)}, {}, "--limit text is more than 0"),
        ({"recordings": ("hours=2",)}, {}, "--record-limit 'hours=2' is none of days, each, "),
        ({"recordings": ("each=some",)}, {}, "--record-limit each is a whole number"),
        ({"recordings": ("minutes=0",)}, {}, "--record-limit minutes is more than 0"),
        ({"voicemail": ("hours=2",)}, {}, "--voicemail 'hours=2' is none of days, "),
        ({"voicemail": ("days=-1",)}, {}, "--voicemail days is 0 or more"),
        ({"limits": ("off",), "host": "0.0.0.0"}, {}, "--limit can be off only"),
        ({"tls": "self-signed"}, {"RINGBACK_LIMITS": "off"}, "RINGBACK_LIMITS can be off only"),
        ({"ice_servers": ("stun:a,b",)}, {}, "--ice-server stun:a is written with both"),
        ({"ice_servers": ("a",)}, {}, "--ice-server a is no stun"),
        ({"origins": ("a",)}, {}, "--origin a is not of the form"),
        ({"media_ports": "5000-"}, {}, "--media-ports is LOW-HIGH"),
        ({"media_ports": "9-5000"}, {}, "--media-ports lie between 1024 and 65535"),
        ({"public_addresses": ("a",)}, {}, "--public-address a is no IP address"),
        ({}, {"RINGBACK_ALLOW_PEERS": "a"}, "RINGBACK_ALLOW_PEERS a is no range"),
        ({"call_bandwidth": "5"}, {}, "--call-bandwidth lies between 64 and 1000000"),
        ({"log_level": "loud"}, {}, "--log-level is one of debug, info"),
    ],
)  # fmt: skip
def test_a_bad_value_is_one_line_that_names_its_source(
    flags: dict[str, Any], environ: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingError) as caught:
        read(flags, environ)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_tls_opens_every_address_unless_told_otherwise() -> None:
    assert read({"tls": "self-signed"}, {}).host == "0.0.0.0"
    assert read({"tls": "self-signed"}, {"RINGBACK_HOST": "127.0.0.1"}).host == "127.0.0.1"
    assert read({"tls": "off"}, {}).host == "127.0.0.1"


def test_home_folder_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    config = read({"data": "~/calls", "tls": "~/c.pem, ~/k.pem"}, {})
    assert config.data == Path("/home/somebody/calls")
    assert config.tls == (Path("/home/somebody/c.pem"), Path("/home/somebody/k.pem"))


def test_mistyped_variables_are_found() -> None:
    environ = {"RINGBACK_PROT": "1", "RINGBACK_PORT": "1", "RINGBACK_BOT_TOKENS": "", "PORT": "1"}
    assert unknown(environ) == ["RINGBACK_PROT"]


@given(st.sampled_from(SETTINGS), st.text(max_size=40))
def test_no_text_gets_through_unchecked(setting: Any, text: str) -> None:
    try:
        config = read({}, {setting.variable: text})
    except SettingError as error:
        problem = str(error)
    else:
        # What was taken is good: made again from its own values it is the same.
        assert Config(**{n: getattr(config, n) for n in Config.__struct_fields__}) == config
        return
    assert problem.startswith(setting.variable)
