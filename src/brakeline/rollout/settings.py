"""Settings of agents as rollouts: make one, say what it offers to whom, and what came of it.

A rollout of settings is like any other: rings, arms, budgets, brake. What it carries is not the same for every
endpoint, so each target has its own; the one pin names the version by what is in it, so that what a halt has
quarantined is not offered again under another number. Whoever holds the settings of endpoints is `remediation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from brakeline.protocol.messages import Settings
from brakeline.rollout import arms
from brakeline.rollout.live import SETTINGS, LiveRollout
from brakeline.rollout.model import Arm, Change, Phase, Pin, Policy, Progress, Wish
from brakeline.rollout.presets import for_release, policy_for
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import rollouts
from brakeline.rollout.wished import PACKAGE, Offered, Proven, SettingsHalted, SettingsUnderWay, Wished
from brakeline.rollout.wished import digest as digest_of
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request

STANDS: Final = frozenset({Phase.ROLLING, Phase.HOLDING, Phase.COMPLETED})
UNDER_WAY: Final = frozenset({Phase.DRAFT, Phase.ROLLING, Phase.HOLDING})


@dataclass(frozen=True, slots=True)
class Course:
    """How a rollout of settings stands: `ring` is the one in progress, `taken` who runs by them, by what they said."""

    rollout_id: str
    state: str
    why: str
    ring: str
    taken: int
    targets: int


def change_of(digest: str, title: str) -> Change:
    """Settings as something to roll out. Nobody is held out: a control would wait for its own organisation's wish."""
    return Change((Pin(PACKAGE, digest),), kind=SETTINGS, title=title)


def led_change(wished: Wished, title: str) -> Change:
    """The words of a policy as something to lead over cells: in each of them the change is the same to the letter."""
    return replace(change_of(digest_of(wished), title), wished=wished)


def policy_of(size: int, pace: str) -> Policy:
    """As for releases of ours: an agent that falls silent under new settings can tell nothing else, so one halts."""
    return for_release(policy_for(size, pace))


class SettingsRollouts:
    """Between settings and rollouts."""

    def __init__(self, service: RolloutService) -> None:
        self._rollouts = service

    async def offered(self, tenant_id: str, endpoint_id: str) -> Offered | None:
        """What a rollout that stands has offered to this endpoint, or has proven for it. In memory."""
        known = self._rollouts.live.of(tenant_id)
        if known is None:
            known = await self._rollouts.refresh(tenant_id)
        mine = [x for x in known if x.row.change.kind == SETTINGS and endpoint_id in x.targets]
        standing = (x for x in reversed(mine) if self._stands(tenant_id, x, endpoint_id))
        found = ((x.targets[endpoint_id].settings, x.row) for x in standing)
        return next((Offered(s, row.change.wished, row.rollout_id) for s, row in found if s is not None), None)

    def _stands(self, tenant_id: str, x: LiveRollout, endpoint_id: str) -> bool:
        pressed = self._rollouts.journal.pressed(tenant_id, x.row.rollout_id)
        reached = endpoint_id in x.treated or x.row.blueprint.phase is Phase.COMPLETED
        return reached and x.row.blueprint.phase in STANDS and x.row.wish in (Wish.RUN, Wish.PAUSE) and not pressed

    async def create(
        self, principal: Principal, title: str, digest: str, targets: Mapping[str, Settings], pace: str
    ) -> str:
        """The draft of a rollout of these settings; its id. `Conflict` while another one is under way, and for
        settings that a halted rollout has quarantined."""
        return await self._create(principal, change_of(digest, title), policy_of(len(targets), pace), targets)

    async def follow(self, who: Principal, change: Change, policy: Policy, targets: Mapping[str, Settings]) -> str:
        """The same for settings that a conductor leads."""
        return await self._create(who, change, policy, targets)

    async def _create(
        self, principal: Principal, change: Change, policy: Policy, targets: Mapping[str, Settings]
    ) -> str:
        await self._refuse_if_under_way(principal.tenant_id)
        for one in await self._rollouts.quarantined(principal):
            if one.pin in change.updates:
                raise SettingsHalted(
                    f"these settings were halted by rollout {one.rollout_id}: {one.reason}. Change the policies, or "
                    "resume it", id=one.rollout_id,
                )  # fmt: skip
        return await self._rollouts.create(principal, change.title, change, policy, list(targets), settings=targets)

    async def start(self, principal: Principal, rollout_id: str) -> None:
        """From draft to its first ring, or to the second person who has to agree."""
        await self._rollouts.start(principal, rollout_id)

    async def waiting(self, principal: Principal, rollout_id: str) -> Request | None:
        """What has to be agreed to before it starts."""
        return await self._rollouts.waiting(principal, rollout_id)

    async def _refuse_if_under_way(self, tenant_id: str) -> None:
        for x in await self._rollouts.refresh(tenant_id):
            if x.row.change.kind == SETTINGS and x.row.blueprint.phase in UNDER_WAY:
                phase = x.row.blueprint.phase.value
                raise SettingsUnderWay(f"rollout {x.row.rollout_id} of settings is {phase}; one at a time",
                                       id=x.row.rollout_id)  # fmt: skip

    async def course(self, tenant_id: str, rollout_id: str) -> Course | None:
        """How it stands; None = there is no such rollout."""
        async with self._rollouts.db.tenant(tenant_id) as conn:
            row = await rollouts.get(conn, rollout_id)
            if row is None:
                return None
            subjects = [s.subject for s in await arms_store.subjects(conn, rollout_id)]
            targets = await arms_store.count_targets(conn, rollout_id)
        taken = sum(s.arm is Arm.TREATED and s.progress is Progress.INSTALLED for s in subjects)
        rings = arms.rings_for(row.policy, row.change, targets)
        ring = rings[min(row.blueprint.ring, len(rings) - 1)][0].name if rings and row.blueprint.ring >= 0 else ""
        why = row.report.lines[0].text if row.report.lines else row.blueprint.why
        return Course(rollout_id, row.blueprint.phase.value, why, ring, taken, targets)

    async def proven(self, tenant_id: str, rollout_id: str) -> Proven | None:
        """What a rollout has shown to be good; None where it has not *completed*."""
        async with self._rollouts.db.tenant(tenant_id) as conn:
            row = await rollouts.get(conn, rollout_id)
            if row is None or row.blueprint.phase is not Phase.COMPLETED:
                return None
            subjects = await arms_store.subjects(conn, rollout_id)
            failed = {s.subject.endpoint_id for s in subjects if s.subject.progress is Progress.FAILED}
            found = await arms_store.targets(conn, rollout_id)
        good = {t.endpoint_id: t.settings for t in found if t.settings is not None and t.endpoint_id not in failed}
        return Proven(good, row.change.wished)
