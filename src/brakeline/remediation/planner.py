"""Pins a deployment: which package to which version on which endpoint, and who is left out, why. Pure.

A rollout carries one version a package, so that every endpoint's evidence is about the same change. Of the versions
on offer the newest is pinned; an endpoint that offers another one is left out of that package with the reason. One
release at a time for the same reason: the one that most endpoints with something to do have. And one package manager
at a time, because one transaction is one manager's.

Asked to go `across`, it takes every release that has something to do: each has pins of its own, and an endpoint gets
those of its release and no others. Versions are compared as their own package manager does.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from brakeline.advisories.versions import ORDERS
from brakeline.core.debversion import BadVersion
from brakeline.protocol.managers import BESIDE, SYSTEM, asked_of
from brakeline.protocol.messages import PendingUpdate, UpdateState
from brakeline.protocol.software import LABEL
from brakeline.remediation.model import PinnedUpdate, Plan, Selection, Situation, Skipped, Target

INSTALLABLE = frozenset((UpdateState.AVAILABLE, UpdateState.NEEDS_NEW))
ORDER_OF = {"apt": "deb", "dnf": "rpm", "zypper": "rpm", "pacman": "alpm"}  # of a system's manager
Pins = dict[str, str]  # package -> version
KeptOut = Mapping[tuple[str, str], str]  # quarantined: package and version -> what people read of it
LEFT_OUT_SHOWN = 20  # reasons told per endpoint
TITLE_NAMES = 3
TITLE_NAME_CHARS = 26  # of one name, so that the count at the end is never cut off


def plan(situations: Sequence[Situation], selection: Selection, names: frozenset[str] = frozenset(),
         quarantined: KeptOut = MappingProxyType({}), *, across: bool = False) -> Plan:  # fmt: skip
    """The pins of a deployment over these endpoints (all that match its filter). No quarantined version is pinned."""
    skipped = [_skip(s, *s.blocked) for s in situations if s.blocked]
    rest = [s for s in situations if not s.blocked]
    chosen = {s.endpoint_id: _without(_chosen(s, selection, names), quarantined) for s in rest}
    chosen = _of_one_manager(chosen)
    able = [s for s in rest if _installable(chosen[s.endpoint_id])]
    release = _main_release(able)
    pins = _pins_by_release(able if across else [s for s in able if s.release == release], chosen)
    targets = []
    for situation in rest:
        found = _target(situation, chosen[situation.endpoint_id], pins, release, selection)
        if isinstance(found, Target):
            targets.append(found)
        else:
            skipped.append(found)
    counts = Counter(pin for target in targets for pin in target.updates.items())
    security = {(u.name, u.candidate) for updates in chosen.values() for u in updates if u.security}
    updates = tuple(PinnedUpdate(*pin, count, pin in security) for pin, count in sorted(counts.items()))
    there = {s.endpoint_id: s.release for s in rest}
    reached = sorted({there[t.endpoint_id] for t in targets})
    release = ", ".join(reached) if len(reached) > 1 else release
    return Plan(updates, tuple(targets), tuple(skipped), digest(targets), release, len(reached) > 1)


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


def _without(updates: list[PendingUpdate], quarantined: KeptOut) -> list[PendingUpdate]:
    """A quarantined version is kept back, and says so wherever reasons are shown."""
    return [
        replace(u, state=UpdateState.KEPT_BACK, reason=f"{u.candidate} {quarantined[u.name, u.candidate]}")
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


def _pins_by_release(situations: Iterable[Situation], chosen: dict[str, list[PendingUpdate]]) -> dict[str, Pins]:
    """Of each release the newest version of each package that is on offer there."""
    found: dict[str, Pins] = {}
    for s in situations:
        pins = found.setdefault(s.release, {})
        for u in _installable(chosen[s.endpoint_id]):
            if u.name not in pins or newer(s.manager, u.name, u.candidate, pins[u.name]):
                pins[u.name] = u.candidate
    return found


def newer(manager: str, name: str, version: str, than: str) -> bool:
    """As the package's own manager says; what nobody understands is never the newest, and pins nothing for others."""
    beside = asked_of(name)
    owner = "deb" if beside == LABEL else beside  # an own package is compared as Debian's are
    order = OF_THEIRS.get(owner) or ORDERS[owner if owner in ORDERS else ORDER_OF.get(manager, "deb")]
    try:
        return order(version, than) > 0
    except BadVersion:
        return _understood(order, version) and not _understood(order, than)


def _as_text(a: str, b: str) -> int:
    """flatpak's: the time of the commit comes first, always as many digits."""
    return (a > b) - (a < b)


def _by_deb(a: str, b: str) -> int:
    """Homebrew's and fwupd's: numbers and dots; a revision follows `_`, and a cask's build a comma."""
    return ORDERS["deb"](*(version.replace("_", "-").replace(",", "+") for version in (a, b)))


def _by_revision(a: str, b: str) -> int:
    """snapd's: the revision after the last plus; what was installed by hand has none that could be compared."""
    left, right = (version.rpartition("+")[2] for version in (a, b))
    for version, revision in ((a, left), (b, right)):
        if not (revision.isascii() and revision.isdigit() and len(revision) <= REVISION_DIGITS_MAX):
            raise BadVersion(version)
    return (int(left) > int(right)) - (int(left) < int(right))


REVISION_DIGITS_MAX: Final = 18  # far above every revision; what is longer is no number that anybody counted
OF_THEIRS: Final = {"flatpak": _as_text, "snap": _by_revision, "brew": _by_deb, "fwupd": _by_deb}


def _understood(order: Callable[[str, str], int], version: str) -> bool:
    try:
        order(version, version)
    except BadVersion:
        return False
    return True


def _target(
    situation: Situation, chosen: list[PendingUpdate], by_release: dict[str, Pins], release: str, selection: Selection
) -> Target | Skipped:
    installable, pins = _installable(chosen), by_release.get(situation.release, {})
    if not chosen:
        kind = {"security": "no security update", "all": "no update"}.get(selection.value, "none of these updates")
        return _skip(situation, "nothing_pending", f"{kind} is pending")
    if installable and situation.release not in by_release:
        text = f"runs {situation.release}, this is for {release}: deploy separately, or across distributions"
        return _skip(situation, "other_release", text)
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
