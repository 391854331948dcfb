"""Which updates of Windows would be installed, exactly, and what Windows does not take away again. Pure.

An order names an update by its number and by identifier and revision: what has another revision by now is another
update. Windows has no "version before": an update is in or it is not, so each is new, and its way back is to take it
away, where Windows Update says that it can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.agent.providers.windows.here import shown
from brakeline.agent.providers.windows.wua import Update, overtaken, state_of
from brakeline.protocol.content import Rules
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Package,
    PendingUpdate,
    Transaction,
    UpdateRef,
    UpdateState,
)

LABEL = "wua"
ORIGIN = "Windows Update"


def names(updates: Iterable[Update]) -> dict[str, str]:
    """A name for each, by version: its number, with a part of its identifier where several have that number."""
    every = tuple(updates)
    often = Counter(u.name for u in every)
    return {u.version: u.name if often[u.name] == 1 else f"{u.name}.{u.id[:8]}" for u in every}


def installed(updates: Sequence[Update]) -> tuple[Installed, ...]:
    """What is in, or is in once the machine has restarted."""
    called = names(updates)
    return tuple(
        Installed(called[u.version], LABEL, u.version, shown(u.title), u.version, "ii")
        for u in updates if u.installed or u.waits
    )  # fmt: skip


def packages(updates: Sequence[Update]) -> tuple[Package, ...]:
    return tuple(
        Package(p.name, LABEL, p.version, p.source, p.version, p.state, ORIGIN, "windows") for p in installed(updates)
    )


def waiting(
    updates: Sequence[Update], held: Sequence[str] = (), noted: Sequence[str] = ()
) -> tuple[PendingUpdate, ...]:
    """What waits and would be installed, or why not. `held`: what keeps all of them; `noted`: what is worth knowing."""
    origin = f"{ORIGIN}: {'; '.join(noted)}"[:200] if noted else ORIGIN
    called, gone = names(updates), overtaken(u for u in updates if not u.installed)
    found = []
    for u in updates:
        if u.installed or u.waits or u.id in gone:
            continue
        state, reason = (UpdateState.HELD, held[0]) if held else state_of(u)
        found.append(PendingUpdate(
            called[u.version], LABEL, "", u.version, origin, u.security, state, reason, u.download_bytes,
        ))  # fmt: skip
    return tuple(found)


def plan(
    asked: Iterable[UpdateRef], updates: Sequence[Update], held: Sequence[str], bounds: Bounds, content: Rules
) -> Planned | Refused:
    """The exact transaction for these updates. One that has been overtaken is asked for under the other's name."""
    by_version, called = {u.version: u for u in updates}, names(updates)
    wanted = {v: u for r in asked if (u := by_version.get(v := r.version)) is not None and not u.installed}
    missing = [r.name for r in asked if r.version not in by_version]
    wanted = {v: u for v, u in wanted.items() if not u.waits}
    if not wanted:
        return _nothing(missing)
    if held:
        return Refused("held", held[0])
    gone = overtaken(u for u in updates if not u.installed)
    fit = [u for u in wanted.values() if u.id not in gone and _may(u)]
    left = [f"{called[u.version]}: {_why(u, gone, by_version)}" for u in wanted.values() if u not in fit]
    if not fit:
        code = "held" if all(u.hidden for u in wanted.values()) else "refused"
        return Refused(code, left[0])
    if alone := [u for u in fit if u.alone and len(fit) > 1]:
        return Refused("refused", f"{called[alone[0].version]} must be installed alone: make a deployment for it.")
    made = rules.make_transaction(
        (Action(ActionKind.INSTALL, called[u.version], LABEL, "", u.version) for u in fit),
        sum(u.download_bytes for u in fit), sum(u.download_bytes for u in fit),
    )  # fmt: skip
    refused = rules.refuse_quarantined(made, bounds.without) or rules.refuse_beyond(made, bounds, frozenset())
    if refused := refused or rules.refuse_broken(made, content):
        return refused
    back = {called[u.version]: u.uninstallable for u in fit}
    return Planned(made, tuple(n for n, can in back.items() if can), tuple(n for n, can in back.items() if not can),
                   tuple(left))  # fmt: skip


def _nothing(missing: Sequence[str]) -> Refused:
    if missing:
        said = f"Windows Update does not offer {rules.named(missing)} in that revision to this endpoint."
        return Refused("nothing_to_do", said)
    return Refused("nothing_to_do", "Every update is installed already.")


def _may(u: Update) -> bool:
    """Named by an order, so a driver may come too."""
    return state_of(u)[0] is UpdateState.AVAILABLE or (u.driver and not (u.hidden or u.asks) and u.licence_accepted)


def _why(u: Update, gone: dict[str, str], by_version: dict[str, Update]) -> str:
    if u.id in gone:
        other = next((x.name for x in by_version.values() if x.id == gone[u.id]), gone[u.id])
        return f"{other} has taken its place."
    return state_of(u)[1]


def unproven(transaction: Transaction, have: Iterable[Installed]) -> tuple[str, ...]:
    """Differences between what was promised and what is in, by identifier and revision; empty = proven."""
    there = {p.version for p in have}
    wrong = [f"{a.name} should be installed, but is not" for a in transaction.actions if a.after not in there | {""}]
    return (*wrong, *(f"{a.name} should be gone, but is there" for a in transaction.actions
                      if not a.after and a.before in there))  # fmt: skip


def identities(versions: Iterable[str]) -> list[dict[str, object]]:
    """As the script is asked for them."""
    parts = (v.rpartition(".") for v in versions)
    return [{"id": id_, "revision": int(revision)} for id_, _, revision in parts if revision.isdigit()]


def no_way_back(transaction: Transaction, updates: Iterable[Update]) -> str:
    """Why nothing takes it back, "" = Windows Update says that it can."""
    can = {u.version for u in updates if u.uninstallable}
    bad = [a.name for a in transaction.actions if a.after and a.after not in can]
    return f"Windows Update does not take {rules.named(bad)} away again" if bad else ""
