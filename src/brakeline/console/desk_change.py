"""Deployments, rollouts, policies: over remediation and rollout. Every act goes to the service that owns it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Final
from urllib.parse import urlencode

from brakeline.console import present, present_over, present_rollout
from brakeline.console.desk_over import DeskOver
from brakeline.console.present_ahead import ahead_view
from brakeline.console.present_settings import policy_words, settings_view, words_of
from brakeline.console.screens import Visitor
from brakeline.console.views import Badge, Link, RolloutRow, Tone
from brakeline.console.views_change import (
    Choice,
    DeploymentForm,
    NewDeploymentView,
    PaceView,
    PinnedUpdate,
    PlanRing,
    PoliciesView,
    PolicyForm,
    PolicyRow,
    Preview,
    RolloutMembersView,
    RolloutsView,
    RolloutView,
    Skipped,
)
from brakeline.console.views_settings import SettingsView
from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.fleet.query import InvalidQuery
from brakeline.protocol.messages import Mode
from brakeline.remediation.model import DeploymentView, SettingsPolicy
from brakeline.remediation.model import Preview as Planned
from brakeline.rollout import arms, pace_text, power
from brakeline.rollout.brief import brief
from brakeline.rollout.forecast import Forecast, RingForecast, forecast, over_weekend
from brakeline.rollout.model import Change, Pin, Ring
from brakeline.rollout.pace import BY_RISK, CAREFUL, CHOICES, Advice
from brakeline.rollout.presets import policy_for

PAGE: Final = 25
DEPLOYMENT_S: Final = 5.0  # findings close seldom; a live page asks twice a second
DEPLOYMENTS_MAX: Final = 200
MEMBERS_SHOWN: Final = 100
NAMES_SHOWN: Final = 40
SELECTIONS: Final = (
    ("security", "Security updates", "everything that a security suite offers"),
    ("all", "All updates", "security and other"),
    ("names", "Only these packages", "named below"),
    ("cve", "Whatever closes these CVEs", "named below"),
)
PACES: Final = (
    ("careful", "Careful", "26 h of watching per ring: a night and a next-day return"),
    ("fast", "Fast", "6 h 15 min per ring; takes two people"),
    ("emergency", "Emergency", "few large rings, 6 h 15 min each, nobody held out; takes two people"),
    ("rehearsal", "Rehearsal", "minutes per ring: to see the machinery work, not to judge harm"),
)
AS_SUGGESTED: Final = (BY_RISK, "By risk", "the pace that the preview suggests, from what waiting and hurrying cost")
TABS: Final = (
    ("", "All"), ("live", "Live"), ("halted", "Halted"), ("completed", "Completed"), ("draft", "Drafts"),
)  # fmt: skip

MODE_BADGES: Final = {
    Mode.PATCH: Badge("▶", "patch", Tone.INFO), Mode.ASSESS: Badge("○", "assess", Tone.IDLE),
    None: Badge("–", "leave", Tone.IDLE),
}  # fmt: skip
SELF_UPDATE: Final = {"on": True, "off": False}  # anything else: the policy says nothing of it


class DeskChange(DeskOver):
    """See the module."""

    async def rollouts(self, who: Visitor, state: str, after: str) -> RolloutsView:
        wanted = {"": (), "live": ("rolling", "holding")}.get(state, (state,))
        if state and state not in dict(TABS):
            raise Invalid(f"rollouts are not listed by {state[:20]!r}; there are {', '.join(k for k, _ in TABS if k)}")
        found = await self.s.rollout.list(who.principal, states=wanted, before=after or None, limit=PAGE + 1)
        now, rows = self.s.clock.now_ms(), list[RolloutRow]()
        for r in found[:PAGE]:
            rows.append(present_rollout.rollout_row(r, None, now))
        more = {"state": state, "after": found[PAGE - 1].id} if len(found) > PAGE else None
        return RolloutsView(
            tuple(rows), state, tuple(Choice(k, label, "", k == state) for k, label in TABS),
            next_href=f"/rollouts?{urlencode(more)}" if more else "",
            first_href=f"/rollouts?{urlencode({'state': state})}" if after else "",
        )  # fmt: skip

    async def rollout(self, who: Visitor, rollout_id: str) -> RolloutView:
        facts = brief(await self.shown(who, rollout_id, 0.0))
        made = await self._deployment(who, rollout_id)
        return present_rollout.rollout_view(facts, self.s.clock.now_ms(), made, who.may("rollout.resume"))

    async def _deployment(self, who: Visitor, rollout_id: str) -> DeploymentView | None:
        """The deployment behind a rollout, remembered for DEPLOYMENT_S; None for a rollout that none made."""
        key, now = (who.principal.tenant_id, rollout_id), self.s.clock.monotonic_s()
        known = self.deployments.get(key)
        if known is None or known[0] <= now:
            try:
                made = await self.s.remediation.deployment(who.principal, rollout_id)
            except NotFound:
                made = None
            if len(self.deployments) >= DEPLOYMENTS_MAX:
                self.deployments.clear()
            known = self.deployments[key] = (now + DEPLOYMENT_S, made)
        return known[1]

    async def rollout_members(
        self, who: Visitor, rollout_id: str, region: str, ring: str, show: str, after: str
    ) -> RolloutMembersView:
        found = await self.s.rollout.members(
            who.principal, rollout_id, region=region, ring=ring, show=show, after=after, limit=MEMBERS_SHOWN
        )  # fmt: skip
        running = [m.endpoint_id for m in found.items if m.state == "started"]
        lines = await self.s.runlog.last_lines(who.principal, rollout_id, running)
        asked = {k: v for k, v in (("region", region), ("ring", ring), ("show", show)) if v}

        def href(**more: str) -> str:
            return present_rollout.members_href(rollout_id, **asked, **more)

        return RolloutMembersView(
            Link(found.title, present_rollout.rollout_href(rollout_id)),
            present_rollout.members_title(region, ring, show),
            tuple(present_rollout.member_row(m, found.release, lines.get(m.endpoint_id, "")) for m in found.items),
            next_href=href(after=found.next) if found.next else "", first_href=href() if after else "",
        )  # fmt: skip

    async def brake(self, who: Visitor, rollout_id: str) -> str:
        state = (await self.s.rollout.brake(who.principal, rollout_id)).state
        self.acted(who, rollout_id)
        return state

    async def pause(self, who: Visitor, rollout_id: str) -> None:
        await self.s.rollout.pause(who.principal, rollout_id, "paused in the console")
        self.acted(who, rollout_id)

    async def resume(self, who: Visitor, rollout_id: str, reason: str) -> str:
        found = await self.s.rollout.resume(who.principal, rollout_id, reason)
        self.acted(who, rollout_id)
        return found.approval_id if found is not None else ""

    async def start(self, who: Visitor, rollout_id: str) -> str:
        found = await self.s.rollout.start(who.principal, rollout_id)
        self.acted(who, rollout_id)
        return found.approval_id if found is not None else ""

    async def withdraw(self, who: Visitor, rollout_id: str) -> None:
        await self.s.rollout.withdraw(who.principal, rollout_id, "withdrawn in the console")
        self.acted(who, rollout_id)

    # --- new deployment --------------------------------------------------------------------------------------------

    async def new_deployment(self, who: Visitor, form: DeploymentForm, ask: bool) -> NewDeploymentView:
        selections = tuple(Choice(k, label, note, k == form.selection) for k, label, note in SELECTIONS)
        pace = form.policy or BY_RISK
        policies = tuple(Choice(k, label, note, k == pace) for k, label, note in (AS_SUGGESTED, *PACES))
        view = NewDeploymentView(
            form, selections, policies, None, may_start=who.may("rollout.create"),
            offer=await self.offer(who, form.over),
        )  # fmt: skip
        if not ask or (form.selection in ("names", "cve") and not form.names):
            return view
        try:
            if form.over.over:
                return replace(view, led=await self.looked_at_updates(who, form))
            planned = await self.s.remediation.preview(
                who.principal, form.filter, form.selection, _names(form), across=form.across
            )  # fmt: skip
        except InvalidQuery as wrong:
            bar = present.refused_query("/rollouts/new", form.filter, wrong, "", "filter", present_over.typed(form))
            return replace(view, error=bar.error, suggestion=bar.suggestion)
        except (Conflict, Invalid) as wrong:
            return replace(view, error=wrong.detail)
        return replace(view, preview=preview(planned, pace, self.s.clock.now_ms()))

    async def start_deployment(self, who: Visitor, form: DeploymentForm, expect_count: int, digest: str) -> str:
        made = await self.s.remediation.create(
            who.principal, form.filter, form.selection, _names(form), title=form.name, expect_count=expect_count,
            digest=digest, pace=form.policy or BY_RISK, pace_reason=form.pace_reason, start=True, across=form.across,
        )  # fmt: skip
        return made.rollout_id

    # --- policies --------------------------------------------------------------------------------------------------

    async def policies(self, who: Visitor, form: PolicyForm, ask: bool) -> PoliciesView:
        found = await self.s.remediation.policies(who.principal)
        now, rows = self.s.clock.now_ms(), list[PolicyRow]()
        may = who.may("policy.write")
        for p in found:
            rows.append(policy_row(p, await self.s.fleet.count_matching(who.principal, p.filter), now, may))
        stands, pace = await self._settings(who), form.pace or CAREFUL
        paces = tuple(Choice(k, label, note, k == pace) for k, label, note in PACES if k in CHOICES)
        view = PoliciesView(tuple(rows), form, may_write=may, settings=stands, paces=paces)
        return await self._foreseen(who, view, pace) if ask else view

    async def _foreseen(self, who: Visitor, view: PoliciesView, pace: str) -> PoliciesView:
        """Whom the policy of the form would concern, and what lies ahead of them."""
        try:
            policy_words(view.form)
            page = await self.s.fleet.list_endpoints(who.principal, view.form.filter, limit=NAMES_SHOWN)
            ahead = await self.s.remediation.look_ahead(who.principal, view.form.filter, pace)
        except InvalidQuery as wrong:
            typed = {k: v for k, v in asdict(view.form).items() if v and k != "expect_count"}
            bar = present.refused_query("/policies", view.form.filter, wrong, "", "filter", typed)
            return replace(view, error=bar.error, suggestion=bar.suggestion)
        except Invalid as wrong:
            return replace(view, error=wrong.detail)
        names = tuple(Link(e.hostname or e.id, present.endpoint_href(e.id)) for e in page.items)
        return replace(view, matched=page.total, matched_names=names, ahead=ahead_view(ahead))

    async def _settings(self, who: Visitor) -> SettingsView:
        now = await self.s.remediation.settings_standing(who.principal)
        return settings_view(now, await self.s.remediation.plan_settings(who.principal))

    async def start_settings(self, who: Visitor, expect_count: int, digest: str) -> str:
        made = await self.s.remediation.start_settings(who.principal, expect_count, digest)
        return made.rollout_id

    async def create_policy(self, who: Visitor, form: PolicyForm) -> None:
        if form.expect_count is None:
            raise Conflict("look first whom the policy concerns; the form carries the number that you saw")
        await self.s.remediation.create_policy(
            who.principal, name=form.name, filter_text=form.filter, mode=form.mode, expect_count=form.expect_count,
            self_update=SELF_UPDATE.get(form.self_update), pin=form.pin, channel=form.channel, words=policy_words(form),
        )  # fmt: skip

    async def delete_policy(self, who: Visitor, policy_id: str) -> None:
        await self.s.remediation.delete_policy(who.principal, policy_id)


def _names(form: DeploymentForm) -> tuple[str, ...]:
    if form.selection not in ("names", "cve"):
        return ()  # what was typed for another choice stays in the form and is not asked for
    return tuple(form.names.replace(",", " ").split())


def preview(planned: Planned, pace: str, now_ms: int) -> Preview:
    """What a press on Start would do."""
    plan, closing = planned.plan, planned.closing
    change = Change(tuple(Pin(u.name, u.version) for u in plan.updates), exploited=bool(closing.kev))
    count, advice = planned.count, planned.pace
    pace = advice.suggested if pace == BY_RISK else pace
    rings = arms.rings_for(policy_for(count, pace), change, count) if count else ()
    regions = len({t.region for t in plan.targets})
    seen = forecast(policy_for(count, pace), change, count, regions) if count else Forecast((), 0, "")
    return Preview(
        endpoints=count, expect_count=count,
        rings=tuple(
            _plan_ring(r, f, count) for (r, _), f in zip(rings, seen.rings, strict=True)
        ),
        updates=tuple(_pin(u.name, u.version, u.endpoints, u.security, closing.by_update.get(u.name, 0))
                      for u in plan.updates[:NAMES_SHOWN]),
        more_updates=max(0, len(plan.updates) - NAMES_SHOWN),
        reached=tuple(Link(t.hostname, present.endpoint_href(t.endpoint_id)) for t in plan.targets[:NAMES_SHOWN]),
        more_reached=max(0, count - NAMES_SHOWN),
        skipped=tuple(Skipped(Link(s.hostname, present.endpoint_href(s.endpoint_id)), s.reason)
                      for s in plan.skipped[:NAMES_SHOWN]),
        more_skipped=max(0, len(plan.skipped) - NAMES_SHOWN),
        statistics=power.power(policy_for(count, pace), change, count, regions).sentences if count else (),
        earliest_finish=_finish(closing.closed, closing.kev, now_ms, seen, policy_for(count, pace).enrolled),
        empty_reason=_empty(planned), digest=plan.digest, pace=pace_view(advice, pace) if count else None,
        across=plan.release if plan.across else "",
    )  # fmt: skip


def pace_view(advice: Advice, pace: str) -> PaceView:
    """The trade-off, and whether this pace needs a reason or a second person."""
    weighed = advice.option(pace)
    overrides = advice.suggested if weighed is not None and pace != advice.suggested else ""
    return PaceView(
        pace, pace_text.HEAD, pace_text.rows(advice), advice.sentences, overrides,
        weighed.two_people if weighed is not None else "it is a rehearsal, watched for minutes",
    )  # fmt: skip


def _plan_ring(ring: Ring, f: RingForecast, count: int) -> PlanRing:
    """A ring with what it can see. Of few endpoints statistics see nothing: then proof and single failures decide."""
    halts = "proof decides" if f.smallest is None else f"{f.halts_at:,} silent ({100 * f.smallest:.2g} %)"
    opens = f"after {present.span(f.opens_s)}" if f.opens_s else "at once"
    return PlanRing(
        ring.name, f"{f.upto:,} of {count:,}", f.treated, present.span(ring.bake_s), opens, f.controls, halts
    )


def _finish(closed: tuple[str, ...], exploited: tuple[str, ...], now_ms: int, seen: Forecast, enrolled: float) -> str:
    closes = f"Closes {present.plural(len(closed), 'CVE')}"
    if exploited:
        closes += f", {len(exploited)} of them exploited in the wild"
    said = f"{closes}. Earliest end {_minute(now_ms + seen.finish_s * 1000)}."
    weekend = over_weekend(seen, now_ms, enrolled)
    return f"{said} {weekend.says(_minute(weekend.ends_ms))}" if weekend is not None else said


def _minute(ms: int) -> str:
    return f"{present.full_time(ms)[:16].replace('T', ' ')} UTC"


def _empty(planned: Planned) -> str:
    if planned.plan.targets:
        return ""
    if not planned.matched:
        return "No endpoint matches this filter."
    return f"{present.plural(planned.matched, 'endpoint')} match, and all are left out; each is named below with why."


def _pin(name: str, version: str, endpoints: int, security: bool, closes: int) -> PinnedUpdate:
    return PinnedUpdate(name, version, endpoints, security, present.plural(closes, "CVE") if closes else "")


def policy_row(p: SettingsPolicy, matched: int, now_ms: int, may_write: bool) -> PolicyRow:
    """One policy with whom it concerns at this moment."""
    badge = MODE_BADGES[p.mode]
    said = "off" if p.self_update is False else f"pinned to {p.pin}" if p.pin else "on" if p.self_update else "–"
    made = f"{p.created_by}, {present.ago(p.created_ms, now_ms)}"
    return PolicyRow(
        p.id, p.name, Link(p.filter or "every endpoint", present.endpoints_href(p.filter)), badge, matched, made,
        f"/policies/{p.id}/delete" if may_write else "", said, p.channel or "–", words_of(p.words),
    )  # fmt: skip
