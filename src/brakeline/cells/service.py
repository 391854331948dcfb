"""Use cases of cells: the conductor's end (`members`) and the cell's (`links`) of an exchange in one service.

What the messages are about is the rollout slice's (`conducting`, `linked`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brakeline.cells.base import EXCHANGE_ROUTE, JOIN_ROUTE, SecondPerson
from brakeline.cells.leaving import Leaving
from brakeline.cells.links import BELIEVE, Links, unbelieved
from brakeline.cells.members import RESTORE, Heard, Invited, Members, standing
from brakeline.core.clock import Clock
from brakeline.fleet.cell import CellIdentity
from brakeline.platform import calls
from brakeline.platform.calls import Post
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database

__all__ = ["BELIEVE", "EXCHANGE_ROUTE", "JOIN_ROUTE", "RESTORE", "CellsService", "Heard", "Invited", "SecondPerson"]


class CellsService(Members, Links):
    """Everything that the rest of Brakeline may ask of cells."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, cell: CellIdentity, keys: Path, ca_pem: str,
                 post: Post = calls.post) -> None:  # fmt: skip
        """As `base.Base`."""
        super().__init__(db, clock, ids, cell, keys, ca_pem, post)
        self.leaving = Leaving(db, clock, self.say)

    async def situation(self, tenant_id: str, p: Mapping[str, Any]) -> str:
        """What a request is about, as it is now."""
        if p["act"] == BELIEVE:
            link = await self.link_of(tenant_id)
            return unbelieved(link) if link is not None else "it is gone"
        found = next((m for m in await self.members_of(tenant_id) if m.cell == p["cell"]), None)
        return standing(found) if found is not None else "it is gone"
