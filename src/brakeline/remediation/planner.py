"""Pins a deployment: which package to which version on which endpoint, and who is left out, why. Pure.

A rollout carries one version a package, so that every endpoint's evidence is about the same change. Of the versions
on offer the newest is pinned; an endpoint that offers another one is left out of that package with the reason. One
release at a time for the same reason: the one that most endpoints with something to do have. And one package manager
at a time, because one transaction is one manager's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from brakeline.core.debversion import BadVersion, deb_key
from brakeline.protocol.managers import BESIDE, SYSTEM, asked_of
from brakeline.protocol.messages import PendingUpdate, UpdateState
from brakeline.remediation.model import PinnedUpdate, Plan, Selection, Situation, Skipped, Target

INSTALLABLE = frozenset((UpdateState.AVAILABLE, UpdateState.NEEDS_NEW))
LEFT_OUT_SHOWN = 20  # reasons told per endpoint
TITLE_NAMES = 3
TITLE_NAME_CHARS = 26  # of one name, so that the count at the end is never cut off


def plan(situations: Sequence[Situation], selection: Selection, names: frozenset[str] = frozenset(),
         quarantined: frozenset[tuple[str, str]] = frozenset()) -> Plan:  # fmt: skip
    """The pins of a deployment over these endpoints (all that match its filter). No quarantined version is pinned."""
    skipped = [_skip(s, *s.blocked) for s in situations if s.blocked]
    rest = [s for s in situations if not s.blocked]
    chosen = {s.endpoint_id: _without(_chosen(s, selection, names), quarantined) for s in rest}
    chosen = _of_one_manager(chosen)
    release = _main_release(s for s in rest if _installable(chosen[s.endpoint_id]))
    pins = _pins(u for s in rest if s.release == release for u in _installable(chosen[s.endpoint_id]))
    targets = []
    for situation in rest:
        found = _target(situation, chosen[situation.endpoint_id], pins, release, selection)
        if isinstance(found, Target):
            targets.append(found)
        else:
            skipped.append(found)
    counts = Counter(name for target in targets for name in target.updates)
    security = {u.name for updates in chosen.values() for u in updates if u.security}
    updates = tuple(PinnedUpdate(name, pins[name], count, name in security) for name, count in sorted(counts.items()))
    return Plan(updates, tuple(targets), tuple(skipped), digest(targets), release)


def default_title(selection: Selection, names: Sequence[str], count: int) -> str:
    """What a deployment is called when nobody named it; of many names the first, and how many more there are."""
    more = len(names) - TITLE_NAMES
    few = ", ".join(name[:TITLE_NAME_CHARS] for name in names[:TITLE_NAMES]) + (f" and {more} more" if more > 0 else "")
    what = {Selection.SECURITY: "Security updates", Selection.ALL: "All updates"}.get(selection, few)
    return f"{what} on {count} endpoint{'' if count == 1 else 's'}"


def digest(targets: Iterable[Target]) -> str:
    """Hex SHA-256 over one line an endpoint and package, sorted."""
    lines = sorted(f"{t.endpoint_id}\t{name}\t{version}" for t in targets for name, version in t.updates.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _chosen(situation: Situation, selection: Selection, names: frozenset[str]) -> list[PendingUpdate]:
    if selection is Selection.ALL:
        return list(situation.pending)
    if selection is Selection.SECURITY:
        return [update for update in situation.pending if update.security]
    wanted = names if selection is Selection.NAMES else situation.wanted
    return [update for update in situation.pending if update.name in wanted]


def _without(updates: list[PendingUpdate], quarantined: frozenset[tuple[str, str]]) -> list[PendingUpdate]:
    """A quarantined version is kept back, and says so wherever reasons are shown."""
    return [
        replace(u, state=UpdateState.KEPT_BACK, reason=f"{u.candidate} is quarantined by a halted rollout")
        if (u.name, u.candidate) in quarantined else u for u in updates
    ]  # fmt: skip


def _of_one_manager(chosen: dict[str, list[PendingUpdate]]) -> dict[str, list[PendingUpdate]]:
    """One transaction is one package manager's, so one deployment is: the system's updates first, then the others'."""
    owners = {asked_of(u.name) for updates in chosen.values() for u in _installable(updates)}
    first = next((o for o in (SYSTEM, *BESIDE) if o in owners), SYSTEM)
    return {
        endpoint_id: [u if asked_of(u.name) == first else _later(u) for u in updates]
        for endpoint_id, updates in chosen.items()
    }


def _later(update: PendingUpdate) -> PendingUpdate:
    reason = "is another package manager's: make a deployment of its own for it"
    return replace(update, state=UpdateState.KEPT_BACK, reason=reason) if update.state in INSTALLABLE else update


def _installable(updates: Iterable[PendingUpdate]) -> list[PendingUpdate]:
    return [update for update in updates if update.state in INSTALLABLE]


def _main_release(situations: Iterable[Situation]) -> str:
    counts = Counter(situation.release for situation in situations)
    return max(counts, key=lambda release: (counts[release], release), default="")


def _pins(updates: Iterable[PendingUpdate]) -> dict[str, str]:
    pins: dict[str, str] = {}
    for update in updates:
        if update.name not in pins or _key(update.candidate) > _key(pins[update.name]):
            pins[update.name] = update.candidate
    return pins


def _key(version: str) -> bytes:
    try:
        return deb_key(version)
    except BadVersion:
        return b""  # never the newest: a version that nobody understands pins nothing for others


def _target(
    situation: Situation, chosen: list[PendingUpdate], pins: dict[str, str], release: str, selection: Selection
) -> Target | Skipped:
    installable = _installable(chosen)
    if not chosen:
        kind = {"security": "no security update", "all": "no update"}.get(selection.value, "none of these updates")
        return _skip(situation, "nothing_pending", f"{kind} is pending")
    if installable and situation.release != release:
        return _skip(situation, "other_release", f"runs {situation.release}, this is for {release}: deploy separately")
    left_out = [f"{u.name}: {u.reason or u.state.value.replace('_', ' ')}" for u in chosen if u not in installable]
    left_out += [
        f"{u.name}: offers {u.candidate}, not {pins[u.name]} (are its package lists old?)"
        for u in installable
        if u.candidate != pins[u.name]
    ]
    updates = {u.name: u.candidate for u in installable if u.candidate == pins[u.name]}
    if updates:
        shown = tuple(sorted(left_out)[:LEFT_OUT_SHOWN])
        return Target(situation.endpoint_id, situation.hostname, situation.region, updates, shown)
    code = "other_version" if installable else "blocked"
    return _skip(situation, code, "; ".join(sorted(left_out)[:3]))


def _skip(situation: Situation, code: str, reason: str) -> Skipped:
    return Skipped(situation.endpoint_id, situation.hostname, code, reason)
