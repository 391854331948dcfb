"""What the cell keeps in memory about each endpoint that speaks to it, so that a check-in needs no database.

Invariants: check-in secrets live here and nowhere else, so a restart of the server makes every old MAC worthless
(agents renew with a signature; counters of signed messages are in the database). One `Session` object per endpoint.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from brakeline.fleet.decide import Held
from brakeline.fleet.model import CounterState, EndpointIdentity
from brakeline.fleet.store import identities
from brakeline.fleet.store.identities import Known
from brakeline.platform.database import Database


@dataclass(slots=True, eq=False)
class Session:
    """One endpoint as this process knows it."""

    identity: EndpointIdentity
    counter: CounterState
    held: Held
    scan: int = 0
    secret: bytes = b""
    secret_expires_ms: int = 0
    outdated: tuple[tuple[bytes, int], ...] = ()  # secrets replaced lately with their expiry, newest first: evidence
    resync: bool = False  # ask for the whole inventory until it came
    signed: asyncio.Lock = field(default_factory=asyncio.Lock)  # signed messages of one endpoint, one at a time


def session_of(known: Known) -> Session:
    return Session(known.identity, known.counter, Held(known.sequence, known.digest), known.scan)


class Sessions:
    """All sessions by endpoint id; loads an identity from the database when it is first heard."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._by_id: dict[str, Session] = {}

    def known(self, endpoint_id: str) -> Session | None:
        """The session if this process has it: the hot path."""
        return self._by_id.get(endpoint_id)

    async def find(self, endpoint_id: str) -> Session | None:
        """The session, loaded if need be; None when no such endpoint was ever enrolled."""
        session = self._by_id.get(endpoint_id)
        if session is not None:
            return session
        async with self._db.system() as conn:
            known = await identities.find(conn, endpoint_id)
        if known is None:
            return None
        # Two first messages may arrive at once: the one that is here already wins, so counters are never forgotten.
        return self._by_id.setdefault(endpoint_id, session_of(known))

    def add(self, session: Session) -> Session:
        """Put a freshly enrolled endpoint in."""
        return self._by_id.setdefault(session.identity.endpoint_id, session)

    def forget(self, tenant_id: str) -> None:
        """Nothing is kept any more of the endpoints of an organisation that were removed."""
        self._by_id = {i: s for i, s in self._by_id.items() if s.identity.tenant_id != tenant_id}

    def __len__(self) -> int:
        return len(self._by_id)
