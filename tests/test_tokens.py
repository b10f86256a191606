"""`ringback bot token`: what it prints lets a bot join, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ringback.__main__ import main
from ringback.bots.client import Client
from ringback.server import protocol as p
from ringback.server.identity import load_secret, read_token
from tests.running import Server


def token(*arguments: str, **environ: str) -> Result:
    environ = {"RINGBACK_DATA": ""} | environ
    return CliRunner().invoke(main, ["bot", "token", *arguments], env=environ)


async def test_a_bot_joins_with_it(server: Server) -> None:
    done = token("Parrot", "--data", str(server.data))
    assert done.exit_code == 0
    async with Client(server.ws + "/ws", token=done.output.strip(), about="Talks.") as client:
        assert client.name == "Parrot"
        people = await client.request(p.Contacts())
        assert isinstance(people, p.ContactList)
    # By the variable too, whatever the others hold.
    done = token("parrot", RINGBACK_DATA=str(server.data), RINGBACK_PORT="none")
    who = read_token(load_secret(server.data), done.output.strip())
    assert (who.name, who.bot) == ("parrot", True)


def test_its_days_are_counted(tmp_path: Path) -> None:
    secret = load_secret(tmp_path)
    done = token("parrot", "--data", str(tmp_path), "--days", "0.000001")
    with pytest.raises(p.ProtocolError):
        read_token(secret, done.output.strip())
    assert token("parrot", "--data", str(tmp_path), "--days", "0").exit_code == 2


def test_a_folder_without_a_secret_gets_none(tmp_path: Path) -> None:
    done = token("parrot", "--data", str(tmp_path / "typo"))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"ringback: {tmp_path / 'typo'} is no data folder")
    assert not (tmp_path / "typo").exists()


def test_what_cannot_be_a_name(tmp_path: Path) -> None:
    load_secret(tmp_path)
    done = token("a\u200bb", "--data", str(tmp_path))
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("ringback: ")


def test_a_damaged_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    done = token("parrot", "--data", str(tmp_path))
    assert done.exit_code == 2
    assert "damaged" in done.stderr
    (tmp_path / "secret").unlink()
    (tmp_path / "secret").mkdir()
    done = token("parrot", "--data", str(tmp_path))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"ringback: {tmp_path / 'secret'}: ")
