"""Use cases of people who decline an update: no rollout of their organisation offers that version, until they allow it.

It is quarantine, put there by a person and not by a halt: the same table, read by the same places (what a deployment
takes, what a ring offers, what an endpoint's plan may contain even as a dependency). One person declines, because that
only forbids; to allow it again takes the right to let things go on. What a halt has quarantined is not lifted here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.platform.observe import logger
from brakeline.rollout.model import Pin
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import rollouts
from brakeline.rollout.store.rollouts import BY_PEOPLE, Quarantined
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

__all__ = ["Declining", "Quarantined"]
WORD_CHARS_MAX: Final = 200
REASON_CHARS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Declining:
    """See the module."""

    rollouts: RolloutService

    async def decline(self, principal: Principal, name: str, version: str, reason: str) -> Quarantined:
        """Never offer this version of this package; what runs already with it holds. Twice is once."""
        principal.require("rollout.brake")
        pin, why = _pin(name, version), _reason(reason)
        s, now_ms = self.rollouts, self.rollouts.clock.now_ms()
        async with s.db.tenant(principal.tenant_id) as conn:
            mine = [q for q in await rollouts.quarantined(conn) if q.pin == pin and q.declined]
            if mine:
                return mine[0]
            told = f"declined by {principal.name}: {why}"
            await rollouts.quarantine(conn, principal.tenant_id, BY_PEOPLE, (pin,), told, now_ms)
            said = {"version": pin.version, "reason": why}
            await audit.append(conn, s.clock, principal, "update.decline", pin.name, None, said)
        await self._news(principal, pin)
        return Quarantined(pin, BY_PEOPLE, now_ms, told)

    async def allow(self, principal: Principal, name: str, version: str, reason: str) -> None:
        """Take that back: it may be offered again, by rollouts, as everything."""
        principal.require("rollout.resume")
        pin, why = _pin(name, version), _reason(reason)
        s = self.rollouts
        async with s.db.tenant(principal.tenant_id) as conn:
            found = [q for q in await rollouts.quarantined(conn) if q.pin == pin]
            if not any(q.declined for q in found):
                raise _none(pin, found)
            await rollouts.allow(conn, pin, principal.name, s.clock.now_ms())
            said = {"version": pin.version, "reason": why}
            await audit.append(conn, s.clock, principal, "update.allow", pin.name, None, said)
        await self._news(principal, pin)

    async def _news(self, principal: Principal, pin: Pin) -> None:
        """Whatever rolls it out says so at once, and does not wait for its next step."""
        s, tenant_id = self.rollouts, principal.tenant_id
        for one in s.live.of(tenant_id) or ():
            if pin in one.row.change.updates and one.row.blueprint.phase not in rollouts.ENDED:
                with _done_by_the_next_round(tenant_id, one.row.rollout_id):
                    await s.executor.step(tenant_id, one.row.rollout_id)
                    await s.bus.publish(f"rollout:{tenant_id}", one.row.rollout_id)
        with _done_by_the_next_round(tenant_id, ""):
            await s.refresh(tenant_id)


@contextlib.contextmanager
def _done_by_the_next_round(tenant_id: str, rollout_id: str) -> Iterator[None]:
    """The act is written, and whoever did it is told so: what fails behind it is no failure of theirs."""
    try:
        yield
    except Exception:  # noqa: BLE001 - it is logged whole
        logger.exception("declined-not-told-yet", tenant=tenant_id, rollout=rollout_id)


def _none(pin: Pin, found: list[Quarantined]) -> Conflict | NotFound:
    if found:
        return Conflict(
            f"rollout {found[0].rollout_id} has quarantined {pin.name} {pin.version}, because it was halted: resume "
            "that one, which takes two people", rollout=found[0].rollout_id,
        )  # fmt: skip
    return NotFound("nobody has declined this version", name=pin.name, version=pin.version)


def _pin(name: str, version: str) -> Pin:
    """As the list of updates has them: nothing else could ever fit."""
    for word, what in ((name, "name"), (version, "version")):
        if not word or len(word) > WORD_CHARS_MAX or not word.isprintable() or " " in word:
            raise Invalid(f"the {what} as `brakeline update show` has it is needed", got=word[:60])
    return Pin(name, version)


def _reason(reason: str) -> str:
    if not reason.strip() or len(reason) > REASON_CHARS_MAX:
        raise Invalid(f"say why, in {REASON_CHARS_MAX} signs at most: whoever looks for the update reads it")
    return " ".join(reason.split())
