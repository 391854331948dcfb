"""An endpoint's place in the draw of one rollout: who is changed first, told by a keyed hash. Pure.

The salt is drawn after the change is signed, so nobody can choose his place; cell, agent and launcher compute the
same number (architecture.md, "The way of one change").
"""

from __future__ import annotations

import hashlib
from typing import Final

U_BITS: Final = 62  # a place and its end fit PostgreSQL's bigint
U_END: Final = 1 << U_BITS


def draw(salt: bytes, endpoint_id: str) -> int:
    """The endpoint's place in the draw, 0 <= u < U_END; the endpoint can compute it too."""
    digest = hashlib.sha256(salt + endpoint_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - U_BITS)
