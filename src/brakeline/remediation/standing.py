"""Which settings hold for an endpoint, between what policies wish and what rollouts have proven. Pure.

Policies say what is *wished*. What an endpoint *has* are its last good settings: its first ones, or those of a rollout
that has completed. In force is the narrower of the two: whatever a policy takes away is gone at once, and comes back
at once when the policy goes, because the endpoint had it before. Whatever is wider than what it has waits for a rollout
of settings. While one is under way, an endpoint that says it runs by what it was offered keeps that; when the rollout
is halted it is told what it has again. Next: `settling` (the use cases), `agent.taking` (the other end).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from brakeline.protocol.digests import settings_digest
from brakeline.protocol.messages import Settings
from brakeline.protocol.settings import NAMES, shown
from brakeline.protocol.settings import NONE as NONE
from brakeline.protocol.settings import allows as allows
from brakeline.protocol.settings import narrowest as narrowest
from brakeline.remediation.model import SettingsPolicy
from brakeline.trust.statements import enrolled_ms

FIRST_MAX: Final = 20  # endpoints that get their first settings at once although they were there before the policy …
FIRST_MS: Final = 24 * 3600 * 1000  # … in so long; the others wait for a rollout


@dataclass(frozen=True, slots=True)
class Fresh:
    """An endpoint without settings of its own, and what the policies that match it wish."""

    endpoint_id: str
    wished: Settings
    policies: tuple[SettingsPolicy, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that would change, and on how many endpoints."""

    setting: str
    before: str
    after: str
    endpoints: int


def in_force(has: Settings | None, wished: Settings) -> Settings:
    """What holds without any rollout."""
    return narrowest(has or NONE, wished)


def settings_told(has: Settings | None, wished: Settings, offered: Settings | None, reported: str,
                  on_trial: Settings | None = None) -> Settings:  # fmt: skip
    """What a reply says. `offered`: by a rollout that stands; `reported`: digest of what the endpoint runs by;
    `on_trial`: what is wished of who has taken the offer of a lead."""
    if offered is not None and reported:
        rolling = narrowest(offered, on_trial or wished)
        if reported in (settings_digest(offered), settings_digest(rolling)):
            return rolling
    return in_force(has, wished)


def waits(has: Settings | None, wished: Settings) -> bool:
    """Whether something of what is wished needs a rollout."""
    return settings_digest(in_force(has, wished)) != settings_digest(wished)


def speak(policies: Iterable[SettingsPolicy]) -> bool:
    """Whether any of these says something of the settings of an agent."""
    return any(p.speaks for p in policies)


def adopted(
    fresh: Iterable[Fresh], lately: int, kept: frozenset[str] = frozenset(), *, ever: bool = True
) -> dict[str, bool]:
    """Who gets first settings now -> whether it was there before its policies (`lately` others were, in FIRST_MS).

    Where nobody of an organisation ever got any (`ever` False), FIRST_MAX begin at once, however many there are: the
    first policy of a fleet is seen to work in minutes, and the others follow by the rings of a rollout.

    Whoever was enrolled under its policies has never run by anything else. `kept`: policies from before settings went
    by rollouts: what they let an endpoint do it does already.
    """
    first, old = dict[str, bool](), list[str]()
    for one in fresh:
        made = [p for p in one.policies if p.id not in kept]
        if not made or enrolled_ms(one.endpoint_id) >= max(p.created_ms for p in made):
            first[one.endpoint_id] = False
        else:
            old.append(one.endpoint_id)
    if len(old) + lately > FIRST_MAX:
        old = sorted(old, key=_spread)[:FIRST_MAX] if not ever else []
    return first | dict.fromkeys(old, True)


def _spread(endpoint_id: str) -> bytes:
    """An order that has nothing to do with when, where or as what endpoints were enrolled."""
    return hashlib.sha256(f"first settings {endpoint_id}".encode()).digest()


def digest(targets: Mapping[str, Settings]) -> str:
    """12 hex that name a version by what is in it, whomever it is for: what was halted stays halted for others too."""
    return hashlib.sha256("\n".join(sorted(set(map(settings_digest, targets.values())))).encode()).hexdigest()[:12]


def differences(has: Mapping[str, Settings], wished: Mapping[str, Settings]) -> tuple[Difference, ...]:
    """What changes on how many endpoints, most first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for endpoint_id, after in wished.items():
        before = has.get(endpoint_id, NONE)
        for name in NAMES:
            old, new = getattr(before, name), getattr(after, name)
            if old != new:
                counts[name, shown(name, old), shown(name, new)] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Difference(*what, count) for what, count in ordered)
