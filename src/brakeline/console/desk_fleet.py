"""Overview, endpoints, adding one, vulnerabilities: over fleet, exposure, remediation and rollout."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from brakeline.console import present, present_news, present_risk, present_rollout, present_updates
from brakeline.console.desk_runs import DeskRuns
from brakeline.console.present_findings import acceptance_row
from brakeline.console.present_settings import sheet_view
from brakeline.console.screens import Visitor
from brakeline.console.views import (
    AddEndpointView,
    Badge,
    CveView,
    EndpointsView,
    EndpointView,
    Link,
    LogRow,
    NavCounts,
    OverviewView,
    QueryBar,
    Tone,
    VulnerabilitiesView,
)
from brakeline.core.errors import Forbidden, Invalid, NotFound
from brakeline.exposure.answers import EndpointFindings
from brakeline.fleet.lists import After
from brakeline.fleet.model import EndpointDetail
from brakeline.fleet.query import InvalidQuery
from brakeline.platform.web import decode_cursor, encode_cursor
from brakeline.protocol.messages import Mode, PendingUpdate
from brakeline.tenancy.audit import Entry

PAGE: Final = 50
NAV_S: Final = 5.0
SUMMARY_ROWS: Final = 8  # on an endpoint's first tab; the others show all
TAB_ROWS: Final = 500
NEWCOMERS: Final = 20  # newest endpoints among which the one of a fresh token is looked for


class DeskFleet(DeskRuns):
    """See the module."""

    async def nav(self, who: Visitor) -> NavCounts:
        """Remembered for NAV_S: it stands beside every page, and the sum over a large fleet is dear."""
        tenant_id, now = who.principal.tenant_id, self.s.clock.monotonic_s()
        known = self._nav.get(tenant_id)
        if known is None or known[0] <= now:
            counts = await self.s.fleet.counts(who.principal)
            risk = await self.s.exposure.summary(who.principal)
            waiting = len(await self.waiting_requests(who))
            found = NavCounts(counts.endpoints, risk.cves, await self.live_rollouts(who), waiting)
            known = self._nav[tenant_id] = (now + NAV_S, found)
        return known[1]

    async def overview(self, who: Visitor) -> OverviewView:
        counts = await self.s.fleet.counts(who.principal)
        now = self.s.clock.now_ms()
        if not counts.endpoints:
            return OverviewView(await self.stops(who), (), (), (), present.moment(now), fleet_empty=True)
        summary = await self.s.exposure.summary(who.principal)
        worst = await self.s.exposure.vulnerabilities(who.principal, "", limit=8)
        exploited = tuple(v for v in worst.items if v.kev)
        rollouts = await self.rollout_rows(who, live=True)
        on = max((v.endpoints for v in exploited), default=0)
        return OverviewView(
            needs=(
                *await self.stops(who), *present_rollout.rollout_needs(rollouts),
                *present_risk.risk_needs(summary, exploited[:5]), *present.fleet_needs(counts),
            ),
            kpis=present.overview_kpis(counts, summary.kev, on), rollouts=rollouts,
            exposure=tuple(present_risk.exposure_row(v) for v in worst.items if v.endpoints),
            checked_at=present.moment(now),
            news=present_news.news_lines(await self.s.exposure.arrivals(who.principal), now),
        )  # fmt: skip

    async def endpoints(self, who: Visitor, query: str, after: str) -> EndpointsView:
        query = query.strip()
        position = None
        if after:
            value, endpoint_id = decode_cursor(query, after)
            position = After(str(value), str(endpoint_id))
        try:
            page = await self.s.fleet.list_endpoints(who.principal, query, after=position, limit=PAGE)
        except InvalidQuery as wrong:
            return EndpointsView(present.refused_query("/endpoints", query, wrong, present.QUERY_HELP), ())
        total = page.total if not query else (await self.s.fleet.counts(who.principal)).endpoints
        ids = [e.id for e in page.items]
        modes, risk = await asyncio.gather(self.modes(who, ids), self.s.exposure.counts(who.principal, ids))
        now, interval = self.s.clock.now_ms(), self.s.settings.check_in_interval_s
        found = {one: counts.cves for one, counts in risk.items() if counts.packages > counts.not_assessed}
        cursor = encode_cursor(query, page.next.value, page.next.endpoint_id) if page.next else ""
        return EndpointsView(
            present.query_bar("/endpoints", query, page.total, total, present.QUERY_HELP),
            tuple(present.endpoint_row(e, now, interval, modes, found) for e in page.items),
            first_href=present.endpoints_href(query) if after else "",
            next_href=f"/endpoints?{urlencode({'q': query, 'after': cursor})}" if cursor else "",
            deploy_href=f"/rollouts/new?{urlencode({'filter': query})}" if who.may("rollout.create") else "",
            fleet_empty=not total,
        )

    async def endpoint(self, who: Visitor, endpoint_id: str, tab: str, query: str) -> EndpointView:
        detail = await self.s.fleet.get_endpoint(who.principal, endpoint_id)
        now, interval = self.s.clock.now_ms(), self.s.settings.check_in_interval_s
        pending = await self.s.fleet.pending(who.principal, endpoint_id)
        answer = await self.s.exposure.findings(who.principal, endpoint_id)
        mode = (await self.modes(who, [endpoint_id])).get(endpoint_id)
        state = present.endpoint_state(detail.summary, now, interval)
        known = detail.summary.inventory_ms > 0 and all(n.code != present_risk.UNMATCHED for n in answer.not_assessed)
        running = [f for f in answer.findings if f.finding.role == "active"]
        s = detail.summary
        notes = {"missing": s.pending_total, "findings": len(answer.findings), "software": detail.packages}
        view = EndpointView(
            id=endpoint_id, name=s.hostname or endpoint_id, tab=tab, state=state,
            sub=f"{s.os_name} · {s.region} · agent {s.agent_version or 'not known'}",
            seen=f"last check-in {present.ago(s.last_seen_ms, now)}", alerts=present.endpoint_alerts(detail),
            kpis=present.endpoint_kpis(
                detail, len({f.finding.cve for f in running}) if known else None,
                len({f.finding.cve for f in running if f.finding.kev}), state,
            ),
            tabs=present.endpoint_tabs(endpoint_id, tab, notes), facts=present.endpoint_facts(detail, now, mode),
            deploy_href=f"/rollouts/new?{urlencode({'filter': f'id:{endpoint_id}'})}" if mode is Mode.PATCH else "",
        )  # fmt: skip
        if tab == "runs":
            return replace(view, runs=await self.runs_of(who, endpoint_id, query))
        if tab == "history":
            return replace(view, changes=await self.changes_of(who, endpoint_id, query))
        if tab == "agent":
            sheet = sheet_view(await self.s.remediation.settings_sheet(who.principal, endpoint_id), now)
            return replace(view, launcher=await self.launcher(who, detail), sheet=sheet)
        view = await self._rows(who, view, detail, pending, answer, mode)
        if tab == "software":
            return await self._software(who, view, detail, query)
        return replace(view, timeline=await self._timeline(who, detail)) if tab in ("summary", "timeline") else view

    async def _rows(
        self, who: Visitor, view: EndpointView, detail: EndpointDetail, pending: Sequence[PendingUpdate],
        answer: EndpointFindings, mode: Mode | None,
    ) -> EndpointView:  # fmt: skip
        """Missing updates and findings, the first few on the summary and all on their own tabs."""
        limit = SUMMARY_ROWS if view.tab == "summary" else TAB_ROWS
        now = self.s.clock.now_ms()
        waiting = await self.waiting(who, view.id)
        closing = present_risk.closes(answer)
        out = await self.s.rollout.quarantined(who.principal) if who.may("rollout.read") else ()
        pending = present_updates.without(pending, out)
        updates = sorted(pending, key=lambda u: (not u.security, u.name))
        note = ""
        if not detail.summary.inventory_ms:
            note = "Not known: no inventory has arrived."
        elif not pending:
            note = f"Its repositories have nothing newer (lists {present.ago(detail.health.lists_refreshed_ms, now)})."
        elif len(pending) > limit:
            note = f"{len(pending) - limit:,} more under Missing."
        return replace(
            view,
            missing=tuple(present.update_row(u, mode, waiting, closing) for u in updates[:limit]),
            missing_note=note,
            findings=tuple(present_risk.finding_row(f, now) for f in answer.findings[:limit]),
            findings_note=present_risk.findings_note(answer, limit, now),
            news=present_news.finding_news(await self.s.exposure.arrivals(who.principal), answer.findings, now),
        )

    async def _software(self, who: Visitor, view: EndpointView, detail: EndpointDetail, query: str) -> EndpointView:
        packages = await self.s.fleet.packages(who.principal, view.id)
        chosen = present.software_chosen(packages, query)
        look = detail.software
        rest = f", the first {TAB_ROWS}" if len(chosen) > TAB_ROWS else ""
        return replace(
            view, software=tuple(map(present.software_row, chosen[:TAB_ROWS])), software_query=query,
            software_note=f"{len(chosen):,} of {len(packages):,} packages{rest}",
            ecosystems=present.ecosystem_links(view.id, packages), software_looked=present.looked_text(look),
            software_gaps=(*look.gaps, *([f"and {look.more_gaps:,} more"] if look.more_gaps else [])) if look else (),
        )  # fmt: skip

    async def _timeline(self, who: Visitor, detail: EndpointDetail) -> tuple[LogRow, ...]:
        """Newest first: what the audit log says of this endpoint, and what its own rows say."""
        now, s = self.s.clock.now_ms(), detail.summary
        rows = [(s.enrolled_ms, Badge("+", "enrolled", Tone.INFO), f"in region {s.region}", "")]
        if s.inventory_ms:
            text = f"{detail.packages:,} packages, {s.pending_total:,} updates missing"
            rows.append((s.inventory_ms, Badge("·", "inventory", Tone.IDLE), text, ""))
        if who.may("audit.read"):
            entries = await self.s.tenancy.audit_entries(who.principal, None, 200)
            rows += [_audit_row(e) for e in entries if e.object_id == s.id and e.action != "endpoint.enrol"]
        rows += await self.endpoint_events(who, s.id)
        rows.sort(key=lambda r: r[0], reverse=True)
        return tuple(
            LogRow(present.clock_text(at, now), present.full_time(at), badge, text, by) for at, badge, text, by in rows
        )

    async def scan(self, who: Visitor, endpoint_id: str) -> None:
        await self.s.fleet.scan_now(who.principal, endpoint_id)

    # --- adding ----------------------------------------------------------------------------------------------------

    async def add_endpoint(self, who: Visitor, region: str, tags: str) -> AddEndpointView:
        counts = await self.s.fleet.counts(who.principal)
        return AddEndpointView(region=region, tags=tags, first=not counts.endpoints)

    async def make_command(self, who: Visitor, region: str, tags: str, host: str) -> tuple[str, AddEndpointView]:
        try:
            made = await self.s.fleet.create_token(
                who.principal, region=region.strip(), tags=tuple(tags.replace(",", " ").split())
            )
        except Invalid as wrong:
            return "", AddEndpointView(region=region, tags=tags, error=wrong.detail)
        now = self.s.clock.now_ms()
        return made.record.id, AddEndpointView(
            command=self.s.one_liner(made.token, host), region=made.record.region, tags=" ".join(made.record.tags),
            token_facts=present.token_facts(made.record, now), script_href="/enrol.sh",
            steps=present.add_steps(None, None, now, made.record),
        )  # fmt: skip

    async def add_progress(self, who: Visitor, token_id: str) -> AddEndpointView:
        token = next((t for t in await self.s.fleet.list_tokens(who.principal) if t.id == token_id), None)
        if token is None:
            raise NotFound("there is no such enrolment token", id=token_id[:40])
        detail = await self._enrolled_with(who, token_id) if token.used else None
        findings = None
        if detail is not None:
            risk = await self.s.exposure.counts(who.principal, [detail.summary.id])
            found = risk.get(detail.summary.id)
            findings = found.cves if found else None
        return AddEndpointView(
            steps=present.add_steps(detail, findings, self.s.clock.now_ms(), token),
            enrolled=Link(detail.summary.hostname, present.endpoint_href(detail.summary.id)) if detail else None,
        )

    async def _enrolled_with(self, who: Visitor, token_id: str) -> EndpointDetail | None:
        page = await self.s.fleet.list_endpoints(who.principal, "", sort="-enrolled", limit=NEWCOMERS)
        for summary in page.items:
            detail = await self.s.fleet.get_endpoint(who.principal, summary.id)
            if detail.enrolled_by == token_id:
                return detail
        return None

    # --- risk ------------------------------------------------------------------------------------------------------

    async def vulnerabilities(self, who: Visitor, query: str, after: str) -> VulnerabilitiesView:
        query, action = query.strip(), "/vulnerabilities"
        try:
            page, risk, status = await self.s.exposure.board(who.principal, query, after or None, PAGE)
        except Forbidden:
            raise
        except Invalid as wrong:
            return VulnerabilitiesView(present.refused_query(action, query, wrong, present_risk.QUERY_HELP), (), "")
        total = page.total if not query else risk.cves
        bar = QueryBar(action, query, matched=page.total, total=total, help=present_risk.QUERY_HELP)
        now_ms = self.s.clock.now_ms()
        return VulnerabilitiesView(
            bar, tuple(present_risk.exposure_row(v) for v in page.items), present_risk.sources_text(page.feeds),
            first_href=f"{action}?{urlencode({'q': query})}" if after else "",
            next_href=f"{action}?{urlencode({'q': query, 'after': page.next})}" if page.next else "",
            ecosystems=present_risk.ecosystem_links(risk), gaps=present_risk.gap_lines(risk.not_assessed),
            index=present_risk.index_facts(status, now_ms), news=present_news.arrival_rows(status.arrivals, now_ms),
            newest=present_news.newest(status.arrivals),
        )  # fmt: skip

    async def cve(self, who: Visitor, cve: str) -> CveView:
        detail = await self.s.exposure.vulnerability(who.principal, cve)
        now_ms, held = self.s.clock.now_ms(), await self.s.accepting.acceptances(who.principal, cve=cve)
        rows = tuple(acceptance_row(one, now_ms) for one in held)
        return present_risk.cve_view(detail, who.may("rollout.create"), rows, may_accept=who.may("policy.write"))


def _audit_row(e: Entry) -> tuple[int, Badge, str, str]:
    return e.at_ms, Badge("·", e.action.partition(".")[2] or e.action, Tone.IDLE), e.after[:200], e.actor_name
