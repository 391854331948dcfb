"""TLS from the first start: an authority of this installation's own, and the server's certificate under it.

    DATA/tls/ca.pem ca.key      10 years; the key (0600) signs server certificates of this installation only
    DATA/tls/server.pem server.key   1 year, renewed at start when fewer than 30 days are left or a name is missing

The server's key is kept over renewals, so the pin printed in an enrolment command stays true. Endpoints verify
against the pinned authority with the fixed name `cell.brakeline.internal`, whatever address they dial.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from brakeline.core.clock import Clock
from brakeline.core.errors import Fault
from brakeline.platform.clock import clock_problem

SERVER_NAME: Final = "cell.brakeline.internal"
ALWAYS: Final = (SERVER_NAME, "localhost", "127.0.0.1", "::1")
CA_LIFETIME: Final = timedelta(days=3650)  # endpoints pin it at enrolment; replacing it means enrolling again
LEAF_LIFETIME: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=30)
BACKDATE: Final = timedelta(hours=1)  # endpoints whose clock is a little behind


class TlsUnusable(Fault):
    """The installation's TLS files cannot be used."""

    code = "tls-unusable"


class ClockWrong(Fault):
    """This machine's clock is wrong."""

    code = "clock-wrong"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of the installation's TLS material, and what to pin."""

    ca_file: Path
    certificate_file: Path  # leaf, then authority
    key_file: Path
    leaf_pin: str  # "sha256//BASE64" of the leaf's public key: curl --pinnedpubkey
    ca_sha256: str  # hex SHA-256 of the authority's DER
    renewed: bool  # the certificate was made at this start

    def ca_pin(self) -> tuple[str, str]:
        """(pin of the server's public key for curl, SHA-256 of the authority's DER)."""
        return self.leaf_pin, self.ca_sha256

    def ca_pem(self) -> str:
        return self.ca_file.read_text()


def ensure_tls(data_dir: Path, public_names: tuple[str, ...], clock: Clock) -> TlsFiles:
    """The TLS files below `data_dir`, made or renewed as needed. Raises `ClockWrong`, `TlsUnusable`."""
    complaint = clock_problem(clock.now_ms())
    if complaint:
        raise ClockWrong(complaint)
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    directory = data_dir / "tls"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca_key = _key(directory / "ca.key")
    ca_file = directory / "ca.pem"
    if not ca_file.exists():
        _write(ca_file, _authority(ca_key, now).public_bytes(serialization.Encoding.PEM), 0o644)
    ca = _certificate(ca_file)
    _check_authority(ca, ca_key, now)
    leaf_key = _key(directory / "server.key")
    leaf_file = directory / "server.pem"
    names = tuple(dict.fromkeys((*ALWAYS, *public_names)))
    renew = not leaf_file.exists() or _stale(_certificate(leaf_file), ca, leaf_key, names, now)
    if renew:
        leaf = _leaf(leaf_key, ca_key, ca, names, now)
        _write(leaf_file, b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (leaf, ca)), 0o644)
    spki = leaf_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return TlsFiles(
        ca_file, leaf_file, directory / "server.key",
        "sha256//" + base64.b64encode(hashlib.sha256(spki).digest()).decode(),
        hashlib.sha256(ca.public_bytes(serialization.Encoding.DER)).hexdigest(), renew,
    )  # fmt: skip


def _check_authority(ca: x509.Certificate, key: ec.EllipticCurvePrivateKey, now: datetime) -> None:
    if ca.public_key() != key.public_key():
        raise TlsUnusable("ca.pem and ca.key do not belong together; restore both from the same backup.")
    if not ca.not_valid_before_utc <= now <= ca.not_valid_after_utc:
        raise TlsUnusable(
            f"the authority is valid from {ca.not_valid_before_utc:%Y-%m-%d} to {ca.not_valid_after_utc:%Y-%m-%d}, "
            f"and this machine's clock says {now:%Y-%m-%d}. Check the clock first; an expired authority means "
            "moving DATA/tls away and enrolling every endpoint again."
        )


def _stale(
    leaf: x509.Certificate, ca: x509.Certificate, key: ec.EllipticCurvePrivateKey, names: tuple[str, ...], now: datetime
) -> bool:
    has = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        leaf.not_valid_after_utc - now < RENEW_BEFORE
        or now < leaf.not_valid_before_utc
        or leaf.issuer != ca.subject
        or leaf.public_key() != key.public_key()
        or set(has) != set(_alternative_names(names))
    )


def _alternative_names(names: tuple[str, ...]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Brakeline installation authority")])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # signs certificates and lists
    return (
        _builder(name, name, key, now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    ca_key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    names: tuple[str, ...],
    now: datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVER_NAME)])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)  # digital signature
    return (
        _builder(subject, ca.subject, key, now, min(LEAF_LIFETIME, ca.not_valid_after_utc - now))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + lifetime)
    )


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The P-256 key at `path`, made if it is not there; refuses a file that others may read."""
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PrivateFormat.PKCS8
        _write(path, made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()), 0o600)
    if path.stat().st_mode & 0o077:
        raise TlsUnusable(f"{path} may be read by others; chmod 600 {path}, and think whether anybody did.")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except ValueError as e:
        raise TlsUnusable(f"{path} is damaged ({e}); restore it from a backup.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TlsUnusable(f"{path} is no P-256 key; restore it from a backup.")
    return key


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except ValueError as e:
        raise TlsUnusable(f"{path} is damaged ({e}); restore it from a backup.") from None


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all: a power cut leaves the old file or the new one."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    part.replace(path)
