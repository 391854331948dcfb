"""One transaction of own packages: exactly what was ordered, or nothing; what came of it is what detection sees.

Order of things: compare the order with what is here, ask the authors' signatures once more, have each artifact by its
digest, store the way back, write down what is there, then run the scripts, package by package: pre, install, post.
Up to the first script every trouble is `REFUSED`. No script is run a second time, unless its author says so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.model import Order, Refused
from brakeline.agent.providers.own import running
from brakeline.agent.providers.own.keep import Keeper
from brakeline.agent.providers.own.looking import Record, installed, look, record
from brakeline.agent.providers.own.planning import Doubt, no_way_back
from brakeline.agent.providers.own.shelf import Shelf
from brakeline.agent.providers.own.staging import Store
from brakeline.core.clock import Clock
from brakeline.core.errors import Fault
from brakeline.protocol import codec
from brakeline.protocol.messages import Action, Outcome, TransactionResult
from brakeline.protocol.software import Document, Look, plain_version

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Before:
    """What was here before the first script; on disk, for whoever comes after a lost run."""

    packages: tuple[Installed, ...]


@dataclass(frozen=True, slots=True)
class OwnApplier:
    """Applies orders, as root. `source`: what this endpoint's content has, if that can be seen from here."""

    clock: Clock
    runner: Runner
    work_dir: str
    source: Shelf
    store: Store
    keeper: Keeper
    doubt: Doubt
    stopping: Callable[[], bool]

    def have(self) -> tuple[Installed, ...]:
        kept = {n: d.software.detection for n, d in self.store.shelf().newest().items()}
        return installed(self.runner, kept | {n: d.software.detection for n, d in self.source.newest().items()})

    def apply(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until a script has been run."""
        deadline = self.clock.monotonic_s() + order.bounds.run_s_max
        before = self.have()
        found = self._ready(order, before, deadline)
        if isinstance(found, Refused):
            log(f"Refused, nothing was changed: {found.reason}")
            return replace(blank, code=found.code, detail=found.reason)
        kept = self.keeper.keep(order, *self._back(order, before), self.clock.now_ms())
        if not kept.stored and order.inverse is None:
            log(kept.reason)
        if self.stopping():
            return replace(blank, code="shutdown", detail="The transaction was asked to stop before it began.")
        try:
            write_durably(self.runner.path(self._place(order)) / "before.json", codec.encode(Before(before)))
        except OSError as e:
            return replace(blank, code="no_space", detail=f"What is there could not be written down: {e.strerror}.")
        wrong, code = self._carry_out(order, found, deadline, log)
        for name in {a.name for a in order.transaction.actions}:
            self.store.prune(name, self.keeper.versions() | {p.version for p in self.have()})
        return replace(self._judged(blank, order, before, wrong, code), way_back=kept)

    # --- before the first script ---

    def _ready(self, order: Order, before: tuple[Installed, ...], deadline: float) -> dict[str, Document] | Refused:
        """The package of each action, with everything that it needs in root's own directory."""
        now = by_key(before)
        if rules.make_transaction(order.transaction.actions).digest != order.transaction.digest:
            return Refused("refused", "The order's digest does not fit its actions.")
        if not rules.unproven(order.transaction, now):
            return Refused("nothing_to_do", "Everything that was ordered is installed already.")
        if order.inverse is not None and not set(order.transaction.actions) <= set(order.inverse.transaction.actions):
            return Refused("refused", "The order is not a part of the way back that this endpoint stored.")
        if refused := self._moved(order, now):
            return refused
        self.runner.path(self._place(order)).mkdir(parents=True, exist_ok=True, mode=0o700)
        found: dict[str, Document] = {}
        for a in order.transaction.actions:
            document = self._kept(a)
            if isinstance(document, Refused):
                return document
            if doubted := self.doubt(document):
                return Refused("not_allowed", doubted)
            found[a.name] = document
        return self._supplied(order, found, deadline) or found

    @staticmethod
    def _moved(order: Order, now: Mapping[str, Installed]) -> Refused | None:
        for a in order.transaction.actions:
            here = now.get(f"{a.name}:{a.architecture}")
            if here is not None and here.held and order.inverse is None:
                return Refused("held", f"{a.name} is held on this endpoint by its owner.")
            if order.inverse is None and not _forward(a):
                return Refused("refused", f"{a.name}: only a way back removes a package or puts an older version back.")
            if (here.version if here else "") != a.before:
                return Refused("changed", f"The situation has changed since the plan: {a.name} is "
                                          f"{here.version if here else 'gone'}, not {a.before or 'gone'}.")  # fmt: skip
        return rules.refuse_quarantined(order.transaction, order.bounds.without) or rules.refuse_broken(
            order.transaction, order.rules
        )

    def _kept(self, a: Action) -> Document | Refused:
        """The package that this action runs scripts of: of the version that comes, or that goes for good."""
        version = a.after or a.before
        document = self.source.find(a.name, version)
        if document is not None:
            if refused := self.store.take(document, self.source):
                return refused
        else:
            document = self.store.shelf().find(a.name, version)
        if document is None:
            return Refused("refused", f"The package of {a.name} {version} is not on this endpoint.")
        return document

    def _supplied(self, order: Order, found: dict[str, Document], deadline: float) -> Refused | None:
        needs = sum(d.software.artifact.bytes for d in found.values() if d.software.artifact is not None)
        s = os.statvfs(self.runner.path(self.work_dir))
        if s.f_bavail * s.f_frsize < 2 * needs + order.bounds.disk_reserve_bytes:
            return Refused("no_space", f"Too little disk space: {(2 * needs) >> 20} MiB are needed in {self.work_dir}.")
        for a in order.transaction.actions:
            if a.after:
                refused = self.store.fetch(found[a.name], lambda: deadline - self.clock.monotonic_s())
                if refused is not None:
                    return refused
        return None

    def _back(self, order: Order, before: tuple[Installed, ...]) -> tuple[list[Document], str]:
        """The packages that the way back needs, and why there is none ("" = there is one)."""
        have, shelf = {p.name: p for p in before}, self.store.shelf()
        needed, why = [], ""
        for a in order.transaction.actions:
            document = shelf.find(a.name, a.after) if a.after else None
            if document is None:
                continue
            why = why or no_way_back(document, have.get(a.name), shelf)
            former = shelf.find(a.name, a.before) if a.before else None
            if former is not None and former.software.artifact and not self.store.holds(former.software.artifact):
                why = why or f"the artifact of {a.name} {a.before} is not on this endpoint"
            needed.append(former or document)
        return needed, why

    def _place(self, order: Order) -> str:
        return f"{self.work_dir}/{order.transaction_id}/own"

    # --- the scripts ---

    def _carry_out(
        self, order: Order, found: dict[str, Document], deadline: float, log: Log
    ) -> tuple[str, str]:  # fmt: skip
        """Run everything; ("", "") or what went wrong and its code. After a failure nothing more is begun."""
        for a in order.transaction.actions:
            document = found[a.name]
            wrong, code = "", ""
            for step in self._steps(a, document):
                write_durably(self.runner.path(self._place(order)) / "step", f"{a.name} {step}".encode())
                log(f"{a.name}: {step}")
                wrong, code = self._run(order, a, document, step, deadline, log)
                if wrong:
                    break
            self._write_down(a, document, wrong)
            if wrong:
                return f"{a.name}: {wrong}", code
        write_durably(self.runner.path(self._place(order)) / "step", b"done")
        return "", ""

    @staticmethod
    def _steps(a: Action, document: Document) -> Iterator[str]:
        wanted = ("pre", "install", "post") if a.after else ("uninstall",)
        return (step for step in wanted if step in document.software.scripts)

    def _run(
        self, order: Order, a: Action, document: Document, step: str, deadline: float, log: Log
    ) -> tuple[str, str]:
        place = f"{self._place(order)}/{a.name}"
        self.runner.path(place).mkdir(parents=True, exist_ok=True, mode=0o700)
        artifact = document.software.artifact
        words = {
            "BRAKELINE_NAME": a.name, "BRAKELINE_VERSION": plain_version(a.after),
            "BRAKELINE_BEFORE": plain_version(a.before), "BRAKELINE_ARTIFACT": "",
        }  # fmt: skip
        if artifact is not None and a.after:
            words["BRAKELINE_ARTIFACT"] = f"{place}/{artifact.file}"
            shutil.copyfile(self.store.path(artifact), self.runner.path(place) / artifact.file)
        script, left = document.software.scripts[step], deadline - self.clock.monotonic_s()
        said = running.run(self.runner, f".{step}", script, place, words, left)
        for line in said.lines:
            log(f"  {line}")
        return said.wrong, said.code

    def _write_down(self, a: Action, document: Document, wrong: str) -> None:
        """A record says no more than detection: of a version that is not there, none is made."""
        s = document.software
        if not a.after:
            if not wrong:
                record(self.runner, a.name, None)
            return
        mine = Record(a.after, s.detection, "iF" if wrong else "ii", wrong[:500])
        seen = not wrong or s.detection.kind in (
            Look.FILE,
            Look.DEB,
            Look.RPM,
        )  # the others would only repeat what is recorded
        if seen and look(self.runner, s.detection, mine) == s.version:
            record(self.runner, a.name, mine)

    def _judged(
        self, blank: TransactionResult, order: Order, before: tuple[Installed, ...], wrong: str, code: str
    ) -> TransactionResult:
        now = self.have()
        changes = changes_between(before, now)
        unproven = rules.unproven(order.transaction, by_key(now))
        if not wrong and not unproven:
            detail = f"All {len(order.transaction.actions)} changes are as ordered, as their detection sees them."
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        reason = wrong or "Its scripts ended well, and detection sees something else."
        still = f" Now: {rules.named(unproven)}." if unproven else ""
        return replace(
            blank, outcome=Outcome.FAILED, code=code or "verify_failed", detail=reason + still, changes=changes
        )  # fmt: skip

    # --- after a lost run ---

    def recover(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """What a lost run left. Its scripts are run again only where each author says that they may be."""
        log("Examined after a lost run.")
        place = self.runner.path(self._place(order))
        try:
            before = codec.decode(Before, (place / "before.json").read_bytes()).packages
            step = (place / "step").read_text(encoding="utf-8")
        except (OSError, Fault):
            return replace(blank, code="interrupted_unchanged", detail="The run was lost before any script was run.")
        found = {a.name: d for a in order.transaction.actions if isinstance(d := self._kept(a), Document)}
        again = order.bounds.repair and step != "done" and len(found) == len(order.transaction.actions)
        repaired, wrong = False, ""
        if again and all(d.software.repeatable and not self.doubt(d) for d in found.values()):
            log("Every author says that these scripts may be run again: they are.")
            deadline = self.clock.monotonic_s() + order.bounds.run_s_max
            wrong, _ = self._carry_out(order, found, deadline, log)
            repaired = not wrong
        now = self.have()
        unproven = rules.unproven(order.transaction, by_key(now))
        code, detail = _told(step, repaired, wrong, unproven)
        return replace(blank, code=code, detail=detail, changes=changes_between(before, now))


def _forward(a: Action) -> bool:
    """Whether it brings something newer, or nothing but the same again after a failure."""
    newer = rules.is_older(plain_version(a.before), plain_version(a.after)) if a.before else True
    return bool(a.after) and (newer or a.before == a.after)


def _told(step: str, repaired: bool, wrong: str, unproven: tuple[str, ...]) -> tuple[str, str]:
    if not unproven and not wrong:
        code = "interrupted_repaired" if repaired else "interrupted_complete"
        return code, "The run was lost. Every package is as ordered, as its detection sees it."
    where = f"in the middle of {step.replace(' ', ': ')}" if step != "done" else "after its last script"
    again = "its scripts were run again" if repaired or wrong else "nothing is run a second time"
    still = wrong or f"Now: {rules.named(unproven)}."
    return "interrupted_broken", f"The run was lost {where}; {again}. {still}"
