"""A rollout of restarts: machines that have a restart due, ring by ring, with a brake. Pure.

It takes the way of every change: rings, arms, budgets, windows, brake; only what is done on the endpoint is not an
update but the order to restart that canaries get too (`restarts`). What makes that order exact is the boot that it
ends, so the boot's id stands where an update has the digest of its transaction. A restart is proven when its endpoint
was heard from another boot, with its services as before. Next: `restart_offering` (shell), `offering`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from brakeline.protocol.messages import PeopleTerms, Ready, RestartOrder, RestartStanding, Transaction
from brakeline.rollout.model import NO_RESTARTS, RESTART, Change, Pin, Policy, Progress
from brakeline.rollout.presets import for_release, policy_for

PACKAGE: Final = "brakeline-restart"  # how a restart is named in a pin; its version is the moment it was planned
WITHIN_S: Final = 86_400  # an order lives so long: an endpoint follows it in its own next maintenance window
TOO_OLD: Final = ("agent_too_old", "its agent follows no order to restart yet")
NOT_ALLOWED: Final = (
    "refused",
    "it allows no restart by order now: root's restart.json, its settings, or none is due (docs/how-to/restart.md)",
)
DECLINED: Final = "declined: "
LAPSED: Final = "its orders lapsed, one after the other"
BUSY: Final = ("busy", "a package transaction is going on there")


@dataclass(frozen=True, slots=True)
class End:
    """What an order to restart came to."""

    progress: Progress
    outcome: str  # as the offer's row has it
    detail: str


def change_of(planned_ms: int, title: str) -> Change:
    """Restarts as something to roll out. Nothing is quarantined by a halt, so each has a version of its own."""
    return Change((Pin(PACKAGE, f"{planned_ms}"),), kind=RESTART, title=title)


def policy_of(size: int, pace: str, people: PeopleTerms | None = None) -> Policy:
    """As for releases of ours: a machine that does not come back can tell nothing, so in a small ring one halts.

    Canaries are not restarted a second time for the sake of it, and nobody looks early: servers may take ten minutes
    to start.
    """
    policy = for_release(policy_for(size, pace))
    return replace(policy, checkpoints_s=policy.checkpoints_s[policy.early :], restarts=NO_RESTARTS,
                   offer_lifetime_s=WITHIN_S, people=people)  # fmt: skip


def stands(rollout_id: str, generation: int, said: RestartStanding | None, boot_id: str, *,
           busy: bool) -> Ready | tuple[str, str]:  # fmt: skip
    """What an endpoint's check-in says of a restart: it would follow the order now, or (code, reason) why not."""
    if said is None or not boot_id:
        return TOO_OLD
    if said.refused:
        return "refused", f"it refused: {said.refused}"
    if not said.allowed:
        return NOT_ALLOWED
    return BUSY if busy else Ready(rollout_id, generation, Transaction((), boot_id))


def order_of(endpoint_id: str, ready: Ready, issued_ms: int, expires_ms: int,
             people: PeopleTerms | None = None) -> RestartOrder:  # fmt: skip
    """The order for the boot that `stands` has seen."""
    return RestartOrder(endpoint_id, ready.rollout_id, ready.transaction.digest, issued_ms, expires_ms, people)


def declined(why: str) -> str:
    """What is told of an endpoint that was treated and will not follow: it proves nothing, so another is asked."""
    return f"{DECLINED}{why}; its place goes to another"


def end_of(order: RestartOrder, said: RestartStanding | None, boot_id: str, *, stopped: bool) -> End | None:
    """What became of an order that left; None = nothing yet. A restart that happened counts, stopped or not."""
    if boot_id and boot_id != order.boot_id:
        return End(Progress.INSTALLED, "installed", "ok: heard from another boot")
    if said is not None and said.refused:
        return End(Progress.REFUSED, "refused", said.refused)
    if stopped:  # its reply leaves the order out, so it is not followed any more
        return End(Progress.REFUSED, "refused", "halted: taken back before it was followed")
    return None
