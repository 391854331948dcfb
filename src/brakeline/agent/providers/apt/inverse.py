"""Pure: the exact inverse of a transaction, and what is left of it to do once packages are as they are now.

Made before the transaction begins, so that the way back never depends on what a broken update has left behind. Only
packages that were on this endpoint, only to the versions that they had. Next: `keep` stores it with its archives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.plan import is_older, make_transaction
from brakeline.agent.providers.model import Archive, Inverse, Refused
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


def joined(new: Inverse, earlier: Inverse, place: str = "") -> Inverse:
    """`new` with what `earlier` knows of other packages; its archives lie in `place` then, "" = where they lay."""
    mine = {(a.name, a.architecture) for a in new.transaction.actions}
    more = [a for a in earlier.transaction.actions if (a.name, a.architecture) not in mine]
    names = {(a.name, a.architecture) for a in more}
    files = tuple(
        replace(x, path=f"{place}/{x.path.rpartition('/')[2]}") if place else x
        for x in earlier.archives
        if (x.name, x.architecture) in names
    )
    automatic = tuple(sorted({*new.automatic, *(n for n in earlier.automatic if n in {name for name, _ in names})}))
    whole = make_transaction([*new.transaction.actions, *more])
    return replace(new, transaction=whole, archives=(*new.archives, *files), automatic=automatic)


def left_to_do(inverse: Inverse, installed: Mapping[str, Installed]) -> Transaction | Refused:
    """The actions that are not done yet; what somebody has changed since is left to people."""
    left = []
    for a in inverse.transaction.actions:
        now = installed.get(f"{a.name}:{a.architecture}")
        version = now.version if now is not None and now.present else ""
        if version == a.before:
            left.append(a)
        elif version != a.after:
            return Refused("changed", f"{a.name} is {version or 'gone'} now, not {a.before or 'gone'}: changed since.")
    if not left:
        return Refused("nothing_to_do", "Every package is as it was before that update.")
    return make_transaction(left)


def arguments(transaction: Transaction, archives: Iterable[Archive]) -> tuple[str, ...]:
    """What apt is told: every archive by its file, and what was new by its name with a minus."""
    files = {(x.name, x.architecture, x.version): x.path for x in archives}
    words = []
    for a in transaction.actions:
        if a.kind is ActionKind.REMOVE:
            words.append(f"{a.name}{'' if a.architecture == 'all' else ':' + a.architecture}-")
        else:
            words.append(files[(a.name, a.architecture, a.after)])
    return tuple(words)


def unlike(inverse: Inverse, transaction: Transaction) -> bool:
    """Whether `transaction` has anything that the stored inverse has not: then it is none of it."""
    return not transaction.actions or not set(transaction.actions) <= set(inverse.transaction.actions)
