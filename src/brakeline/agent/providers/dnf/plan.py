"""Pure decisions about a transaction of rpm: what it is, its inverse, what is left of one, what came of it.

The rule is the one of all providers: what `plan` shows is what `apply` does, to the version, or nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterable

from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.dnf.answers import Installed, version_key
from brakeline.agent.providers.model import Inverse, Refused
from brakeline.protocol.messages import Action, ActionKind, PackageChange, Transaction

Known = frozenset[tuple[str, str, str]]  # name, architecture, version


def known(installed: Iterable[Installed]) -> Known:
    return frozenset((p.name, p.architecture, p.version) for p in installed)


def transaction_of(rows: Iterable[Iterable[str]], download_bytes: int = 0, disk_bytes: int = 0) -> Transaction:
    """The child's actions [name, architecture, before, after]."""
    actions = sorted((_action(*row) for row in rows), key=lambda a: (a.name, a.architecture, a.before, a.after))
    return make_transaction(actions, download_bytes, disk_bytes)


def _action(name: str, architecture: str, before: str, after: str) -> Action:
    if not before:
        kind = ActionKind.INSTALL
    elif not after:
        kind = ActionKind.REMOVE
    else:
        older = version_key(after) < version_key(before)
        kind = ActionKind.DOWNGRADE if older else ActionKind.UPGRADE
    return Action(kind, name, architecture, before, after)


def rows_of(transaction: Transaction) -> list[list[str]]:
    """As the child takes it."""
    return [[a.name, a.architecture, a.before, a.after] for a in transaction.actions]


def inverse_of(transaction: Transaction) -> Transaction:
    """What puts everything back as it was."""
    return transaction_of([a.name, a.architecture, a.after, a.before] for a in transaction.actions)


def left_to_do(inverse: Inverse, now: Known) -> Transaction | Refused:
    """The actions that are not done yet; what somebody has changed since is left to people."""
    left = []
    for a in inverse.transaction.actions:
        has_before, has_after = ((a.name, a.architecture, v) in now for v in (a.before, a.after))
        if (has_before or not a.before) and not has_after:
            left.append(a)
        elif has_before or (a.after and not has_after):
            there = ", ".join(sorted(v for n, arch, v in now if (n, arch) == (a.name, a.architecture))) or "gone"
            return Refused("changed", f"{a.name} is {there} now, not {a.before or 'gone'}: changed since.")
    if not left:
        return Refused("nothing_to_do", "Every package is as it was before that update.")
    return make_transaction(left)


def archives_of(inverse: Inverse) -> dict[str, str]:
    """The kept files that what is left of a way back needs, as the child takes them."""
    wanted = {(a.name, a.architecture, a.after) for a in inverse.transaction.actions}
    return {
        "\t".join((x.name, x.architecture, x.version)): x.path
        for x in inverse.archives
        if (x.name, x.architecture, x.version) in wanted
    }


def unproven(transaction: Transaction, installed: Iterable[Installed]) -> tuple[str, ...]:
    """Differences between what the transaction promised and what rpm has now; empty = proven."""
    now, wrong = known(installed), []
    for a in transaction.actions:
        there = ", ".join(sorted(v for n, arch, v in now if (n, arch) == (a.name, a.architecture)))
        if a.after and (a.name, a.architecture, a.after) not in now:
            wrong.append(f"{a.name} should be {a.after}, but is {there or 'not installed'}")
        elif a.before and (a.name, a.architecture, a.before) in now:
            wrong.append(f"{a.name} {a.before} should be gone, but is still recorded")
    return tuple(wrong)


def changes_between(before: Known, after: Known) -> tuple[PackageChange, ...]:
    """What is different now, package by package, by rpm's own records."""
    changes = []
    for name, arch in sorted({(n, a) for n, a, _ in before ^ after}):
        gone = sorted(v for n, a, v in before - after if (n, a) == (name, arch))
        came = sorted(v for n, a, v in after - before if (n, a) == (name, arch))
        for i in range(max(len(gone), len(came))):
            was, now = (gone[i] if i < len(gone) else ""), (came[i] if i < len(came) else "")
            changes.append(PackageChange(name, arch, was, now, "ii" if now else "un"))
    return tuple(changes)


def unordered(transaction: Transaction, before: Known, after: Known) -> tuple[str, ...]:
    """What has changed and was not ordered."""
    keys = {(a.name, a.architecture) for a in transaction.actions}
    changes = changes_between(before, after)
    return tuple(
        f"{c.name} went from {c.before or 'nothing'} to {c.after or 'nothing'}, which was not ordered"
        for c in changes
        if (c.name, c.architecture) not in keys
    )


def problems_of(installed: Iterable[Installed]) -> tuple[str, ...]:
    """Two versions of what may be there once: a transaction was lost between the new and the old one."""
    versions: dict[str, list[str]] = {}
    for p in installed:
        if not p.several:
            versions.setdefault(p.key, []).append(p.version)
    return tuple(
        f"{key.rpartition(':')[0]}: recorded in {len(v)} versions ({', '.join(v)}), a run was interrupted"
        for key, v in sorted(versions.items())
        if len(v) > 1
    )
