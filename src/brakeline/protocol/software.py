"""An own package: what a person describes and signs, what an endpoint may run as root because of it. Pure.

A document is one package's text with the signatures of its authors over exactly that text. Its full version is the
author's, a plus and 12 hex of the SHA-256 of the text (`2.1+3f2a9c04d1e5`): whoever names it names the artifact and
every letter of every script, so pins, digests and quarantines cover them. Invariants: closed lists of interpreters,
detections and platforms; every bound has a name; an unknown key is an error, because a key that is passed over could be
the one that said "only if". Next: `software_rules` (what makes sense), `trusted_authors` (who is believed).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

from brakeline.core.errors import Fault
from brakeline.protocol import codec
from brakeline.protocol.managers import OWN

FORMAT: Final = 1
FOLDER: Final = "software/"  # of a content bundle: NAME_DIGEST.json
PAYLOADS: Final = "payloads/"  # of a content bundle: artifacts by their SHA-256
LABEL: Final = OWN  # stands for the architecture of an own package
DOCUMENT_BYTES_MAX: Final = 256 * 1024
SIGNATURES_MAX: Final = 8
SOFTWARE_CONTEXT: Final = b"brakeline own package v1\n"
DIGEST_CHARS: Final = 12


class BadSoftware(Fault):
    """This is no own package that could be taken."""

    code, status = "bad-software", 422
    hint = "The reference of own packages says what each key means; `brakeline software check FILE` looks again."


class Look(StrEnum):
    """How an endpoint finds out which version is there. None of them runs anything of the package's own."""

    FILE = "file"  # a line of a file, by a regular expression with one group
    PATH = "path"  # it is there or not; which version, Brakeline's own record says
    DEB = "deb"  # dpkg's record of a package
    RPM = "rpm"  # rpm's record of a package: `[epoch:]version-release`
    RECORD = "record"  # Brakeline's own record alone: for scripts that leave nothing behind
    PROGRAM = "program"  # Windows: an installed program by its display name; a `*` at its end stands for the rest
    MSI = "msi"  # Windows: by the product code or the upgrade code of an MSI package
    REGISTRY = "registry"  # Windows: the value `package` of the key `path`
    FILE_VERSION = "file-version"  # Windows: the version that a program file says of itself


class WayBack(StrEnum):
    """What takes a version back."""

    EARLIER = "earlier"  # the package of the version before; of a first installation, the uninstall script
    NONE = "none"  # nothing does, and the author says so


@dataclass(frozen=True, slots=True)
class Detection:
    """Which version is there: `file` has path and pattern, `path` a path, `deb` and `rpm` a package, `record` nothing
    more; on Windows `program` and `msi` have a package, `registry` a path and a package, `file-version` a path."""

    kind: Look
    path: str = ""
    pattern: str = ""
    package: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """The one file that comes with a package. `url` "" = it lies in the content."""

    file: str
    bytes: int
    sha256: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """Run as root. `success`: exit codes that are none of a failure; what was really done, detection says."""

    interpreter: str
    text: str
    timeout_s: int = 600
    success: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Software:
    """One version of one own package. Without an artifact it is a script."""

    name: str
    version: str
    title: str
    detection: Detection
    install: Script
    platforms: tuple[str, ...] = ("linux",)
    vendor: str = ""
    artifact: Artifact | None = None
    pre: Script | None = None
    post: Script | None = None
    uninstall: Script | None = None
    way_back: WayBack = WayBack.EARLIER
    repeatable: bool = False  # its scripts may be run again after a lost run

    @property
    def scripts(self) -> dict[str, Script]:
        """Those that it has, by name, in the order in which they are run."""
        named = {"pre": self.pre, "install": self.install, "post": self.post, "uninstall": self.uninstall}
        return {name: script for name, script in named.items() if script is not None}


@dataclass(frozen=True, slots=True)
class Signature:
    """Of one author, over SOFTWARE_CONTEXT and the text."""

    author: str
    key: str  # hex Ed25519; who this is, the endpoint's root says
    signature: str


@dataclass(frozen=True, slots=True)
class Document:
    """A package with what was signed of it."""

    text: str
    software: Software
    signatures: tuple[Signature, ...] = field(default=())

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def version(self) -> str:
        """The full one, which names every letter."""
        return f"{self.software.version}+{self.digest[:DIGEST_CHARS]}"

    @property
    def file(self) -> str:
        """Its name in a content bundle."""
        return f"{FOLDER}{self.software.name}_{self.digest[:DIGEST_CHARS]}.json"


def plain_version(full: str) -> str:
    """The author's version inside a full one."""
    return full.partition("+")[0]


def read(data: bytes) -> Document:
    """A signed document. `BadSoftware` says what is wrong."""
    plain = _object(data, "the document")
    _keys(plain, {"format", "package", "signatures"}, "the document")
    if plain.get("format") != FORMAT or isinstance(plain["format"], bool):
        raise BadSoftware(f"format is {str(plain.get('format'))[:20]!r}; this program understands {FORMAT}")
    text, signed = plain.get("package"), plain.get("signatures", [])
    if not isinstance(text, str) or not isinstance(signed, list) or len(signed) > SIGNATURES_MAX:
        raise BadSoftware(f"package is the signed text, signatures a list of at most {SIGNATURES_MAX}")
    signatures: tuple[Signature, ...] = _as(tuple[Signature, ...], signed, "signatures")
    return Document(text, read_package(text.encode()), signatures)


def read_package(data: bytes) -> Software:
    """The package inside, in its right form; whether it makes sense, `software_rules.problem` says."""
    plain = _object(data, "the package")
    _known(plain)
    found: Software = _as(Software, plain, "package")
    return found


def write(document: Document) -> bytes:
    """The bytes of a document; `read` gives the same again."""
    return codec.encode(
        {"format": FORMAT, "package": document.text, "signatures": [codec.to_plain(s) for s in document.signatures]}
    )


def _object(data: bytes, what: str) -> dict[str, Any]:
    if len(data) > DOCUMENT_BYTES_MAX:
        raise BadSoftware(f"{what} has {len(data)} bytes; at most {DOCUMENT_BYTES_MAX} are read")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise BadSoftware(f"{what} is not JSON: {str(e)[:80]}") from None
    if not isinstance(plain, dict):
        raise BadSoftware(f"{what} is no JSON object")
    return plain


def _known(plain: dict[str, Any]) -> None:
    _keys(plain, _names(Software), "the package")
    for name, kind in (("detection", Detection), ("artifact", Artifact)):
        if isinstance(plain.get(name), dict):
            _keys(plain[name], _names(kind), name)
    for name in ("pre", "install", "post", "uninstall"):
        if isinstance(plain.get(name), dict):
            _keys(plain[name], _names(Script), name)


def _names(kind: Any) -> set[str]:
    return {f.name for f in fields(kind)}


def _keys(plain: dict[str, Any], known: set[str], where: str) -> None:
    odd = sorted(set(plain) - known)
    if odd:
        raise BadSoftware(f"{where} has a key {odd[0][:40]!r} that nobody knows; there are {', '.join(sorted(known))}")


def _as(kind: Any, plain: Any, where: str) -> Any:
    try:
        return codec.from_plain(kind, plain, where)
    except codec.Malformed as e:
        raise BadSoftware(e.detail) from None
