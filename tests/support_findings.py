"""A fleet of two with a handful of advisories of its own making: what the tests of findings share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support_feeds import importing_of
from tests.support_fleet import SmallFleet, deb
from tests.support_people import House, new_house

from brakeline.advisories.importing import Importing
from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.exposure.accepting import Accepting
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy.model import Principal

FIXED, OLD = "2.0-1", "1.0-1"
CVES = tuple(f"CVE-2026-100{i}" for i in range(4))
CURL = [deb("curl", OLD)]


def write_seed(place: Path, cves: Sequence[str] = CVES, day: str = "2026-11-01", fixed: str = FIXED) -> Path:
    """Advisories of curl in Debian 12 and nothing else."""
    text = "\n".join(json.dumps({"source": "curl", "cve": cve, "fixed": fixed, "date": day}) for cve in cves)
    place.mkdir(exist_ok=True)
    (place / "rows.jsonl").write_text(text)
    feed: dict[str, Any] = {
        "feed": "small", "file": "rows.jsonl", "kind": "advisories", "ecosystem": "debian:12", "rows": len(cves),
        "version": day, "limits": "", "bytes": len(text.encode()),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip
    (place / "manifest.json").write_text(json.dumps({"feeds": [feed]}))
    return place


@dataclass
class World:
    """Two endpoints with an old curl, one of them in the lab, and who decides."""

    exposure: ExposureService
    accepting: Accepting
    importing: Importing
    advisories: AdvisoriesService
    fleet: SmallFleet
    house: House
    owner: Principal
    clock: ManualClock
    lab: str
    office: str
    cve: str = CVES[0]


async def new_world(database: Database, clock: ManualClock, ids: IdMaker, place: Path) -> World:
    house, owner = await new_house(database, clock, ids)
    advisories = AdvisoriesService(database, clock)
    await advisories.load_seed(write_seed(place / "feeds"))
    fleet = SmallFleet(database, clock, ids, owner=owner)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service, advisories)
    fleet.service.on_inventory = exposure.on_inventory
    lab, office = await fleet.enrol("lab1", tags=("lab",)), await fleet.enrol("office1")
    for endpoint in (lab, office):
        await fleet.inventory(endpoint, CURL)
    accepting = Accepting(database, clock, ids, fleet.service, exposure, house.tenancy.approvals)
    importing = importing_of(database, clock, advisories, owner.tenant_id)
    return World(exposure, accepting, importing, advisories, fleet, house, owner, clock, lab, office)
