"""Who may write what runs as root here: `authors.json`, which only the endpoint's root writes. Pure.

No file, a file that makes no sense, too few signatures: not allowed, and the sentence says what root would have to do.
Nothing that a cell can send adds an author. Two signatures are needed where root does not ask for one: a script goes by
four eyes that no server can lend.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Fault
from brakeline.protocol import codec
from brakeline.protocol.software import SOFTWARE_CONTEXT, Document
from brakeline.trust import ed25519

AUTHORS: Final = "/etc/brakeline/authors.json"
AUTHORS_BYTES_MAX: Final = 16 * 1024
AUTHORS_MAX: Final = 50
NEEDED: Final = 2  # where root says nothing else
_KEY: Final = re.compile(r"[0-9a-f]{64}")
OFF: Final = "Own packages are off here: root of this endpoint has named no author (authors.json)"


@dataclass(frozen=True, slots=True)
class Authors:
    """Whom root believes: key -> name. `problem` "" = own packages are allowed here."""

    keys: dict[str, str]
    needed: int = NEEDED
    problem: str = ""


def nobody(problem: str = OFF) -> Authors:
    """What holds without a file, and with one that makes no sense."""
    return Authors({}, problem=problem)


@dataclass(frozen=True, slots=True)
class _File:
    authors: dict[str, str]  # name -> key
    needed: int = NEEDED


def read_authors(data: bytes | None) -> Authors:
    """The file's meaning; None = there is none. Never raises: what cannot be read allows nothing."""
    if data is None:
        return nobody()
    try:
        plain = json.loads(data) if len(data) <= AUTHORS_BYTES_MAX else None
        odd = sorted(set(plain) - {"authors", "needed"}) if isinstance(plain, dict) else []
        found: _File = codec.from_plain(_File, plain, "authors.json")
    except (ValueError, RecursionError, Fault) as e:
        return nobody(f"Own packages are off here: authors.json makes no sense: {str(e)[:100]}")
    keys = {key: name for name, key in found.authors.items()}
    if odd:
        return nobody(f"Own packages are off here: authors.json has a key {odd[0][:40]!r} that nobody knows")
    if not 0 < len(keys) <= AUTHORS_MAX or len(keys) != len(found.authors) or not all(map(_KEY.fullmatch, keys)):
        return nobody(
            f"Own packages are off here: authors.json names 1 to {AUTHORS_MAX} different keys of 64 hex digits"
        )
    if not 1 <= found.needed <= len(keys):
        return nobody(f"Own packages are off here: authors.json needs {found.needed} authors and names {len(keys)}")
    return Authors(keys, found.needed)


def disbelieved(document: Document, authors: Authors) -> str:
    """Why these authors do not vouch for it; "" = enough of them signed exactly this text."""
    if authors.problem:
        return f"{authors.problem}."
    known = (s for s in document.signatures if s.key in authors.keys)
    signed = {s.key for s in known if genuine(document.text, s.key, s.signature)}
    if len(signed) >= authors.needed:
        return ""
    by = ", ".join(sorted(authors.keys[key] for key in signed)) or "nobody whom root of this endpoint names"
    return f"{document.software.name} is signed by {by}; {authors.needed} of the authors in authors.json must sign it."


def genuine(text: str, key: str, signature: str) -> bool:
    """Whether the holder of this key signed this text."""
    try:
        return ed25519.verify(bytes.fromhex(key), SOFTWARE_CONTEXT + text.encode(), bytes.fromhex(signature))
    except ValueError:
        return False
