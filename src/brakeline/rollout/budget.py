"""Blast-radius budgets: how many endpoints may be changed, over all rollouts of a tenant together. Pure.

Invariants: an endpoint that has no room in a budget is in no arm, whatever its draw; a tick goes on only while all that
is left of it is covered, and whether it is does not depend on who of its askers was drawn for treatment (own offers
lower both sides alike), so the draw stays fair; gates never promise more than is left (`fit`). What is spent is counted
by the database (`platform/migrations/0060_limits.sql`), `lint` distrusts `fit`. Times are Unix milliseconds.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.rollout import arms
from brakeline.rollout.model import Blueprint, Gate, Line, Phase, State

BUDGET, FREEZE_WINDOW = "budget", "freeze window"  # gates of the report
GROUP_BUDGET, FROZEN = "group_budget", "freeze_window"  # codes of targets, beside BUDGET for the fleet's
BELOW: Final = "below"  # in the data of their lines: region -> draws below this one are not held up
KEYS: Final = ("region", "class", "os", "tag")
ENDPOINTS_MAX: Final = 100_000  # as many as one rollout may have; more is no bound
VALUE_CHARS_MAX: Final = 64
SLOT_MS: Final = 300_000  # what is spent is counted in five minutes, and comes free as many
SLOTS: Final = 13  # no sixty minutes touch more of them
_VALUE: Final = re.compile(r"[^\s\",*][^\s\",*]*\*?|\*")


class Per(StrEnum):
    """What is counted: offers within any hour, or endpoints whose offer came to no end yet."""

    HOUR = "hour"
    AT_ONCE = "at_once"


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """Part of a fleet by one attribute; no key = the whole fleet. A value that ends in * = each such value alone."""

    key: str = ""
    value: str = ""

    def __str__(self) -> str:
        return f"{self.key}:{self.value}" if self.key else ""

    def covers(self, other: Group) -> bool:
        """Whether a budget of this group is counted for `other`."""
        same = other.value.startswith(self.value[:-1]) if self.value.endswith("*") else other.value == self.value
        return self.key == other.key and same


FLEET: Final = Group()


@dataclass(frozen=True, slots=True)
class Limit:
    """So many endpoints, or so many thousandths of the group; with both the larger holds. Never less than one."""

    endpoints: int | None = None
    permille: int | None = None

    def __str__(self) -> str:
        share = f"{self.permille / 10:g} %" if self.permille is not None else ""
        if self.endpoints is None:
            return share
        return f"{share}, at least {self.endpoints}" if share else f"{self.endpoints}"

    def cap(self, size: int) -> int:
        """For a group of `size` endpoints."""
        return max(self.endpoints or 1, (self.permille or 0) * size // 1000)


DEFAULT: Final = Limit(50, 100)  # of the fleet per hour, until somebody sets another; the database knows it too


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit that somebody set; `set_ms` 0 = the rule of every tenant."""

    group: Group
    per: Per
    limit: Limit
    set_ms: int = 0
    set_by: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """One budget at one moment. `spends`: (slot, offers) of the hour, oldest first."""

    group: Group
    per: Per
    cap: int
    used: int
    size: int = 0
    spends: tuple[tuple[int, int], ...] = ()

    @property
    def room(self) -> int:
        return max(0, self.cap - self.used)

    @property
    def of_the_fleet(self) -> bool:
        """The one that ticks are covered by."""
        return self.group == FLEET and self.per is Per.HOUR

    @property
    def next_ms(self) -> int:
        """When there is room again, if nothing else is spent; 0 = there is, or nobody can say."""
        left = self.used
        for slot, offers in self.spends:
            if left < self.cap:
                break
            left -= offers
            if left < self.cap:
                return (slot + SLOTS) * SLOT_MS
        return 0


# --- what people type -------------------------------------------------------------------------------------------------


def parse_group(text: str) -> Group:
    """`tag:db`, `region:*`; "" is the whole fleet. `Invalid` says what is known."""
    text = text.strip()
    if not text:
        return FLEET
    key, colon, value = text.partition(":")
    if key not in KEYS or not colon:
        near = difflib.get_close_matches(key, KEYS, n=1)
        hint = f"; did you mean {near[0]}:{value or '…'}?" if near else f"; write {', '.join(k + ':…' for k in KEYS)}"
        raise Invalid(f"{text[:80]!r} is no group of endpoints{hint}", got=text[:80])
    if len(value) > VALUE_CHARS_MAX or not _VALUE.fullmatch(value):
        raise Invalid(f"{text[:80]!r}: a group is {key}:VALUE, where only the end may be *", got=text[:80])
    return Group(key, value)


def checked(endpoints: int | None, percent: float | None) -> Limit:
    """A limit from two numbers, one of which may be missing."""
    if endpoints is None and percent is None:
        raise Invalid("a budget needs a number of endpoints or a percentage of them; there is no unlimited")
    if endpoints is not None and not 1 <= endpoints <= ENDPOINTS_MAX:
        raise Invalid(
            f"a budget is 1 to {ENDPOINTS_MAX} endpoints. To stop everything, brake or pause; 100 % allows all of them",
            got=endpoints,
        )
    if percent is None:
        return Limit(endpoints)
    permille = round(percent * 10) if abs(percent) < 1000 else 0
    if not 1 <= permille <= 1000 or abs(permille - percent * 10) > 1e-6:
        raise Invalid("a share is 0.1 to 100 per cent, in steps of 0.1", got=percent)
    return Limit(endpoints, permille)


def widens(before: Limit | None, after: Limit | None) -> bool:
    """Whether more may be changed than before, at whatever size of the group; None = no such budget."""
    if before is None or after is None:
        return before is not None
    return (after.endpoints or 0) > (before.endpoints or 0) or (after.permille or 0) > (before.permille or 0)


# --- in words ---------------------------------------------------------------------------------------------------------


def in_words(usage: Usage, now_ms: int) -> str:
    """`budget: 50 of 50 endpoints per hour are spent; next in 12 min`."""
    one = usage.cap == 1
    whom = ("endpoint" if one else "endpoints") + (f" of {usage.group}" if usage.group != FLEET else "")
    be = "is" if one else "are"
    if usage.per is Per.AT_ONCE:
        text = f"{BUDGET}: {usage.used} of {usage.cap} {whom} at once {be} in change"
        return text if usage.room else f"{text}; next when one of them is done"
    text = f"{BUDGET}: {usage.used} of {usage.cap} {whom} per hour {be} spent"
    if usage.room or not usage.next_ms:
        return text
    return f"{text}; next in {max(1, -(-(usage.next_ms - now_ms) // 60_000))} min"


# --- at ready ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an endpoint that is ready is in no arm now. `closes`: nor is anybody else in this tick."""

    code: str
    reason: str
    closes: bool = False


def refusal(usages: Iterable[Usage], left_in_tick: int, now_ms: int) -> Refusal | None:
    """Asked before an endpoint comes into either arm, so it never depends on its draw.

    The fleet's budget must cover all that the tick may still offer, else the tick is over for both arms. A group that
    has no room defers its own members alone: who is in it was settled before the draw.
    """
    for usage in usages:
        if usage.of_the_fleet and usage.cap - usage.used < left_in_tick:
            return Refusal(BUDGET, in_words(usage, now_ms), closes=True)
        if not usage.of_the_fleet and usage.room < 1:
            return Refusal(GROUP_BUDGET, in_words(usage, now_ms))
    return None


def waiting(lines: Iterable[Line], region: str, u: int) -> Refusal | None:
    """For an endpoint that no gate is open to: whether its turn would have come by now, by the report's lines."""
    for line in lines:
        if line.gate == BUDGET and line.state is State.WAIT and u < line.data.get("wanted", {}).get(region, 0):
            return Refusal(BUDGET, line.text)
    return None


# --- gates ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the limits of a tenant leave to one rollout at one moment."""

    usage: Usage  # of the fleet per hour
    reserved: int = 0  # offers that open ticks of other rollouts may still make
    sharers: int = 1  # rollouts that go on now, this one among them
    frozen: str = ""  # a freeze window over all its endpoints, in words; "" = none
    by_name: Mapping[str, int] = field(default_factory=dict)  # region -> lowest draw that is leased by name alone
    notes: tuple[Line, ...] = ()  # limits of parts of the fleet, in words

    @property
    def left(self) -> int:
        """Offers that nobody has been promised."""
        return max(0, self.usage.cap - self.usage.used - self.reserved)


Nth = Callable[[str, int], int]  # (region, n) -> the n-th lowest draw, from 0, that was not treated; U_END = none


def fit(current: Blueprint, proposed: Blueprint, allowed: Allowance, treated_in: Mapping[tuple[str, int], int],
        nth: Nth, now_ms: int, before: Iterable[Line] = ()) -> tuple[Blueprint, tuple[Line, ...]]:  # fmt: skip
    """`proposed` with no gate that the limits do not cover, and what the report says of it (reasons to wait first).

    Gates that run stay as they are: their places are reserved. New ones share what nobody was promised; `treated_in`
    counts offers by region and tick. `before`: lines of the report so far, for a tick that was cut when it opened.
    """
    if proposed.phase is not Phase.ROLLING:
        return proposed, ()
    if allowed.frozen:
        regions = sorted({g.region for g in proposed.goals} | {t.region for t in proposed.turns})
        line = Line(FREEZE_WINDOW, State.WAIT, allowed.frozen, {BELOW: dict.fromkeys(regions, 0)})
        return _with_gates(current, proposed, (), now_ms, allowed.frozen), (line, *allowed.notes)
    kept = [g for g in proposed.gates if g in current.gates]
    new = [g for g in proposed.gates if g not in current.gates]
    promised = sum(max(0, g.budget - treated_in.get((g.region, g.tick), 0)) for g in kept)
    left = max(0, allowed.left - promised)
    shares = arms.allot(min(left, max(1, left // max(1, allowed.sharers))), {g.region: g.budget for g in new})
    gates = tuple(x for g in proposed.gates if (x := g if g in kept else _cut(g, shares[g.region], nth)) is not None)
    old: Mapping[str, int] = next((x.data["wanted"] for x in before if x.gate == BUDGET and "wanted" in x.data), {})
    wanted = {g.region: old[g.region] for g in kept if g.region in old}
    wanted |= {g.region: g.treat_below for g in new if g not in gates}
    fitted = _with_gates(current, proposed, gates, now_ms, in_words(allowed.usage, now_ms))
    return fitted, (_line(allowed, wanted, fitted, now_ms), *allowed.notes)


def _cut(gate: Gate, budget: int, nth: Nth) -> Gate | None:
    """The gate with `budget` places at most. Its controls stay: they lie above what it would have treated."""
    if budget >= gate.budget:
        return gate
    return replace(gate, budget=budget, treat_below=nth(gate.region, budget)) if budget > 0 else None


def _line(allowed: Allowance, wanted: Mapping[str, int], fitted: Blueprint, now_ms: int) -> Line:
    """What the fleet's budget says. WAIT only where it keeps somebody from an offer."""
    text = in_words(allowed.usage, now_ms)
    if wanted and allowed.usage.room and allowed.reserved:
        text += f"; {allowed.reserved} more are promised to other rollouts"
    open_to = {g.region: g.treat_below for g in fitted.gates}
    below = {r: open_to.get(r, 0) for r in wanted}
    for region, u in allowed.by_name.items():
        below[region] = min(u, below.get(region, u))
    data = {
        "cap": allowed.usage.cap, "used": allowed.usage.used, "reserved": allowed.reserved, "wanted": dict(wanted),
        BELOW: below,
    }  # fmt: skip
    return Line(BUDGET, State.WAIT if wanted else State.OK, text, data)


def _with_gates(current: Blueprint, proposed: Blueprint, gates: tuple[Gate, ...], now_ms: int, why: str) -> Blueprint:
    """`proposed` with these gates alone; where none are left, because of `why`; `current` where that is no move."""
    if gates == proposed.gates:
        return proposed
    base = proposed
    if proposed.generation == current.generation:
        base = replace(current, generation=current.generation + 1, parent=current.generation, made_ms=now_ms)
    if not gates and proposed.ring == current.ring:
        base = replace(base, why=why)
    fitted = replace(base, gates=gates, turns=arms.turns_after(current.turns, gates))
    same = replace(
        fitted, generation=current.generation, parent=current.parent, made_ms=current.made_ms, why=current.why,
        alpha_sum=current.alpha_sum,
    )  # fmt: skip
    return current if same == current else fitted


def leased_within(lines: tuple[Line, ...], blueprint: Blueprint, treated_in: Mapping[tuple[str, int], int],
                  draws: Mapping[str, Sequence[int]]) -> tuple[Line, ...]:  # fmt: skip
    """`lines`, so that a range of a release reaches nobody who was not treated, unless everybody who is left has a
    place; who has an offer beyond it is leased to by name.

    `draws`: of every target that was not treated, here or away. A launcher takes unasked what it is leased, and is
    counted when its agent speaks: with fewer places than endpoints, whoever looks first would take it beside those who
    get the places, and nobody would watch it.
    """
    below: dict[str, int] = {}
    for region, us in draws.items():
        gate = blueprint.gate(region)
        places = max(0, gate.budget - treated_in.get((region, gate.tick), 0)) if gate else 0
        if places < len(us):
            below[region] = min(us)
    known = bounds(lines)
    merged = below | {r: min(u, below.get(r, u)) for r, u in known.items()}
    return tuple(
        replace(x, data={**x.data, BELOW: merged}) if x.gate == BUDGET and BELOW in x.data else x for x in lines
    )


def bounds(lines: Iterable[Line]) -> dict[str, int]:
    """Region -> draws from this one on get a release by name alone, once they have their offer; see `releasing`."""
    found: dict[str, int] = {}
    for line in lines:
        if line.gate in (BUDGET, FREEZE_WINDOW):
            for region, u in line.data.get(BELOW, {}).items():
                found[region] = min(u, found.get(region, u))
    return found


def waits_first(lines: Iterable[Line], limits: Iterable[Line]) -> tuple[Line, ...]:
    """The report with the limits in it: what keeps it waiting before everything else, the rest at the end."""
    limits = tuple(limits)
    waits = tuple(x for x in limits if x.state is State.WAIT)
    return (*waits, *lines, *(x for x in limits if x.state is not State.WAIT))
