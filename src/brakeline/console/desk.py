"""The real screens: asks the services and hands what they say to `present*`. No rule of the product lives here.

`Services` is what the composition root gives; the parts are `DeskFleet` (overview, endpoints, vulnerabilities),
`DeskChange` (deployments, rollouts, policies), `DeskRestart` (due restarts), `DeskRollback` (ways back), `DeskRelease`
(releases, their keys), `DeskStop` (freeze, approvals), `DeskLimits` (budgets, freeze windows), `DeskCells` (cells,
leads), `DeskLead` (drafts of settings over cells), `DeskOver` (of updates and releases), `DeskPool` (evidence with
others), `DeskContent` (advisory data), `DeskSbom` (bills of materials), `DeskCatalog` (own packages), `DeskRuns` (runs
and changes of an endpoint), `DeskFindings` (accepted risk, terms), `DeskEvents` (receivers of events) and `DeskProof`
(audit log, settings).
"""

from __future__ import annotations

from brakeline.console.desk_catalog import DeskCatalog
from brakeline.console.desk_cells import DeskCells
from brakeline.console.desk_change import DeskChange
from brakeline.console.desk_content import DeskContent
from brakeline.console.desk_events import DeskEvents
from brakeline.console.desk_findings import DeskFindings
from brakeline.console.desk_fleet import DeskFleet
from brakeline.console.desk_lead import DeskLead
from brakeline.console.desk_limits import DeskLimits
from brakeline.console.desk_pool import DeskPool
from brakeline.console.desk_proof import DeskProof
from brakeline.console.desk_release import DeskRelease
from brakeline.console.desk_restart import DeskRestart
from brakeline.console.desk_rollback import DeskRollback
from brakeline.console.desk_sbom import DeskSbom
from brakeline.console.desk_stop import DeskStop


class Desk(
    DeskFleet, DeskChange, DeskRestart, DeskRollback, DeskRelease, DeskStop, DeskLimits, DeskCells, DeskLead,
    DeskPool, DeskContent, DeskSbom, DeskCatalog, DeskFindings, DeskEvents, DeskProof,
):  # fmt: skip
    """`screens.Screens` over the services."""
