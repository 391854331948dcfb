"""The ports between pages and everything else: what screens can be asked for, and who may come in.

`Screens`: one method per screen or act, view-models out. `Doors`: sessions. Real: `desk.Desk`, `desk.Gatehouse`
(over the services); twin that ships: `showroom.Showroom`. Every method may raise a `core.errors.Fault`, which becomes
an error page; whether somebody may do something is decided by the service behind, not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from brakeline.console.views import (
    AddEndpointView,
    AuditView,
    CveView,
    EndpointsView,
    EndpointView,
    LoginView,
    NavCounts,
    OverviewView,
    SettingsView,
    VulnerabilitiesView,
)
from brakeline.console.views_cells import CellsView
from brakeline.console.views_change import (
    DeploymentForm,
    NewDeploymentView,
    PoliciesView,
    PolicyForm,
    RolloutMembersView,
    RolloutsView,
    RolloutView,
)
from brakeline.console.views_content import ContentView
from brakeline.console.views_limits import BudgetForm, LimitsView
from brakeline.console.views_pool import PoolPage
from brakeline.console.views_release import (
    PromotionView,
    ReleaseActView,
    ReleaseKeysView,
    ReleasesView,
    ReleaseView,
)
from brakeline.console.views_restart import RestartForm, RestartView
from brakeline.console.views_rollback import RollbackView
from brakeline.console.views_stop import ApprovalsView, ApprovalView, FreezeView
from brakeline.tenancy.model import Principal

ENDPOINT_TABS = ("summary", "missing", "findings", "software", "agent", "timeline")
RELEASE_ACTS = ("withdraw", "recall", "pardon")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a session. `csrf`: the token that this session's forms must bring along."""

    principal: Principal
    csrf: str
    cookie: str

    def may(self, permission: str) -> bool:
        """To show or hide a control; the service asks again."""
        return permission in self.principal.permissions


class Doors(Protocol):
    """Sessions of people. A cookie is the opaque value of the session cookie."""

    async def visitor(self, cookie: str) -> Visitor | None:
        """None if the session is unknown, ended or expired."""
        ...

    async def presser(self, cookie: str) -> Visitor | None:
        """As `visitor`; while the database is away whoever it vouched for a moment ago, to brake and for nothing else.
        Raises Unavailable for everybody else."""
        ...

    def by_code(self, code: str) -> Visitor:
        """Whoever holds the break-glass code. Raises Unauthenticated."""
        ...

    def form_token(self, cookie: str) -> str:
        """The token of this cookie's forms, whether or not it is a session's."""
        ...

    async def log_in(self, email: str, password: str) -> str:
        """The new session's cookie. Raises Unauthenticated."""
        ...

    async def look_at_link(self, token: str) -> LoginView:
        """What a one-time link leads to, without using it up."""
        ...

    async def use_link(self, token: str, password: str) -> str:
        """Set the password, use the link up, and log in. Raises Unauthenticated or Invalid."""
        ...

    async def log_out(self, cookie: str) -> None: ...


class Screens(Protocol):
    """Everything that pages show and do, for one visitor at a time."""

    async def nav(self, who: Visitor) -> NavCounts: ...
    async def overview(self, who: Visitor) -> OverviewView: ...
    async def endpoints(self, who: Visitor, query: str, after: str) -> EndpointsView: ...
    async def endpoint(self, who: Visitor, endpoint_id: str, tab: str, query: str) -> EndpointView: ...
    async def scan(self, who: Visitor, endpoint_id: str) -> None: ...
    async def add_endpoint(self, who: Visitor, region: str, tags: str) -> AddEndpointView: ...
    async def make_command(self, who: Visitor, region: str, tags: str, host: str) -> tuple[str, AddEndpointView]:
        """The id of the new enrolment token, and the page that shows its one-liner once.

        `host`: name and port under which the visitor reached us: the endpoint will dial the same.
        """
        ...

    async def add_progress(self, who: Visitor, token_id: str) -> AddEndpointView: ...
    async def vulnerabilities(self, who: Visitor, query: str, after: str) -> VulnerabilitiesView: ...
    async def cve(self, who: Visitor, cve: str) -> CveView: ...
    async def rollouts(self, who: Visitor, state: str, after: str) -> RolloutsView: ...
    async def rollout(self, who: Visitor, rollout_id: str) -> RolloutView: ...
    async def rollout_members(
        self, who: Visitor, rollout_id: str, region: str, ring: str, show: str, after: str
    ) -> RolloutMembersView: ...
    async def brake(self, who: Visitor, rollout_id: str) -> str:
        """The state: `pressed` while the database is away."""
        ...

    async def pause(self, who: Visitor, rollout_id: str) -> None: ...
    async def resume(self, who: Visitor, rollout_id: str, reason: str) -> str:
        """The id of the request that a second person has to agree to; "" = it goes on."""
        ...

    async def start(self, who: Visitor, rollout_id: str) -> str:
        """The same."""
        ...

    async def withdraw(self, who: Visitor, rollout_id: str) -> None: ...
    async def rollback(self, who: Visitor, rollout_id: str) -> RollbackView:
        """What taking its updates back would do."""
        ...

    async def make_rollback(self, who: Visitor, rollout_id: str, expect_count: int) -> str:
        """The id of the draft. Raises Conflict when the number of endpoints has moved."""
        ...

    async def restarts(self, who: Visitor, form: RestartForm) -> RestartView:
        """Who would be restarted."""
        ...

    async def make_restarts(self, who: Visitor, form: RestartForm, expect_count: int) -> str:
        """The id of the draft. Raises Conflict when the number of endpoints has moved."""
        ...

    async def new_deployment(self, who: Visitor, form: DeploymentForm, ask: bool) -> NewDeploymentView: ...
    async def start_deployment(self, who: Visitor, form: DeploymentForm, expect_count: int, digest: str) -> str:
        """The id of the started rollout. Raises Conflict when the number of endpoints has moved."""
        ...

    async def policies(self, who: Visitor, form: PolicyForm, ask: bool) -> PoliciesView: ...
    async def create_policy(self, who: Visitor, form: PolicyForm) -> None: ...
    async def delete_policy(self, who: Visitor, policy_id: str) -> None: ...
    async def start_settings(self, who: Visitor, expect_count: int, digest: str) -> str: ...
    async def releases(self, who: Visitor, after: str) -> ReleasesView: ...
    async def release(self, who: Visitor, release_id: str) -> ReleaseView: ...
    async def release_keys(self, who: Visitor) -> ReleaseKeysView: ...
    async def release_act(self, who: Visitor, release_id: str, verb: str) -> ReleaseActView:
        """The step before `act_on_release`: changes nothing."""
        ...

    async def act_on_release(self, who: Visitor, release_id: str, verb: str, reason: str) -> str:
        """The id of the request that a second person has to agree to; "" = it is done."""
        ...

    async def promotion(self, who: Visitor, release_id: str, pace: str) -> PromotionView:
        """The step before `promote`: changes nothing."""
        ...

    async def promote(self, who: Visitor, release_id: str, pace: str, expect_count: int) -> str:
        """The id of the started rollout. Raises Conflict when the number of endpoints has moved."""
        ...

    def frozen(self, who: Visitor) -> str:
        """`frozen by … since …: …`, or "". In memory: it stands on every page."""
        ...

    async def freeze_page(self, who: Visitor) -> FreezeView: ...
    async def freeze(self, who: Visitor, reason: str) -> str:
        """The state: `pressed` while the database is away."""
        ...

    async def unfreeze(self, who: Visitor, reason: str) -> str:
        """The id of the request that a second person has to agree to; "" = it is lifted."""
        ...

    async def approvals(self, who: Visitor) -> ApprovalsView: ...
    async def approval(self, who: Visitor, approval_id: str) -> ApprovalView: ...
    async def approve(self, who: Visitor, approval_id: str, digest: str, password: str) -> str:
        """The state: `open` when one more person has to agree."""
        ...

    async def reject(self, who: Visitor, approval_id: str, reason: str) -> None: ...
    async def content(self, who: Visitor) -> ContentView: ...
    async def fetch_content(self, who: Visitor, feed: str) -> None: ...
    async def accept_content(self, who: Visitor, feed: str, sha256: str) -> str: ...
    async def refuse_content(self, who: Visitor, feed: str, sha256: str, reason: str) -> None: ...
    async def limits(self, who: Visitor, form: BudgetForm) -> LimitsView:
        """With an amount in the form: what setting that budget would do."""
        ...

    async def set_budget(self, who: Visitor, form: BudgetForm, reason: str) -> str:
        """The id of the request that a second person has to agree to; "" = it is done."""
        ...

    async def remove_budget(self, who: Visitor, group: str, per: str, reason: str) -> str:
        """The same."""
        ...

    async def add_window(self, who: Visitor, fields: dict[str, str]) -> None: ...
    async def remove_window(self, who: Visitor, window_id: str, reason: str) -> str:
        """The same."""
        ...

    async def cells(self, who: Visitor) -> CellsView: ...
    async def cell_act(self, who: Visitor, name: str, act: str, reason: str) -> str:
        """`act`: drain, isolate or restore. The id of the request that a second person agrees to first; "" = done."""
        ...

    async def isolate_self(self, who: Visitor, reason: str) -> None: ...
    async def brake_lead(self, who: Visitor, lead_id: str) -> None: ...
    async def take_lead(self, who: Visitor, lead_id: str, reason: str) -> str: ...
    async def pool(self, who: Visitor) -> PoolPage: ...
    async def pool_join(self, who: Visitor) -> str:
        """The id of the request that a second person agrees to first; "" = done."""
        ...

    async def pool_leave(self, who: Visitor) -> None: ...
    async def pool_part(self, who: Visitor, name: str) -> None: ...
    async def audit(self, who: Visitor, after: str) -> AuditView: ...
    async def settings(self, who: Visitor, fresh_token: str = "") -> SettingsView: ...
    async def create_token(self, who: Visitor, name: str, role: str) -> str:
        """The token itself: shown once, never again."""
        ...

    async def revoke_token(self, who: Visitor, token_id: str) -> None: ...
