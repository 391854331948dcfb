"""Reads what changed since the last step and keeps the rest: the executor's eyes. What it keeps, nobody else sees.

Level-triggered all the same. After a start, a failed step, another policy or another database everything is read. After
that each step reads rows and check-ins written since (`platform.changed`) and, to be sure, a few more whether written
or not, so that every row is read again within `REREAD_S`. One that says something else than what is kept is a fault of
ours: it is logged, counted, written into the rollout's log, and everything is read. Nothing lives here that is not in
the database or in an endpoint's next check-in. Next: `kept`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from prometheus_client import Counter

from brakeline.fleet.model import Presence
from brakeline.fleet.service import FleetService
from brakeline.platform.changed import horizon
from brakeline.platform.database import Connection
from brakeline.platform.observe import REGISTRY, logger
from brakeline.rollout.kept import Kept
from brakeline.rollout.model import Pin
from brakeline.rollout.situation import Situation
from brakeline.rollout.store import arms, changes, rollouts
from brakeline.rollout.store.rollouts import RolloutRow

REREAD_S: Final = 300  # steps, one a second, in which every row is read again, changed or not
KEPT_MAX: Final = 32  # rollouts; at a hundred thousand subjects each holds some hundred megabytes with its subjects
WHO: Final = "brakeline"
READ = Counter("brakeline_rollout_rows_read", "Steps by how they read", ["how"], registry=REGISTRY)


class Heard:
    """Presence of one tenant's endpoints, the newest of each."""

    def __init__(self) -> None:
        self.known: dict[str, Presence] = {}
        self.moment, self.upto = 0, ""


class Following:
    """What is kept of each tenant and rollout, the least recently asked for forgotten first."""

    def __init__(self, fleet: FleetService) -> None:
        self._fleet = fleet
        self._heard: dict[str, Heard] = {}
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def tenants(self) -> set[str]:
        """Of whom anything is kept."""
        return set(self._heard)

    def has(self, tenant_id: str, rollout_id: str) -> bool:
        """Whether it is followed."""
        return (tenant_id, rollout_id) in self._kept

    def forget(self, tenant_id: str, rollout_id: str) -> None:
        """Whatever a step that failed has read may never have been committed."""
        self._kept.pop((tenant_id, rollout_id), None)

    def leave(self, tenant_id: str) -> None:
        """Nothing of this tenant is live."""
        self._heard.pop(tenant_id, None)
        for key in [key for key in self._kept if key[0] == tenant_id]:
            del self._kept[key]

    async def hear(self, tenant_id: str) -> Mapping[str, Presence]:
        """Take over who was heard since; the presence of everybody."""
        heard = self._heard.setdefault(tenant_id, Heard())
        again = math.ceil(len(heard.known) / REREAD_S) + 1
        new = await self._fleet.presence_since(tenant_id, heard.moment, heard.upto, again)
        if new.whole:
            who = heard.known.keys() | new.found.keys()
            heard.known.clear()  # the same mapping: whoever is in a step looks into it
            heard.known.update(new.found)
        else:
            who = {i for i, seen in new.found.items() if _newer(seen, heard.known.get(i))}
            heard.known.update((i, new.found[i]) for i in who)
        heard.moment, heard.upto = new.moment, new.upto
        for (of, _), kept in self._kept.items():
            if of == tenant_id:
                kept.hear(who)
        return heard.known

    async def situation(self, conn: Connection, tenant_id: str, row: RolloutRow, presence: Mapping[str, Presence],
                        quarantined: frozenset[Pin], pressed_by: str | None, now_ms: int) -> Situation:  # fmt: skip
        """As `situation.load`, for who holds the rollout; `presence` is what `hear` gave."""
        kept = await self._read(conn, tenant_id, row, presence, now_ms)
        ticks = tuple(await arms.ticks(conn, row.rollout_id))
        return kept.situation(row, ticks, quarantined, pressed_by, now_ms)

    def sample(self, tenant_id: str, rollout_id: str, now_ms: int) -> tuple[int, int, int, int]:
        """(treated, of them bad, controls, of them bad) as of the last `situation`."""
        return self._kept[tenant_id, rollout_id].sample(now_ms)

    async def _read(self, conn: Connection, tenant_id: str, row: RolloutRow, presence: Mapping[str, Presence],
                    now_ms: int) -> Kept:  # fmt: skip
        kept, moment = self._kept.get((tenant_id, row.rollout_id)), await horizon(conn)
        if kept is None or kept.policy != row.policy or moment < kept.moment:
            return await self._whole(conn, tenant_id, row, presence, moment, now_ms)
        wrong = await self._news(conn, kept, row, moment, presence, now_ms)
        if wrong:
            await _tell(conn, tenant_id, row.rollout_id, wrong, now_ms)
            return await self._whole(conn, tenant_id, row, presence, moment, now_ms)
        self._kept.move_to_end((tenant_id, row.rollout_id))
        READ.labels("changed").inc()
        return kept

    async def _whole(self, conn: Connection, tenant_id: str, row: RolloutRow, presence: Mapping[str, Presence],
                     moment: int, now_ms: int) -> Kept:  # fmt: skip
        targets = await arms.targets(conn, row.rollout_id)
        kept = Kept(row, targets, await arms.subjects(conn, row.rollout_id), moment)
        kept.look(row, presence, now_ms)
        self._kept[tenant_id, row.rollout_id] = kept
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        READ.labels("everything").inc()
        return kept

    async def _news(self, conn: Connection, kept: Kept, row: RolloutRow, moment: int, presence: Mapping[str, Presence],
                    now_ms: int) -> set[str]:  # fmt: skip
        """Take over what changed; endpoints of which something else was kept than what is stored."""
        rollout_id = row.rollout_id
        targets = await changes.targets(conn, rollout_id, kept.moment)
        subjects = await changes.subjects(conn, rollout_id, kept.moment)
        again = await changes.page(conn, rollout_id, kept.upto, math.ceil(len(kept) / REREAD_S) + 1)
        kept.take(targets, subjects)
        kept.look(row, presence, now_ms)
        kept.moment, kept.upto = moment, max((t.endpoint_id for t in again[0]), default="")
        wrong = kept.differences(*again, presence, now_ms)
        if not wrong:
            return wrong
        late = [s.subject.endpoint_id for s in await changes.subjects(conn, rollout_id, moment)]
        return wrong - {*late, *(t.endpoint_id for t in await changes.targets(conn, rollout_id, moment))}


def _newer(seen: Presence, known: Presence | None) -> bool:
    return known is None or (seen.last_check_in_ms >= known.last_check_in_ms and seen != known)


async def _tell(conn: Connection, tenant_id: str, rollout_id: str, wrong: set[str], now_ms: int) -> None:
    READ.labels("differs").inc()
    logger.error("rollout-rows-not-as-kept", tenant=tenant_id, rollout=rollout_id, endpoints=sorted(wrong)[:20])
    text = f"{len(wrong)} endpoints were stored otherwise than remembered, so everything was read again"
    await rollouts.add_event(conn, tenant_id, rollout_id, now_ms, "reread", WHO, text)
