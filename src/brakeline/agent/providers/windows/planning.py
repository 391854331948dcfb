"""Which programs would change, exactly, and what nothing takes back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.agent.providers.windows.here import Here, of_user
from brakeline.agent.providers.windows.listed import Catalogue, Listed
from brakeline.protocol.content import Rules
from brakeline.protocol.messages import Action, ActionKind, PendingUpdate, Transaction, UpdateRef, UpdateState

NOTHING = Refused("nothing_to_do", "Every program is installed already, or programs.json of this endpoint has it not.")
HELD = "Held on this endpoint by its owner (programs.hold)."
OF_A_USER = "Installed for one user: it is changed in that user's session, and nobody may be logged on."
TWICE = "Two of its versions are installed beside each other: a person must say which one stays."
Have = Callable[[str, str], bool]  # name, version: whether its file is kept here or listed


def waiting(have: Sequence[Here], catalogue: Catalogue) -> tuple[PendingUpdate, ...]:
    """What the owner's list has newer. A program that is not here is nobody's update: it comes by name."""
    found = []
    for h in have:
        newest = newest_of(catalogue.of(h.package.name)) if h.listed else None
        if newest is not None and rules.is_older(h.package.version, newest.version):
            state, reason = state_of(h, have)
            found.append(PendingUpdate(
                h.package.name, h.package.architecture, h.package.version, newest.version, "programs.json", False,
                state, reason, newest.bytes,
            ))  # fmt: skip
    return tuple(found)


def state_of(h: Here, have: Iterable[Here]) -> tuple[UpdateState, str]:
    if h.package.held:
        return UpdateState.HELD, HELD
    if of_user(h.package.architecture):
        return UpdateState.KEPT_BACK, OF_A_USER
    if _twice(h, have):
        return UpdateState.KEPT_BACK, TWICE
    return UpdateState.AVAILABLE, ""


def _twice(h: Here, have: Iterable[Here]) -> bool:
    mine = [x for x in have if h.program.upgrade and x.program.upgrade == h.program.upgrade]
    return len({x.program.product for x in mine if not x.program.user}) > 1


def newest_of(versions: Iterable[Listed]) -> Listed | None:
    best: Listed | None = None
    for p in versions:
        if best is None or rules.is_older(best.version, p.version):
            best = p
    return best


def plan(
    updates: Iterable[UpdateRef], have: Sequence[Here], catalogue: Catalogue, bounds: Bounds, content: Rules, kept: Have
) -> Planned | Refused:  # fmt: skip
    """The exact transaction for these versions."""
    chosen: list[tuple[Listed, Here | None]] = []
    held, left = list[str](), list[str]()
    for update in updates:
        name, _, label = update.name.partition(":")
        mine = [h for h in have if h.package.name == name and label in ("", h.package.architecture)]
        wanted = _wanted(name, update.version, mine, catalogue)
        if isinstance(wanted, Refused):
            return wanted
        if wanted is None:
            continue
        state, reason = state_of(mine[0], have) if mine else (UpdateState.AVAILABLE, "")
        if state is UpdateState.HELD:
            held.append(name)
        elif state is not UpdateState.AVAILABLE:
            left.append(f"{name}: {reason}")
        else:
            chosen.append((wanted, mine[0] if mine else None))
    if not chosen:
        return _nothing(held, left)
    made = rules.make_transaction(
        [action_of(p, h) for p, h in chosen], sum(p.bytes for p, _ in chosen), sum(2 * p.bytes for p, _ in chosen)
    )
    refused = rules.refuse_quarantined(made, bounds.without) or rules.refuse_beyond(made, bounds, frozenset())
    if refused := refused or rules.refuse_broken(made, content):
        return refused
    back = {p.name: no_way_back(action_of(p, h), p, kept) for p, h in chosen}
    return Planned(
        made, tuple(n for n, why in back.items() if not why), tuple(n for n, why in back.items() if why),
        (*(f"{name} is held by the owner" for name in held), *left),
    )  # fmt: skip


def _nothing(held: list[str], left: list[str]) -> Refused:
    if held:
        return Refused("held", f"Held on this endpoint by its owner (programs.hold): {rules.named(held)}.")
    return Refused("refused", left[0]) if left else NOTHING


def _wanted(name: str, version: str, mine: Sequence[Here], catalogue: Catalogue) -> Listed | Refused | None:
    """The package to be installed, None = nothing is to be done for this name."""
    newest = newest_of(catalogue.of(name))
    here = mine[0].package.version if mine else ""
    if newest is None or here == version or (here and not rules.is_older(here, version)):
        return None
    if (found := catalogue.find(name, version)) is not None:
        return found
    if rules.is_older(version, newest.version):
        return Refused("refused", f"{name} {version} is not in programs.json of this endpoint any more.")
    return Refused("lists_stale", f"{name} {version} is not in programs.json of this endpoint.")


def action_of(p: Listed, h: Here | None) -> Action:
    """What installing it is, from what is here."""
    kind = ActionKind.UPGRADE if h is not None else ActionKind.INSTALL
    label = h.package.architecture if h is not None else p.architecture
    return Action(kind, p.name, label, h.package.version if h else "", p.version)


def no_way_back(a: Action, p: Listed, kept: Have) -> str:
    """Why nothing takes it back, "" = something does. Windows Installer takes products away; an EXE's maker may not."""
    if p.kind == "exe":
        return f"{p.name} comes by an installer of its own, and none of those puts an older version back"
    if a.before and not kept(a.name, a.before):
        return f"the package of {a.name} {a.before} is neither in programs.json nor kept here"
    return ""


def moved(transaction: Transaction, have: Sequence[Here], *, back: bool) -> Refused | None:
    """Why the endpoint is not as the plan saw it. `back`: a way back, which holds do not stop."""
    now = {(h.package.name, h.package.architecture): h for h in have}
    for a in transaction.actions:
        h = now.get((a.name, a.architecture))
        if h is not None and not back:
            state, reason = state_of(h, have)
            if state is not UpdateState.AVAILABLE:
                return Refused("held" if state is UpdateState.HELD else "changed", f"{a.name}: {reason}")
        if not back and (not a.after or (a.before and not rules.is_older(a.before, a.after))):
            return Refused("refused", f"{a.name}: only a way back removes a program or puts an older version back.")
        there = h.package.version if h else ""
        if there != a.before:
            return Refused("changed", f"The situation has changed since the plan: {a.name} is {there or 'gone'}, "
                                      f"not {a.before or 'gone'}.")  # fmt: skip
    return None
