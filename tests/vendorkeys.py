"""A vendor that tests make: real OpenPGP keys of gpg in a home of their own, minisign's, and what they sign."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from tests.support import require

from brakeline.trust import ed25519


def needed() -> None:
    for tool in ("gpg", "gpgv", "gpg-agent"):
        require(shutil.which(tool), f"{tool} (see tools/debian-packages.txt)")


@dataclass
class Vendor:
    """One vendor's keys. `home`: gpg's, short, because the agent's socket lies in it."""

    home: Path

    def __post_init__(self) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)

    def close(self) -> None:
        """End gpg's agent of this home."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False, capture_output=True)

    def gpg(self, *words: str, said: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback",
                   "--passphrase", "", *words]  # fmt: skip
        done = subprocess.run(command, input=said, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def key(self, who: str, kind: str = "ed25519", expires: str = "0", at: int = 0) -> str:
        """Make a key; its fingerprint. `at`: when, as seconds since 1970."""
        faked = (f"--faked-system-time={at}!",) if at else ()
        self.gpg(*faked, "--quick-gen-key", f"{who} <{who}@vendor.example>", kind, "sign", expires)
        return self.fingerprint(who)

    def fingerprint(self, who: str) -> str:
        lines = self.gpg("--list-keys", "--with-colons", f"{who}@vendor.example").decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def public(self, *keys: str, armoured: bool = True) -> bytes:
        return self.gpg("--export", *(("--armor",) if armoured else ()), *keys)

    def detached(self, key: str, data: bytes, at: int = 0, *more: str) -> bytes:
        faked = (f"--faked-system-time={at}!",) if at else ()
        return self.gpg(*faked, *more, "--armor", "--local-user", key, "--detach-sign", said=data)

    def inline(self, key: str, data: bytes, at: int = 0) -> bytes:
        faked = (f"--faked-system-time={at}!",) if at else ()
        return self.gpg(*faked, "--local-user", key, "--clearsign", said=data)

    def revoke(self, key: str) -> None:
        """By the certificate that gpg makes with each key."""
        text = (self.home / "openpgp-revocs.d" / f"{key}.rev").read_text()
        self.gpg("--import", said=text.replace(":-----BEGIN", "-----BEGIN").encode())


def release(listings: dict[str, bytes], at_s: int, until_s: int = 0) -> bytes:
    """A `Release` that names these listings by their places."""
    lines = [f"Date: {formatdate(at_s, usegmt=True)}"]
    lines += [f"Valid-Until: {formatdate(until_s, usegmt=True)}"] if until_s else []
    lines.append("SHA256:")
    lines += [f" {hashlib.sha256(data).hexdigest()} {len(data)} {place}" for place, data in listings.items()]
    return ("\n".join(lines) + "\n").encode()


def packages(name: str, version: str, data: bytes, architecture: str = "amd64") -> bytes:
    """An index `Packages` of one package."""
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nFilename: pool/{name}_{version}.deb\n"
        f"Size: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
    ).encode()


SEED, KEY_ID = bytes(range(7, 39)), b"12345678"


def minisign_key(seed: bytes = SEED, key_id: bytes = KEY_ID) -> str:
    return base64.b64encode(b"Ed" + key_id + ed25519.public_key(seed)).decode()


def minisign(data: bytes, comment: str, seed: bytes = SEED, key_id: bytes = KEY_ID) -> bytes:
    """As minisign 0.10 and newer sign: over BLAKE2b, and over signature and comment."""
    body = ed25519.sign(seed, hashlib.blake2b(data).digest())
    whole = ed25519.sign(seed, body + comment.encode())
    return (
        f"untrusted comment: signature\n{base64.b64encode(b'ED' + key_id + body).decode()}\n"
        f"trusted comment: {comment}\n{base64.b64encode(whole).decode()}\n"
    ).encode()
