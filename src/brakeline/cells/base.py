"""What both ends of an exchange between cells are made of: keys, clock, database, and who is asked before widening."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from brakeline.core.clock import Clock
from brakeline.core.errors import Bug
from brakeline.fleet.cell import CellIdentity
from brakeline.platform import calls
from brakeline.platform.calls import Post
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request

EXCHANGE_ROUTE: Final = "/cell/v1/exchange"
JOIN_ROUTE: Final = "/cell/v1/join"
TOKEN: Final = "blcell1."  # noqa: S105 - what join tokens begin with


class SecondPerson(Protocol):
    """Who is asked before anything is widened (`acts.CellActs`)."""

    async def before(
        self, principal: Principal, parameters: Mapping[str, str], says: tuple[str, ...], situation: str
    ) -> Request | None: ...


class Base:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, cell: CellIdentity, keys: Path, ca_pem: str,
                 post: Post = calls.post) -> None:  # fmt: skip
        """`keys`: the directory of this server's keys; `post`: how another server is called."""
        self._post = post
        self.acts: SecondPerson | None = None  # `acts.CellActs` puts itself here; without it nothing is widened
        self._db, self._clock, self._ids, self._cell, self._ca_pem = db, clock, ids, cell, ca_pem
        self._conductor = CellIdentity.load(keys / "conductor.key", cell.name, cell.region)

    @property
    def conductor(self) -> CellIdentity:
        """The key of this cell as a conductor."""
        return self._conductor

    @property
    def name(self) -> str:
        """What this cell calls itself, and its endpoints call it."""
        return self._cell.name

    def _second_person(self) -> SecondPerson:
        if self.acts is None:
            raise Bug("nobody is asked for what takes two people")
        return self.acts
