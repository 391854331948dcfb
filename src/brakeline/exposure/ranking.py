"""Ranks a tenant's vulnerabilities: reads what `ranks` asks for, and remembers the answer until any of it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from brakeline.advisories.service import Knowledge
from brakeline.advisories.standing import too_old, usable
from brakeline.core.days import day_of
from brakeline.exposure.checking import Checking
from brakeline.exposure.index import Exposed
from brakeline.exposure.ranks import Known, Rank, ranked, standing
from brakeline.exposure.upkeep import AT_ONCE_MAX

_NONE: Final[Mapping[str, Exposed]] = {}
OLDEST_MAX_MS: Final = 60 * 60 * 1000  # should nobody have asked again, whoever looks does
AGED_MS: Final = 60 * 60 * 1000  # for how long an age in days is not asked again where nothing else moves


class Ranking(Checking):
    """Base of `service.ExposureService`, above `Checking`."""

    def known_now(self, known: Knowledge) -> Known:
        """What is known of CVEs today; EPSS that is too old is not."""
        now_ms = self._clock.now_ms()
        epss = known.epss if usable(known.feeds, now_ms) else {}
        return Known(known.exploited, epss, known.cvss, day_of(now_ms), now_ms)

    def limits(self, known: Knowledge) -> tuple[str, ...]:
        """What answers that rest on this cannot know."""
        old = too_old(known.feeds, self._clock.now_ms())
        return (*known.limits, old) if old else known.limits

    async def _ranked(self, tenant_id: str) -> tuple[Knowledge, dict[str, Exposed], dict[str, Rank]]:
        """Every open CVE of a tenant, with its rank."""
        known, entries = await self._all(tenant_id)
        index, now = self._index(tenant_id), self.known_now(known)
        internet = index.roll.members(self._kept[tenant_id].internet)
        key = (index.version, known.scored, now.today, internet.held)
        remembered = self._ranks.get(tenant_id)
        if remembered is None or remembered[0] != key:
            oldest = await self._oldest_of(tenant_id, small=len(index.views) <= AT_ONCE_MAX)
            beside = (internet.held, now.now_ms // AGED_MS)
            before, same = remembered[1] if remembered else {}, _NONE
            if remembered is not None and remembered[2] == beside:
                same = standing(remembered[4], remembered[3], oldest)
            ranks = await asyncio.to_thread(ranked, list(entries.values()), now, internet, oldest, before, same)
            remembered = self._ranks[tenant_id] = (key, ranks, beside, oldest, entries)
        return known, entries, remembered[1]

    async def _oldest_of(self, tenant_id: str, *, small: bool) -> Mapping[str, int]:
        """Source -> since when it stands open anywhere. Of a large fleet as of a while ago: PostgreSQL looks at every
        source of every endpoint for it, so `reconcile` asks again, and nobody waits while it does.
        """
        known = self._oldest.get(tenant_id)
        if known is None or small or not 0 <= self._clock.now_ms() - known[0] < OLDEST_MAX_MS:
            known = await self._look_at_oldest(tenant_id)
        return dict(known[1])
