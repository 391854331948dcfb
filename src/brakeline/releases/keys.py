"""Signing keys of one cell: a directory of files that only its owner may read, found by what the root names.

`NAME.pem` holds an Ed25519 key; `NAME.uri` names one elsewhere, as two lines: URI (`pkcs11:…`, or a key service that
securesystemslib knows) and public key in hex. Which role a key has is said by the root alone, never by a file's name;
a file that no role needs any more is told to people and never removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, SecretsHandler, Signer, SSlibKey

from brakeline.releases import pkcs11
from brakeline.releases.faults import KeyUnusable
from brakeline.releases.files import PRIVATE, make_directory, write_durably
from brakeline.trust.ed25519 import KEY_BYTES

PIN_VARIABLE: Final = "BRAKELINE_RELEASE_PIN"
SIGNER_FOR_URI_SCHEME[pkcs11.SCHEME] = pkcs11.Pkcs11Signer


def public_key(public_hex: str) -> SSlibKey:
    """An Ed25519 public key as TUF writes it. Raises `KeyUnusable`."""
    try:
        raw = bytes.fromhex(public_hex)
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise KeyUnusable(f"{public_hex[:70]!r} is no Ed25519 public key: 64 hex digits")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(raw))


def public_hex(key: SSlibKey) -> str:
    """The 64 hex digits of a public key."""
    return str(key.keyval["public"])


def pin_from_environment(what: str) -> str:
    """The PIN of a token, for programs that nobody sits before."""
    try:
        return os.environ[PIN_VARIABLE]
    except KeyError:
        raise KeyUnusable(f"{what}: set {PIN_VARIABLE}") from None


def read_pem(path: Path, passphrase: SecretsHandler | None = None) -> CryptoSigner:
    """The key in a file; `passphrase` is asked if it is encrypted (None: nobody can be). Raises `KeyUnusable`."""
    try:
        data = path.read_bytes()
        if passphrase is not None and path.stat().st_mode & 0o077:
            raise KeyUnusable(f"{path} may be read by others than its owner: chmod 600, and think of it as copied")
        secret = passphrase(f"passphrase of {path.name}").encode() if passphrase and b"ENCRYPTED" in data else None
        private = _unlocked(path, data, secret)
    except (OSError, ValueError, TypeError) as e:
        raise KeyUnusable(f"{path}: {e}") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyUnusable(f"{path}: endpoints know Ed25519 only, this is a {type(private).__name__}")
    return CryptoSigner(private)


def _unlocked(path: Path, data: bytes, secret: bytes | None) -> PrivateKeyTypes:
    """A wrong passphrase may decrypt to anything: what the library makes of that differs from key to key."""
    try:
        return load_pem_private_key(data, secret)
    except ValueError:
        if secret is None:
            raise
        raise KeyUnusable(
            f"{path} cannot be decrypted: the passphrase is not its own, or the file is damaged"
        ) from None


def read_uri(path: Path, pin: SecretsHandler) -> Signer:
    """The key that a `.uri` file names. Raises `KeyUnusable`."""
    try:
        uri, public = path.read_text().split()
    except (OSError, ValueError) as e:
        raise KeyUnusable(f"{path}: two lines are needed, URI and public key ({e})") from None
    return signer_of(uri, public, pin)


def signer_of(uri: str, public: str, pin: SecretsHandler) -> Signer:
    """A signer by its URI. Raises `KeyUnusable`, also when its library is not installed."""
    try:
        return Signer.from_priv_key_uri(uri, public_key(public), pin)
    except KeyUnusable:
        raise
    except Exception as e:  # noqa: BLE001 - each kind of signer raises what its library does
        raise KeyUnusable(f"{uri}: {type(e).__name__}: {e}") from None


@dataclass(frozen=True, slots=True)
class Held:
    """A key that this server can sign with."""

    file: str
    signer: Signer
    where: str


class Keyring:
    """The keys in `directory`."""

    def __init__(self, directory: Path, pin: SecretsHandler = pin_from_environment) -> None:
        self._directory, self._pin = directory, pin
        self._held: dict[str, Held] = {}
        self.problems: tuple[str, ...] = ()

    def scan(self) -> None:
        """Read the directory again. A file that cannot be used is a problem, not an error."""
        held: dict[str, Held] = {}
        problems: list[str] = []
        for path in sorted(self._directory.glob("*.*")):
            try:
                if path.suffix == ".pem":
                    signer: Signer = read_pem(path)
                    found = Held(path.name, signer, f"file on this server ({path.name})")
                elif path.suffix == ".uri":
                    signer = read_uri(path, self._pin)
                    scheme = path.read_text().partition(":")[0]
                    found = Held(path.name, signer, f"{scheme}, reachable from this server ({path.name})")
                else:
                    continue
                held[signer.public_key.keyid] = found
            except KeyUnusable as e:
                problems.append(e.detail)
        self._held, self.problems = held, tuple(problems)

    def make(self, role: str) -> CryptoSigner:
        """A new key in a file of its own; durable when it returns."""
        make_directory(self._directory, 0o700)
        signer = CryptoSigner.generate_ed25519()
        name = f"{role.partition('/')[0]}-{signer.public_key.keyid[:8]}.pem"
        write_durably(self._directory / name, signer.private_bytes, PRIVATE)
        self._held[signer.public_key.keyid] = Held(name, signer, f"file on this server ({name})")
        return signer

    def enough(self, keyids: Iterable[str], threshold: int) -> list[Signer]:
        """As many signers as the threshold asks for, of those that are here; empty when they do not suffice."""
        found = [self._held[k].signer for k in keyids if k in self._held]
        return found[:threshold] if len(found) >= threshold else []

    def here(self, keyid: str) -> bool:
        """Whether this server can sign with it."""
        return keyid in self._held

    def where(self, keyid: str) -> str:
        """Where the private half is, as far as this server knows."""
        held = self._held.get(keyid)
        return held.where if held else "offline"

    def useless(self, needed: Sequence[str]) -> tuple[str, ...]:
        """Files here whose keys are not among `needed`."""
        return tuple(sorted(h.file for keyid, h in self._held.items() if keyid not in set(needed)))
