"""What the check-in path keeps in memory: live rollouts of each tenant, their targets, and who is through.

Only a guide to what may be worth a transaction: `offering` asks the database again before anything leaves. Refreshed
by the service after every change of its own and every second; so a second process's news arrive within that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from brakeline.platform.database import Connection
from brakeline.protocol.messages import Candidate, DrillOrder, UpdateRef
from brakeline.rollout.drilling import failing
from brakeline.rollout.model import Arm, Phase, Progress
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import rollouts
from brakeline.rollout.store.arms import Target
from brakeline.rollout.store.rollouts import RolloutRow

SETTINGS: Final = "settings"  # kind of change
THROUGH = frozenset({Progress.INSTALLED, Progress.FAILED})
WITHOUT_MAX = 200  # told to endpoints; whatever is beyond is refused when they say ready
ASKED = frozenset({Progress.OFFERED, Progress.STARTED})


@dataclass(slots=True)
class LiveRollout:
    """One rollout as the check-in path sees it."""

    row: RolloutRow
    targets: dict[str, Target]
    through: set[str] = field(default_factory=set)  # treated, with a final result: nothing more to offer
    treated: set[str] = field(default_factory=set)  # while it offers: who has got an offer
    asked: tuple[tuple[str, int], ...] = ()  # region and draw of everybody whose offer has come to no end yet
    without: tuple[UpdateRef, ...] = ()  # quarantined: in no plan, not even as a dependency
    failing: frozenset[str] = frozenset()  # of a drill: who is told to report a failure

    def candidate(self, endpoint_id: str) -> Candidate:
        """What this target may get ready for. The generation stays the same while the change does: no new plans."""
        change, generation = self.row.change, self.row.resumed_generation + 1
        if change.takes_back:  # no updates: an agent that does not know of ways back finds nothing to do
            return Candidate(self.row.rollout_id, generation, (), change.conffile_policy, undoes=change.undoes)
        updates = tuple(UpdateRef(p.name, p.version) for p in change.updates)
        if change.is_drill:
            return Candidate(self.row.rollout_id, generation, updates, drill=DrillOrder())
        return Candidate(
            self.row.rollout_id, generation, updates, change.conffile_policy, change.release,
            without=() if change.release else self.without, settings=self.targets[endpoint_id].settings,
        )  # fmt: skip

    def takes(self, *, launched: bool, settled: bool, drills: bool) -> bool:
        """Whether an agent may hear of it: one without a launcher takes no release, an old one no settings or drill."""
        change = self.row.change
        known = (settled or change.kind != SETTINGS) and (drills or not change.is_drill)
        return known and (launched or change.release is None)


class LiveRollouts:
    """By tenant; None = not loaded yet."""

    def __init__(self) -> None:
        self._tenants: dict[str, tuple[LiveRollout, ...]] = {}

    def of(self, tenant_id: str) -> tuple[LiveRollout, ...] | None:
        return self._tenants.get(tenant_id)

    def tenants(self) -> tuple[str, ...]:
        """Tenants whose rollouts are known here."""
        return tuple(self._tenants)

    async def refresh(self, conn: Connection, tenant_id: str, ended_after_ms: int) -> tuple[LiveRollout, ...]:
        """Read again what is live; targets never change, so they are read once."""
        known = {x.row.rollout_id: x for x in self._tenants.get(tenant_id, ())}
        found: list[LiveRollout] = []
        without = tuple(sorted({(q.pin.name, q.pin.version) for q in await rollouts.quarantined(conn)}))[:WITHOUT_MAX]
        for row in await rollouts.live(conn, ended_after_ms):
            old = known.get(row.rollout_id)
            targets = old.targets if old else {t.endpoint_id: t for t in await arms_store.targets(conn, row.rollout_id)}
            told_to_fail = old.failing if old else failing(targets.values(), row.change.fails)
            subjects = await arms_store.subjects(conn, row.rollout_id) if row.blueprint.phase in OFFERING else []
            treated = [s.subject for s in subjects if s.subject.arm is Arm.TREATED]
            through = {s.endpoint_id for s in treated if s.progress in THROUGH}
            asked = tuple(sorted((s.region, s.u) for s in treated if s.progress in ASKED))
            refs, names = tuple(UpdateRef(*pin) for pin in without), {s.endpoint_id for s in treated}
            found.append(LiveRollout(row, targets, through, names, asked, refs, told_to_fail))
        self._tenants[tenant_id] = tuple(found)
        return self._tenants[tenant_id]


OFFERING = frozenset({Phase.ROLLING, Phase.HOLDING})
STOPPED = frozenset({Phase.HALTED, Phase.WITHDRAWN})
