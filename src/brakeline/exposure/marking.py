"""Marks a tenant's vulnerabilities: what was accepted and by when the rest is due. Remembered until any of it changes.

Invariants: a mark stands beside a finding and never takes one away; an acceptance whose filter cannot be understood
any more marks nobody, and `limits` says so; what is due is due although parts of it are accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from brakeline.advisories.service import Knowledge
from brakeline.core.days import day_of
from brakeline.core.errors import Invalid
from brakeline.exposure import store_findings
from brakeline.exposure.acceptance import NOBODY, Acceptance, Reach, Standing, by_cve, counted, standing
from brakeline.exposure.assessing import MarksKept
from brakeline.exposure.due import Terms, due_of
from brakeline.exposure.index import Exposed
from brakeline.exposure.marks import Mark
from brakeline.exposure.ranking import Ranking
from brakeline.exposure.ranks import Rank
from brakeline.exposure.sums import Sums


class Decided(NamedTuple):
    """What an organisation has decided. `limits`: acceptances that are for nobody because they are not understood."""

    reaches: tuple[Reach, ...]
    limits: tuple[str, ...]
    terms: Terms


class Marked(NamedTuple):
    """Every open CVE of a tenant with its rank and its mark; `reaches`: acceptances in force."""

    known: Knowledge
    entries: dict[str, Exposed]
    ranks: dict[str, Rank]
    marks: Mapping[str, Mark]
    reaches: tuple[Reach, ...]
    limits: tuple[str, ...]
    terms: Terms
    sums: Sums  # their figures and their order


class Marking(Ranking):
    """Base of `service.ExposureService`, above `Ranking`."""

    async def _marked(self, tenant_id: str) -> Marked:
        """Whoever asks uses `sums` before he waits for anything else: the next one moves them."""
        known, entries, ranks = await self._ranked(tenant_id)
        decided = await self._decided(tenant_id, known)
        kept = self._marks.get(tenant_id)
        if kept is None or kept[0] is not ranks or kept[1] != (decided.reaches, decided.terms):  # ranks are of a day
            same = kept if kept is not None and kept[1][1] == decided.terms else None
            marks = await asyncio.to_thread(_marks, entries, ranks, by_cve(decided.reaches), decided.terms, same)
            kept = self._marks[tenant_id] = (ranks, (decided.reaches, decided.terms), marks)
        today = day_of(self._clock.now_ms())
        sums = self._sums.get(tenant_id)
        if sums is None or sums.today != today:  # all of them: a tenth of a second, so beside everybody's work
            sums = Sums()
            await asyncio.to_thread(sums.look, entries, ranks, kept[2], today)
            self._sums[tenant_id] = sums
        sums.look(entries, ranks, kept[2], today)
        return Marked(known, entries, ranks, kept[2], *decided, sums)

    async def _decided(self, tenant_id: str, known: Knowledge, among: Sequence[str] | None = None) -> Decided:
        """Terms, and acceptances in force with whom they are for; `among`: only these endpoints are asked about."""
        async with self._db.tenant(tenant_id) as conn:
            terms, held = await store_findings.terms(conn), await store_findings.acceptances(conn)
        now_ms, exploited = self._clock.now_ms(), known.exploited.keys()
        force = [one for one in held if standing(one, now_ms, exploited) is Standing.FORCE]
        return Decided(*await self._reaches(tenant_id, force, among), terms)

    async def _reaches(
        self, tenant_id: str, force: Sequence[Acceptance], among: Sequence[str] | None
    ) -> tuple[tuple[Reach, ...], tuple[str, ...]]:
        found, limits = list[Reach](), list[str]()
        matched: dict[str, frozenset[str] | None] = {"": None}
        asked = None if among is None else list(among)
        for one in force:
            try:
                if one.filter not in matched:
                    matched[one.filter] = frozenset(await self._fleet.matching(tenant_id, one.filter, asked))
                found.append((one, matched[one.filter]))
            except Invalid as e:  # a key that a newer version has no more
                limits.append(f"Accepted as {one.id}, {one.cve} is for nobody: its filter is not understood. {e}")
        return tuple(found), tuple(limits)


def _marks(
    entries: Mapping[str, Exposed], ranks: Mapping[str, Rank], accepted: Mapping[str, tuple[Reach, ...]], terms: Terms,
    same: MarksKept | None = None,
) -> dict[str, Mark]:  # fmt: skip
    """A quarter of what ranking costs, so called in a thread; see docs/measurements/2026-11-26-findings.md. `same`: of
    the same terms; a CVE that kept its rank and that nobody has accepted, then or now, keeps its mark."""
    was_ranks, _, was = same or ({}, (), {})
    found: dict[str, Mark] = {}
    for cve, entry in entries.items():
        rank, mark = ranks[cve], was.get(cve)
        if mark is not None and was_ranks.get(cve) is rank and mark.accepted is NOBODY and cve not in accepted:
            found[cve] = mark
            continue
        who = counted(entry.endpoints, accepted[cve]) if cve in accepted else NOBODY
        found[cve] = Mark(who, due_of(rank.facts, terms))
    return found
