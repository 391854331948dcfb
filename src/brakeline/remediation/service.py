"""Use cases of deployments: preview, create (a rollout of pinned updates), and what became of the findings.

Invariants: a preview changes nothing; `create` plans again and refuses when the endpoints, or the very pins, are not
those that were seen (`expect_count`, `digest`); nobody is left out without a name and a reason. The rollout is made
first and the record after it: should the record fail, the rollout is withdrawn and never started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.catalog.decide import LINUX, asks_for_own
from brakeline.catalog.model import OwnPackage
from brakeline.catalog.service import CatalogService
from brakeline.core.days import DAY_MS, number
from brakeline.core.errors import Fault, Invalid, NotFound
from brakeline.exposure.answers import Closing
from brakeline.exposure.service import ExposureService, release_of
from brakeline.fleet.model import EndpointState
from brakeline.fleet.query import parse, render
from brakeline.platform.observe import logger
from brakeline.protocol.messages import PendingUpdate
from brakeline.remediation import store
from brakeline.remediation.granting import Grants
from brakeline.remediation.leading import LeadingUse
from brakeline.remediation.model import Deployment, DeploymentView, Plan, Preview, Selection, Situation
from brakeline.remediation.planner import default_title, plan
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.model import Policy as RolloutPolicy
from brakeline.rollout.pace import BY_RISK, Risk, settle
from brakeline.rollout.pace_text import advise
from brakeline.rollout.presets import policy_for
from brakeline.rollout.service import RolloutService
from brakeline.rollout.settings import SettingsRollouts
from brakeline.tenancy import audit
from brakeline.tenancy.faults import CountMoved
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request

NAMES_MAX: Final = 500
PAGE_MAX: Final = 200
TITLE_CHARS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Own:
    """The organisation's own packages, and the names that a deployment asks for."""

    entries: list[OwnPackage]
    names: tuple[str, ...]


class NothingToDo(Invalid):
    """No endpoint would get anything."""

    code = "nothing-to-do"
    hint = "The preview names each endpoint that is left out, with the reason."


class RemediationService(LeadingUse):
    """Policies (in `policies`), settings (in `settling`, over cells in `leading`) and deployments."""

    _exposure: ExposureService
    _rollouts: RolloutService
    catalog: CatalogService | None = None  # own packages; without it, only what endpoints say is pending

    def use(self, exposure: ExposureService, rollouts: RolloutService) -> RemediationService:
        """Give it the parts that deployments need; policies work without."""
        self._exposure, self._rollouts = exposure, rollouts
        self._settings_rollouts = SettingsRollouts(rollouts)
        rollouts.still_wished = self.still_wished
        self._grants = Grants(rollouts.cell.sign_grant)
        return self

    async def _watched_every_s(self, tenant_id: str, endpoint_id: str) -> int | None:
        try:
            return await self._rollouts.watched_every_s(tenant_id, endpoint_id)
        except Fault:  # settings never fail for the database; the cell's own interval holds
            return None

    async def preview(
        self, principal: Principal, filter_text: str, selection: str = "security", names: Sequence[str] = (), *,
        across: bool = False,
    ) -> Preview:  # fmt: skip
        """What would be updated where, who is left out, and which findings close. Changes nothing.

        `across`: over every distribution that has something to do, each endpoint with its own one's versions.
        """
        principal.require("rollout.read")
        chosen, asked = _selection(selection, names)
        text = render(parse(filter_text))
        if chosen is Selection.CVE:
            asked = tuple(cve.upper() for cve in asked)
        endpoint_ids = await self._fleet.matching(principal.tenant_id, text)
        own = Own(await self.catalog.known(principal.tenant_id) if self.catalog else [], asked)
        cves = asked if chosen is Selection.CVE else ()
        situations = await self._situations(principal, endpoint_ids, cves, own)
        quarantined = await self._rollouts.quarantined(principal)
        without = {(q.pin.name, q.pin.version): q.told for q in quarantined}
        planned = plan(situations, chosen, frozenset(asked), without, across=across)
        closing = await self._exposure.closing(
            principal.tenant_id, {target.endpoint_id: target.updates for target in planned.targets}
        )
        advice = advise(_risk(closing), _change(planned, closing), len(planned.targets), _regions(planned))
        return Preview(text, chosen, asked, len(endpoint_ids), planned, closing, advice)

    async def create(
        self, principal: Principal, filter_text: str, selection: str = "security", names: Sequence[str] = (), *,
        title: str = "", expect_count: int | None = None, digest: str = "", pace: str = BY_RISK, pace_reason: str = "",
        policy: RolloutPolicy | None = None, start: bool = False, across: bool = False,
    ) -> Deployment:  # fmt: skip
        """Make the rollout of what `preview` shows now. Raises CountMoved when it is not what was seen.

        `pace` names a ready-made policy for rings and bake times, by default the one that the preview suggests; another
        one takes a reason. `policy` is one of one's own instead.
        """
        principal.require("rollout.create")
        if start:
            self._rollouts.refuse_if_frozen(principal.tenant_id)
        seen = await self.preview(principal, filter_text, selection, names, across=across)
        _unmoved(seen, expect_count, digest)
        title = title.strip()[:TITLE_CHARS_MAX] or default_title(seen.selection, seen.names, seen.count)
        change, targets = _change(seen.plan, seen.closing, title), seen.plan.targets
        chosen = None if policy is not None else settle(seen.pace, pace, pace_reason, principal.name)
        rings = policy if chosen is None else policy_for(len(targets), chosen.pace)
        assert rings is not None
        rollout_id = await self._rollouts.create(
            principal, title, change, rings, [t.endpoint_id for t in targets], chosen=chosen, pins=_pins(seen.plan)
        )  # fmt: skip
        made = Deployment(
            id=self._ids.new("de"), rollout_id=rollout_id, title=title, filter=seen.filter, selection=seen.selection,
            names=seen.names, updates=seen.plan.updates, endpoints=len(targets), skipped=len(seen.plan.skipped),
            digest=seen.plan.digest, cves_before=seen.closing.before, closes=seen.closing.closed,
            created_ms=self._clock.now_ms(), created_by=principal.name,
        )  # fmt: skip
        try:
            await self._record(principal, made, seen.plan)
        except Fault:
            await self._rollouts.withdraw(principal, rollout_id, "its deployment could not be recorded")
            logger.error("deployment-not-recorded", rollout=rollout_id)
            raise
        if start:
            await self._rollouts.start(principal, rollout_id)
        return made

    async def waiting(self, principal: Principal, made: Deployment) -> Request | None:
        """What has to be agreed to before its rollout starts."""
        return await self._rollouts.waiting(principal, made.rollout_id)

    async def deployments(
        self, principal: Principal, *, before: str | None = None, limit: int = 50
    ) -> tuple[list[Deployment], str | None]:
        """Newest first, and the id after which the next page begins."""
        principal.require("rollout.read")
        limit = min(max(limit, 1), PAGE_MAX)
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.deployments(conn, before, limit + 1)
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    async def deployment(self, principal: Principal, some_id: str) -> DeploymentView:
        """One deployment, by its own id or its rollout's: what it was to close, and what still stands open."""
        principal.require("rollout.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.deployment(conn, some_id)
            if found is None:
                raise NotFound("no such deployment", id=some_id[:40])
            endpoint_ids = await store.endpoints_of(conn, found.id)
        standing, limits = await self._exposure.standing(principal.tenant_id, endpoint_ids)
        still_open = {cve: standing[cve] for cve in found.closes if cve in standing}
        return DeploymentView(
            found, endpoint_ids, (await self._rollouts.show(principal, found.rollout_id)).state, len(standing),
            tuple(cve for cve in found.closes if cve not in standing), still_open, limits,
        )  # fmt: skip

    async def _record(self, principal: Principal, made: Deployment, planned: Plan) -> None:
        async with self._db.tenant(principal.tenant_id) as conn:
            await store.insert_deployment(conn, principal.tenant_id, made, planned.targets)
            facts = {
                "rollout": made.rollout_id, "title": made.title, "filter": made.filter,
                "selection": made.selection.value, "names": list(made.names), "endpoints": made.endpoints,
                "updates": len(made.updates), "digest": made.digest, "release": planned.release,
            }  # fmt: skip
            await audit.append(conn, self._clock, principal, "deployment.create", made.id, None, facts)

    async def _situations(
        self, principal: Principal, endpoint_ids: Sequence[str], cves: Sequence[str], own: Own
    ) -> list[Situation]:
        refused = await self.patchable(principal.tenant_id, list(endpoint_ids))
        return [await self._situation(principal, one, refused[one], cves, own) for one in endpoint_ids]

    async def _own(self, principal: Principal, endpoint_id: str, own: Own, os_id: str) -> tuple[PendingUpdate, ...]:
        """What is pending there, as the catalogue stands; nothing more is read where no own package is known."""
        pending = await self._fleet.pending_of(principal.tenant_id, endpoint_id)
        if not own.entries:
            return pending
        packages = await self._fleet.packages(principal, endpoint_id) if asks_for_own(own.names) else ()
        platform = "windows" if os_id == "windows" else LINUX
        return CatalogService.offered(own.entries, pending, packages, own.names, platform)

    async def _situation(
        self, principal: Principal, endpoint_id: str, refused: str, cves: Sequence[str], own: Own
    ) -> Situation:  # fmt: skip
        detail = await self._fleet.get_endpoint(principal, endpoint_id)
        pending = await self._own(principal, endpoint_id, own, detail.summary.os_id)
        blocked = None
        if detail.summary.state is not EndpointState.ACTIVE:
            blocked = ("not_active", f"is {detail.summary.state.value}: {detail.state_reason or 'enrol it again'}")
        elif not detail.summary.inventory_ms:
            blocked = ("no_data", "has sent no inventory yet")
        elif refused:
            blocked = ("assess_only", refused)
        elif not detail.health.healthy:
            blocked = ("unhealthy", "its package manager is broken: " + "; ".join(detail.health.problems[:2]))
        wanted = await self._exposure.packages_closing(principal.tenant_id, endpoint_id, cves) if cves else frozenset()
        return Situation(
            endpoint_id, detail.summary.hostname, detail.summary.region, release_of(detail), pending, blocked, wanted,
            detail.facts.package_manager,
        )  # fmt: skip


def _change(planned: Plan, closing: Closing, title: str = "") -> Change:
    pins = tuple(Pin(update.name, update.version) for update in planned.updates)
    due_ms = number(closing.due) * DAY_MS if closing.due else 0  # its last day begins: there is time yet to take it
    return Change(pins, exploited=bool(closing.kev), title=title, due_ms=due_ms)


def _pins(planned: Plan) -> dict[str, tuple[Pin, ...]] | None:
    """Whose pins are which, where a plan goes over several distributions; None = all are everybody's."""
    if not planned.across:
        return None
    return {t.endpoint_id: tuple(Pin(*u) for u in sorted(t.updates.items())) for t in planned.targets}


def _risk(closing: Closing) -> Risk:
    """What is known of what the updates close."""
    return Risk(
        closing.assessed > 0, len(closing.closed), closing.kev, closing.exposed, closing.epss, closing.cvss,
        closing.at_risk, closing.epss_note, closing.due,
    )  # fmt: skip


def _regions(planned: Plan) -> int:
    return len({target.region for target in planned.targets})


def _selection(selection: str, names: Sequence[str]) -> tuple[Selection, tuple[str, ...]]:
    if selection not in {s.value for s in Selection}:
        raise Invalid(f"selection is one of {', '.join(s.value for s in Selection)}, not {selection!r}")
    chosen, asked = Selection(selection), tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    needs_names = chosen in (Selection.NAMES, Selection.CVE)
    if needs_names and not asked:
        raise Invalid(f"the selection {selection} needs at least one name")
    if asked and not needs_names:
        raise Invalid(f"the selection {selection} takes no names; did you mean the selection names?")
    if len(asked) > NAMES_MAX:
        raise Invalid(f"at most {NAMES_MAX} names")
    return chosen, asked


def _unmoved(seen: Preview, expect_count: int | None, digest: str) -> None:
    if expect_count is not None and seen.count != expect_count:
        raise CountMoved(f"{seen.count} endpoints would be changed now, not {expect_count}", found=seen.count)
    if digest and digest != seen.plan.digest:
        raise CountMoved("the pinned updates are not those that you saw", digest=seen.plan.digest)
    if not seen.plan.targets:
        raise NothingToDo(f"{seen.matched} endpoints match, all are left out", **seen.skipped_by_code())


__all__ = ["NothingToDo", "RemediationService"]
