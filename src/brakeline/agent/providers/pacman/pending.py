"""Which updates wait, whether they would be installed now, and if not, why not, in one sentence.

pacman upgrades all or nothing: what stands in the way of one update stands in the way of every one that is not held.
Next: `provider` shows them; `planner` plans the whole.
"""

from __future__ import annotations

from dataclasses import replace

from brakeline.agent.providers.apt.plan import named
from brakeline.agent.providers.model import WAS_TAKEN_BACK
from brakeline.agent.providers.pacman import plan as rules
from brakeline.agent.providers.pacman.parse import Configuration, Pending, Simulation
from brakeline.agent.providers.pacman.queries import Queries
from brakeline.agent.providers.pacman.records import Installed, by_name
from brakeline.agent.providers.pacman.taken_back import TakenBack
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import PendingUpdate, UpdateRef, UpdateState


def found(
    queries: Queries, known: Configuration, installed: tuple[Installed, ...], content: Rules = BUILT_IN
) -> tuple[PendingUpdate, ...]:
    """Asked of one endpoint; as few calls as the case needs."""
    waits = queries.pending(known)
    if not waits:
        return ()
    simulation = queries.simulate(known)
    names = [w.name for w in waits]
    metadata = queries.metadata(known, dict.fromkeys([*names, *(a.name for a in simulation.adds)]))
    replaced, conflicting = rules.goes_away(simulation, metadata, installed, queries.compare)
    origins = queries.repositories(known)
    gone = {new: p.name for p, new in (*replaced, *conflicting)}
    found = decide(waits, simulation, installed, gone, origins, content)
    back = frozenset(TakenBack(queries.runner).known())
    return tuple(
        replace(u, state=UpdateState.HELD, reason=WAS_TAKEN_BACK) if UpdateRef(u.name, u.candidate) in back else u
        for u in found
    )


def decide(
    waits: tuple[Pending, ...],
    simulation: Simulation,
    installed: tuple[Installed, ...],
    gone: dict[str, str],
    origins: dict[tuple[str, str], str],
    content: Rules = BUILT_IN,
) -> tuple[PendingUpdate, ...]:
    """Pure: all pending updates, sorted by name. `gone`: new package -> what has to go for it."""
    have, sizes = by_name(installed), {a.name: a.download_bytes for a in simulation.adds}
    new = [a.name for a in simulation.adds if a.name not in have]
    result = []
    for w in sorted(waits, key=lambda w: w.name):
        broken = content.broken(w.name, w.candidate)
        state, reason = (UpdateState.KEPT_BACK, f"{broken}.") if broken else _state(w, simulation, new, gone)
        result.append(
            PendingUpdate(
                name=w.name, architecture=have[w.name].architecture if w.name in have else "", installed=w.installed,
                candidate=w.candidate, suite=origins.get((w.name, w.candidate), ""), security=False, state=state,
                reason=reason, download_bytes=sizes.get(w.name, 0),
            )
        )  # fmt: skip
    return tuple(result)


def _state(w: Pending, simulation: Simulation, new: list[str], gone: dict[str, str]) -> tuple[UpdateState, str]:
    if w.ignored:
        return UpdateState.HELD, "Held on this endpoint by its owner (IgnorePkg or IgnoreGroup in pacman.conf)."
    if simulation.errors:
        return UpdateState.KEPT_BACK, f"Kept back with the whole upgrade: {simulation.errors[0]}."
    if gone:
        names = named(dict.fromkeys(gone.values()))
        return UpdateState.NEEDS_REMOVAL, f"The whole upgrade, of which this is a part, needs {names} to be removed."
    if new:
        return UpdateState.NEEDS_NEW, f"The whole upgrade, of which this is a part, needs new packages: {named(new)}."
    return UpdateState.AVAILABLE, ""
