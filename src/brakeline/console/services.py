"""What the real screens stand on: the services of the server, by name and type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from brakeline.advisories.importing import Importing
from brakeline.catalog.curation import CurationService
from brakeline.catalog.service import CatalogService
from brakeline.cells.service import CellsService
from brakeline.core.clock import Clock
from brakeline.events.service import Events
from brakeline.exposure.accepting import Accepting
from brakeline.exposure.holding import Holding
from brakeline.exposure.service import ExposureService
from brakeline.exposure.trend import Trend
from brakeline.exposure.updates import Updates
from brakeline.fleet.service import FleetService
from brakeline.platform.settings import Settings
from brakeline.releases.service import ReleasesService
from brakeline.remediation.service import RemediationService
from brakeline.rollout.conducting import Conducting
from brakeline.rollout.freezing import Freezing
from brakeline.rollout.pools import Pools
from brakeline.rollout.releasing import Releasing
from brakeline.rollout.service import RolloutService
from brakeline.rollout.single import Single
from brakeline.runlog.service import RunLog
from brakeline.sbom.service import SbomService
from brakeline.tenancy.break_glass import BreakGlass
from brakeline.tenancy.service import TenancyService


@dataclass(frozen=True, slots=True)
class Services:
    """`one_liner(token, host header)`: the line that enrols; None where this server cannot make one."""

    tenancy: TenancyService
    fleet: FleetService
    exposure: ExposureService
    holding: Holding
    accepting: Accepting
    trend: Trend
    events: Events
    updates: Updates
    importing: Importing
    sbom: SbomService
    catalog: CatalogService
    curation: CurationService
    rollout: RolloutService
    single: Single
    runlog: RunLog
    remediation: RemediationService
    releases: ReleasesService
    releasing: Releasing
    freezing: Freezing
    cells: CellsService
    conducting: Conducting
    pools: Pools
    break_glass: BreakGlass
    clock: Clock
    settings: Settings
    one_liner: Callable[[str, str], str]


def services_of(state: Any) -> Services:
    """From the server's state object; a missing part is found here, at start, and not by the first visitor."""
    return Services(
        importing=state.importing, accepting=state.accepting, trend=state.trend, events=state.events,
        updates=state.updates, sbom=state.sbom, catalog=state.catalog, curation=state.curation,
        single=state.single, runlog=state.runlog,
        tenancy=state.tenancy, fleet=state.fleet, exposure=state.exposure, holding=state.holding, rollout=state.rollout,
        remediation=state.remediation, releases=state.releases, releasing=state.releasing,
        freezing=state.freezing, cells=state.cells, conducting=state.conducting, pools=state.pools,
        break_glass=state.break_glass, clock=state.clock, settings=state.settings,
        one_liner=state.one_liner,
    )  # fmt: skip
