"""One rollout over two distributions on a real PostgreSQL: each endpoint hears of, and gets, its own one's versions."""

from __future__ import annotations

from pathlib import Path

from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.protocol.messages import UpdateRef
from brakeline.rollout.model import Change, Pin

DEBIAN, FEDORA = Pin("openssl", "3.0.17-1~deb12u2"), Pin("openssl", "1:3.2.1-2.fc40")


async def test_each_endpoint_gets_the_pins_of_its_own_distribution(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(6)
    await fleet.hear()
    ids = [t.identity.endpoint_id for t in fleet.twins]
    whose = {endpoint_id: (FEDORA if n % 3 == 0 else DEBIAN,) for n, endpoint_id in enumerate(ids)}
    rollout = await fleet.service.create(
        OWNER, "openssl", Change((DEBIAN, FEDORA)), quick_policy(1, 3), ids, pins=whose
    )  # fmt: skip
    await fleet.service.start(OWNER, rollout)
    await fleet.rounds(5)
    fleet.new_service()  # kill -9: what is whose is in the database
    heard = [await fleet.service.candidates_for(t.identity, drills=True) for t in fleet.twins]
    assert [c.updates for found in heard for c in found if c.updates] != []
    for t, found in zip(fleet.twins, heard, strict=True):
        (mine,) = whose[t.identity.endpoint_id]
        assert all(c.updates == (UpdateRef(mine.name, mine.version),) for c in found)
    await fleet.rounds(60)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "completed", view.why
    assert {t.identity.endpoint_id: t.version for t in fleet.twins} == {i: p.version for i, (p,) in whose.items()}
    assert set(view.updates) == {f"{p.name} {p.version}" for p in (DEBIAN, FEDORA)}
