"""Content becomes a rollout, is leased as far as that has come, and is recalled when the brake is pressed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support_releases import Endpoint, opened, release_bundle
from tests.support_rollout import OWNER, SmallFleet

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict
from brakeline.platform.database import Database
from brakeline.protocol.channels import channel_of
from brakeline.releases.service import ReleasesService
from brakeline.rollout.frozen import Frozen
from brakeline.rollout.journal import Freeze
from brakeline.rollout.releasing import Releasing
from brakeline.trust.model import Assessment, Who


def look(cell: ReleasesService, clock: ManualClock, endpoint_id: str, region: str) -> Assessment:
    """What the launcher of this endpoint would believe now."""
    who = Who(endpoint_id, cell.cell, region, channel=channel_of(OWNER.tenant_id), also=("content", "launcher"))
    return Endpoint(cell.root_json(), who).look(cell, clock.now_ms(), who.channel)


async def test_content_is_promoted_leased_and_recalled(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(6)
    cell = await opened(database, clock, tmp_path / "releases")
    releasing = Releasing(fleet.service, cell)
    made = await cell.publish(OWNER, release_bundle("1.4.0", 14, product="content"))
    rollout_id = await releasing.promote(OWNER, made.release_id, pace="rehearsal", start=True)
    with pytest.raises(Conflict, match="under way"):
        await releasing.promote(OWNER, made.release_id)
    await fleet.rounds(4)
    await releasing.settle()
    view = await fleet.service.show(OWNER, rollout_id)
    assert view.state == "rolling", view.why
    looks = {t.hostname: look(cell, clock, t.identity.endpoint_id, t.identity.region) for t in fleet.twins}
    taken = {host for host, seen in looks.items() if [o.release_id for o in seen.also] == [made.release_id]}
    assert taken == set(fleet.offered()) != set(), (
        "leased to whom the rollout has reached, by the launcher's own verifier"
    )
    assert len(taken) < 6

    await fleet.service.brake(OWNER, rollout_id)
    await releasing.settle()
    assert cell.recalled() == {made.release_id}
    assert all(look(cell, clock, t.identity.endpoint_id, t.identity.region).also == () for t in fleet.twins)
    with pytest.raises(Conflict, match="is recalled; publish a new release"):
        await releasing.promote(OWNER, made.release_id)


async def test_a_freeze_takes_every_lease_away_and_recalls_go_on(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(6)
    cell = await opened(database, clock, tmp_path / "releases")
    releasing = Releasing(fleet.service, cell)
    made = await cell.publish(OWNER, release_bundle("1.4.0", 14, product="content"))
    rollout_id = await releasing.promote(OWNER, made.release_id, pace="rehearsal", start=True)
    await fleet.rounds(4)
    await releasing.settle()

    def leased() -> list[str]:
        looks = {t.hostname: look(cell, clock, t.identity.endpoint_id, t.identity.region) for t in fleet.twins}
        return [host for host, seen in looks.items() if seen.also]

    before = leased()
    assert before
    fleet.service.journal.freeze(OWNER.tenant_id, Freeze("fz_1", "Olga", "pe_1", clock.now_ms()))
    releasing.lease()  # in memory
    assert leased() == []
    await fleet.rounds(3)
    await releasing.settle()
    assert leased() == []
    assert cell.recalled() == frozenset(), "a freeze is no verdict on what was rolled out"
    with pytest.raises(Frozen):
        await releasing.promote(OWNER, made.release_id, start=True)
    await cell.recall(OWNER, made.release_id, "found to be bad")
    assert look(cell, clock, fleet.twins[0].identity.endpoint_id, "eu").recalled == {made.release_id}
    await fleet.service.brake(OWNER, rollout_id)
    assert (await fleet.service.show(OWNER, rollout_id)).state == "halted"
