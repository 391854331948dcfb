"""Pure: the exact inverse of a transaction by rpm's order of versions, and what is left of it to do.

Only packages that were on this endpoint, only to the versions that they had. What somebody has changed since is left to
people. Next: `back` stores it with its archives.
"""

from __future__ import annotations

from collections.abc import Iterable

from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.model import Inverse, Refused
from brakeline.agent.providers.zypper.rpmdb import Installed, is_older, versions
from brakeline.protocol.messages import Action, ActionKind, Transaction


def inverse_of(transaction: Transaction) -> Transaction:
    """What puts everything back as it was."""
    return make_transaction(_back(a) for a in transaction.actions)


def _back(a: Action) -> Action:
    if not a.before:
        return Action(ActionKind.REMOVE, a.name, a.architecture, a.after, "")
    if not a.after:
        return Action(ActionKind.INSTALL, a.name, a.architecture, "", a.before)
    kind = ActionKind.UPGRADE if is_older(a.after, a.before) else ActionKind.DOWNGRADE
    return Action(kind, a.name, a.architecture, a.after, a.before)


def left_to_do(inverse: Inverse, installed: Iterable[Installed]) -> Transaction | Refused:
    """The actions that are not done yet."""
    there, left = versions(installed), []
    for a in inverse.transaction.actions:
        now = there.get(f"{a.name}:{a.architecture}", ())
        if a.before in now or (not a.before and not now):
            left.append(a)
        elif a.after not in now and (a.after or now):
            is_now = now[-1] if now else "gone"
            return Refused("changed", f"{a.name} is {is_now} now, not {a.before or 'gone'}: changed since.")
    if not left:
        return Refused("nothing_to_do", "Every package is as it was before that update.")
    return make_transaction(left)
