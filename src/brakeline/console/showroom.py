"""The twin of `desk`: the whole console over sample data, with one rollout that moves and can be braked.

Ships with the product for browser tests and for working on pages without a fleet (`python -m brakeline.console.showroom
--port N`). It keeps what pages rely on: a brake is final and idempotent, counts rise, acts need the permission.
"""

# ruff: noqa: ARG002, S105 - the twin has the whole port, and answers many calls without looking
from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from brakeline.console import present_over, samples, samples_change, samples_over, samples_release, samples_stop
from brakeline.console.samples_catalog import PACKAGE, PACKAGES
from brakeline.console.samples_cells import CELLS
from brakeline.console.samples_content import CONTENT
from brakeline.console.samples_curated import CATALOGUES, PRODUCTS
from brakeline.console.samples_events import EVENTS
from brakeline.console.samples_findings import ACCEPTANCES, TERMS
from brakeline.console.samples_lead import LEAD_SETTINGS
from brakeline.console.samples_limits import LIMITS
from brakeline.console.samples_pool import POOLS
from brakeline.console.samples_restart import RESTARTS
from brakeline.console.samples_rollback import ROLLBACKS
from brakeline.console.samples_sbom import ASSET, ASSETS
from brakeline.console.samples_stop import ASKED
from brakeline.console.samples_updates import TRENDS, UPDATE, UPDATE_LISTS
from brakeline.console.screens import Screens, Visitor
from brakeline.console.views import (
    AddEndpointView,
    AuditView,
    CveView,
    EndpointsView,
    EndpointView,
    LoginView,
    LogRow,
    NavCounts,
    OverviewView,
    SettingsView,
    VulnerabilitiesView,
)
from brakeline.console.views_catalog import PackagesView, PackageView
from brakeline.console.views_cells import CellsView
from brakeline.console.views_change import (
    DeploymentForm,
    GridRow,
    NewDeploymentView,
    PoliciesView,
    PolicyForm,
    RolloutMembersView,
    RolloutsView,
    RolloutView,
)
from brakeline.console.views_content import ContentView
from brakeline.console.views_curated import CatalogueView, ProductView
from brakeline.console.views_events import EventsView
from brakeline.console.views_findings import AcceptancesView, TermsView, TrendView, UpdatesView, UpdateView
from brakeline.console.views_lead import LeadForm, LeadSettingsView
from brakeline.console.views_limits import BudgetForm, LimitsView
from brakeline.console.views_over import OverForm
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
from brakeline.console.views_sbom import AssetsView, AssetView
from brakeline.console.views_stop import ApprovalsView, ApprovalView, FreezeView
from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Invalid, NotFound, Unauthenticated
from brakeline.exposure.following import spelled
from brakeline.rollout.pace import BY_RISK
from brakeline.tenancy.faults import CountMoved
from brakeline.tenancy.model import ROLE_PERMISSIONS, Principal

PASSWORD = "correct horse battery"  # the twin guards nothing
EMAIL = "alice"
CODE = "bg-0000-1111"


class ShowroomDoors:
    """One person, any number of sessions, one link that works once."""

    def __init__(self) -> None:
        self._sessions: dict[str, Visitor] = {}
        self._link_used = False

    async def visitor(self, cookie: str) -> Visitor | None:
        return self._sessions.get(cookie)

    async def presser(self, cookie: str) -> Visitor | None:
        return self._sessions.get(cookie)

    def by_code(self, code: str) -> Visitor:
        if code != CODE:
            raise Unauthenticated("this is no break-glass code of this server")
        principal = Principal("te_twin", "bg_1", "token", "the break-glass code", frozenset({"rollout.brake"}))
        return Visitor(principal, "", "")

    def form_token(self, cookie: str) -> str:
        return f"csrf-of-{cookie}"

    async def log_in(self, email: str, password: str) -> str:
        if (email, password) != (EMAIL, PASSWORD):
            raise Unauthenticated("mail or password is wrong")
        return self.open("owner")

    def open(self, role: str) -> str:
        """A session with the permissions of `role`; gives its cookie."""
        cookie = f"twin-{len(self._sessions) + 1}-{role}"
        principal = Principal("te_twin", "pe_alice", "person", "Alice", ROLE_PERMISSIONS[role])
        self._sessions[cookie] = Visitor(principal, f"csrf-of-{cookie}", cookie)
        return cookie

    async def look_at_link(self, token: str) -> LoginView:
        if token != "once" or self._link_used:
            return LoginView("dead_link", error="It has been used.")
        return LoginView("link", token=token)

    async def use_link(self, token: str, password: str) -> str:
        if token != "once" or self._link_used:
            raise Unauthenticated("the link has been used")
        if len(password) < LoginView("link").minimum:
            raise Invalid("the password is too short")
        self._link_used = True
        return self.open("owner")

    async def log_out(self, cookie: str) -> None:
        self._sessions.pop(cookie, None)


class Showroom(Screens):
    """Samples, except for `ro_live`, whose figures move with `clock` until somebody brakes, and for FREEZE."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._braked_s: float | None = None
        self._frozen_by = ""
        self.presses: list[str] = []  # every act that reached us, for tests

    async def nav(self, who: Visitor) -> NavCounts:
        return NavCounts(100_000, 312, 1, 2)

    async def overview(self, who: Visitor) -> OverviewView:
        moment = int(self._clock.monotonic_s() * 2) % 100
        return replace(samples.OVERVIEWS["needs a person"], checked_at=f"19:11:{moment:02} UTC")

    async def endpoints(self, who: Visitor, query: str, after: str) -> EndpointsView:
        if query.startswith("oss:"):
            return samples.ENDPOINTS["unknown key"]
        return samples.ENDPOINTS["filtered" if query else "rows"]

    async def endpoint(self, who: Visitor, endpoint_id: str, tab: str, query: str) -> EndpointView:
        if not endpoint_id.startswith("ep_"):
            raise NotFound("there is no such endpoint", id=endpoint_id[:40])
        return samples.endpoint_sample(tab, seen=f"{int(self._clock.monotonic_s()) % 60} s ago")

    async def scan(self, who: Visitor, endpoint_id: str) -> None:
        self.presses.append(f"scan {endpoint_id}")

    async def stop_one(self, who: Visitor, rollout_id: str, endpoint_id: str, reason: str) -> str:
        who.principal.require("rollout.brake")
        self.presses.append(f"stop {endpoint_id} {reason}".strip())
        return "runs"

    async def retry_one(self, who: Visitor, rollout_id: str, endpoint_id: str, reason: str) -> str:
        who.principal.require("rollout.resume")
        if not reason.strip():
            raise Invalid("say why it should go better now")
        self.presses.append(f"retry {endpoint_id} {reason}")
        return "again"

    async def add_endpoint(self, who: Visitor, region: str, tags: str) -> AddEndpointView:
        return samples.ADD_ENDPOINTS["before"]

    async def make_command(self, who: Visitor, region: str, tags: str, host: str) -> tuple[str, AddEndpointView]:
        return "et_1", samples.ADD_ENDPOINTS["waiting"]

    async def add_progress(self, who: Visitor, token_id: str) -> AddEndpointView:
        stages = ("waiting", "half", "done")
        return samples.ADD_ENDPOINTS[stages[min(int(self._clock.monotonic_s() - self._start(token_id)), 2)]]

    async def vulnerabilities(self, who: Visitor, query: str, after: str) -> VulnerabilitiesView:
        return samples.VULNERABILITIES["rows"]

    async def cve(self, who: Visitor, cve: str) -> CveView:
        return samples.CVES["exploited"]

    async def rollouts(self, who: Visitor, state: str, after: str) -> RolloutsView:
        return samples_change.ROLLOUTS_PAGES["rows"]

    async def rollout(self, who: Visitor, rollout_id: str) -> RolloutView:
        states = {"ro_halted": "halted", "ro_done": "completed", "ro_small": "held, six endpoints", "ro_draft": "draft",
                  "ro_release": "release, halted"}  # fmt: skip
        if rollout_id in states:
            return replace(samples_change.ROLLOUT_STATES[states[rollout_id]], id=rollout_id)
        if rollout_id != "ro_live":
            raise NotFound("there is no such rollout", id=rollout_id[:40])
        if self._braked_s is not None:
            return _braked_view()
        return _moving_view(int(self._clock.monotonic_s() * 4))

    async def rollout_members(
        self, who: Visitor, rollout_id: str, region: str, ring: str, show: str, after: str
    ) -> RolloutMembersView:
        return samples_change.MEMBERS["rows"]

    async def brake(self, who: Visitor, rollout_id: str) -> str:
        who.principal.require("rollout.brake")
        self.presses.append(f"brake {rollout_id}")
        self._braked_s = self._braked_s or self._clock.monotonic_s()
        return "halted"

    async def pause(self, who: Visitor, rollout_id: str) -> None:
        self.presses.append(f"pause {rollout_id}")

    async def resume(self, who: Visitor, rollout_id: str, reason: str) -> str:
        who.principal.require("rollout.resume")
        self.presses.append(f"resume {rollout_id}: {reason}")
        return ASKED

    async def start(self, who: Visitor, rollout_id: str) -> str:
        self.presses.append(f"start {rollout_id}")
        return ""

    async def withdraw(self, who: Visitor, rollout_id: str) -> None:
        self.presses.append(f"withdraw {rollout_id}")

    async def rollback(self, who: Visitor, rollout_id: str) -> RollbackView:
        return ROLLBACKS["plan" if who.may("rollout.create") else "viewer"]

    async def make_rollback(self, who: Visitor, rollout_id: str, expect_count: int) -> str:
        who.principal.require("rollout.create")
        if expect_count != ROLLBACKS["plan"].expect_count:
            raise Conflict("the plan has moved")
        self.presses.append(f"rollback {rollout_id}: {expect_count}")
        return "ro_draft"

    async def restarts(self, who: Visitor, form: RestartForm) -> RestartView:
        state = "plan" if who.may("rollout.create") else "viewer"
        shown = RESTARTS["nobody" if form.filter == "tag:nobody" else state]
        return replace(shown, form=replace(shown.form, filter=form.filter, any=form.any, pace=form.pace))

    async def make_restarts(self, who: Visitor, form: RestartForm, expect_count: int) -> str:
        who.principal.require("rollout.create")
        if expect_count != RESTARTS["plan"].expect_count:
            raise Conflict("the plan has moved")
        self.presses.append(f"restart {form.filter}: {expect_count}")
        return "ro_draft"

    async def new_deployment(self, who: Visitor, form: DeploymentForm, ask: bool) -> NewDeploymentView:
        if not ask:
            state = "blank"
        elif form.filter.startswith("oss:"):
            state = "unknown key"
        elif form.over.over:
            state = "over cells" if form.over.cells else "no cell ticked"
        else:
            state = "across distributions" if form.across else "preview"
        selections = tuple(replace(s, chosen=s.value == form.selection) for s in samples_change.SELECTIONS)
        pace = form.policy or BY_RISK
        policies = tuple(replace(p, chosen=p.value == pace) for p in samples_change.HOW)
        shown = samples_over.DEPLOYMENTS[state]
        if shown.led is not None:
            shown = replace(shown, led=samples_over.led(form, may_draft=who.may("rollout.create")))
        return replace(
            shown, form=form, selections=selections, policies=policies,
            offer=samples_over.offered(form.over),
        )  # fmt: skip

    async def start_deployment(self, who: Visitor, form: DeploymentForm, expect_count: int, digest: str) -> str:
        who.principal.require("rollout.create")
        if expect_count != samples_change.PREVIEW.expect_count:
            raise Conflict("another number of endpoints matches now")
        return "ro_live"

    async def draft_updates(self, who: Visitor, form: DeploymentForm, digest: str) -> str:
        who.principal.require("rollout.create")
        if digest != present_over.digest(samples_over.CHANGE):
            raise CountMoved("the updates that would be led are not those that you saw")
        self.presses.append(f"lead over {' '.join(form.over.cells)}")
        return "ld_06"

    async def policies(self, who: Visitor, form: PolicyForm, ask: bool) -> PoliciesView:
        return samples_change.POLICIES["preview" if ask else "rows"]

    async def create_policy(self, who: Visitor, form: PolicyForm) -> None:
        self.presses.append(f"policy {form.name}")

    async def delete_policy(self, who: Visitor, policy_id: str) -> None:
        self.presses.append(f"policy-gone {policy_id}")

    async def start_settings(self, who: Visitor, expect_count: int, digest: str) -> str:
        self.presses.append(f"settings {expect_count} {digest}")
        return "ro_live"

    async def releases(self, who: Visitor, after: str) -> ReleasesView:
        return samples_release.RELEASES["rows"]

    async def release(self, who: Visitor, release_id: str) -> ReleaseView:
        views = samples_release.RELEASE_STATES.values()
        found = next((v for v in views if v.id == release_id), None)
        if found is None:
            raise NotFound("there is no such release", id=release_id[:60])
        return found

    async def release_keys(self, who: Visitor) -> ReleaseKeysView:
        return samples_release.RELEASE_KEYS["on this server"]

    async def release_act(self, who: Visitor, release_id: str, verb: str) -> ReleaseActView:
        return samples_release.RELEASE_ACTS["pardon" if verb == "pardon" else "recall"]

    async def act_on_release(self, who: Visitor, release_id: str, verb: str, reason: str) -> str:
        who.principal.require("release.recall")
        self.presses.append(f"{verb} {release_id}: {reason}")
        return ASKED if verb == "pardon" else ""

    def frozen(self, who: Visitor) -> str:
        return f"frozen by {self._frozen_by} since 2026-11-22 19:11 UTC: no reason was given" if self._frozen_by else ""

    async def freeze_page(self, who: Visitor) -> FreezeView:
        view = samples_stop.FREEZES["frozen" if self._frozen_by else "not frozen"]
        return replace(view, may_press=who.may("rollout.brake"), may_lift=who.may("rollout.resume"))

    async def freeze(self, who: Visitor, reason: str) -> str:
        who.principal.require("rollout.brake")
        self.presses.append("freeze")
        self._frozen_by = self._frozen_by or who.principal.name
        return "frozen"

    async def unfreeze(self, who: Visitor, reason: str) -> str:
        who.principal.require("rollout.resume")
        self.presses.append(f"unfreeze: {reason}")
        return ASKED

    async def approvals(self, who: Visitor) -> ApprovalsView:
        return samples_stop.APPROVALS["rows"]

    async def approval(self, who: Visitor, approval_id: str) -> ApprovalView:
        if not approval_id.startswith("ap_"):
            raise NotFound("there is no such request", id=approval_id[:40])
        return replace(samples_stop.APPROVAL, id=approval_id)

    async def approve(self, who: Visitor, approval_id: str, digest: str, password: str) -> str:
        who.principal.require("rollout.approve")
        if password != PASSWORD or digest != samples_stop.APPROVAL.digest:
            raise Unauthenticated("the password is wrong")
        self.presses.append(f"approve {approval_id}")
        self._frozen_by = ""
        return "done"

    async def reject(self, who: Visitor, approval_id: str, reason: str) -> None:
        self.presses.append(f"reject {approval_id}: {reason}")

    async def promotion(self, who: Visitor, release_id: str, pace: str, over: OverForm, channel: str) -> PromotionView:
        state = "over cells" if over.over else "plan" if who.may("release.publish") else "viewer"
        return samples_over.promotion(state, over, channel)

    async def draft_release(self, who: Visitor, release_id: str, pace: str, form: OverForm, channel: str) -> str:
        who.principal.require("release.publish")
        if not form.cells:
            raise Invalid("tick at least one cell that shall take part")
        self.presses.append(f"lead {release_id} over {' '.join(form.cells)}")
        return "ld_06"

    async def promote(self, who: Visitor, release_id: str, pace: str, expect_count: int, channel: str) -> str:
        who.principal.require("release.publish")
        if expect_count != samples_release.PLAN.endpoints:
            raise Conflict("another number of endpoints is concerned now")
        return "ro_live"

    async def acceptances(self, who: Visitor, *, every: bool) -> AcceptancesView:
        return ACCEPTANCES["some" if who.may("policy.write") else "viewer"]

    async def accept_cve(self, who: Visitor, cve: str, reason: str, days: str, filter_text: str) -> str:
        self.presses.append(f"accept {cve} for {days}: {reason}")
        return ""

    async def end_acceptance(self, who: Visitor, acceptance_id: str, reason: str) -> None:
        self.presses.append(f"end {acceptance_id}: {reason}")

    async def terms(self, who: Visitor) -> TermsView:
        return TERMS["owner" if who.may("policy.write") else "viewer"]

    async def events(self, who: Visitor) -> EventsView:
        return EVENTS["some" if who.may("token.manage") else "viewer"]

    async def add_sink(self, who: Visitor, name: str, address: str, kinds: str) -> EventsView:
        return EVENTS["fresh"]

    async def sink_act(self, who: Visitor, sink_id: str, act: str) -> None:
        self.presses.append(f"{act} {sink_id}")

    async def trend(self, who: Visitor, days: int, query: str = "") -> TrendView:
        return replace(TRENDS["of a filter" if query else "months"], may_follow=who.may("policy.write"))

    async def follow(self, who: Visitor, query: str) -> str:
        who.principal.require("policy.write")
        self.presses.append(f"follow {query}")
        return spelled(query)

    async def unfollow(self, who: Visitor, query: str) -> None:
        who.principal.require("policy.write")
        self.presses.append(f"unfollow {query}")

    async def updates(self, who: Visitor, query: str) -> UpdatesView:
        return UPDATE_LISTS["some"]

    async def update(self, who: Visitor, name: str) -> UpdateView:
        return UPDATE["held"]

    async def decline_update(self, who: Visitor, name: str, version: str, reason: str) -> None:
        self.presses.append(f"decline {name} {version}")

    async def allow_update(self, who: Visitor, name: str, version: str, reason: str) -> None:
        self.presses.append(f"allow {name} {version}")

    async def set_terms(self, who: Visitor, form: dict[str, str]) -> str:
        return "ap_01"

    async def content(self, who: Visitor) -> ContentView:
        return CONTENT["held" if who.may("policy.write") else "calm"]

    async def assets(self, who: Visitor) -> AssetsView:
        return ASSETS["some"]

    async def asset(self, who: Visitor, asset_id: str) -> AssetView:
        return ASSET["nothing open" if asset_id == "as_box" else "open and said"]

    async def packages(self, who: Visitor) -> PackagesView:
        return PACKAGES["some"]

    async def package(self, who: Visitor, name: str, version: str) -> PackageView:
        return PACKAGE["withdrawn" if version == "2.0" else "ready"]

    async def catalogue(self, who: Visitor, query: str) -> CatalogueView:
        return CATALOGUES["nothing found" if query else "some"]

    async def product(self, who: Visitor, name: str) -> ProductView:
        return PRODUCTS["a hash alone" if name == "krita" else "signed"]

    async def fetch_content(self, who: Visitor, feed: str) -> None:
        """Nothing to ask here."""

    async def accept_content(self, who: Visitor, feed: str, sha256: str) -> str:
        self.presses.append(f"accept {feed} {sha256[:4]}")
        return ""

    async def refuse_content(self, who: Visitor, feed: str, sha256: str, reason: str) -> None:
        self.presses.append(f"refuse {feed}: {reason}")

    async def limits(self, who: Visitor, form: BudgetForm) -> LimitsView:
        name = "raising" if form.amount else "owner"
        return LIMITS[name if who.may("limits.write") else "viewer"]

    async def cells(self, who: Visitor) -> CellsView:
        return CELLS["conductor" if who.may("limits.write") else "viewer"]

    async def cell_act(self, who: Visitor, name: str, act: str, reason: str) -> str:
        who.principal.require("limits.write")
        self.presses.append(f"{act} {name}: {reason}")
        return ""

    async def pool(self, who: Visitor) -> PoolPage:
        return POOLS["sharing" if who.may("limits.write") else "viewer"]

    async def pool_join(self, who: Visitor) -> str:
        who.principal.require("limits.write")
        self.presses.append("pool join")
        return ""

    async def pool_leave(self, who: Visitor) -> None:
        who.principal.require("limits.write")
        self.presses.append("pool leave")

    async def pool_part(self, who: Visitor, name: str) -> None:
        who.principal.require("limits.write")
        self.presses.append(f"pool part {name}")

    async def isolate_self(self, who: Visitor, reason: str) -> None:
        who.principal.require("rollout.brake")
        self.presses.append(f"isolate: {reason}")

    async def brake_lead(self, who: Visitor, lead_id: str) -> None:
        who.principal.require("rollout.brake")
        self.presses.append(f"brake {lead_id}")

    async def lead_act(self, who: Visitor, lead_id: str, act: str, reason: str) -> str:
        who.principal.require("rollout.create")
        self.presses.append(f"{act} {lead_id}: {reason}")
        return ""

    async def lead_settings(self, who: Visitor, form: LeadForm, ask: bool) -> LeadSettingsView:
        who.principal.require("policy.write")
        return LEAD_SETTINGS["looked at" if ask else "empty"]

    async def draft_settings(self, who: Visitor, form: LeadForm) -> None:
        who.principal.require("policy.write")
        self.presses.append(f"lead {form.policy.name}")

    async def take_lead(self, who: Visitor, lead_id: str, reason: str) -> str:
        who.principal.require("limits.write")
        self.presses.append(f"take {lead_id}: {reason}")
        return ""

    async def set_budget(self, who: Visitor, form: BudgetForm, reason: str) -> str:
        who.principal.require("limits.write")
        self.presses.append(f"budget {form.group} {form.per} {form.amount}: {reason}")
        return ""

    async def remove_budget(self, who: Visitor, group: str, per: str, reason: str) -> str:
        who.principal.require("limits.write")
        self.presses.append(f"no budget {group} {per}: {reason}")
        return ""

    async def add_window(self, who: Visitor, fields: dict[str, str]) -> None:
        who.principal.require("limits.write")
        self.presses.append(f"window {fields.get('name', '')}")

    async def remove_window(self, who: Visitor, window_id: str, reason: str) -> str:
        who.principal.require("limits.write")
        self.presses.append(f"no window {window_id}: {reason}")
        return ""

    async def audit(self, who: Visitor, after: str) -> AuditView:
        return samples.AUDITS["verified"]

    async def settings(self, who: Visitor, fresh_token: str = "") -> SettingsView:
        return replace(samples.SETTINGS["owner"], fresh_token=fresh_token)

    async def create_token(self, who: Visitor, name: str, role: str) -> str:
        return "blt_shown_once"

    async def revoke_token(self, who: Visitor, token_id: str) -> None:
        self.presses.append(f"revoke {token_id}")

    def _start(self, token_id: str) -> float:
        self._starts = getattr(self, "_starts", {})
        started: float = self._starts.setdefault(token_id, self._clock.monotonic_s())
        return started


def _moving_view(step: int) -> RolloutView:
    """Ring *early* of eu-north fills up; the log grows."""
    view = samples_change.ROLLING_VIEW
    done = 20 + step % 140
    first = view.grid[0]
    moving = samples_change.cell("eu-north", 1, "active", done, 165)
    grid = (GridRow(first.region, (first.cells[0], moving, *first.cells[2:])), *view.grid[1:])
    row = LogRow(f"19:2{step % 6}:0{step % 10}", "2026-11-22T19:20:00Z", samples_change.LOG[0].badge, f"Step {step}")
    return replace(view, grid=grid, excess=samples_change.excess(98 + done, -0.45, 7), log=(row, *view.log))


def _braked_view() -> RolloutView:
    return samples_change.HALTED_VIEW


def main() -> None:
    """Serve the twin on 127.0.0.1 until told to end."""
    import uvicorn

    from brakeline.console.feed import Feed
    from brakeline.console.routes import build
    from brakeline.platform.clock import SystemClock

    parser = argparse.ArgumentParser(description="Serve the console over sample data.")
    parser.add_argument("--port", type=int, default=8444)
    parser.add_argument("--tick", type=float, default=0.5, help="seconds between updates of a live page")
    options = parser.parse_args()
    doors = ShowroomDoors()
    doors.open("owner")  # cookie twin-1-owner, and a viewer beside
    doors.open("viewer")
    console = build(Showroom(SystemClock()), doors, dev=True, feed=Feed(tick_s=options.tick))

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            console.feed.stop()
            super().handle_exit(sig, frame)

    Server(
        uvicorn.Config(console, host="127.0.0.1", port=options.port, log_level="warning", timeout_graceful_shutdown=4)
    ).run()


if __name__ == "__main__":
    main()
