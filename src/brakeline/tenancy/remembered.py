"""Who was signed in here lately: so that somebody can press BRAKE or FREEZE while the database is away.

Invariants: nothing but the permission to brake comes out of it, whatever went in; nothing older than REMEMBERED_S since
the database itself last vouched for it; what ends here (a session, a token, a person) is forgotten at once. In memory,
and keyed by hashes of secrets as the database is. It cannot outlive the process, nor need it: without its database a
server does not start, and then nothing is offered either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from brakeline.tenancy.model import Principal

REMEMBERED_S: Final = 15 * 60
REMEMBERED_MAX: Final = 10_000  # people and programs; whoever was seen longest ago goes first
STOPS: Final = "rollout.brake"


class Remembered:
    """By the hash of a session's cookie or of a token."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[int, Principal]] = {}

    def keep(self, hashed: bytes, principal: Principal, now_ms: int) -> None:
        """The database has just said who this is."""
        self._seen.pop(hashed, None)
        if STOPS in principal.permissions:
            self._seen[hashed] = (now_ms, principal)
            if len(self._seen) > REMEMBERED_MAX:
                del self._seen[next(iter(self._seen))]

    def presser(self, hashed: bytes, now_ms: int) -> Principal | None:
        """Who this was within a quarter of an hour, with the permission to brake and no other."""
        at_ms, principal = self._seen.get(hashed, (0, None))
        if principal is None or not 0 <= now_ms - at_ms <= REMEMBERED_S * 1000:
            return None
        return replace(principal, permissions=frozenset({STOPS}))

    def forget(self, hashed: bytes) -> None:
        """One session or token has ended."""
        self._seen.pop(hashed, None)

    def forget_all(self, ids: Iterable[str]) -> None:
        """Everything of these people and tokens has ended."""
        gone = frozenset(ids)
        self._seen = {h: kept for h, kept in self._seen.items() if kept[1].id not in gone}
