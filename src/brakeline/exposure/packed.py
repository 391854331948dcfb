"""Values of the index as text, and back: what database rows and snapshots hold of units, offers and gaps. Pure.

Invariants: a value has one text; what cannot be read is `Damaged`, never guessed; keys of versions are not stored but
made anew, so that another order of versions in a newer release is never mixed with an older one's.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from brakeline.advisories.ecosystems import key_of
from brakeline.core.debversion import BadVersion
from brakeline.core.errors import Invalid
from brakeline.exposure.index import Key, Offer
from brakeline.exposure.model import FindingState, NotAssessed, Role, Unit
from brakeline.exposure.offers import NEWEST, Offered

UNIT, OFFER, GAP = "unit", "offer", "gap"
FOUND: Final = "found"  # of a unit that no update reaches
KINDS: Final = (UNIT, OFFER, GAP)


class Damaged(Invalid):
    """What was kept of the index cannot be used; it is made anew from inventories."""

    code = "index-damaged"


def text_of(kind: str, value: Any) -> str:
    """One value."""
    if kind == UNIT:
        unit, role = value
        parts = [*unit[:4], FOUND if unit.found else "", role.value]
    elif kind == OFFER:
        (ecosystem, source, role), offered = value
        parts = [ecosystem, source, role.value, offered.version, offered.state.value, offered.note]
    else:
        parts = [*value[:4], str(value.times)]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def unit_of(text: str) -> Key:
    """A unit and its role; whether its version can be ordered is seen when it is. Raises `Damaged`."""
    ecosystem, source, version, module, found, role = _parts(text, 6)
    if found not in ("", FOUND):
        raise Damaged("a unit cannot be read", text=text[:80])
    try:
        return Unit(ecosystem, source, version, module, bool(found)), Role(role)
    except ValueError as e:
        raise Damaged("a unit cannot be read", text=text[:80]) from e


def offer_of(text: str) -> Offer:
    """An offer. Raises `Damaged`."""
    ecosystem, source, role, version, state, note = _parts(text, 6)
    key = key_of(ecosystem)
    try:
        made: Any = key(version) if version and key is not None else NEWEST
        return (ecosystem, source, Role(role)), Offered(made, FindingState(state), note, version)
    except (BadVersion, ValueError) as e:
        raise Damaged("an offer cannot be read", text=text[:80]) from e


def gap_of(text: str) -> NotAssessed:
    """What was not assessed, and why. Raises `Damaged`."""
    package, version, code, reason, times = _parts(text, 5)
    if not times.isascii() or not times.isdigit() or not 0 < len(times) < 10:
        raise Damaged("a gap cannot be read", text=text[:80])
    return NotAssessed(package, version, code, reason, int(times))


READERS: Final = {UNIT: unit_of, OFFER: offer_of, GAP: gap_of}


def digest_of(kind: str, text: str) -> bytes:
    """Names a value in the database."""
    return hashlib.blake2b(f"{kind}\0{text}".encode(), digest_size=16).digest()


def _parts(text: str, count: int) -> list[str]:
    try:
        parts = json.loads(text)
    except ValueError as e:
        raise Damaged("a value is no JSON", text=text[:80]) from e
    if type(parts) is not list or len(parts) != count or not all(type(part) is str for part in parts):
        raise Damaged(f"a value is no list of {count} texts", text=text[:80])
    return parts
