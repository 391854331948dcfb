"""The agent plane over real TLS and real PostgreSQL: enrolment, check-ins, inventory, and every kind of bad input."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support_agent import FACTS, packages
from tests.support_server import OWNER, Plane, running_plane

from brakeline.platform.database import Database
from brakeline.protocol.messages import (
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Status,
    UpdateState,
)

run = asyncio.to_thread


@pytest.fixture
async def plane(database: Database, tmp_path: Path) -> AsyncIterator[Plane]:
    async with running_plane(database, tmp_path) as running:
        yield running


# --- the happy path ------------------------------------------------------------------------------------------------


async def test_an_endpoint_enrols_checks_in_and_sends_its_inventory(plane: Plane) -> None:
    twin = plane.agent()
    reply = await run(twin.enrol, await plane.token(region="eu", tags=("lab",)))
    assert reply.region == "eu"
    assert reply.cell_key == plane.fleet.cell.public_hex

    first = await run(twin.check_in)
    assert first.status == 200
    assert first.json["settings"]["mode"] == "assess"
    assert (await run(twin.check_in)).status == 304

    update = PendingUpdate("package-00000", "amd64", "1.0", "1.1", "Debian-Security:12", True, UpdateState.AVAILABLE)
    status = Status(FACTS, (update,), RebootNeed(True, ("kernel",)), PackageManagerHealth(True))
    assert (await run(lambda: twin.send_inventory(packages(50), status=status))).json["resync"] is False

    detail = await plane.fleet.get_endpoint(OWNER, reply.endpoint_id)
    assert detail.packages == 50
    assert detail.summary.tags == ("lab",)
    assert detail.summary.pending_security == 1
    assert detail.reboot.reasons == ("kernel",)
    page = await plane.fleet.list_endpoints(OWNER, "os:debian region:eu missing:security reboot:yes")
    assert [e.id for e in page.items] == [reply.endpoint_id]


async def test_presence_is_written_by_the_flush(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    await plane.fleet.flush()
    assert plane.fleet.presences.waiting == 0
    seen = await plane.fleet.presence(OWNER.tenant_id, [twin.endpoint_id])
    assert abs(seen[twin.endpoint_id].last_check_in_ms - time.time() * 1000) < 60_000
    assert seen[twin.endpoint_id].boot_id == twin.boot_id
