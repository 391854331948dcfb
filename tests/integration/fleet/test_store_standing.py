"""Where releases stand, counted in the database out of what launchers say: each number is a list of endpoints too."""

from __future__ import annotations

import pytest
from tests.support_fleet import OWNER, SmallFleet

from brakeline.core.clock import ManualClock
from brakeline.fleet.model import ReleaseStanding
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import LauncherReport, TrialReport
from brakeline.tenancy.model import system_principal

CONTENT, TRIED = "7.0.0-eeeeeeeeeeee", "7.1.0-ffffffffffff"
OWN, OWN_BAD = "2.0.0-cccccccccccc", "2.1.0-dddddddddddd"  # of the launcher itself
OLD, NEW = "1.0.0-aaaaaaaaaaaa", "1.1.0-bbbbbbbbbbbb"
FAILED = TrialReport(NEW, "reverted", "exited", "ended with code 1.", 3, "Traceback: no module")
REPORTS = {
    "web-1": LauncherReport("0.1.0", OLD, OLD, OLD, quarantined=(NEW,), recalled=(NEW,), last_trial=FAILED),
    "web-2": LauncherReport(
        "0.1.0",
        NEW,
        OLD,
        OLD,
        trial=NEW,
        launcher_release=OWN,
        launcher_failed=(OWN_BAD,),
        launcher_last_trial=TrialReport(OWN_BAD, "reverted", "late", "it did not say READY in time", 1),
    ),
    "web-3": LauncherReport(
        "0.1.0",
        NEW,
        NEW,
        OLD,
        last_trial=TrialReport(NEW, "confirmed", "ok", "healthy", 1),
        launcher_release=OWN,
        launcher_trial=OWN,
        running_content=TRIED,
        content=CONTENT,
        trial=TRIED,
    ),
    "web-4": None,
}


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, ids: IdMaker) -> SmallFleet:
    made = SmallFleet(database, clock, ids)
    for host, report in REPORTS.items():
        await made.check_in(await made.enrol(host), report)
    await made.enrol("web-5")  # never heard
    return made


async def test_each_release_is_counted_by_how_it_stands(fleet: SmallFleet) -> None:
    found = await fleet.service.release_standings(OWNER)
    assert found.items == (
        ReleaseStanding(OLD, 1, 2), ReleaseStanding(NEW, 2, 1, 1, 1, 1), ReleaseStanding(OWN, 2, 1, 1),
        ReleaseStanding(OWN_BAD, quarantined=1), ReleaseStanding(CONTENT, 0, 1), ReleaseStanding(TRIED, 1, 0, 1),
    )  # fmt: skip
    assert (found.with_launcher, found.without_launcher) == (3, 2)


async def test_every_number_is_the_length_of_the_list_that_its_filter_makes(fleet: SmallFleet) -> None:
    for standing in (await fleet.service.release_standings(OWNER)).items:
        for key in ("running", "confirmed", "probation", "quarantined"):
            listed = await fleet.service.count_matching(OWNER, f"{key}:{standing.release_id}")
            assert listed == getattr(standing, key), key


async def test_failed_trials_come_with_reason_and_log_and_confirmed_ones_do_not(fleet: SmallFleet) -> None:
    found = await fleet.service.release_trials(OWNER, NEW)
    assert found.by_code == {"exited": 1}
    (trial,) = found.items
    assert (trial.hostname, trial.outcome, trial.runs, trial.log_tail) == ("web-1", "reverted", 3, FAILED.log_tail)
    assert (await fleet.service.release_trials(OWNER, OLD)).items == ()
    assert (await fleet.service.release_trials(OWNER, OWN_BAD)).by_code == {"late": 1}


async def test_an_endpoint_carries_what_its_launcher_said(fleet: SmallFleet) -> None:
    for host, report in REPORTS.items():
        (line,) = (await fleet.service.list_endpoints(OWNER, f"host:{host}")).items
        assert (await fleet.service.get_endpoint(OWNER, line.id)).launcher == report


async def test_a_retired_endpoint_and_another_tenant_count_nowhere(fleet: SmallFleet) -> None:
    (line,) = (await fleet.service.list_endpoints(OWNER, "host:web-1")).items
    await fleet.service.retire(OWNER, line.id)
    assert (await fleet.service.release_trials(OWNER, NEW)).items == ()
    stranger = system_principal("te_other", "test")
    assert (await fleet.service.release_standings(stranger)).items == ()
    assert (await fleet.service.release_trials(stranger, NEW)).by_code == {}
