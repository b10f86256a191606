"""Certificates: one of our own for this machine, or the one that was given.

A phone hands out its camera only over https, so a Ringback on a desk needs a certificate
before it needs anything else. The one made here is signed by itself: browsers warn once.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

import ifaddr
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .config import Config

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Apple's devices refuse server certificates that live longer than 825 days, and
# certificates from others than the user more than 398: stay below both.
LIFE = datetime.timedelta(days=397)
RENEW = datetime.timedelta(days=30)


class TlsError(Exception):
    """The certificate or its key cannot be used; `str()` is one line that says why."""


def addresses() -> list[Address]:
    """This machine's addresses that others may reach, likeliest first.

    Loopback and link-local ones are left out; those of bridges to containers come last.
    """
    found: list[tuple[bool, bool, Address]] = []
    for adapter in ifaddr.get_adapters():
        inside = adapter.nice_name.startswith(("docker", "br-", "veth", "virbr", "podman", "cni"))
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            address = ipaddress.ip_address(text)
            if not (address.is_loopback or address.is_link_local):
                found.append((inside, address.version == 6, address))
    return [address for _, _, address in sorted(found, key=lambda entry: entry[:2])]


def names() -> list[str]:
    """What this machine is called: localhost, its host name, and that in `.local`."""
    host = socket.gethostname().lower()
    found = ["localhost"]
    if _is_host_name(host) and host != "localhost":
        found.append(host)
        if "." not in host:
            found.append(f"{host}.local")
    return found


def _is_host_name(text: str) -> bool:
    labels = text.split(".")
    return all(
        0 < len(label) <= 63 and label.isascii() and label.replace("-", "a").isalnum()
        for label in labels
    )


def own_names() -> list[x509.GeneralName]:
    """Everything a certificate for this machine must stand for (RFC 5280, 4.2.1.6)."""
    loopback: list[Address] = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    return [
        *(x509.DNSName(name) for name in names()),
        *(x509.IPAddress(address) for address in [*loopback, *addresses()]),
    ]


def self_signed(
    folder: Path,
    wanted: Iterable[x509.GeneralName] | None = None,
    now: datetime.datetime | None = None,
) -> tuple[Path, Path]:
    """The files of a certificate for this machine and its key, made where needed.

    What lies in `folder` is kept while it belongs together, stands for every name
    `wanted` and is good for 30 days more: each new one makes browsers warn again.
    Raises `OSError` when the folder cannot be written.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    wanted = list(wanted if wanted is not None else own_names())
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    if not _still_good(cert_file, key_file, wanted, now):
        key = ec.generate_private_key(ec.SECP256R1())
        folder.mkdir(parents=True, exist_ok=True)
        pem = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        # A crash between the two leaves a pair that does not match, and so is made again.
        _write(key_file, key.private_bytes(Encoding.PEM, *pem), 0o600)
        _write(cert_file, _make(key, wanted, now).public_bytes(Encoding.PEM), 0o644)
    return cert_file, key_file


def _still_good(
    cert_file: Path, key_file: Path, wanted: list[x509.GeneralName], now: datetime.datetime
) -> bool:
    try:
        cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        held = set(cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return False  # missing or damaged: the caller makes a new pair
    return (
        cert.public_key() == key.public_key()
        and cert.not_valid_before_utc <= now < cert.not_valid_after_utc - RENEW
        and held.issuperset(wanted)
        and key_file.stat().st_mode & 0o077 == 0
    )


def _make(
    key: ec.EllipticCurvePrivateKey, wanted: list[x509.GeneralName], now: datetime.datetime
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ringback on this machine")])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=False, crl_sign=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        # An hour back: a phone's clock may be a little behind.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFE - datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(wanted), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place whole or not at all, never readable by more than `mode` says."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def files(config: Config) -> tuple[Path, Path] | None:
    """The certificate's and the key's file for a configuration; None without TLS."""
    if config.tls == "off":
        return None
    if config.tls == "self-signed":
        return self_signed(config.data / "tls")
    return config.tls


def context(pair: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    """What serves TLS with a certificate and its key; None without.

    Raises `TlsError` when a file is missing, is none of the kind, or the two do not match.
    """
    if pair is None:
        return None
    cert, key = pair
    for path in pair:
        if not path.is_file():
            raise TlsError(f"There is no file {path} for TLS.")
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password given here, OpenSSL would stop and ask for one.
        made.load_cert_chain(cert, key, password=_no_password)
    except _Locked:
        raise TlsError(f"The key in {key} is locked with a password.") from None
    except ssl.SSLError as error:
        reason = (error.reason or "not readable").lower().replace("_", " ")
        raise TlsError(f"{cert} and {key} cannot be used together: {reason}.") from error
    except OSError as error:
        raise TlsError(f"{cert} or {key} cannot be read: {error.strerror}.") from error
    return made


class _Locked(Exception):
    """OpenSSL asked for a password."""


def _no_password() -> str:
    raise _Locked


def fingerprint(cert_file: Path) -> str:
    """The SHA-256 of a certificate as browsers show it: pairs of hex digits with colons."""
    digest = x509.load_pem_x509_certificate(cert_file.read_bytes()).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()
