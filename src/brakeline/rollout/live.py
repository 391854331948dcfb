"""What the check-in path keeps in memory: live rollouts of each tenant, their targets, and who is through.

Only a guide to what may be worth a transaction: `offering` asks the database again before anything leaves. Refreshed
by the service after every change of its own and every second; so a second process's news arrive within that. What is
read then is what was written since (`platform.changed`), and everything every `REREAD_MS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from brakeline.platform.changed import horizon
from brakeline.platform.database import Connection
from brakeline.protocol.messages import Candidate, DrillOrder, UpdateRef
from brakeline.protocol.settings import newer_words
from brakeline.rollout.drilling import failing
from brakeline.rollout.model import Phase, Progress
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import changes, rollouts, single
from brakeline.rollout.store.arms import Target
from brakeline.rollout.store.rollouts import RolloutRow

SETTINGS: Final = "settings"  # kind of change
THROUGH = frozenset({Progress.INSTALLED, Progress.FAILED})
WITHOUT_MAX = 200  # told to endpoints; whatever is beyond is refused when they say ready
ASKED = frozenset({Progress.OFFERED, Progress.STARTED})
REREAD_MS: Final = 300_000
Told = tuple[str, str, str]  # why it is left alone (code, reason), for whom its order waits


@dataclass(slots=True)
class LiveRollout:
    """One rollout as the check-in path sees it."""

    row: RolloutRow
    targets: dict[str, Target]
    through: set[str] = field(default_factory=set)  # treated, with a final result: nothing more to offer
    treated: set[str] = field(default_factory=set)  # while it offers: who has got an offer
    asked: tuple[tuple[str, int], ...] = ()  # region and draw of everybody whose offer has come to no end yet
    without: tuple[UpdateRef, ...] = ()  # quarantined: in no plan, not even as a dependency
    open: dict[str, tuple[str, int]] = field(default_factory=dict)  # of whom `asked` is made, by endpoint
    moment: int = 0  # up to which its subjects were read; 0 = not at all
    whole_ms: int = 0  # when all of them were
    standings: dict[str, Told] = field(default_factory=dict)  # of restarts: what was written of each last
    orders: dict[str, str] = field(default_factory=dict)  # of restarts: the boot that each open order ends; "" = none
    failing: frozenset[str] = frozenset()  # of a drill: who is told to report a failure
    stopped: frozenset[str] = frozenset()  # by a person, one by one: they start nothing more of it
    again: frozenset[str] = frozenset()  # may have one more offer, whatever came of those before

    def follows(self, row: RolloutRow) -> LiveRollout:
        """The same rollout as it is now, with what was read of its subjects; a copy, because somebody may look."""
        return LiveRollout(row, self.targets, set(self.through), set(self.treated), self.asked, (), dict(self.open),
                           self.moment, self.whole_ms, self.standings, self.orders, self.failing)  # fmt: skip

    def offered(self, endpoint_id: str, boot_id: str) -> None:
        """An offer has just been made here; of a restart it is known which boot it ends."""
        self.treated.add(endpoint_id)
        if self.row.change.is_restart:
            target = self.targets[endpoint_id]
            self.open[endpoint_id], self.orders[endpoint_id] = (target.region, target.u), boot_id

    def take(self, found: list[changes.Standing]) -> None:
        """Treated endpoints as they stand now."""
        for s in found:
            self.treated.add(s.endpoint_id)
            declined = self.row.change.is_restart and s.aside and s.progress is Progress.REFUSED
            (self.through.add if s.progress in THROUGH or declined else self.through.discard)(s.endpoint_id)
            if s.progress in ASKED:
                self.open[s.endpoint_id] = s.region, s.u
            else:
                self.open.pop(s.endpoint_id, None)
        self.asked = tuple(sorted(self.open.values()))

    def candidate(self, endpoint_id: str) -> Candidate:
        """What this target may get ready for. The generation stays the same while the change does: no new plans."""
        change, generation = self.row.change, self.row.resumed_generation + 1
        if change.takes_back:  # no updates: an agent that does not know of ways back finds nothing to do
            return Candidate(self.row.rollout_id, generation, (), change.conffile_policy, undoes=change.undoes)
        updates = self.updates(endpoint_id)
        if change.is_drill:
            return Candidate(self.row.rollout_id, generation, updates, drill=DrillOrder())
        return Candidate(
            self.row.rollout_id, generation, updates, change.conffile_policy, change.release,
            without=() if change.release else self.without, settings=self.targets[endpoint_id].settings,
        )  # fmt: skip

    def kept_out(self, endpoint_id: str) -> bool:
        """Whether anything that it brings this endpoint is quarantined by now; a way back leads away from it."""
        return not self.row.change.takes_back and not set(self.without).isdisjoint(self.updates(endpoint_id))

    def updates(self, endpoint_id: str) -> tuple[UpdateRef, ...]:
        """What of the change is this endpoint's: all of it, or what its distribution has of it."""
        target = self.targets.get(endpoint_id)
        pins = target.pins if target is not None and target.pins else self.row.change.updates
        return tuple(UpdateRef(p.name, p.version) for p in pins)

    def takes(self, endpoint_id: str, *, launched: bool, settled: bool, bounded: bool, drills: bool) -> bool:
        """Whether an agent may hear of it: one without a launcher takes no release, an old one no settings or drill,
        and one that knows no bounds none with windows and limits."""
        change, settings = self.row.change, self.targets[endpoint_id].settings
        settles = settled and (bounded or settings is None or not newer_words(settings))
        known = (settles or change.kind != SETTINGS) and (drills or not change.is_drill)
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
        """Read what is new of what is live; targets never change, so they are read once."""
        known = {x.row.rollout_id: x for x in self._tenants.get(tenant_id, ())}
        found: list[LiveRollout] = []
        without = tuple(sorted({(q.pin.name, q.pin.version) for q in await rollouts.quarantined(conn)}))[:WITHOUT_MAX]
        now = await horizon(conn)
        for row in await rollouts.live(conn, ended_after_ms):
            live = await _live(conn, row, known.get(row.rollout_id), now, ended_after_ms)
            live.without = tuple(UpdateRef(*pin) for pin in without)
            found.append(live)
        self._tenants[tenant_id] = tuple(found)
        return self._tenants[tenant_id]


OFFERING = frozenset({Phase.ROLLING, Phase.HOLDING})
STOPPED = frozenset({Phase.HALTED, Phase.WITHDRAWN})


async def _live(conn: Connection, row: RolloutRow, old: LiveRollout | None, now: int, at_ms: int) -> LiveRollout:
    targets = old.targets if old else {t.endpoint_id: t for t in await arms_store.targets(conn, row.rollout_id)}
    if row.blueprint.phase not in OFFERING:  # nobody gets an order any more: whose is closed is known for good
        kept = old.orders if old is not None and old.row.blueprint.phase not in OFFERING else {}
        return LiveRollout(row, targets, orders=kept)
    since = old.moment if old is not None and old.moment <= now and at_ms - old.whole_ms < REREAD_MS else 0
    if old is not None and since:
        live = old.follows(row)
    else:
        live = LiveRollout(row, targets, whole_ms=at_ms, failing=failing(targets.values(), row.change.fails))
    live.take(await changes.standings(conn, row.rollout_id, since))
    live.moment = now
    live.stopped, live.again = await single.by_hand(conn, row.rollout_id)
    return live
