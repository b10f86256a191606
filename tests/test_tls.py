"""Certificates: made for this machine, kept, made again when they no longer serve."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import stat
from pathlib import Path

import ifaddr
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from ringback.server import tls
from ringback.server.config import Config

NOW = datetime.datetime(2030, 5, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
HERE = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names_of(cert: x509.Certificate) -> list[x509.GeneralName]:
    return list(cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


# --- what this machine is called -----------------------------------------------------------


class Adapter:
    def __init__(self, name: str, *ips: str | tuple[str, int, int]) -> None:
        self.nice_name = name
        self.ips = [ifaddr.IP(ip, 24, name) for ip in ips]


def test_addresses_leave_out_what_nobody_else_can_use(monkeypatch: pytest.MonkeyPatch) -> None:
    adapters = [
        Adapter("lo", "127.0.0.1", ("::1", 0, 0)),
        Adapter("docker0", "172.17.0.1"),
        Adapter("wlan0", ("fd00::5", 0, 0), ("fe80::1", 0, 3), "192.168.1.5", "169.254.1.1"),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    assert [str(a) for a in tls.addresses()] == ["192.168.1.5", "fd00::5", "172.17.0.1"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("Desk", ["localhost", "desk", "desk.local"]),
        ("desk.example.org", ["localhost", "desk.example.org"]),
        ("localhost", ["localhost"]),
        ("my desk", ["localhost"]),
        ("bücher", ["localhost"]),
        ("", ["localhost"]),
        ("a" * 64, ["localhost"]),
    ],
)
def test_names(monkeypatch: pytest.MonkeyPatch, host: str, expected: list[str]) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert tls.names() == expected


def test_own_names_hold_loopback_and_every_address() -> None:
    own = tls.own_names()
    assert set(HERE) < set(own)
    assert {x509.IPAddress(a) for a in tls.addresses()} < set(own)


# --- making and keeping --------------------------------------------------------------------


def test_made_as_phones_want_it(tmp_path: Path) -> None:
    cert_file, key_file = tls.self_signed(tmp_path / "new" / "tls", HERE, NOW)
    cert = load(cert_file)
    assert names_of(cert) == HERE
    assert cert.not_valid_before_utc < NOW
    assert cert.not_valid_after_utc - cert.not_valid_before_utc <= 398 * DAY
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    # Nothing is left of the drafts.
    assert sorted(p.name for p in cert_file.parent.iterdir()) == ["cert.pem", "key.pem"]


def test_key_is_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        if target.name == "key.pem":
            modes.append(stat.S_IMODE(self.stat().st_mode))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    tls.self_signed(tmp_path, HERE, NOW)
    assert modes == [0o600]


def test_kept_while_it_serves(tmp_path: Path) -> None:
    first = [p.read_bytes() for p in tls.self_signed(tmp_path, HERE, NOW)]
    assert [p.read_bytes() for p in tls.self_signed(tmp_path, HERE, NOW + 300 * DAY)] == first
    # An address that went away is no reason: the rest still holds.
    assert [p.read_bytes() for p in tls.self_signed(tmp_path, HERE[:1], NOW)] == first


def test_made_again_for_a_new_address(tmp_path: Path) -> None:
    tls.self_signed(tmp_path, HERE, NOW)
    more = [*HERE, x509.IPAddress(ipaddress.ip_address("192.168.1.5"))]
    cert, _ = tls.self_signed(tmp_path, more, NOW)
    assert names_of(load(cert)) == more


@pytest.mark.parametrize("days", [-1, 368, 397, 5_000])
def test_made_again_when_expiry_is_near(tmp_path: Path, days: int) -> None:
    before = load(tls.self_signed(tmp_path, HERE, NOW)[0])
    now = NOW + days * DAY
    after = load(tls.self_signed(tmp_path, HERE, now)[0])
    assert after.serial_number != before.serial_number
    assert after.not_valid_before_utc <= now < after.not_valid_after_utc - 30 * DAY


@pytest.mark.parametrize("damage", ["cert", "key", "swap", "mode", "gone"])
def test_made_again_when_damaged(tmp_path: Path, damage: str) -> None:
    cert, key = tls.self_signed(tmp_path, HERE, NOW)
    before = load(cert)
    if damage == "cert":
        cert.write_text("no certificate")
    elif damage == "key":
        key.write_bytes(key.read_bytes()[:40])
    elif damage == "swap":  # what a crash between the two writes leaves
        other = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        key.write_bytes(other.private_bytes(Encoding.PEM, *form))
    elif damage == "mode":
        key.chmod(0o640)
    else:
        key.unlink()
    again = load(tls.self_signed(tmp_path, HERE, NOW)[0])
    assert again.serial_number != before.serial_number
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert tls.context((cert, key)) is not None


def test_a_write_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = tls.self_signed(tmp_path, HERE, NOW)
    before = cert.read_bytes(), key.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        tls.self_signed(tmp_path, HERE, NOW + 390 * DAY)
    assert (cert.read_bytes(), key.read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


# --- serving with it -----------------------------------------------------------------------


def test_files_for_each_mode(tmp_path: Path) -> None:
    assert tls.files(Config(data=tmp_path)) is None
    given = (tmp_path / "c", tmp_path / "k")
    assert tls.files(Config(data=tmp_path, tls=given)) == given
    made = tls.files(Config(data=tmp_path, tls="self-signed"))
    assert made == (tmp_path / "tls" / "cert.pem", tmp_path / "tls" / "key.pem")
    assert tls.context(None) is None


async def test_a_client_that_trusts_it_gets_through(tmp_path: Path) -> None:
    pair = tls.self_signed(tmp_path)
    server = await asyncio.start_server(_hello, "127.0.0.1", 0, ssl=tls.context(pair))
    async with server:
        port = server.sockets[0].getsockname()[1]
        trusting = ssl.create_default_context(cafile=pair[0])
        for host in ("127.0.0.1", "localhost"):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusting, server_hostname=host
            )
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusting, server_hostname="elsewhere.example.org"
            )


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def test_old_tls_is_off(tmp_path: Path) -> None:
    made = tls.context(tls.self_signed(tmp_path))
    assert made is not None
    assert made.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    cert, key = tls.self_signed(tmp_path / "a", HERE)
    _, other = tls.self_signed(tmp_path / "b", HERE)
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("garbage")
    locked = tmp_path / "locked.pem"
    form = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(loaded.private_bytes(Encoding.PEM, *form))
    missing = tmp_path / "missing.pem"
    for pair, words in (
        ((cert, other), "cannot be used together: key values mismatch"),
        ((garbage, key), "cannot be used together"),
        ((cert, garbage), "cannot be used together"),
        ((cert, locked), "is locked with a password"),
        ((missing, key), f"There is no file {missing}"),
        ((cert, tmp_path), f"There is no file {tmp_path}"),
    ):
        with pytest.raises(tls.TlsError, match=words) as caught:
            tls.context(pair)
        assert "\n" not in str(caught.value)


def test_fingerprint_as_browsers_show_it(tmp_path: Path) -> None:
    cert, _ = tls.self_signed(tmp_path, HERE)
    shown = tls.fingerprint(cert)
    assert len(shown) == 32 * 3 - 1
    assert bytes.fromhex(shown.replace(":", "")).hex(":").upper() == shown
