"""A cell's releases over a real database, bundles to publish, and an endpoint that asks for them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support_trust import NONCE, bundle

from brakeline.core.clock import ManualClock
from brakeline.core.draw import U_END
from brakeline.core.ids import make_id
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.releases.model import LeaseWish, Release
from brakeline.releases.service import ReleasesService
from brakeline.tenancy.model import PERMISSIONS, Principal
from brakeline.tenancy.service import TenancyService
from brakeline.trust.assess import assess
from brakeline.trust.model import Assessment, ClockReading, Documents, Floors, Who

CELL = "cell-1"
OWNER = Principal("te_1", "pe_1", "person", "Olga", PERMISSIONS)
SERVER = Principal("te_1", "to_0", "token", "command line of this machine", PERMISSIONS)
WHO = Who(make_id("ep", 1, bytes(10)), CELL, "eu")


def release_bundle(version: str, sequence: int, platform: str = "any", product: str = "agent") -> bytes:
    """A bundle that launchers would unpack."""
    if product == "content":
        rules = b'{"format": 1}'
        return bundle(version, {"rules.json": rules}, sequence, product, ("rules.json",), platform)
    return bundle(version, {"agent.pyz": f"{version} {platform}".encode()}, sequence, product, platform=platform)


async def opened(database: Database, clock: ManualClock, directory: Path) -> ReleasesService:
    """The cell's service, as after its start."""
    approvals = TenancyService(database, clock, IdMaker(clock)).approvals
    made = ReleasesService(database, clock, approvals, directory, CELL)
    await made.open()
    return made


def wish(release: Release, **fields: object) -> LeaseWish:
    """A lease for everybody on channel stable, or with other fields."""
    made = LeaseWish("ro_1", 3, release.ref, "stable", "", bytes(range(32)), U_END, 0)
    return replace(made, **fields)  # type: ignore[arg-type]


@dataclass
class Endpoint:
    """A launcher's memory: what it has pinned, cached and seen."""

    pinned: str
    who: Who = WHO
    cached: Documents = field(default_factory=Documents)
    floors: Floors = field(default_factory=Floors)
    recalled: frozenset[str] = frozenset()

    def look(self, cell: ReleasesService, now_ms: int, channel: str = "stable") -> Assessment:
        """Ask, verify, remember; recalls are sticky until they are pardoned, as in the launcher's record."""
        root = 1 + len(self.cached.roots)
        fetched = cell.documents(root, channel, self.who.region, NONCE)
        seen = assess(self.pinned, self.cached, fetched, self.who, ClockReading(now_ms, NONCE), self.floors)
        self.cached, self.floors = seen.documents, seen.floors
        self.recalled = (self.recalled - seen.pardoned) | seen.recalled
        return seen
