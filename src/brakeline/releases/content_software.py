"""Own packages inside content: each in its right form under its right name, with its artifact. Pure.

Whether authors are believed is each endpoint's own to say; here it is only asked that somebody has signed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from brakeline.core.errors import Fault
from brakeline.protocol.software import DOCUMENT_BYTES_MAX, FOLDER, PAYLOADS, Document, read
from brakeline.protocol.software_rules import PAYLOAD_BYTES_MAX, problem
from brakeline.protocol.trusted_authors import genuine

SOFTWARE_MAX: Final = 200
_PAYLOAD: Final = re.compile(r"payloads/[0-9a-f]{64}")


def software_refusal(sizes: Mapping[str, int], software: Mapping[str, bytes]) -> str:
    """Why these own packages are none, "" = they are, or there are none. `software`: bytes of all below `software/`."""
    named = [name for name in sizes if name.startswith(FOLDER)]
    payloads = {name: size for name, size in sizes.items() if name.startswith(PAYLOADS)}
    if len(named) > SOFTWARE_MAX or len(payloads) > SOFTWARE_MAX:
        return f"at most {SOFTWARE_MAX} own packages lie in one content"
    for name, size in payloads.items():
        if not _PAYLOAD.fullmatch(name) or size > PAYLOAD_BYTES_MAX:
            return f"{name[:80]!r} is no artifact: named by its SHA-256, at most {PAYLOAD_BYTES_MAX} bytes"
    wanted: set[str] = set()
    for name in sorted(named):
        found = _read(name, software.get(name, b""))
        if isinstance(found, str):
            return found
        artifact = found.software.artifact
        if artifact is not None and not artifact.url:
            wanted.add(f"{PAYLOADS}{artifact.sha256}")
            if payloads.get(f"{PAYLOADS}{artifact.sha256}") != artifact.bytes:
                return f"{name}: its artifact {artifact.file} is not in {PAYLOADS}, or not of its size"
    stray = sorted(set(payloads) - wanted)
    return f"{stray[0]} belongs to no package that is here" if stray else ""


def _read(name: str, data: bytes) -> Document | str:
    if len(data) > DOCUMENT_BYTES_MAX:
        return f"{name}: more than {DOCUMENT_BYTES_MAX} bytes"
    try:
        found = read(data)
    except Fault as e:
        return f"{name}: {e.detail}"
    if wrong := problem(found.software):
        return f"{name}: {wrong}"
    if found.file != name:
        return f"{name}: it has to be called {found.file}"
    if not any(genuine(found.text, s.key, s.signature) for s in found.signatures):
        return f"{name}: nobody has signed it (`brakeline software sign`)"
    return found
