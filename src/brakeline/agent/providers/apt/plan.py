"""Pure decisions about a transaction: what a simulation means, whether bounds allow it, whether two are the same.

The rule: what `plan` shows is what `apply` does, to the version, or nothing is done. The simulation is compared here;
the list that apt is about to hand to dpkg is compared again by `hook`, under the lock. Next: `apply`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.parse import Simulation
from brakeline.agent.providers.model import Bounds, Refused
from brakeline.core.debversion import BadVersion, deb_key
from brakeline.protocol.content import Rules
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import Action, ActionKind, Transaction, UpdateRef

NAMED_MAX = 5  # how many packages a sentence names before it says "and N more"


def transaction_of(
    simulation: Simulation, installed: Mapping[str, Installed], download_bytes: int = 0, disk_bytes: int = 0
) -> Transaction:
    """The exact transaction that a simulation describes. `installed`: by `name:architecture`."""
    actions = [_install_action(i.name, i.architecture, i.before, i.after) for i in simulation.installs]
    actions += [_removal_action(name, version, installed) for name, version in simulation.removals]
    return make_transaction(actions, download_bytes, disk_bytes)


def make_transaction(actions: Iterable[Action], download_bytes: int = 0, disk_bytes: int = 0) -> Transaction:
    """Actions in their stable order, with the digest over them."""
    ordered = tuple(sorted(actions, key=lambda a: (a.name, a.architecture)))
    return Transaction(ordered, transaction_digest(ordered), download_bytes, disk_bytes)


def _install_action(name: str, architecture: str, before: str, after: str) -> Action:
    if not before:
        return Action(ActionKind.INSTALL, name, architecture, "", after)
    kind = ActionKind.DOWNGRADE if is_older(after, before) else ActionKind.UPGRADE
    return Action(kind, name, architecture, before, after)


def _removal_action(name: str, version: str, installed: Mapping[str, Installed]) -> Action:
    bare, _, architecture = name.partition(":")
    if not architecture:  # apt leaves out its own architecture, and `all`
        matching = [p for p in installed.values() if p.name == bare and p.version == version and p.present]
        architecture = matching[0].architecture if matching else ""
    return Action(ActionKind.REMOVE, bare, architecture, version, "")


def is_older(left: str, right: str) -> bool:
    """`left` < `right` by Debian's order; a version that is none is older than nothing."""
    try:
        return deb_key(left) < deb_key(right)
    except BadVersion:
        return False


def named(names: Iterable[str]) -> str:
    """A list for a sentence: `a, b, c and 7 more`."""
    names = list(dict.fromkeys(names))
    shown = ", ".join(names[:NAMED_MAX])
    return shown if len(names) <= NAMED_MAX else f"{shown} and {len(names) - NAMED_MAX} more"


def wanted(updates: Iterable[UpdateRef], installed: Iterable[Installed]) -> tuple[tuple[Installed, str], ...]:
    """Which installed packages the updates speak of and are older than asked: (package, version to go to).

    A name means the package in every architecture that is installed; `name:architecture` means one.
    """
    asked = {u.name: u.version for u in updates}
    found = []
    for p in installed:
        version = asked.get(p.key, asked.get(p.name, ""))
        if version and p.present and (is_older(p.version, version) or (not p.sound and p.version == version)):
            found.append((p, version))
    return tuple(found)


def refuse_beyond(transaction: Transaction, bounds: Bounds, held: frozenset[str]) -> Refused | None:
    """None if the bounds allow the transaction; else what they forbid. `held`: keys that the endpoint's owner holds."""
    of = {kind: [a for a in transaction.actions if a.kind is kind] for kind in ActionKind}
    if touched := [a.name for a in transaction.actions if f"{a.name}:{a.architecture}" in held]:
        return Refused("held", f"It would change {named(touched)}, held back on this endpoint by its owner.")
    if of[ActionKind.REMOVE] and not bounds.allow_removals:
        gone = named(a.name for a in of[ActionKind.REMOVE])
        return Refused("refused", f"It would remove {gone}, and the policy allows no removals.")
    if of[ActionKind.INSTALL] and not bounds.allow_new_packages:
        new = named(a.name for a in of[ActionKind.INSTALL])
        return Refused("refused", f"It needs new packages ({new}), and the policy allows none.")
    if of[ActionKind.DOWNGRADE] and not bounds.allow_downgrades:
        back = named(a.name for a in of[ActionKind.DOWNGRADE])
        return Refused("refused", f"It would put back an older version of {back}, and the policy allows no downgrades.")
    return None


def refuse_broken(transaction: Transaction, content: Rules) -> Refused | None:
    """What the endpoint's content knows against a version that the transaction would install."""
    known = (content.broken(a.name, a.after) for a in transaction.actions if a.after)
    reason = next(filter(None, known), "")
    return Refused("known_broken", f"{reason}.") if reason else None


def refuse_quarantined(transaction: Transaction, without: Iterable[UpdateRef]) -> Refused | None:
    """What the cell's quarantine says of a version that the transaction would install."""
    pins = {(u.name, u.version) for u in without}
    bad = [f"{a.name} {a.after}" for a in transaction.actions if (a.name, a.after) in pins]
    return Refused("quarantined", f"It would install {named(bad)}, which is quarantined.") if bad else None


def difference(ordered: Transaction, found: Transaction) -> str:
    """What is different between the ordered transaction and the one that would happen now; "" = exactly the same."""
    if ordered.digest == found.digest and ordered.actions == found.actions:
        return ""
    want = {(a.name, a.architecture): a for a in ordered.actions}
    have = {(a.name, a.architecture): a for a in found.actions}
    parts = [f"{have[k].name} would also {_verb(have[k])}" for k in sorted(have.keys() - want.keys())]
    parts += [f"{want[k].name} would not {_verb(want[k])}" for k in sorted(want.keys() - have.keys())]
    parts += [
        f"{have[k].name} would {_verb(have[k])} instead of {_verb(want[k])}"
        for k in sorted(want.keys() & have.keys())
        if want[k] != have[k]
    ]
    return "; ".join(parts[:NAMED_MAX]) or "the order of the transaction does not fit its digest"


def _verb(action: Action) -> str:
    match action.kind:
        case ActionKind.REMOVE:
            return f"be removed ({action.before})"
        case ActionKind.INSTALL:
            return f"be installed ({action.after})"
        case _:
            return f"go from {action.before} to {action.after}"


def arguments(transaction: Transaction) -> tuple[str, ...]:
    """What apt is told: every upgrade with its version. New packages and removals follow from these and are left to
    apt's own resolver (naming a new one would mark it as installed by hand); the hook proves that they came as
    ordered."""
    return tuple(
        argument(a.name, a.architecture, a.after)
        for a in transaction.actions
        if a.kind in (ActionKind.UPGRADE, ActionKind.DOWNGRADE)
    )


def named_versions(targets: Iterable[tuple[Installed, str]]) -> tuple[str, ...]:
    """Packages with the versions that they go to, in the order and spelling of `arguments`."""
    ordered = sorted(targets, key=lambda t: (t[0].name, t[0].architecture))
    return tuple(argument(p.name, p.architecture, version) for p, version in ordered)


def argument(name: str, architecture: str, version: str) -> str:
    """One package at one version, as apt is told it; what is for all architectures is named without."""
    return f"{name}{'' if architecture == 'all' else ':' + architecture}={version}"


def unproven(transaction: Transaction, installed: Mapping[str, Installed]) -> tuple[str, ...]:
    """Differences between what the transaction promised and what dpkg has now; empty = proven."""
    wrong = []
    for a in transaction.actions:
        now = installed.get(f"{a.name}:{a.architecture}")
        if a.kind is ActionKind.REMOVE:
            if now is not None and now.present:
                wrong.append(f"{a.name} should be gone, but {now.version} is there ({now.state})")
        elif now is None or not now.present:
            wrong.append(f"{a.name} should be {a.after}, but is not installed")
        elif now.version != a.after:
            wrong.append(f"{a.name} should be {a.after}, but is {now.version} ({now.state})")
        elif not now.sound:
            wrong.append(f"{a.name} {a.after} is not wholly installed ({now.state})")
    return tuple(wrong)
