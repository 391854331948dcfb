"""Which own packages would change, exactly. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.protocol.content import Rules
from brakeline.protocol.messages import Action, ActionKind, UpdateRef
from brakeline.protocol.software import LABEL, Document, WayBack, plain_version

NOTHING = Refused("nothing_to_do", "Every package is installed already, or is none of this endpoint's content.")


class Held(Protocol):
    """The packages that there are (`own.shelf`)."""

    def find(self, name: str, version: str) -> Document | None: ...
    def newest(self) -> dict[str, Document]: ...


Doubt = Callable[[Document], str]  # why it must not be run here, "" = it may


def plan(
    updates: Iterable[UpdateRef], have: Mapping[str, Installed], shelf: Held, bounds: Bounds, content: Rules,
    doubt: Doubt,
) -> Planned | Refused:  # fmt: skip
    """The exact transaction for these versions. `have`: by name."""
    chosen, held = [], []
    for update in updates:
        name = update.name.partition(":")[0]
        found = _wanted(name, update.version, have.get(name), shelf)
        if isinstance(found, Refused):
            return found
        if found is not None and (here := have.get(name)) is not None and here.held:
            held.append(name)
        elif found is not None:
            chosen.append(found)
    if not chosen:
        reason = f"Held on this endpoint by its owner (own.hold): {rules.named(held)}."
        return Refused("held", reason) if held else NOTHING
    if doubted := next(filter(None, map(doubt, chosen)), ""):
        return Refused("not_allowed", doubted)
    made = rules.make_transaction(
        [action_of(d, have.get(d.software.name)) for d in chosen],
        sum(a.bytes for d in chosen if (a := d.software.artifact) is not None and a.url),
        sum(a.bytes for d in chosen if (a := d.software.artifact) is not None),
    )
    refused = rules.refuse_quarantined(made, bounds.without) or rules.refuse_beyond(made, bounds, frozenset())
    if refused := refused or rules.refuse_broken(made, content):
        return refused
    back = {d.software.name: no_way_back(d, have.get(d.software.name), shelf) for d in chosen}
    return Planned(
        made, tuple(n for n, why in back.items() if not why), tuple(n for n, why in back.items() if why),
        tuple(f"{name} is held by the owner" for name in held),
    )  # fmt: skip


def _wanted(name: str, version: str, here: Installed | None, shelf: Held) -> Document | Refused | None:
    """The package to be installed, None = nothing is to be done for this name."""
    newest = shelf.newest().get(name)
    if newest is None or (here is not None and here.version == version and here.sound):
        return None
    older = plain_version(version)
    if here is not None and here.version != version and not rules.is_older(plain_version(here.version), older):
        return None
    found = shelf.find(name, version)
    if found is not None:
        return found
    if rules.is_older(older, newest.software.version):
        return Refused("refused", f"{name} {older} is no longer in this endpoint's content.")
    return Refused("lists_stale", f"{name} {version} is not in the content that this endpoint has.")


def action_of(document: Document, here: Installed | None) -> Action:
    """What installing it is, from what is here."""
    kind = ActionKind.INSTALL if here is None else ActionKind.UPGRADE
    return Action(kind, document.software.name, LABEL, here.version if here else "", document.version)


def no_way_back(document: Document, here: Installed | None, shelf: Held) -> str:
    """Why nothing takes it back, "" = something does."""
    s = document.software
    if s.way_back is WayBack.NONE:
        return f"the author of {s.name} says that nothing takes it back"
    if here is None:
        return "" if s.uninstall else f"{s.name} has no uninstall script"
    if here.version == document.version:
        return f"{s.name} {s.version} is installed once more, over itself"
    if shelf.find(s.name, here.version) is None:
        return f"the package that installed {s.name} {here.version} is not on this endpoint"
    return ""
