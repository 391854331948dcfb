"""Pure decisions about a transaction: what `-Su --print` means, what goes away with it, whether bounds allow it.

pacman prints what an upgrade adds and is silent about what it removes (a replaced package, a conflict). Both are
worked out here from the databases' own words; under pacman's lock `hook` refuses every name that this did not foresee,
so a mistake here costs an update and changes nothing. Versions are compared by pacman's own `vercmp`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from brakeline.agent.providers.apt.plan import make_transaction, named
from brakeline.agent.providers.model import Bounds, Refused
from brakeline.agent.providers.pacman.parse import Configuration, Metadata, Simulation
from brakeline.agent.providers.pacman.records import Installed, by_name
from brakeline.protocol.messages import Action, ActionKind, Transaction, UpdateRef

Compare = Callable[[str, str], int]  # vercmp: < 0, 0, > 0
WHOLE: Final = "pacman supports no partial upgrades: the transaction is the whole upgrade"
_CONSTRAINT: Final = re.compile(r"^([^<>=]+)(<=|>=|=|<|>)?(.*)$")


def satisfied(constraint: str, name: str, version: str, provides: Iterable[str], compare: Compare) -> bool:
    """Whether a package is what `name>=version` speaks of, itself or by what it provides."""
    m = _CONSTRAINT.match(constraint)
    if m is None:
        return False
    offers = [(name, version)]
    for p in provides:
        offered, _, at = p.partition("=")
        offers.append((offered, at))
    return any(n == m[1] and _within(v, m[2] or "", m[3], compare) for n, v in offers)


def _within(version: str, operator: str, wanted: str, compare: Compare) -> bool:
    if not operator:
        return True
    if not version:
        return False  # provided without a version: no versioned constraint is met
    order = compare(version, wanted)
    return {"=": order == 0, "<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}[operator]


def goes_away(
    simulation: Simulation, metadata: Mapping[str, Metadata], installed: Iterable[Installed], compare: Compare
) -> tuple[tuple[tuple[Installed, str], ...], tuple[tuple[Installed, str], ...]]:
    """What is replaced and what is in conflict: (installed package, name of the new one that does it)."""
    adds = {a.name: a for a in simulation.adds}
    replaced, conflicting = [], []
    for p in installed:
        if p.name in adds or not p.sound:
            continue
        provides = p.sections.get("PROVIDES", ())
        for a in simulation.adds:
            new = metadata.get(a.name, Metadata(a.name))
            if any(satisfied(r, p.name, p.version, (), compare) for r in new.replaces):
                replaced.append((p, a.name))
                break
            theirs = any(satisfied(c, p.name, p.version, provides, compare) for c in new.conflicts)
            ours = any(satisfied(c, a.name, a.version, new.provides, compare) for c in p.sections.get("CONFLICTS", ()))
            if theirs or ours:
                conflicting.append((p, a.name))
                break
    return tuple(replaced), tuple(conflicting)


def transaction_of(
    simulation: Simulation, metadata: Mapping[str, Metadata], installed: Iterable[Installed],
    gone: Iterable[Installed],
) -> Transaction:  # fmt: skip
    """The exact transaction: everything that is added, with what goes away."""
    have = by_name(installed)
    actions, growth = [], 0
    for a in simulation.adds:
        was, new = have.get(a.name), metadata.get(a.name, Metadata(a.name))
        before = was.version if was is not None else ""  # half-installed: the version that its entry names
        architecture = new.architecture or (was.architecture if was else "")
        actions.append(
            Action(ActionKind.UPGRADE if before else ActionKind.INSTALL, a.name, architecture, before, a.version)
        )
        growth += new.installed_bytes - (was.installed_bytes if was else 0)
    for p in gone:
        actions.append(Action(ActionKind.REMOVE, p.name, p.architecture, p.version, ""))
        growth -= p.installed_bytes
    return make_transaction(actions, sum(a.download_bytes for a in simulation.adds), growth)


def refuse_unasked(
    updates: Iterable[UpdateRef], transaction: Transaction, installed: Iterable[Installed], compare: Compare
) -> Refused | None:
    """Every update that was asked for and is due here has to come as exactly the version that was named."""
    have = by_name(installed)
    comes = {a.name: a.after for a in transaction.actions if a.after}
    for u in updates:
        p, found = have.get(u.name), comes.get(u.name, "")
        if p is None or p.held or found == u.version or compare(p.version, u.version) >= 0:
            continue
        if found and compare(u.version, found) < 0:
            return Refused(
                "refused", f"{u.name} {u.version} cannot be had any more; the repositories now have {found}."
            )
        return Refused("lists_stale", f"{u.name} {u.version} is not in this endpoint's package lists.")
    return None


def due(updates: Iterable[UpdateRef], installed: Iterable[Installed], compare: Compare) -> tuple[Installed, ...]:
    """The installed packages that are older than an update asks for, or half-installed at its version."""
    have = by_name(installed)
    asked = ((have[u.name], u.version) for u in updates if u.name in have)
    return tuple(p for p, v in asked if (not p.sound and p.version == v) or compare(p.version, v) < 0)


def refuse_conflicts(conflicting: tuple[tuple[Installed, str], ...], bounds: Bounds) -> Refused | None:
    """pacman would ask whether to remove; nobody answers, so without leave to remove nothing is begun."""
    if not conflicting or bounds.allow_removals:
        return None
    text = named(f"{new} is in conflict with {p.name}" for p, new in conflicting)
    return Refused("refused", f"It would remove {named(p.name for p, _ in conflicting)} ({text}), "
                              "and the policy allows no removals.")  # fmt: skip


def explain_whole(updates: Iterable[UpdateRef], transaction: Transaction) -> tuple[str, ...]:
    """A sentence where more comes than was asked for: Arch knows only the whole upgrade."""
    asked = {u.name for u in updates}
    more = [a.name for a in transaction.actions if a.name not in asked]
    if not more:
        return ()
    return (f"{WHOLE} of {len(transaction.actions)} packages, with {named(more)} that were not asked for",)


def held_by(configuration: Configuration, name: str) -> str:
    """For people: by which line of pacman.conf."""
    return "IgnorePkg" if name in configuration.ignored else "IgnorePkg or IgnoreGroup"


def unproven(transaction: Transaction, installed: Iterable[Installed]) -> tuple[str, ...]:
    """Differences between what the transaction promised and what the local database has; empty = proven."""
    have = by_name(installed)
    wrong = []
    for a in transaction.actions:
        now = have.get(a.name)
        if a.kind is ActionKind.REMOVE:
            if now is not None:
                wrong.append(f"{a.name} should be gone, but {now.version} is there ({now.state})")
        elif now is None:
            wrong.append(f"{a.name} should be {a.after}, but is not installed")
        elif now.version != a.after:
            wrong.append(f"{a.name} should be {a.after}, but is {now.version} ({now.state})")
        elif not now.sound:
            wrong.append(f"{a.name} {a.after} is not wholly installed ({now.state})")
    return tuple(wrong)


def archive_of(name: str, version: str, architecture: str, files: Iterable[str]) -> str:
    """The package file of exactly this version among file names; "" = none."""
    stem = f"{name}-{version}-{architecture}.pkg.tar"
    return next((f for f in files if f.startswith(stem) and not f.endswith((".sig", ".part"))), "")


def inverse_of(transaction: Transaction) -> Transaction:
    """What puts everything back as it was: to former versions, new ones away, replaced ones again."""
    return make_transaction(_back(a) for a in transaction.actions if a.before != a.after)


def _back(a: Action) -> Action:
    if not a.before:
        return Action(ActionKind.REMOVE, a.name, a.architecture, a.after, "")
    if not a.after:
        return Action(ActionKind.INSTALL, a.name, a.architecture, "", a.before)
    kind = ActionKind.UPGRADE if a.kind is ActionKind.DOWNGRADE else ActionKind.DOWNGRADE
    return Action(kind, a.name, a.architecture, a.after, a.before)
