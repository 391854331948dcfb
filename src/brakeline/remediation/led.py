"""Settings that a conductor leads, in one cell: what its words come to beside the policies that are there. Pure.

The words of a lead are one policy. While its rollout is under way they hold for whoever has taken the offer and for
nobody else, narrower or wider; when it has completed they are a policy of this cell like any other, marked as led. So
what the cell's own policies say stays: of all of them the most careful wins. Invariants: a lead replaces and takes away
nothing but what was led under its name, for the same endpoints; with it no endpoint is left without a minute in which
it may be changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from brakeline.cells.model import Refusal
from brakeline.core import weekly
from brakeline.core.errors import Conflict, Fault, Invalid
from brakeline.protocol.digests import settings_digest
from brakeline.protocol.messages import Mode, Settings
from brakeline.remediation.decide import effective
from brakeline.remediation.model import POLICIES_MAX, SettingsPolicy, Words
from brakeline.remediation.standing import allows
from brakeline.remediation.words import NeverOpen, parsed
from brakeline.rollout.wished import Offered, SettingsHalted, SettingsUnderWay, Wished

INTERVAL_S: Final = (60, 7 * 86400)
NAME_CHARS_MAX: Final = 80
WORDS: Final = tuple(f.name for f in fields(Words))
NEVER: Final = (weekly.NEVER,)


class NameIsOwn(Conflict):
    """A policy of that name is this cell's own, or was led for other endpoints."""

    hint = "Lead it under another name, or lead away what was led under this one first."


@dataclass(frozen=True, slots=True)
class Concerned:
    """An endpoint that a lead matches, and the policies that match it by now."""

    endpoint_id: str
    policies: tuple[SettingsPolicy, ...]


def policy_of(wished: Wished, led: str, now_ms: int, by: str) -> SettingsPolicy:
    """The words as a policy; `led`: what brought it."""
    return SettingsPolicy(
        f"po_{led.partition('_')[2]}", wished.name, wished.filter, wished.mode, wished.refresh_interval_s,
        wished.inventory_interval_s, now_ms, by, words=Words(*(getattr(wished, name) for name in WORDS)), led=led,
    )  # fmt: skip


def wished_of(name: str, filter_text: str, mode: str, words: Words, refresh_interval_s: int | None = None,
              inventory_interval_s: int | None = None) -> Wished:  # fmt: skip
    """From what people type; `Invalid` says what is wrong. No word at all takes a policy away."""
    made = Wished(
        name.strip(), filter_text, None if mode == "leave" else _mode(mode), refresh_interval_s, inventory_interval_s,
        **{n: getattr(words, n) for n in WORDS},
    )  # fmt: skip
    check(made)
    return made


def check(wished: Wished) -> None:
    """`Invalid` for words that no policy could have; asked where they are led and where they are followed."""
    if not 0 < len(wished.name.strip()) <= NAME_CHARS_MAX or not wished.name.isprintable():
        raise Invalid(f"settings are led under a name of 1 to {NAME_CHARS_MAX} printable characters")
    for interval in (wished.refresh_interval_s, wished.inventory_interval_s):
        if interval is not None and not INTERVAL_S[0] <= interval <= INTERVAL_S[1]:
            raise Invalid(f"an interval is {INTERVAL_S[0]} to {INTERVAL_S[1]} seconds", got=interval)
    again = parsed(
        windows=wished.windows or (), restart=wished.restart or "", conffiles=wished.conffiles or "",
        restarts_a_day=wished.restarts_a_day, download_kib_s=wished.download_kib_s, nice=wished.nice,
        probes=wished.probes or (),
    )  # fmt: skip
    if any(getattr(again, name) != getattr(wished, name) for name in WORDS):
        raise Invalid("a window or a probe is not written as this version writes it")


def beside(policies: Iterable[SettingsPolicy], wished: Wished) -> tuple[SettingsPolicy, ...]:
    """The policies of an endpoint with the words of a lead among them, in the place of what it replaces."""
    kept = tuple(p for p in policies if not (p.led and p.name == wished.name))
    return kept if wished.takes_away else (*kept, policy_of(wished, "ld_trial", 0, ""))


def under_way(offered: Offered | None, good: frozenset[str]) -> Offered | None:
    """What is offered still. A lead that has become a policy here offers nothing more: the policy says it, until
    somebody removes it."""
    return None if offered is not None and offered.led is not None and offered.rollout_id in good else offered


def on_trial(policies: Iterable[SettingsPolicy], offered: Offered | None) -> Settings | None:
    """What is wished of who has taken the offer of a lead; None = what is wished of everybody."""
    return effective(beside(policies, offered.led)) if offered is not None and offered.led is not None else None


def targets(concerned: Sequence[Concerned], wished: Wished) -> dict[str, Settings]:
    """What each endpoint would run by for which the words make a difference. Few combinations of policies are
    distinct, so few are decided."""
    decided: dict[tuple[SettingsPolicy, ...], Settings | None] = {}
    for one in concerned:
        if one.policies not in decided:
            before, after = effective(one.policies), effective(beside(one.policies, wished))
            decided[one.policies] = after if settings_digest(before) != settings_digest(after) else None
    found = ((one.endpoint_id, decided[one.policies]) for one in concerned)
    return {endpoint_id: settings for endpoint_id, settings in found if settings is not None}


def refuse(concerned: Iterable[Concerned], known: Iterable[SettingsPolicy], wished: Wished) -> None:
    """Whatever of this cell stands against it, as a `Fault`. `known`: all of its policies."""
    check(wished)
    all_ = tuple(known)
    named = next((p for p in all_ if p.name == wished.name), None)
    if named is None and len(all_) >= POLICIES_MAX and not wished.takes_away:
        raise Conflict(f"there are {POLICIES_MAX} policies already; merge or delete some")
    if named is not None and not named.led:
        raise NameIsOwn(f"policy {wished.name!r} is this cell's own", policy=named.id)
    if named is not None and named.filter != wished.filter:
        raise NameIsOwn(f"policy {wished.name!r} was led for {named.filter or 'everybody'}", policy=named.id)
    for one in concerned:
        before, after = effective(one.policies).windows, effective(beside(one.policies, wished)).windows
        if after == NEVER and before != after:
            other = next((p for p in one.policies if p.words.windows), None)
            name = f"those of policy {other.name!r}" if other else "those that are there"
            raise NeverOpen(f"{one.endpoint_id}: the windows that are led ({', '.join(wished.windows or ())}) and "
                            f"{name} have no minute in common", policy=other.id if other else "")  # fmt: skip


def refusal_of(fault: Fault) -> Refusal:
    """A reason as the number that may leave the cell."""
    kinds: tuple[tuple[type[Fault], Refusal], ...] = (
        (SettingsUnderWay, Refusal.UNDER_WAY), (SettingsHalted, Refusal.QUARANTINED), (NameIsOwn, Refusal.NAME),
        (NeverOpen, Refusal.NEVER_OPEN), (Invalid, Refusal.WORDS),
    )  # fmt: skip
    return next((refusal for kind, refusal in kinds if isinstance(fault, kind)), Refusal.OTHER)


def kept(had: Mapping[str, Settings], proven: Mapping[str, Settings]) -> dict[str, Settings]:
    """What endpoints have after a lead: what was proven, except where that only narrows. What an endpoint could do
    before comes back at once when the policy goes, as with any other."""
    return {e: s for e, s in proven.items() if e not in had or not allows(had[e], s)}


def _mode(text: str) -> Mode:
    if text not in {m.value for m in Mode}:
        raise Invalid(f"mode is assess, patch or leave (to other policies), not {text[:40]!r}")
    return Mode(text)
