"""What the use cases of the fleet share: engines, sessions, presence, and how others are told of news."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from brakeline.core.clock import Clock
from brakeline.core.errors import Unavailable
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.model import EndpointIdentity
from brakeline.fleet.presence import PresenceBuffer
from brakeline.fleet.sessions import Sessions
from brakeline.fleet.store.rows import Connection
from brakeline.platform.bus import Bus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal


class FleetParts:
    """Base of the use cases; `fleet.service.FleetService` is all of them together."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, bus: Bus, cell: CellIdentity) -> None:
        self.db, self.clock, self.ids, self.bus, self.cell = db, clock, ids, bus, cell
        self.sessions = Sessions(db)
        self.presences = PresenceBuffer(db)
        self.unsaved_clones: dict[str, tuple[EndpointIdentity, str]] = {}

    async def announce(self, tenant_id: str, endpoint_id: str, *, wake: bool = True) -> None:
        """Tell whoever listens that an endpoint changed; `wake` ends its long-poll too.

        A hint, sent after the commit: when it cannot be sent, what was committed stands, and readers look again soon.
        """
        with contextlib.suppress(Unavailable):
            await self.bus.publish(f"endpoint:{tenant_id}", endpoint_id)
            if wake:
                await self.bus.publish(f"wake:{endpoint_id}")

    def retag(self, endpoint_id: str, tags: tuple[str, ...]) -> None:
        """Keep the identity in memory in step with the table."""
        if session := self.sessions.known(endpoint_id):
            session.identity = dataclasses.replace(session.identity, tags=tags)


async def record_event(
    conn: Connection, clock: Clock, identity: EndpointIdentity, action: str, after: dict[str, Any]
) -> None:
    """An audit entry about something that an endpoint did, not a person."""
    actor = Principal(identity.tenant_id, identity.endpoint_id, "system", "agent plane", frozenset())
    await audit.append(conn, clock, actor, action, identity.endpoint_id, None, after)
