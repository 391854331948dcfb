"""What waits on this endpoint, and why each that waits would not be installed now.

Versions come from `list-updates --all`, security from the vendor's patches (never from the name of a CVE), the state of
each from a dry run: all together first, one by one only where that leaves a question. A patch that wants a restart is
named in `suite`: `zypper --non-interactive patch` would leave it out without a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from brakeline.agent.providers.apt.plan import named
from brakeline.agent.providers.model import WAS_TAKEN_BACK
from brakeline.agent.providers.zypper import answers, rpmdb
from brakeline.agent.providers.zypper import plan as rules
from brakeline.agent.providers.zypper.answers import Fixed, Patch, Summary, Waiting
from brakeline.agent.providers.zypper.planner import INSTALL, Planner
from brakeline.agent.providers.zypper.rpmdb import Installed
from brakeline.agent.providers.zypper.taken_back import TakenBack
from brakeline.protocol.messages import ActionKind, PendingUpdate, UpdateRef, UpdateState

ALONE_MAX: Final = 12  # updates that are resolved one by one to say why they wait


@dataclass(frozen=True, slots=True)
class Pending:
    """Looks at what waits on one endpoint."""

    planner: Planner

    def look(self, installed: Iterable[Installed]) -> tuple[PendingUpdate, ...]:
        installed = tuple(installed)
        ask = self.planner.tools.ask_zypper
        waits = newer(answers.updates(ask("list-updates", "-t", "package", "--all").text), installed)
        if not waits:
            return ()
        patches = answers.patches(ask("list-patches").text)
        speaks = answers.fixed(ask("info", "-t", "patch", *(p.name for p in patches)).text) if patches else ()
        back = frozenset(TakenBack(self.planner.tools).known())
        taken = {w.key: "" for w in waits if UpdateRef(w.name, w.candidate) in back}
        held = self.planner.held(installed) | taken
        free = [w for w in waits if w.key not in held]
        together = self._dry(free) if free else Summary(True)
        plain = is_plain(together, free)
        alone = {} if plain else {w.key: self._dry([w]) for w in free[:ALONE_MAX]}
        return tuple(
            replace(u, state=UpdateState.HELD, reason=WAS_TAKEN_BACK) if w.key in taken else u
            for w in waits
            for u in (
                decide(w, held.get(w.key, ""), together if plain else alone.get(w.key), advised(w, patches, speaks)),
            )
        )

    def _dry(self, waits: list[Waiting]) -> Summary:
        words = (rules.argument(w.name, w.architecture, w.candidate) for w in waits)
        return answers.summary(self.planner.tools.ask_zypper(*INSTALL, "--dry-run", *words).text)


def newer(found: Iterable[Waiting], installed: tuple[Installed, ...]) -> tuple[Waiting, ...]:
    """One line for each installed package: the newest version offered, with what rpm's records have."""
    there = rpmdb.versions(installed)
    best: dict[str, Waiting] = {}
    for w in found:
        now = there.get(w.key, ())
        if (
            now
            and rpmdb.is_older(now[-1], w.candidate)
            and (w.key not in best or rpmdb.is_older(best[w.key].candidate, w.candidate))
        ):
            best[w.key] = Waiting(w.name, w.architecture, now[-1], w.candidate, w.repository)
    return tuple(best[key] for key in sorted(best))


def is_plain(together: Summary, waits: list[Waiting]) -> bool:
    """Everything goes, and nothing else comes or goes with it."""
    steps = rules.transaction_of(together).actions
    return (
        together.found
        and not together.vendor_changes
        and {(f"{a.name}:{a.architecture}", a.after) for a in steps} == {(w.key, w.candidate) for w in waits}
        and all(a.kind is ActionKind.UPGRADE for a in steps)
    )


def advised(w: Waiting, patches: Iterable[Patch], speaks: Iterable[Fixed]) -> tuple[Patch, ...]:
    """The patches that this update belongs to."""
    names = {f.patch for f in speaks if f.name == w.name and not rpmdb.is_older(w.candidate, f.version)}
    return tuple(p for p in patches if p.name in names)


def decide(w: Waiting, lock: str, found: Summary | None, patches: tuple[Patch, ...]) -> PendingUpdate:
    """One update with its state. `found` None = not resolved alone, there were too many."""
    state, reason = _state(w, lock, found)
    suite = "; ".join([w.repository, *(p.told for p in patches)])
    security = any(p.security for p in patches)
    size = found.download_bytes if found is not None and len(found.steps) == 1 else 0
    return PendingUpdate(w.name, w.architecture, w.installed, w.candidate, suite, security, state, reason, size)


def _state(w: Waiting, lock: str, found: Summary | None) -> tuple[UpdateState, str]:
    if lock:
        return UpdateState.HELD, f"Held on this endpoint by its owner (lock {lock})."
    if found is None:
        return UpdateState.KEPT_BACK, "Kept back: not all updates go together, and this one was not tried alone."
    if found.would_remove:
        return UpdateState.NEEDS_REMOVAL, f"Needs {named(found.would_remove)} to be removed."
    if not found.found or not found.steps:
        words = found.problems or found.errors or ("zypper would not install it and gives no reason",)
        return UpdateState.KEPT_BACK, f"Kept back: {words[0].rstrip('.')}."
    if found.vendor_changes:
        return UpdateState.KEPT_BACK, f"Kept back: it would change the vendor of {named(found.vendor_changes)}."
    actions = rules.transaction_of(found).actions
    if gone := [a.name for a in actions if a.kind is ActionKind.REMOVE]:
        return UpdateState.NEEDS_REMOVAL, f"Needs {named(gone)} to be removed."
    if new := [a.name for a in actions if a.kind is ActionKind.INSTALL and a.name != w.name]:
        return UpdateState.NEEDS_NEW, f"Needs new packages: {named(new)}."
    return UpdateState.AVAILABLE, ""
