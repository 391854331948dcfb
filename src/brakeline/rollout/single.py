"""One endpoint of a rollout, by a person's act: stop what has not begun there, try once more.

Invariants: either is committed and in the audit log before it is answered, and the answer says what it could not do
(a running transaction is never torn); stopping needs the right to brake, trying again the right to resume. Pure part:
`one`. `server.wiring` makes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.platform.database import Connection
from brakeline.rollout import one
from brakeline.rollout.model import Arm, Change, Progress
from brakeline.rollout.one import Answer, Standing
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import arms, rollouts, single
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

REASON_CHARS_MAX: Final = 500
Judge = Callable[[Change, Standing], Answer]


@dataclass(frozen=True, slots=True)
class OneAnswer:
    """What came of it. `state`: withdrawn | told | runs (stop), again | waits (retry)."""

    rollout_id: str
    endpoint_id: str
    state: str
    text: str


class Single:
    """See the module."""

    def __init__(self, rollouts_: RolloutService) -> None:
        self._s = rollouts_

    async def stop(self, principal: Principal, rollout_id: str, endpoint_id: str, reason: str = "") -> OneAnswer:
        """What has not begun there never begins. Raises `Conflict` where there is nothing to stop, `NotFound`."""
        principal.require("rollout.brake")
        return await self._act(principal, rollout_id, endpoint_id, reason.strip(), "stop", one.stop)

    async def retry(self, principal: Principal, rollout_id: str, endpoint_id: str, reason: str) -> OneAnswer:
        """One more offer for it, or its place back. Raises `Invalid` without a reason, `Conflict`, `NotFound`."""
        principal.require("rollout.resume")
        if not reason.strip():
            raise Invalid("say why it should go better now: the reason is kept in the audit log")
        self._s.refuse_if_frozen(principal.tenant_id)
        return await self._act(principal, rollout_id, endpoint_id, reason.strip(), "retry", one.retry)

    async def _act(
        self, principal: Principal, rollout_id: str, endpoint_id: str, reason: str, verb: str, judge: Judge
    ) -> OneAnswer:
        reason, tenant_id = reason[:REASON_CHARS_MAX], principal.tenant_id
        async with self._s.db.tenant(tenant_id) as conn:
            row = await rollouts.lock(conn, rollout_id, change=False)
            code = await single.target(conn, rollout_id, endpoint_id) if row is not None else None
            if row is None or code is None:
                raise NotFound("no such endpoint in such a rollout", rollout=rollout_id[:40], endpoint=endpoint_id[:40])
            treated = await _treated(conn, rollout_id, endpoint_id)
            at = Standing(row.blueprint.phase, treated, code == one.STOPPED)
            answer = judge(row.change, at)
            if not answer.acts and answer.state != "withdrawn":
                raise Conflict(answer.text, state=answer.state)
            if answer.acts:
                await self._write(conn, principal, rollout_id, endpoint_id, reason, verb, at)
        await self._s.refresh(tenant_id)
        await self._s.fleet.announce(tenant_id, endpoint_id)
        return OneAnswer(rollout_id, endpoint_id, answer.state, answer.text)

    async def _write(
        self, conn: Connection, principal: Principal, rollout_id: str, endpoint_id: str, reason: str, verb: str,
        at: Standing,
    ) -> None:  # fmt: skip
        now_ms = self._s.clock.now_ms()
        if verb == "stop":
            why = f": {reason}" if reason else ""
            await single.stop(conn, rollout_id, endpoint_id, f"stopped here by {principal.name}{why}")
        else:
            await single.again(conn, rollout_id, endpoint_id, retry=at.progress in one.RETRIED)
        text = f"{endpoint_id}: {verb}" + (f", {reason}" if reason else "")
        await rollouts.add_event(conn, principal.tenant_id, rollout_id, now_ms, verb, principal.name, text)
        before = {"progress": at.progress.value if at.progress else "none", "stopped": at.stopped}
        after = {"endpoint": endpoint_id, "reason": reason}
        await audit.append(conn, self._s.clock, principal, f"rollout.{verb}_endpoint", rollout_id, before, after)


async def _treated(conn: Connection, rollout_id: str, endpoint_id: str) -> Progress | None:
    found = await arms.subjects(conn, rollout_id, endpoint_id)
    return next((s.subject.progress for s in found if s.subject.arm is Arm.TREATED), None)
