"""Use cases of exposure: what stands open where, and what is not known. `upkeep` keeps it in step with inventories.

Invariants: findings are computed when somebody looks; no inventory, an unknown release or a silent endpoint is said
as such and never counted as clean. Start with `match` for the decision itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from brakeline.advisories.model import Advisory
from brakeline.advisories.service import Knowledge
from brakeline.advisories.standing import epss_note
from brakeline.core.errors import NotFound
from brakeline.core.limits import CHECK_IN_INTERVAL_S, SILENCE_GRACE_INTERVALS
from brakeline.exposure import store
from brakeline.exposure.acceptance import accepted_on, counted
from brakeline.exposure.answers import (
    Affected,
    Closing,
    EndpointFindings,
    FleetExposure,
    OpenFinding,
    Vulnerability,
    VulnerabilityDetail,
    VulnerabilityPage,
)
from brakeline.exposure.checking import IndexStatus
from brakeline.exposure.closing import closing
from brakeline.exposure.due import due_of
from brakeline.exposure.index import Exposed, TenantIndex
from brakeline.exposure.listing import Wanted, parse
from brakeline.exposure.marking import Marked, Marking
from brakeline.exposure.marks import UNMARKED, earliest, marked
from brakeline.exposure.match import OPEN, Book, assess, judge
from brakeline.exposure.model import FindingState, Role, told
from brakeline.exposure.offers import offers, state_of
from brakeline.exposure.priority import INTERNET_TAG
from brakeline.exposure.ranks import Rank, of_finding, ranked
from brakeline.exposure.spans import rows_of
from brakeline.exposure.standing import everywhere
from brakeline.exposure.store import EndpointExposure
from brakeline.exposure.times import ExposureDay
from brakeline.exposure.upkeep import PAGE_MAX, lists_known, release_ended, release_of, unprovided
from brakeline.fleet.model import EndpointSummary
from brakeline.tenancy.model import Principal, system_principal

SILENT_AFTER_MS: Final = SILENCE_GRACE_INTERVALS * CHECK_IN_INTERVAL_S * 1000
SILENT_AGED_MS: Final = 5000  # PostgreSQL looks at every endpoint for it, and silence has a grace of minutes


class ExposureService(Marking):
    """What stands open where."""

    async def counts(
        self, principal: Principal, endpoint_ids: Sequence[str] | None = None
    ) -> dict[str, EndpointExposure]:
        """Counts by endpoint id, for lists; an endpoint that is missing here was not assessed yet."""
        principal.require("exposure.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.exposures(conn, endpoint_ids)

    async def findings(self, principal: Principal, endpoint_id: str) -> EndpointFindings:
        """Every finding of one endpoint, worst first: by priority, then as its order says, then by package and CVE."""
        principal.require("exposure.read")
        tenant_id, known = principal.tenant_id, await self.knowledge()
        detail = await self._fleet.get_endpoint(principal, endpoint_id)
        items = await self._installed(tenant_id, endpoint_id)
        pending = await self._fleet.pending_of(tenant_id, endpoint_id)
        release, kernel = release_of(detail), detail.facts.kernel
        answer = assess(items, self._book, release, kernel)
        offered = offers(judge(items, self._book, release, kernel)[0], pending)
        past = await self._advisories.support_ended(detail.facts.os_id, detail.facts.os_version)
        async with self._db.tenant(tenant_id) as conn:
            times = await store.source_times(conn, endpoint_id)
        refreshed = lists_known(detail, bool(pending))
        sources = {(f.ecosystem, f.source) for f in answer.findings}
        said = (r for name in sources for r in self._book.rows_of(*name) if r.state in OPEN)
        rows = {(r.ecosystem, r.source, r.cve, r.fixed): r for r in said}
        now, internet, found = self.known_now(known), INTERNET_TAG in detail.summary.tags, []
        beside = await self._decided(tenant_id, known, [endpoint_id])
        for finding in answer.findings:
            name = (finding.ecosystem, finding.source)
            offer = None if finding.found else offered.get((*name, Role(finding.role)))
            state = state_of(rows[*name, finding.cve, finding.fixed], offer, refreshed)
            since = times.get(finding.source)
            note = offer.note if offer and state is offer.state else ""
            since_ms = since.first_seen_ms if since and since.resolved_ms is None else None
            rank = of_finding(
                finding.cve, now, internet=internet, runs=finding.role == Role.ACTIVE, since_ms=since_ms,
                dated=finding.date,
            )  # fmt: skip
            until, due = accepted_on(finding.cve, endpoint_id, beside.reaches), due_of(rank.facts, beside.terms)
            found.append((rank, OpenFinding(
                finding, state, note, since_ms, rank.priority, *_scores(rank), until or None, due.day,
                0 if until else due.late, due.why,
            )))  # fmt: skip
        found.sort(key=lambda f: (f[0].key, f[1].finding.package, f[1].finding.cve))
        return EndpointFindings(
            endpoint_id, tuple(f for _, f in found),
            (*unprovided(detail), *release_ended(detail, past), *answer.not_assessed), answer.packages,
            detail.summary.inventory_ms, self._unknown_since(detail.summary), self.limits(known) + beside.limits,
            *told(answer.dismissed),
        )  # fmt: skip

    async def summary(self, principal: Principal) -> FleetExposure:
        """The fleet in figures, with what is not known beside what is."""
        principal.require("exposure.read")
        tenant_id = principal.tenant_id
        silent, beside = await self._silent_ones(tenant_id), await self._marked(tenant_id)
        return self._figures(tenant_id, silent, beside)

    async def line(self, principal: Principal, query: str, day: str) -> ExposureDay:
        """The figures of what matches, as the line of a day. Raises `Invalid`."""
        principal.require("exposure.read")
        wanted, beside = parse(query), await self._marked(principal.tenant_id)
        counts, entries = beside.sums.counted(wanted)
        kept, vulnerable = self._kept[principal.tenant_id], everywhere([e for e in entries if e.endpoints])
        return ExposureDay(
            day, len(kept.roster), len(kept.index.assessed), vulnerable, counts["cve", ""], counts["kev", ""],
            counts["overdue", ""], counts["accepted", ""],
        )  # fmt: skip

    async def board(
        self, principal: Principal, query: str, after: str | None, limit: int
    ) -> tuple[VulnerabilityPage, FleetExposure, IndexStatus]:
        """The list, the fleet in figures and the index, by one look: for pages, which are rendered all the time."""
        principal.require("exposure.read")
        tenant_id, wanted = principal.tenant_id, parse(query)
        silent, arrivals = await self._silent_ones(tenant_id), await self.arrivals(principal)
        beside = await self._marked(tenant_id)
        page, risk = self._page(beside, wanted, after, limit), self._figures(tenant_id, silent, beside)
        return page, risk, self._status(tenant_id, arrivals)

    def _figures(self, tenant_id: str, silent: frozenset[str], beside: Marked) -> FleetExposure:
        kept, exposed, known = self._kept[tenant_id], self._exposed.get(tenant_id), beside.known
        index, assessed = kept.index, kept.index.assessed
        return FleetExposure(
            endpoints=len(kept.roster),
            assessed=len(assessed),
            no_data=len(kept.roster) - len(assessed),
            silent=sum(one in assessed for one in silent),
            vulnerable=exposed[3].vulnerable()
            if exposed is not None  # else a check has given it up meanwhile: whole
            else everywhere([entry for entry in beside.entries.values() if entry.endpoints]),
            packages_not_assessed=index.not_assessed(),
            feeds=known.feeds,
            limits=self.limits(known) + beside.limits,
            not_assessed=index.gap_codes(),
            **beside.sums.figures()._asdict(),
        )

    async def vulnerabilities(
        self, principal: Principal, query: str = "", *, after: str | None = None, limit: int = 50
    ) -> VulnerabilityPage:
        """CVEs across the fleet, worst first. `query`: `priority:act kev:yes state:fixable_now source:curl CVE-2`."""
        principal.require("exposure.read")
        wanted = parse(query)
        return self._page(await self._marked(principal.tenant_id), wanted, after, limit)

    def _page(self, beside: Marked, wanted: Wanted, after: str | None, limit: int) -> VulnerabilityPage:
        known = beside.known
        page, total, more = beside.sums.page(wanted, after, min(max(limit, 1), PAGE_MAX))
        items = tuple(_one(entry, beside) for entry in page)
        limits = self.limits(known) + beside.limits
        return VulnerabilityPage(items, total, page[-1].cve if more else None, known.feeds, limits)

    async def every(self, principal: Principal, query: str = "") -> tuple[list[Vulnerability], tuple[str, ...]]:
        """All of them that match, worst first, and what this cannot know: for files and for other parts."""
        principal.require("exposure.read")
        wanted, beside = parse(query), await self._marked(principal.tenant_id)
        chosen = beside.sums.chosen(wanted)
        return [_one(entry, beside) for entry in chosen], self.limits(beside.known) + beside.limits

    async def indexed(self, tenant_id: str) -> tuple[TenantIndex, Book]:
        """Who has what, and the advisories in use: for other parts, up to date."""
        await self._ensure(tenant_id)
        return self._index(tenant_id), self._book

    async def vulnerability(self, principal: Principal, cve: str) -> VulnerabilityDetail:
        """One CVE: what is said about it, and every endpoint that has it. `NotFound` if no advisory names it."""
        principal.require("exposure.read")
        cve = cve.strip().upper() if cve.strip()[:4].upper() == "CVE-" else cve.strip()
        rows = await self._said_of(cve)
        corrected = await self._advisories.corrections_of(sorted({cve, *(row.id for row in rows if row.id)}))
        if not rows and not corrected:
            raise NotFound("no advisory that is loaded names it", cve=cve[:40])
        beside = await self._marked(principal.tenant_id)
        known, entry = beside.known, beside.entries.get(cve) or Exposed(cve, cve in beside.known.exploited)
        if cve not in beside.ranks:
            beside = beside._replace(ranks=ranked([entry], self.known_now(known), frozenset(), {}))
        affected = await self._affected(principal.tenant_id, entry)
        until = {e: accepted_on(cve, e, beside.reaches) for e in entry.endpoints}
        return VulnerabilityDetail(
            _one(entry, beside), tuple(rows),
            tuple(replace(a, accepted_until_ms=until.get(a.endpoint_id) or None) for a in affected),
            self.limits(known) + beside.limits, tuple(corrected),
        )  # fmt: skip

    async def _said_of(self, cve: str) -> list[Advisory]:
        """Every row that speaks of one CVE, or of a vulnerability by its advisory's id."""
        rows, spans = await self._advisories.advisories_of(cve)
        packages = groupby(spans, key=lambda span: (span.ecosystem, span.name))
        said = [row for _, of in packages for row in rows_of(list(of)) if cve in (row.cve, row.id, *row.aliases)]
        return [*rows, *(row._replace(cve=cve) for row in dict.fromkeys(said))]

    async def endpoints_with(self, tenant_id: str, cve: str) -> frozenset[str]:
        """Endpoints on which a CVE stands open in what can run: for other parts."""
        entry = (await self._all(tenant_id))[1].get(cve)
        return frozenset(entry.endpoints) if entry else frozenset()

    async def accepted_reach(self, tenant_id: str) -> dict[str, int]:
        """Acceptance in force -> on how many endpoints on which its CVE can run it says something now."""
        beside = await self._marked(tenant_id)
        return {
            one.id: counted(beside.entries[one.cve].endpoints, [(one, ids)]).endpoints
            if one.cve in beside.entries else 0
            for one, ids in beside.reaches
        }  # fmt: skip

    async def closing(self, tenant_id: str, pins: Mapping[str, Mapping[str, str]]) -> Closing:
        """What updates would close: `pins` = endpoint id -> {package: version}. For other slices."""
        known = await self.knowledge()
        inventories = {}
        for endpoint_id in pins:
            detail = await self._fleet.get_endpoint(system_principal(tenant_id, "exposure"), endpoint_id)
            items = await self._installed(tenant_id, endpoint_id)
            inventories[endpoint_id] = (items, release_of(detail), detail.facts.kernel)
        epss = {cve: e.score for cve, e in self.known_now(known).epss.items()}
        found = closing(inventories, pins, self._book, (epss, {cve: s.score for cve, s in known.cvss.items()}))
        due = earliest(found.closed, (await self._marked(tenant_id)).marks) if found.closed else ""
        note = epss_note(known.feeds, self._clock.now_ms(), told=found.epss is not None)
        return replace(found, epss_note=note, due=due)

    async def packages_closing(self, tenant_id: str, endpoint_id: str, cves: Sequence[str]) -> frozenset[str]:
        """Packages of an endpoint whose source has one of `cves` open: what an update must reach. For other slices."""
        await self.knowledge()
        detail = await self._fleet.get_endpoint(system_principal(tenant_id, "exposure"), endpoint_id)
        items = await self._installed(tenant_id, endpoint_id)
        judged = judge(items, self._book, release_of(detail), detail.facts.kernel)[0]
        wanted = frozenset(cves)
        return frozenset(
            item.package for item, unit, _ in judged if any(row.cve in wanted for row in self._book.open_rows(unit))
        )

    async def standing(self, tenant_id: str, endpoint_ids: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...]]:
        """CVE -> on how many of these endpoints it stands open in what can run; and what this cannot know."""
        known, entries = await self._all(tenant_id)
        among = self._index(tenant_id).roll.members(endpoint_ids)
        counts = {cve: entry.among(among) for cve, entry in entries.items()}
        return {cve: count for cve, count in counts.items() if count}, known.limits

    async def _affected(self, tenant_id: str, entry: Exposed) -> list[Affected]:
        concerned = sorted(entry.endpoints.keys() | entry.carriers)
        endpoints = await self._fleet.named(tenant_id, concerned)
        views = self._index(tenant_id).views
        found = []
        for endpoint_id in concerned:
            if endpoint_id not in endpoints:
                continue
            hostname, region = endpoints[endpoint_id]
            state = entry.endpoints.get(endpoint_id)
            for unit, role in sorted(views[endpoint_id].keys):
                if unit.source not in entry.sources or not (role is Role.ACTIVE or state is None):
                    continue
                row = next((row for row in self._book.open_rows(unit) if row.cve == entry.cve), None)
                if row is not None:
                    found.append(
                        Affected(
                            endpoint_id, hostname, region, state.value if state else "carrier",
                            unit.source, unit.version, row.fixed, unit.ecosystem, row.id,
                        )
                    )  # fmt: skip
        return sorted(found, key=lambda a: (a.hostname, a.endpoint_id, a.source))

    async def _silent_ones(self, tenant_id: str) -> frozenset[str]:
        """Endpoints not heard of for long enough that their figures may be old, as of `SILENT_AGED_MS` ago at most.

        Only these are read; that nobody is silent any more is seen as late as that somebody is.
        """
        now_ms, known = self._clock.now_ms(), self._silent.get(tenant_id)
        if known is None or not 0 <= now_ms - known[0] < SILENT_AGED_MS:
            found = await self._fleet.silent(tenant_id, now_ms - SILENT_AFTER_MS)
            known = self._silent[tenant_id] = (now_ms, frozenset(found))
        return known[1]

    def _unknown_since(self, endpoint: EndpointSummary) -> int | None:
        """Since when nothing was heard, if that is long enough for the figures to be old. Sleeping is not silence,
        but what sleeps is not known either."""
        if self._clock.now_ms() - endpoint.last_seen_ms <= SILENT_AFTER_MS:
            return None
        return endpoint.last_seen_ms or endpoint.enrolled_ms


def _scores(rank: Rank) -> tuple[float | None, float | None]:
    """EPSS and CVSS, as far as they are known."""
    epss, severity = rank.facts.epss, rank.facts.severity
    return epss.score if epss else None, severity.score if severity else None


def _one(entry: Exposed, beside: Marked) -> Vulnerability:
    found = _vulnerability(entry, beside.known, beside.ranks[entry.cve])
    return marked(found, beside.marks.get(entry.cve, UNMARKED))


def _vulnerability(entry: Exposed, known: Knowledge, rank: Rank) -> Vulnerability:
    states = {state.value: count for state, count in entry.states().items()}
    exploited = known.exploited.get(entry.cve)
    return Vulnerability(
        entry.cve, entry.kev, exploited.due if exploited else "", tuple(sorted(entry.sources)), dict(entry.fixed),
        len(entry.endpoints), entry.only_carried(), states, rank.priority, *_scores(rank),
        rank.facts.severity.vector if rank.facts.severity else "", tuple(sorted(entry.ecosystems)),
    )  # fmt: skip


__all__ = ["PAGE_MAX", "EndpointExposure", "ExposureService", "FindingState", "release_of"]
