"""Pure: which updates wait, whether they would be installed now, and if not, why not, in one sentence.

What apt would do is asked of apt (three simulations), never computed again here: phasing, pins and conflicts stay
its own business. Security is what the suite says, of the candidate or of any version that is skipped on the way to
it. Next: `provider` asks and calls `decide`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.parse import Policy, Simulation, suite_text
from brakeline.agent.providers.apt.plan import named
from brakeline.agent.providers.apt.queries import Situation, apt_name
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import PendingUpdate, UpdateState


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the simulations showed. Those that were not needed are None."""

    upgrade: Simulation  # installs nothing new, removes nothing
    with_new: Simulation | None = None  # may install new packages
    full: Simulation | None = None  # may also remove
    unphased: Simulation | None = None  # as `full`, and takes phased updates too
    alone: Mapping[str, Simulation] = field(default_factory=dict)  # by apt's name: this one update by itself
    problems: tuple[str, ...] = ()  # broken packages: with these apt may refuse everything


@dataclass(frozen=True, slots=True)
class Waiting:
    """A package with something newer."""

    package: Installed
    policy: Policy
    apt_name: str


def waiting(situation: Situation) -> tuple[Waiting, ...]:
    """Every present package whose candidate is newer than what is installed."""
    found = []
    for p in situation.installed:
        policy = situation.policy_of(p)
        if p.present and policy is not None and policy.newer():
            found.append(Waiting(p, policy, apt_name(p.name, p.architecture, situation.native)))
    return tuple(found)


def undecided(waits: tuple[Waiting, ...], simulation: Simulation) -> tuple[Waiting, ...]:
    """Those that a simulation does not install and that nobody holds."""
    taken = _taken(simulation)
    return tuple(w for w in waits if not w.package.held and _key(w) not in taken)


def _taken(simulation: Simulation | None) -> set[tuple[str, str]]:
    return {(i.name, i.after) for i in simulation.installs} if simulation else set()


def _key(wait: Waiting) -> tuple[str, str]:
    return wait.package.name, wait.policy.candidate


def decide(
    situation: Situation, waits: tuple[Waiting, ...], evidence: Evidence, sizes: Mapping[tuple[str, str], int],
    content: Rules = BUILT_IN,
) -> tuple[PendingUpdate, ...]:  # fmt: skip
    """All pending updates, sorted by name. `sizes`: bytes to download by (name, version)."""
    found = []
    for w in waits:
        broken = content.broken(w.package.name, w.policy.candidate)
        state, reason = (UpdateState.KEPT_BACK, f"{broken}.") if broken else _state(w, evidence)
        newer = w.policy.newer()
        found.append(
            PendingUpdate(
                name=w.package.name,
                architecture=w.package.architecture,
                installed=w.package.version,
                candidate=w.policy.candidate,
                suite=suite_text(newer[0].sources, situation.releases),
                security=any(
                    situation.releases[f].security for e in newer for f in e.sources if f in situation.releases
                ),
                state=state,
                reason=reason,
                download_bytes=sizes.get(_key(w), 0),
            )
        )
    return tuple(sorted(found, key=lambda u: (u.name, u.architecture)))


def _state(w: Waiting, evidence: Evidence) -> tuple[UpdateState, str]:
    if w.package.held:
        return UpdateState.HELD, "Held on this endpoint by its owner (apt-mark hold)."
    if _key(w) in _taken(evidence.upgrade):
        return UpdateState.AVAILABLE, ""
    if _key(w) in _taken(evidence.with_new):
        return UpdateState.NEEDS_NEW, _needs_new(w, evidence)
    if _key(w) in _taken(evidence.full):
        return UpdateState.NEEDS_REMOVAL, _needs_removal(w, evidence)
    percent = w.policy.newer()[0].phased_percent
    if _key(w) in _taken(evidence.unphased):
        share = "some" if percent is None else f"{percent} % of all"
        return UpdateState.PHASED, f"Phased: offered to {share} machines so far, not yet to this one."
    return UpdateState.KEPT_BACK, _kept_back(w, evidence)


def _needs_new(w: Waiting, evidence: Evidence) -> str:
    simulation = evidence.alone.get(w.apt_name) or evidence.with_new
    new = [i.name for i in simulation.installs if not i.before] if simulation else []
    return f"Needs new packages: {named(new)}." if new else "Needs new packages."


def _needs_removal(w: Waiting, evidence: Evidence) -> str:
    simulation = evidence.alone.get(w.apt_name) or evidence.full
    gone = [name for name, _ in simulation.removals] if simulation else []
    return f"Needs {named(gone)} to be removed." if gone else "Needs other packages to be removed."


def _kept_back(w: Waiting, evidence: Evidence) -> str:
    alone = evidence.alone.get(w.apt_name)
    if evidence.upgrade.errors and evidence.problems:
        return f"The package manager is broken: {evidence.problems[0]}."
    if alone is not None and alone.unmet:
        return f"Kept back: {alone.unmet[0]}."
    if alone is not None and alone.held_changed:
        return f"Kept back: it needs {named(alone.held_changed)} to change, which is held on this endpoint."
    if evidence.upgrade.errors:
        return f"apt cannot upgrade anything: {evidence.upgrade.errors[0]}"
    return "Kept back by apt."
