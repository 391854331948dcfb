"""Several package managers of one endpoint behind the contract of one: pure composition, no I/O of its own.

Invariants: the first manager is the system's and answers for everything that names no other; a label that begins with
an ecosystem (`pypi`, `pypi-black`) says whose a package is, in its architecture, so that names never collide and the
digest of a transaction covers it; one transaction is one manager's; whoever cannot be looked at is told as a problem
and neither hides nor stops the others ("not known" is never "none"). Next: `detect` (which managers there are).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from brakeline.agent.providers.model import Bounds, Inverse, Known, Order, Planned, Provider, Refreshed, Refused
from brakeline.core.errors import Fault
from brakeline.protocol.managers import SYSTEM, asked_of, ecosystem_of, update_name
from brakeline.protocol.messages import (
    Outcome,
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Transaction,
    TransactionResult,
    UpdateRef,
)


@dataclass(frozen=True, slots=True)
class Manager:
    """One package manager. `ecosystem`: what its labels begin with, `SYSTEM` for the system's own."""

    ecosystem: str
    provider: Provider


@dataclass(frozen=True, slots=True)
class Managers:
    """The contract of `providers.model` over several. `known`: packages as the cell has acknowledged them last."""

    managers: tuple[Manager, ...]
    known: Known = tuple
    name: str = "managers"
    lost: dict[str, str] = field(default_factory=dict, compare=False)  # whom the last survey could not look at, and why

    @property
    def system(self) -> Provider:
        return self.managers[0].provider

    @property
    def beside(self) -> tuple[Manager, ...]:
        return self.managers[1:]

    # --- looking ---

    def inventory(self) -> tuple[Package, ...]:
        """Everything of everybody."""
        return self.survey()[0]

    def available(self) -> tuple[PendingUpdate, ...]:
        return self.survey()[1]

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        """The system's manager must answer, as ever; another that does not keeps its packages as last known."""
        packages, updates = self.system.survey()
        for m in self.beside:
            try:
                more, waiting = m.provider.survey()
                self.lost.pop(m.provider.name, None)
            except (Fault, OSError, ValueError) as e:  # told by `health`
                self.lost[m.provider.name] = str(e)
                more, waiting = tuple(p for p in self.known() if ecosystem_of(p.architecture) == m.ecosystem), ()
            packages, updates = (*packages, *more), (*updates, *map(_named, waiting))
        return packages, updates

    def health(self) -> PackageManagerHealth:
        """`healthy` is the system's manager's; trouble of another is told, under its name, and stops nothing."""
        found = self.system.health()
        problems, lists = list(found.problems), [found.lists_problem]
        for m in self.beside:
            try:
                theirs = m.provider.health()
            except (Fault, OSError, ValueError) as e:
                self.lost.setdefault(m.provider.name, str(e))
                theirs = PackageManagerHealth(healthy=False)
            if why := self.lost.get(m.provider.name):
                problems.append(f"{m.provider.name}: could not be looked at, its packages are as last known: {why}")
            problems += [f"{m.provider.name}: {p}" for p in theirs.problems]
            lists += [f"{m.provider.name}: {theirs.lists_problem}"] if theirs.lists_problem else []
        return replace(found, problems=tuple(problems), lists_problem=" ".join(filter(None, lists)))

    def reboot_need(self) -> RebootNeed:
        """The system's manager's, and what others have written that waits for a restart; who cannot be asked is told
        by `health`."""
        need = self.system.reboot_need()
        for m in self.beside:
            try:
                more = m.provider.reboot_need()
            except (Fault, OSError, ValueError):
                continue
            need = replace(need, required=need.required or more.required, reasons=(*need.reasons, *more.reasons))
        return need

    def refresh(self) -> Refreshed | Refused:
        """Everybody's lists; the answer is the system's manager's, each keeps its own trouble for `health`."""
        answer = self.system.refresh()
        for m in self.beside:
            try:
                m.provider.refresh()
            except (Fault, OSError, ValueError):  # told by `health`
                continue
        return answer

    # --- one transaction, one manager ---

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The transaction of the one manager that has anything to do."""
        answers: list[tuple[str, Planned | Refused]] = []
        for ecosystem in dict.fromkeys(asked_of(u.name) for u in updates):
            mine = tuple(u for u in updates if asked_of(u.name) == ecosystem)
            provider = self._of(ecosystem)
            if provider is None:
                answers.append((ecosystem, Refused("nothing_to_do", f"This endpoint has no {ecosystem} packages.")))
            else:
                answers.append((provider.name, provider.plan(mine, _bounds_of(ecosystem, bounds))))
        busy = [a for a in answers if not (isinstance(a[1], Refused) and a[1].code == "nothing_to_do")]
        if len(busy) > 1:
            names = " and ".join(name for name, _ in busy)
            return Refused(
                "several_managers",
                f"It would take {names}, and one transaction is one manager's: make one deployment for each, the "
                "system's packages first.",
            )
        if busy:
            return busy[0][1]
        return answers[0][1] if answers else self.system.plan(updates, bounds)

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        provider = self._of_transaction(order.transaction)
        return self._unowned(order) if provider is None else provider.apply(order, log)

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Whose it was never changes: what cannot be found now was never begun by anybody here."""
        provider = self._of_transaction(order.transaction)
        if provider is None:
            return replace(self._unowned(order), outcome=Outcome.INTERRUPTED, code="interrupted_unchanged")
        return provider.recover(order, log)

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        """One rollout was one manager's, so at most one has stored a way back."""
        answers = [m.provider.undo(rollout_id, look=look) for m in self.managers]
        found = [a for a in answers if isinstance(a, Inverse)]
        if len(found) > 1:
            return Refused("no_way_back", "More than one package manager stored a way back from that rollout.")
        if found:
            return found[0]
        refusals = [a for a in answers if isinstance(a, Refused)]
        return next((r for r in refusals if r.code != "no_way_back"), refusals[0])

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:
        provider = self._of_transaction(transaction)
        return () if provider is None else provider.changed_conffiles(transaction)

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        provider = self._of_transaction(transaction)
        if provider is None:
            return ("no one package manager here has all these packages",)
        return provider.verify(transaction)

    def _of(self, ecosystem: str) -> Provider | None:
        return next((m.provider for m in self.managers if m.ecosystem == ecosystem), None)

    def _of_transaction(self, transaction: Transaction) -> Provider | None:
        """None: of several managers, or of one that is not here. An empty one is the system's to refuse."""
        owners = ecosystems(transaction)
        return self._of(owners[0]) if len(owners) == 1 else (self.system if not owners else None)

    def _unowned(self, order: Order) -> TransactionResult:
        said = " and ".join(e or self.system.name for e in ecosystems(order.transaction))
        return TransactionResult(
            order.transaction_id, order.offer_id, order.rollout_id, order.generation, Outcome.REFUSED, "no_manager",
            f"Nothing was changed: no one package manager of this endpoint has packages of {said}.",
            health=self.system.health(),
        )  # fmt: skip


def _named(update: PendingUpdate) -> PendingUpdate:
    """As a deployment names it: with the label that says whose it is."""
    return replace(update, name=update_name(update.name, update.architecture))


def _bounds_of(ecosystem: str, bounds: Bounds) -> Bounds:
    """What is quarantined of this manager's, under the names that it has for its packages."""
    mine = (u for u in bounds.without if asked_of(u.name) == ecosystem)
    if ecosystem == SYSTEM:
        return replace(bounds, without=tuple(mine))
    return replace(bounds, without=tuple(replace(u, name=u.name.partition(":")[0]) for u in mine))


def ecosystems(transaction: Transaction) -> tuple[str, ...]:
    """Whose packages a transaction would change, each once."""
    return tuple(dict.fromkeys(_labels(a.architecture for a in transaction.actions)))


def _labels(architectures: Iterable[str]) -> Iterable[str]:
    return (ecosystem_of(a) for a in architectures)
