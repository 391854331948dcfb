"""Software beside package managers is kept with its place and owner, judged as what it is, and its tenant's own."""

from __future__ import annotations

from tests.support_fleet import TENANT, SmallFleet, deb, update

from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.exposure.service import ExposureService
from brakeline.exposure.upkeep import as_installed
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.digests import inventory_digest
from brakeline.protocol.managers import found_label
from brakeline.protocol.messages import KEPT_FIELDS, Inventory, Package
from brakeline.tenancy.model import system_principal


def found(name: str, version: str, where: str, owner: str = "", ecosystem: str = "pypi") -> Package:
    return Package(name, found_label(ecosystem, where), version, name, version, "ii", "", ecosystem, owner, "", where)


async def test_a_full_inventory_and_a_delta_keep_every_word(
    database: Database, clock: ManualClock, ids: IdMaker
) -> None:
    fleet = SmallFleet(database, clock, ids)
    endpoint_id = await fleet.enrol("web")
    one, two = (
        found("jinja2", "3.1.2", "/opt/a/site-packages"),
        found("jinja2", "3.1.2", "/usr/lib/python3", "python3-jinja2"),
    )
    modular = Package("nodejs", "x86_64", "18", "nodejs", "18", "ii", "AppStream", "rpm", "", "nodejs:18", "")
    await fleet.inventory(endpoint_id, [deb("bash", "5.2"), one, two, modular])
    kept = await fleet.service.packages(fleet.owner, endpoint_id)
    assert set(kept) >= {one, two, modular}
    newer = found("jinja2", "3.1.6", "/opt/a/site-packages")
    session = await fleet.service.session(endpoint_id)
    after = [deb("bash", "5.2"), newer, two, modular]
    ack = await fleet.service.apply_inventory(
        session, Inventory(session.held.sequence, session.held.sequence + 1, inventory_digest(after), (newer,), ())
    )
    assert (ack.resync, ack.keeps) == (False, KEPT_FIELDS)
    assert set(await fleet.service.packages(fleet.owner, endpoint_id)) == set(after)
    assert await fleet.service.packages(system_principal("te_other", "test"), endpoint_id) == ()


async def test_what_a_system_package_owns_is_no_gap_and_no_finding(
    database: Database, clock: ManualClock, ids: IdMaker
) -> None:
    fleet = SmallFleet(database, clock, ids)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service)
    endpoint_id = await fleet.enrol("web")
    owned = found("jinja2", "3.1.2", "/usr/lib/python3", "python3-jinja2")
    await fleet.inventory(endpoint_id, [owned, found("flask", "1", "/opt/a")])
    answer = await exposure.findings(fleet.owner, endpoint_id)
    assert [n.package for n in answer.not_assessed] == ["flask"]  # and nobody takes it for looked at
    assert answer.packages == 1


def test_the_matcher_hears_owner_and_module() -> None:
    made = as_installed(Package("n", "a", "1", "n", "1", ecosystem="rpm", owner="o", module="m"))
    assert (made.owner, made.module) == ("o", "m")


async def test_an_update_of_the_system_reaches_no_image_on_it(
    database: Database, clock: ManualClock, ids: IdMaker
) -> None:
    """The same package in an image is as open as before, and no offer of the system's is taken for its."""
    await AdvisoriesService(database, clock).load_seed()
    fleet = SmallFleet(database, clock, ids)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service)
    endpoint_id = await fleet.enrol("web")
    old, older, new = "7.88.1-10+deb12u14", "7.88.1-10+deb12u13", "7.88.1-10+deb12u15"
    image = found("curl", older, "image web:1 in /srv", ecosystem="debian:12")
    await fleet.inventory(endpoint_id, [deb("curl", old), image], [update("curl", old, new)])
    states = {f.finding.version: f.state.value for f in (await exposure.findings(fleet.owner, endpoint_id)).findings}
    assert states == {old: "fixable_now", older: "not_offered"}
    closing = await exposure.closing(TENANT, {endpoint_id: {"curl": new}})
    assert (closing.before > 0, closing.closed) == (True, ())  # what is open in the image stays open
