"""The provider of own packages: the contract of `providers.model` over what this endpoint's content and root allow.

Reading needs no privilege and starts no program. `apply` runs as root, in the transaction's own unit, what enough of
the authors in root's `authors.json` have signed. Expected trouble comes back as values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key
from brakeline.agent.providers.apt.inverse import left_to_do
from brakeline.agent.providers.apt.runner import Machine, Runner
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refreshed, Refused
from brakeline.agent.providers.own import planning, shelf
from brakeline.agent.providers.own.apply import OwnApplier
from brakeline.agent.providers.own.keep import Keeper
from brakeline.agent.providers.own.looking import installed, records
from brakeline.agent.providers.own.shelf import Shelf
from brakeline.agent.providers.own.staging import Store
from brakeline.core.clock import Clock
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import (
    Outcome,
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Transaction,
    TransactionResult,
    UpdateRef,
    UpdateState,
)
from brakeline.protocol.software import Document, plain_version
from brakeline.protocol.trusted_authors import AUTHORS, AUTHORS_BYTES_MAX, Authors, disbelieved, nobody, read_authors

ORIGIN = "own"
STATES = {"iF": "a script of it failed after it was installed"}


@dataclass(frozen=True, slots=True)
class OwnProvider:
    """Own packages of one endpoint. `content`: this process's content, None = it was given none."""

    clock: Clock
    runner: Runner = field(default_factory=Machine)
    content: Path | None = None
    work_dir: str = "/var/lib/brakeline-helper/tx"
    store_dir: str = "/var/lib/brakeline-helper/own"
    back_dir: str = "/var/lib/brakeline-helper/back-own"
    stopping: Callable[[], bool] = bool
    rules: Rules = BUILT_IN
    name: str = "own"

    # --- looking ---

    def inventory(self) -> tuple[Package, ...]:
        return self.survey()[0]

    def _installed(self, held: Shelf | None = None) -> tuple[Installed, ...]:
        known = (held or self._content()).newest()
        return installed(self.runner, {name: d.software.detection for name, d in known.items()})

    def _content(self) -> Shelf:
        return shelf.load(self.content)

    def available(self) -> tuple[PendingUpdate, ...]:
        return self.survey()[1]

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        held = self._content()
        have = self._installed(held)
        packages = tuple(
            Package(p.name, p.architecture, p.version, p.name, plain_version(p.version), p.state, ORIGIN, "own")
            for p in have
        )
        return packages, self._waiting(held, have)

    def _waiting(self, held: Shelf, have: tuple[Installed, ...]) -> tuple[PendingUpdate, ...]:
        """What is here in an older version than content has. What is not here is nobody's update: it comes by name."""
        newest, authors = held.newest(), self._authors()
        waits = []
        for p in have:
            document = newest.get(p.name)
            if document is not None and rules.is_older(plain_version(p.version), document.software.version):
                state, reason = self._state(p, document, authors)
                artifact = document.software.artifact
                waits.append(PendingUpdate(
                    p.name, p.architecture, p.version, document.version, ORIGIN, False, state, reason,
                    artifact.bytes if artifact is not None and artifact.url else 0,
                ))  # fmt: skip
        return tuple(waits)

    @staticmethod
    def _state(p: Installed, document: Document, authors: Authors) -> tuple[UpdateState, str]:
        if p.held:
            return UpdateState.HELD, "Held on this endpoint by its owner (own.hold)."
        if doubted := disbelieved(document, authors):
            return UpdateState.KEPT_BACK, doubted
        return UpdateState.AVAILABLE, ""

    def health(self) -> PackageManagerHealth:
        """Failed scripts, and what lies in content and is no package."""
        failed = tuple(
            f"{name} {plain_version(r.version)}: {STATES.get(r.state, r.state)}: {r.why}"
            for name, r in records(self.runner).items() if r.state != "ii"
        )  # fmt: skip
        return PackageManagerHealth(not failed, failed + self._content().problems)

    def reboot_need(self) -> RebootNeed:
        return RebootNeed(required=False)

    def refresh(self) -> Refreshed | Refused:
        """Nothing is to be fetched: what is newer comes with content."""
        return Refreshed(self.clock.now_ms())

    # --- one transaction ---

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        held, authors = self._content(), self._authors()

        def doubt(document: Document) -> str:
            artifact = document.software.artifact
            if artifact is not None and not artifact.url and held.payload(document) is None:
                return f"{artifact.file} of {document.software.name} is not in this endpoint's content."
            return disbelieved(document, authors)

        have = {p.name: p for p in self._installed(held)}
        return planning.plan(updates, have, held, bounds, self.rules, doubt)

    def prepare(self, transaction: Transaction) -> Refused | None:
        """As root, while content is there for sure: keep what the transaction will need."""
        held, store, authors = self._content(), self._store(), self._authors()
        for a in transaction.actions:
            document = held.find(a.name, a.after)
            if document is None:
                return Refused("changed", f"{a.name} {a.after} is not in the content of this endpoint.")
            if doubted := disbelieved(document, authors):
                return Refused("not_allowed", doubted)
            if refused := store.take(document, held):
                return refused
        return None

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Do exactly the ordered transaction, or refuse."""
        result = self._applier().apply(order, self._blank(order, Outcome.REFUSED, "refused"), log)
        return replace(result, health=self.health(), ended_ms=self.clock.now_ms())

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        blank = self._blank(order, Outcome.INTERRUPTED, "interrupted_unchanged")
        result = self._applier().recover(order, blank, log)
        return replace(result, health=self.health(), ended_ms=self.clock.now_ms())

    def _blank(self, order: Order, outcome: Outcome, code: str) -> TransactionResult:
        return TransactionResult(
            order.transaction_id, order.offer_id, order.rollout_id, order.generation, outcome, code, "",
            started_ms=self.clock.now_ms(),
        )  # fmt: skip

    def _applier(self) -> OwnApplier:
        store, authors = self._store(), self._authors()
        keeper = Keeper(self.runner, self.back_dir, store)
        return OwnApplier(
            self.clock, self.runner, self.work_dir, self._content(), store, keeper,
            lambda document: disbelieved(document, authors), self.stopping,
        )  # fmt: skip

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        """What is left to do of the way back that was stored for this rollout; `look`: also whether it is undamaged."""
        stored = Keeper(self.runner, self.back_dir, self._store()).stored(rollout_id)
        if stored is None:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        left = left_to_do(stored, by_key(self._kept_installed()))
        if isinstance(left, Refused):
            return left
        if look and (missing := self._missing(stored)):
            return Refused("no_way_back", missing)
        return replace(stored, transaction=left)

    def _missing(self, stored: Inverse) -> str:
        kept, store = self._store().shelf(), self._store()
        for a in stored.transaction.actions:
            document = kept.find(a.name, a.after or a.before)
            artifact = document.software.artifact if document is not None else None
            if document is None or (a.after and artifact is not None and not store.holds(artifact)):
                return f"The package of {a.name} {a.after or a.before} is damaged or gone."
        return ""

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:  # noqa: ARG002
        """None that could be told apart: what a script writes is its author's."""
        return ()

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        return rules.unproven(transaction, by_key(self._kept_installed()))

    def _kept_installed(self) -> tuple[Installed, ...]:
        """By content's detection, else by that of what root has kept, else by the records."""
        return self._installed() if self.content is not None else self._applier().have()

    def _store(self) -> Store:
        return Store(self.runner.path(self.store_dir))

    def _authors(self) -> Authors:
        try:
            with open(self.runner.path(AUTHORS), "rb") as f:
                return read_authors(f.read(AUTHORS_BYTES_MAX + 1))
        except FileNotFoundError:
            return read_authors(None)
        except OSError as e:
            return nobody(f"Own packages are off here: authors.json cannot be read: {e.strerror}")
