"""Pure decisions about what endpoints send: is this message new, is this identity cloned, does this delta fit.

Counters: each identity sends one message at a time, each with a counter above the one before, within a boot id that
changes when the machine (or the agent's state) starts anew. Two machines with one identity cannot both keep to that:
sooner or later one of them uses a counter that the other has used for something else, falls far behind, or speaks
under a boot id that was already followed by another one. `tests/unit/fleet/test_decide.py` has the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.core.limits import PACKAGES_PER_INVENTORY_MAX
from brakeline.fleet.model import CounterState
from brakeline.protocol.digests import package_key
from brakeline.protocol.messages import Inventory, Package

RECENT_KEPT: Final = 8  # pairs remembered: a repeat of one of them is known as such, not taken for a clone's words
LATE_MAX: Final = 8  # how far behind a message may be overtaken; agents jump far ahead after a refusal, a clone not
RETIRED_KEPT: Final = 16  # boot ids remembered: an older one that comes back is found one message later
COUNTER_MAX: Final = (1 << 53) - 1  # exact in every JSON reader
BOOT_ID_CHARS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Accept:
    """New: take it, and remember `state`."""

    state: CounterState


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The very message that was taken before: refuse it; it proves nothing against the endpoint."""


@dataclass(frozen=True, slots=True)
class Late:
    """A counter that was skipped, overtaken by a newer one: refuse it, the endpoint sends again with a new counter."""


@dataclass(frozen=True, slots=True)
class Cloned:
    """Two machines speak under one identity."""

    reason: str


CounterVerdict = Accept | Duplicate | Late | Cloned


def decide_counter(state: CounterState, boot_id: str, counter: int, digest: str) -> CounterVerdict:
    """Whether an authenticated message with these facts may be taken.

    `digest` stands for the whole message (its MAC or signature): equal digests mean the same message.
    """
    if boot_id != state.boot_id:
        if boot_id in state.retired:
            return Cloned(f"boot id {boot_id[:8]}… was followed by {state.boot_id[:8]}… and came back")
        followed = (*state.retired, state.boot_id)[-RETIRED_KEPT:] if state.boot_id else state.retired
        return Accept(CounterState(boot_id, ((counter, digest),), followed))
    if counter > state.highest:
        return Accept(CounterState(boot_id, (*state.recent[1 - RECENT_KEPT :], (counter, digest)), state.retired))
    for seen, seen_digest in state.recent:
        if seen == counter:
            if seen_digest == digest:
                return Duplicate()
            return Cloned(f"counter {counter} was used for two different messages")
    if counter > state.recent[0][0] and counter >= state.highest - LATE_MAX:
        return Late()
    return Cloned(f"counter {counter} came after {state.highest}")


def decide_outdated(state: CounterState, boot_id: str, counter: int, digest: str) -> CounterVerdict:
    """What a check-in tells whose MAC is right under a secret that a newer one has replaced. It is never answered.

    Whoever sent it holds the identity, so its counter is used up, and the same counter in another message proves two
    machines: else twins that renew in turn could pass each other for ever, each over counters of refused check-ins.
    That it is late proves nothing: an honest check-in may be overtaken by the renewal after it, even by a reboot.
    """
    if boot_id != state.boot_id or (counter <= state.highest and counter not in dict(state.recent)):
        return Late()
    return decide_counter(state, boot_id, counter, digest)


# --- inventory -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """The inventory that the cell holds for an endpoint; sequence 0 = none."""

    sequence: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Apply:
    """Packages to write and keys to delete, to come from what is held to what was sent."""

    upserts: tuple[Package, ...]
    removals: tuple[str, ...]  # package keys
    total: int


@dataclass(frozen=True, slots=True)
class AlreadyHeld:
    """Sent again after an acknowledgement was lost: acknowledge once more."""


@dataclass(frozen=True, slots=True)
class Resync:
    """Does not fit on what is held: ask for all of it."""

    reason: str


def fits(held: Held, sent: Inventory) -> Resync | AlreadyHeld | None:
    """Whether `sent` can be applied on `held` at all; None = yes, as far as sequences can tell."""
    if sent.sequence == held.sequence and sent.digest == held.digest:
        return AlreadyHeld()
    if sent.base_sequence == 0:
        return None  # a full inventory always fits: the endpoint's word replaces ours
    if sent.base_sequence != held.sequence:
        return Resync(f"delta on {sent.base_sequence}, held is {held.sequence}")
    if sent.sequence != sent.base_sequence + 1:
        return Resync(f"delta from {sent.base_sequence} to {sent.sequence}")
    return None


def merge(before: dict[str, Package], sent: Inventory) -> Apply | Resync:
    """The difference to write; `before` maps package keys to what is held. The digest is the caller's to check."""
    changed = {package_key(p.name, p.architecture): p for p in sent.changed}
    if len(changed) != len(sent.changed):
        return Resync("a package is listed twice")
    gone = set(sent.removed) if sent.base_sequence else before.keys() - changed.keys()
    if sent.base_sequence and (missing := gone - before.keys()):
        return Resync(f"removes {min(missing)}, which is not held")
    upserts = tuple(p for key, p in changed.items() if before.get(key) != p)
    total = len((before.keys() | changed.keys()) - gone)
    if total > PACKAGES_PER_INVENTORY_MAX:
        return Resync(f"{total} packages, at most {PACKAGES_PER_INVENTORY_MAX}")
    return Apply(upserts, tuple(sorted(gone)), total)
