"""A ceremony in a directory: `present.json` and the documents to sign. Carried on a stick; every file public.

Whoever signs replaces a document by itself with one more signature, durably; nothing else is written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from brakeline.releases.ceremony import ROLES, Ceremony, check
from brakeline.releases.faults import CeremonyBroken
from brakeline.releases.files import make_directory, write_durably
from brakeline.trust.envelope import TARGETS_BYTES_MAX
from brakeline.trust.model import Documents

PRESENT: Final = "present.json"
_TEXTS: Final = ("timestamp", "snapshot", "targets", "content", "recall")
PRESENT_BYTES_MAX: Final = 16 * 1024 * 1024


def documents_of(plain: Any) -> Documents:
    """The documents as the server gives them (`GET /releases/documents`). Raises `CeremonyBroken`."""
    if not isinstance(plain, dict) or not plain.get("roots") or not all(isinstance(r, str) for r in plain["roots"]):
        raise CeremonyBroken("these are no signed documents of a server")
    timestamp, snapshot, targets, content, recall = (str(plain.get(n) or "") for n in _TEXTS)
    return Documents(tuple(plain["roots"]), timestamp, snapshot, targets, content, recall)


def to_text(documents: Documents) -> str:
    """The reverse, as text: what `present.json` holds, and what an installation adopts official releases by."""
    return json.dumps({"roots": list(documents.roots)} | {n: getattr(documents, n) for n in _TEXTS}, indent=1) + "\n"


def read_documents(path: Path) -> Documents:
    """Documents out of a file. Raises `CeremonyBroken`."""
    return documents_of(_json(path))


def write(directory: Path, ceremony: Ceremony) -> None:
    """A new ceremony; into an empty directory only, so that no signature of an older one is lost."""
    if directory.exists() and any(directory.iterdir()):
        raise CeremonyBroken(f"{directory} is not empty; give another --out")
    make_directory(directory)
    write_durably(directory / PRESENT, to_text(ceremony.present).encode())
    save(directory, ceremony)


def save(directory: Path, ceremony: Ceremony) -> None:
    """The documents with the signatures that they have now."""
    for role, text in ceremony.proposed.items():
        write_durably(directory / f"{role}.json", text.encode())


def read(directory: Path) -> Ceremony:
    """The ceremony in `directory`, looked through. Raises `CeremonyBroken`."""
    proposed = {}
    for role in ROLES:
        path = directory / f"{role}.json"
        if path.exists():
            proposed[role] = read_text(path)
    if not proposed:
        raise CeremonyBroken(f"{directory} holds none of {', '.join(f'{r}.json' for r in ROLES)}")
    ceremony = Ceremony(read_documents(directory / PRESENT), proposed)
    check(ceremony)
    return ceremony


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path, PRESENT_BYTES_MAX))
    except (ValueError, RecursionError):
        raise CeremonyBroken(f"{path} is no JSON") from None


def read_text(path: Path, bytes_max: int = TARGETS_BYTES_MAX) -> str:
    """A bounded text. Raises `CeremonyBroken`."""
    try:
        if path.stat().st_size > bytes_max:
            raise CeremonyBroken(f"{path} is larger than {bytes_max} bytes")
        return path.read_text()
    except (OSError, ValueError) as e:
        raise CeremonyBroken(f"{path}: {e}") from None
