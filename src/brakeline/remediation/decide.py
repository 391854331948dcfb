"""Which settings an endpoint gets when several policies match. Pure.

The most careful wins, whatever their age: an endpoint is patched only if a policy says `patch` and none says `assess`;
of several intervals the shortest counts; it is changed only in windows that all of them have in common; it follows the
channel `early` of releases only if none says `stable`. So a policy that protects databases cannot be undone by a later
one for everybody, and the order in which policies were made need not be known to know what they do. Probes alone add
up: each is evidence more, and what may be tried root of the endpoint says. Without any policy an endpoint is assessed
and nothing is changed on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Final

from brakeline.core.limits import CHECK_IN_INTERVAL_S
from brakeline.protocol.channels import EARLY, STABLE
from brakeline.protocol.messages import Mode, Settings
from brakeline.protocol.probes import PROBES_MAX
from brakeline.protocol.settings import NAMES, narrowest
from brakeline.remediation.model import SelfUpdate, SettingsPolicy, Words

WORDS: Final = tuple(f.name for f in fields(Words))


def effective(matching: Iterable[SettingsPolicy], check_in_interval_s: int = CHECK_IN_INTERVAL_S) -> Settings:
    """The settings of an endpoint that these policies match."""
    policies = tuple(matching)
    base = Settings(check_in_interval_s=check_in_interval_s)
    modes = {policy.mode for policy in policies if policy.mode is not None}
    refresh = [p.refresh_interval_s for p in policies if p.refresh_interval_s is not None]
    inventory = [p.inventory_interval_s for p in policies if p.inventory_interval_s is not None]
    found = Settings(
        mode=Mode.PATCH if modes == {Mode.PATCH} else Mode.ASSESS,
        check_in_interval_s=check_in_interval_s,
        inventory_interval_s=min(inventory, default=base.inventory_interval_s),
        refresh_interval_s=min(refresh, default=base.refresh_interval_s),
    )
    for policy in policies:
        found = narrowest(said(policy, found), found)
    return replace(found, probes=_probes(policies))


def _probes(policies: Iterable[SettingsPolicy]) -> tuple[str, ...]:
    """Of all policies; of two with one name the first by its text, and no more than an endpoint takes."""
    named: dict[str, str] = {}
    for text in sorted({t for policy in policies for t in policy.words.probes or ()}):
        named.setdefault(text.partition(" ")[0], text)
    return tuple(named.values())[:PROBES_MAX]


def said(policy: SettingsPolicy, others: Settings) -> Settings:
    """The words of one policy as settings; of what it does not speak, those of the others."""
    spoken = {name: getattr(policy.words, name) for name in WORDS if getattr(policy.words, name) is not None}
    return replace(others, **spoken)


def speakers(matching: Iterable[SettingsPolicy]) -> dict[str, tuple[SettingsPolicy, ...]]:
    """Of each setting: the policies that say something of it, oldest first."""
    policies = sorted(matching, key=lambda p: (p.created_ms, p.id))
    return {name: tuple(p for p in policies if _says(p, name)) for name in NAMES}


def _says(policy: SettingsPolicy, name: str) -> bool:
    return getattr(policy.words if name in WORDS else policy, name) is not None


def self_update(matching: Iterable[SettingsPolicy], generation: int) -> SelfUpdate:
    """Whether the agent of an endpoint may update itself, and from which channel. On, unless a policy says no; two
    different pins say no."""
    policies = tuple(matching)
    name, by = channel(policies)
    return replace(_self_update(policies, generation), channel=name, channel_why=by)


def channel(matching: Iterable[SettingsPolicy]) -> tuple[str, str]:
    """The channel of releases that an endpoint follows, and why."""
    policies = tuple(matching)
    said = {name: sorted(p.name for p in policies if p.channel == name) for name in (STABLE, EARLY)}
    if said[STABLE]:
        return STABLE, f"follows stable, because the policy {said[STABLE][0]} says so"
    if said[EARLY]:
        return EARLY, f"follows early, by the policy {said[EARLY][0]}"
    return STABLE, "follows stable, because no policy says otherwise"


def followers(matching: Iterable[tuple[SettingsPolicy, frozenset[str]]]) -> frozenset[str]:
    """Who follows `early`. `matching`: each policy, and whom it matches."""
    found = {name: frozenset[str]() for name in (STABLE, EARLY)}
    for policy, ids in matching:
        if policy.channel:
            found[policy.channel] |= ids
    return found[EARLY] - found[STABLE]


def _self_update(policies: tuple[SettingsPolicy, ...], generation: int) -> SelfUpdate:
    off = sorted(p.name for p in policies if p.self_update is False)
    pins = {p.pin: p.name for p in sorted(policies, key=lambda p: p.name, reverse=True) if p.pin}
    if off:
        return SelfUpdate(generation, False, "", f"self-update is off, because the policy {off[0]} says so")
    if len(pins) > 1:
        names = " and ".join(sorted(pins.values())[:2])
        return SelfUpdate(generation, False, "", f"self-update is off, because the policies {names} pin two releases")
    for pin, name in pins.items():
        return SelfUpdate(generation, True, pin, f"stays at release {pin}, by the policy {name}")
    return SelfUpdate(generation, True, "", "takes the releases of its channel")


def why(matching: Iterable[SettingsPolicy]) -> str:
    """One sentence for people: why an endpoint is in its mode."""
    policies = tuple(matching)
    careful = sorted(p.name for p in policies if p.mode is Mode.ASSESS)
    if careful:
        return f"assess only, because the policy {careful[0]} says so"
    allowing = sorted(p.name for p in policies if p.mode is Mode.PATCH)
    if not allowing:
        return "assess only, because no policy lets it be patched"
    return "patch, by the policy " + ", ".join(allowing)
