"""The vendor's files in a directory of their own, and the tools that look at signatures: gpgv, rpmkeys. I/O only.

A tool gets the pinned keys and nothing else: an own keyring, an own home, no configuration of this machine, no network,
and `TOOL_S_MAX`. That a tool is missing is a refusal with its package's name, never a "looks good".
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

from brakeline.catalog.curated.adopting import ROLES
from brakeline.catalog.curated.openpgp import clear_signed
from brakeline.catalog.curated.vouching import INDEX_BYTES_MAX
from brakeline.core.errors import Invalid, Unavailable

TOOL_S_MAX: Final = 60
SAID_CHARS_MAX: Final = 4000
PIECE_BYTES: Final = 1 << 20  # read in one go; no header of a file with a role's name is near it


class ToolMissing(Unavailable):
    """A program that looks at signatures is not on this server."""

    code = "tool-missing"
    hint = "Install it on the server (Debian: gpgv, rpm), then try again. Nothing was taken over."


@dataclass(frozen=True, slots=True)
class Files:
    """A `Bench` over one directory: each file is called by its role."""

    directory: Path

    def has(self, role: str) -> bool:
        return (self.directory / role).is_file()

    def read(self, role: str, bytes_max: int) -> bytes:
        with open(self.directory / role, "rb") as f:
            data = f.read(bytes_max + 1)
        if len(data) > bytes_max:
            raise Invalid(f"{role} has more than {bytes_max} bytes")
        return data

    def measured(self, role: str) -> tuple[int, str]:
        path = self.directory / role
        with open(path, "rb") as f:
            return path.stat().st_size, hashlib.file_digest(f, "sha256").hexdigest()

    def gpgv(self, keys: bytes, signature: str, data: str = "") -> tuple[str, bytes]:
        """Status lines, and what the signature covers where it holds its text itself.

        Of that only the clear-signed part is shown to gpgv: a packed one could unfold to any size.
        """
        ring, covered, clear = (self.directory / name for name in ("keyring.gpg", "covered", "clear"))
        ring.write_bytes(keys)
        covered.unlink(missing_ok=True)
        words = ["gpgv", "--status-fd", "1", "--keyring", str(ring)]
        if data:
            words += [str(self.directory / signature), str(self.directory / data)]
        else:
            clear.write_bytes(clear_signed(self.read(signature, INDEX_BYTES_MAX)))
            words += ["--output", str(covered), str(clear)]
        done = self._run(words)
        text = self.read("covered", INDEX_BYTES_MAX) if covered.exists() else b""
        return done.stdout.decode("utf-8", "replace"), text

    def rpmkeys(self, keys: bytes, artifact: str) -> tuple[bool, str]:
        """Whether header and payload are signed by one of these keys, by rpm's own judgement over our own database."""
        ring, database = self.directory / "keyring.gpg", tempfile.mkdtemp(prefix="rpmdb", dir=self.directory)
        ring.write_bytes(_armoured(keys))
        taken = self._run(["rpmkeys", "--dbpath", database, "--import", str(ring)])
        if taken.returncode:
            return False, _said(taken)
        strict = ["--define", "_pkgverify_level all", "--define", "_pkgverify_flags 0x0"]
        found = self._run(["rpmkeys", "--dbpath", database, *strict, "-Kv", str(self.directory / artifact)])
        text = _said(found)
        signed = [line for line in text.splitlines() if "Signature" in line]
        return found.returncode == 0 and bool(signed) and all(line.endswith(": OK") for line in signed), text

    def rpm_called(self, artifact: str) -> tuple[str, str, str]:
        """Name, version with epoch and release, and architecture of an rpm whose signature is good."""
        form = "%{NAME}\n%|EPOCH?{%{EPOCH}}:{0}|\n%{VERSION}-%{RELEASE}\n%{ARCH}\n"
        database = tempfile.mkdtemp(prefix="rpmdb", dir=self.directory)
        asked = ["rpm", "--dbpath", database, "--nosignature", "-qp", "--qf", form, str(self.directory / artifact)]
        name, epoch, version, architecture = [
            *self._run(asked).stdout.decode("utf-8", "replace").split("\n"),
            *[""] * 4,
        ][:4]
        return name, version if epoch == "0" else f"{epoch}:{version}", architecture

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[bytes]:
        home: Mapping[str, str] = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8",
                                   "GNUPGHOME": str(self.directory), "HOME": str(self.directory)}  # fmt: skip
        try:
            return subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, env=home, timeout=TOOL_S_MAX, check=False
            )
        except FileNotFoundError:
            raise ToolMissing(f"{words[0]} is not here, so no signature can be looked at") from None
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{words[0]} gave no answer within {TOOL_S_MAX} s") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stdout + done.stderr).decode("utf-8", "replace").strip()[:SAID_CHARS_MAX]


def _armoured(keys: bytes) -> bytes:
    """As rpmkeys wants them."""
    import base64

    body = base64.encodebytes(keys).decode()
    crc = base64.b64encode(_crc24(keys).to_bytes(3, "big")).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body}={crc}\n-----END PGP PUBLIC KEY BLOCK-----\n".encode()


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


class _Sober:
    """A source of which nobody takes more than a piece in one go: tarfile reads a header whole, as large as it says."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self.tell, self.seek = source, source.tell, source.seek

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= PIECE_BYTES:
            raise Invalid(f"a header of the tar has more than {PIECE_BYTES >> 20} MiB")
        return self._source.read(size)


def unpack(source: IO[bytes], directory: Path, bytes_max: int) -> Files:
    """The files of an upload, each plain and called by a role. Raises `Invalid`."""
    left = bytes_max  # of all files together: a sparse one is larger than what was sent
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", _Sober(source)), mode="r:") as tar:
            for member in tar:
                left -= member.size
                if not member.isreg() or member.name not in ROLES or left < 0 or member.size < 0:
                    raise Invalid(f"{member.name[:60]!r} is none of {', '.join(ROLES)}, no plain file, or too large")
                inside = tar.extractfile(member)
                with open(directory / member.name, "xb") as f:
                    while inside is not None and (piece := inside.read(PIECE_BYTES)):
                        f.write(piece)
    except FileExistsError as e:
        raise Invalid(f"{Path(str(e.filename)).name} is there twice") from None
    except RecursionError:
        raise Invalid("the tar has headers upon headers, and no file") from None
    except (tarfile.TarError, EOFError, ValueError) as e:
        raise Invalid(f"the upload is no tar, or a damaged one: {str(e)[:80]}") from None
    return Files(directory)
