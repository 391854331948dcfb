"""`Documents` as one JSON text of strings: what a cell serves and a launcher caches."""

from __future__ import annotations

import json
from typing import Any, Final

from brakeline.trust.errors import Distrust
from brakeline.trust.metadata import ROOTS_MAX
from brakeline.trust.model import Documents

TEXT_BYTES_MAX: Final = 4 * 1024 * 1024
LEASES_MAX: Final = 64
_SINGLE: Final = ("timestamp", "snapshot", "targets", "content", "recall", "time", "follow")


def to_text(documents: Documents) -> str:
    """JSON with sorted keys."""
    plain: dict[str, Any] = {name: getattr(documents, name) for name in _SINGLE if getattr(documents, name)}
    plain["roots"], plain["leases"] = list(documents.roots), list(documents.leases)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def from_text(text: str) -> Documents:
    """The reverse. Unknown fields are passed over, wrong types count as not there. Raises `Distrust`."""
    if len(text) > TEXT_BYTES_MAX:
        raise Distrust("too_large", f"the answer is larger than {TEXT_BYTES_MAX} bytes")
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        raise Distrust("malformed", f"the answer is not what a cell serves: {text[:60]!r}") from None
    if not isinstance(plain, dict):
        raise Distrust("malformed", "the answer is not what a cell serves")
    single = {name: value for name in _SINGLE if isinstance(value := plain.get(name), str)}
    return Documents(roots=_texts(plain, "roots", ROOTS_MAX), leases=_texts(plain, "leases", LEASES_MAX), **single)


def _texts(plain: dict[str, Any], name: str, most: int) -> tuple[str, ...]:
    value = plain.get(name)
    return tuple(v for v in value[:most] if isinstance(v, str)) if isinstance(value, list) else ()
