"""Planted faults in the launcher. Each must be caught by the walk, or it is listed as harmless with the reason."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from tools.crashtest import modelcheck
from tools.crashtest.modelcheck import Outcome
from tools.crashtest.simdisk import SimDisk
from tools.crashtest.world import Shell

from brakeline.launcher import guard, install, model, records, trial
from brakeline.launcher.decide import decide

Walk = Callable[[Shell | None], Outcome]


def _sync_without(prefix: str) -> Callable[[SimDisk, str], None]:
    real = SimDisk.sync

    def sync(self: SimDisk, path: str) -> None:
        if path.startswith(prefix):
            self._step()
        else:
            real(self, path)

    return sync


@contextlib.contextmanager
def _swapped(target: Any, name: str, new: Any) -> Iterator[Shell]:
    with patch.object(target, name, new):
        yield Shell()


@contextlib.contextmanager
def _shell(**parts: Any) -> Iterator[Shell]:
    yield Shell(**parts)


def _newer_slot(self: records.Records, record: model.Record) -> None:
    held = [r.generation if (r := self._slot(slot)) is not None else -1 for slot in records.SLOTS]
    newer = records.SLOTS[held.index(max(held))]
    self._disk.overwrite(newer, records.encode(record))
    self._disk.sync(newer)


def _forgetful_begin(record: model.Record, offered: model.Staged) -> tuple[model.Record, str]:
    record, refusal = _begin(record, offered)
    begun = offered.release_id and offered.release_id == record.trial
    return (replace(record, attempts=()) if begun else record), refusal


def _no_quarantine(record: model.Record, code: str, detail: str) -> model.Record:
    after = _failed(record, code, detail)
    return replace(after, quarantined=record.quarantined, attempts=() if not after.trial else after.attempts)


def _ready_is_healthy(state: model.State, event: model.Event) -> Any:
    if isinstance(event, model.Tick) and isinstance(state.phase, model.Running) and state.phase.trial:
        state = replace(state, phase=replace(state.phase, ready=True, healthy=True))
    return decide(state, event)


def _not_counted(record: model.Record, release_id: str) -> model.Record:
    del release_id
    return record


def _no_guard(state: model.State, at: float) -> Any:
    del at
    return replace(state, record=replace(state.record, run=None)), ()


def _believes_all(_disk: SimDisk, _release_id: str) -> str:
    return ""


def _torn_runs(shell: Shell | None) -> Outcome:
    """A tree with a file that is not what was signed must never be executed."""
    result = Outcome(outcomes=1, runs=1)
    update = modelcheck.Release("2.0.0", 2, "good")
    world = modelcheck.make(modelcheck.baseline(update), update, 0, 0, shell)
    world.disk.data[world.disk.entries[f"{install.VERSIONS}/{update.id}/agent.pyz"]] = b"torn"
    world.offered = None
    damaged = (shell or Shell()).verify(world.disk, update.id)
    if not damaged:
        result.violations.append("a torn file would be executed")
    return result


_begin, _failed = trial.begin, trial.failed
modelcheck.baseline()  # made by the launcher as it is, before anything is planted

# name -> (how the fault is planted, which walks look for it)
CAUGHT: dict[str, tuple[Callable[[], Any], tuple[Walk, ...]]] = {}
HARMLESS: dict[str, tuple[Callable[[], Any], tuple[Walk, ...], str]] = {}


def _walks(*characters: str, depth: int = 1) -> tuple[Walk, ...]:
    return tuple(lambda shell, c=c: modelcheck.walk(c, depth, shell, stop_at_first=True) for c in characters)  # type: ignore[misc]


CAUGHT |= {
    "the record is not synced": (
        lambda: _swapped(SimDisk, "sync", _sync_without("state/")), _walks("crash", "good", depth=2)),
    "the newer slot is overwritten": (
        lambda: _swapped(records.Records, "commit", _newer_slot), _walks("good", depth=1)),
    "the execution is counted after it": (lambda: _shell(count_first=False), _walks("killer", "crash", depth=2)),
    "the execution is not counted": (lambda: _swapped(trial, "count", _not_counted), _walks("crash")),
    "installing again resets the ledger": (
        lambda: _swapped(trial, "begin", _forgetful_begin), _walks("crash", depth=2)),
    "a failed release is not quarantined": (lambda: _swapped(trial, "failed", _no_quarantine), _walks("crash")),
    "confirmed without saying so": (lambda: _shell(decide=_ready_is_healthy), _walks("hang")),
    "files are not hashed before they run": (
        lambda: _shell(verify=_believes_all), (_torn_runs,)),
    "the host guard forgets": (
        lambda: _swapped(guard, "after_restart", _no_guard), (modelcheck.killer_confirmed,)),
}  # fmt: skip
HARMLESS |= {
    "data of releases are not synced": (
        lambda: _swapped(SimDisk, "sync", _sync_without("versions/")), _walks("good", "crash"),
        "what was lost is noticed by hashing before the start, and fetched again"),
}  # fmt: skip


def caught(name: str) -> list[str]:
    """The violations that give this mutant away."""
    plant, walks = CAUGHT[name]
    with plant() as shell:
        return [v for look in walks for v in look(shell).violations]


def harm(name: str) -> list[str]:
    """Violations of a mutant that is said to be harmless."""
    plant, walks, _ = HARMLESS[name]
    with plant() as shell:
        return [v for look in walks for v in look(shell).violations]
