"""Keys of the holders of offline roles: made as files or on tokens, read when something is to be signed.

`NAME.pem` is the private half (0600, encrypted with a passphrase unless told otherwise), `NAME.uri` names one that
stays on a token or in a key service, `NAME.pub` is the public half: one line "ed25519 HEX NAME", to be handed to
whoever stages. Never written: over a file that exists, or into a directory under version control. Never read from an
argument: secrets.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from securesystemslib.signer import SecretsHandler, Signer, SSlibKey

from brakeline.releases import pkcs11
from brakeline.releases.faults import KeyUnusable
from brakeline.releases.files import PRIVATE, PUBLIC, sync_directory
from brakeline.releases.keys import public_hex, public_key, read_pem, read_uri, signer_of

PASSPHRASE_CHARS_MIN: Final = 12
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_PROBE: Final = b"brakeline: a signature to see whether this key works"


@dataclass(frozen=True, slots=True)
class Public:
    """A public key and what people call its holder."""

    name: str
    key: SSlibKey


def make_file(directory: Path, name: str, passphrase: str | None) -> Public:
    """A new key in NAME.pem and NAME.pub; durable when it returns. `passphrase` None: the file is not encrypted."""
    _require_place(directory, name)
    if passphrase is not None and len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise KeyUnusable(f"a passphrase has {PASSPHRASE_CHARS_MIN} characters at least: whoever copies the file may "
                          "try as many as he likes")  # fmt: skip
    private = Ed25519PrivateKey.generate()
    cipher = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    _write_new(directory / f"{name}.pem", private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, cipher), PRIVATE)
    return _write_public(directory, name, raw.hex())


def make_on_token(directory: Path, name: str, uri: str, pin: SecretsHandler) -> Public:
    """A new key pair on a PKCS#11 token, named by NAME.uri and NAME.pub."""
    _require_place(directory, name)
    return _write_elsewhere(directory, name, uri, pkcs11.generate(uri, pin), pin)


def name_elsewhere(directory: Path, name: str, uri: str, public: str, secrets: SecretsHandler) -> Public:
    """A key that exists already on a token or in a key service; it must sign once before it is believed to be there."""
    _require_place(directory, name)
    return _write_elsewhere(directory, name, uri, public, secrets)


def read_public(path: Path) -> Public:
    """The holder in a `.pub` file. Raises `KeyUnusable`."""
    try:
        kind, public, name = path.read_text().split()
    except (OSError, ValueError):
        raise KeyUnusable(
            f"{path} is no public key of `brakeline release keygen`: one line, ed25519 HEX NAME"
        ) from None
    if kind != "ed25519" or not _NAME.fullmatch(name):
        raise KeyUnusable(f"{path}: {kind[:20]!r} of {name[:40]!r}; endpoints know ed25519 only")
    return Public(name, public_key(public))


def signer_in(path: Path, secrets: SecretsHandler) -> Signer:
    """The signer that `path` (`.pem` or `.uri`) holds or names. Asks `secrets` for what it needs. `KeyUnusable`."""
    if path.suffix == ".uri":
        return read_uri(path, secrets)
    return read_pem(path, secrets)


def _require_place(directory: Path, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise KeyUnusable(f"{name[:40]!r} is no name for a key: small letters, digits, dots and hyphens, at most 40")
    here = directory.resolve()
    if not here.is_dir():
        raise KeyUnusable(f"{directory} is no directory")
    for above in (here, *here.parents):
        if (above / ".git").exists():
            raise KeyUnusable(f"{here} is under version control ({above}): keys do not belong there; give --dir")
    for path in (here / f"{name}{suffix}" for suffix in (".pem", ".uri", ".pub")):
        if path.exists():
            raise KeyUnusable(f"{path} exists, and a key is never written over; choose another name")


def _write_elsewhere(directory: Path, name: str, uri: str, public: str, secrets: SecretsHandler) -> Public:
    signer = signer_of(uri, public, secrets)
    try:
        signer.public_key.verify_signature(signer.sign(_PROBE), _PROBE)
    except KeyUnusable:
        raise
    except Exception as e:  # noqa: BLE001 - each kind of signer raises what its library does
        raise KeyUnusable(f"{uri} cannot sign: {type(e).__name__}: {e}") from None
    _write_new(directory / f"{name}.uri", f"{uri}\n{public}\n".encode(), PRIVATE)
    return _write_public(directory, name, public)


def _write_public(directory: Path, name: str, public: str) -> Public:
    made = Public(name, public_key(public))
    _write_new(directory / f"{name}.pub", f"ed25519 {public_hex(made.key)} {name}\n".encode(), PUBLIC)
    return made


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """A file that was not there before: whole and durable, or not there."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as e:
        raise KeyUnusable(f"{path}: {e.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
    except OSError as e:
        with contextlib.suppress(OSError):
            path.unlink()
        raise KeyUnusable(f"{path}: {e.strerror}; no key was made") from None
