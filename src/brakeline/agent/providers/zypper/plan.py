"""Pure decisions about a transaction: what zypper's summary means, whether bounds allow it, whether it came.

The rule: what `plan` shows is what `apply` gives to rpm, to the version, or nothing is done. A vendor is never changed:
software of one origin is not replaced by another's because its number is higher. Next: `planner`, `apply`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from brakeline.agent.providers.apt.plan import make_transaction, named
from brakeline.agent.providers.model import Bounds, Refused
from brakeline.agent.providers.zypper.answers import Step, Summary
from brakeline.agent.providers.zypper.rpmdb import Installed, is_older, versions
from brakeline.protocol.messages import Action, ActionKind, Transaction, UpdateRef

Held = Mapping[str, str]  # `name:architecture` -> the words of the lock that holds it


def transaction_of(summary: Summary) -> Transaction:
    """The exact transaction that a summary describes. A change of architecture is a removal and an installation."""
    actions = [a for step in summary.steps for a in _actions(step)]
    return make_transaction(dict.fromkeys(actions), summary.download_bytes, summary.disk_bytes)


def _actions(s: Step) -> tuple[Action, ...]:
    if s.kind == "to-remove":
        return (Action(ActionKind.REMOVE, s.name, s.architecture, s.before, ""),)
    if not s.before:
        return (Action(ActionKind.INSTALL, s.name, s.architecture, "", s.after),)
    if s.architecture_before not in ("", s.architecture):
        return (
            Action(ActionKind.REMOVE, s.name, s.architecture_before, s.before, ""),
            Action(ActionKind.INSTALL, s.name, s.architecture, "", s.after),
        )
    kind = ActionKind.DOWNGRADE if is_older(s.after, s.before) else ActionKind.UPGRADE
    return (Action(kind, s.name, s.architecture, s.before, s.after),)


def wanted(updates: Iterable[UpdateRef], installed: Iterable[Installed]) -> tuple[tuple[Installed, str], ...]:
    """Which installed packages the updates speak of and are older than asked: (newest here, version to go to)."""
    asked = {u.name: u.version for u in updates}
    installed = tuple(installed)
    newest = {key: v[-1] for key, v in versions(installed).items()}
    found = []
    for p in installed:
        version = asked.get(p.key, asked.get(p.name, ""))
        if version and p.version == newest[p.key] and is_older(p.version, version):
            found.append((p, version))
    return tuple(found)


def named_versions(targets: Iterable[tuple[Installed, str]]) -> tuple[str, ...]:
    """Packages with the versions that they go to, in the order and spelling of `arguments`."""
    ordered = sorted(targets, key=lambda t: (t[0].name, t[0].architecture))
    return tuple(argument(p.name, p.architecture, version) for p, version in ordered)


def argument(name: str, architecture: str, version: str) -> str:
    """One version of one package, as zypper takes it."""
    return f"{name}.{architecture}={version}"


def arguments(transaction: Transaction) -> tuple[str, ...]:
    """What zypper is told to come to this transaction again, and to no other: every package of it, by its version."""
    gone = [f"!{a.name}.{a.architecture}" for a in transaction.actions if a.kind is ActionKind.REMOVE]
    return (*(argument(a.name, a.architecture, a.after) for a in transaction.actions if a.after), *gone)


def refuse_vendors(summary: Summary) -> Refused | None:
    """None, or which packages would change their vendor."""
    if summary.vendor_changes:
        names = named(summary.vendor_changes)
        return Refused("vendor", f"It would change the vendor of {names}; that is for the endpoint's owner to do.")
    return None


def beside(transaction: Transaction, installed: Iterable[Installed], several: frozenset[str]) -> frozenset[str]:
    """Names that are installed beside their other versions (kernels): rpm must not replace those."""
    there = {p.name for p in installed}
    return frozenset(a.name for a in transaction.actions if a.kind is ActionKind.INSTALL and a.name in there & several)


def unproven(transaction: Transaction, installed: Iterable[Installed]) -> tuple[str, ...]:
    """Differences between what the transaction promised and what rpm has now; empty = proven."""
    there = versions(installed)
    wrong = []
    for a in transaction.actions:
        now = there.get(f"{a.name}:{a.architecture}", ())
        if a.kind is ActionKind.REMOVE:
            if a.before in now:
                wrong.append(f"{a.name} should be gone, but {a.before} is there")
        elif a.after not in now:
            is_now = f"is {now[-1]} (ii)" if now else "is not installed"
            wrong.append(f"{a.name} should be {a.after}, but {is_now}")
        elif a.before and a.before in now:
            wrong.append(f"{a.name} {a.before} should be gone, but is recorded beside {a.after}")
    return tuple(wrong)


def refuse_beyond(transaction: Transaction, bounds: Bounds, held: Held) -> Refused | None:
    """None if the bounds allow the transaction; else what they forbid."""
    of = {kind: [a for a in transaction.actions if a.kind is kind] for kind in ActionKind}
    if touched := [a.name for a in transaction.actions if a.before and f"{a.name}:{a.architecture}" in held]:
        return Refused("held", f"It would change {named(touched)}, locked on this endpoint by its owner.")
    for kind, allowed, saying in (
        (ActionKind.REMOVE, bounds.allow_removals, "It would remove {}, and the policy allows no removals."),
        (ActionKind.INSTALL, bounds.allow_new_packages, "It needs new packages ({}), and the policy allows none."),
        (
            ActionKind.DOWNGRADE,
            bounds.allow_downgrades,
            "It would put back an older version of {}, and the policy allows no downgrades.",
        ),
    ):
        if of[kind] and not allowed:
            return Refused("refused", saying.format(named(a.name for a in of[kind])))
    return None
