"""Planted faults in the launcher. Each must be caught by the walk, or it is listed as harmless with the reason."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from tools.crashtest import modelcheck
from tools.crashtest.modelcheck import Outcome
from tools.crashtest.simdisk import EIO, ENOSPC, SimDisk
from tools.crashtest.world import Shell

from brakeline.launcher import decide as decisions
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


def _sync_dir_without(path: str) -> Callable[[SimDisk, str], None]:
    real = SimDisk.sync_dir

    def sync_dir(self: SimDisk, at: str) -> None:
        if at == path:
            self._step()
        else:
            real(self, at)

    return sync_dir


def _commit_without_sync(unsynced: Callable[[model.Record], bool]) -> Callable[[records.Records, model.Record], None]:
    """`Records.commit` that leaves out the sync of some records."""
    real = records.Records.commit

    def commit(self: records.Records, record: model.Record) -> None:
        plant = patch.object(SimDisk, "sync", lambda disk, _path: disk._step())
        with plant if unsynced(record) else contextlib.nullcontext():
            real(self, record)

    return commit


def _begins_a_trial(record: model.Record) -> bool:
    return bool(record.trial) and not _counts_an_execution(record)


def _counts_an_execution(record: model.Record) -> bool:
    return bool(record.trial) and record.run is not None and record.run.release_id == record.trial


@contextlib.contextmanager
def _removal_not_synced(*, forgetful: bool) -> Iterator[Shell]:
    """As in the first design: what an earlier install has left is removed, but not durably, before the new tree."""
    remove_tree, sync_dir, removed = SimDisk.remove_tree, SimDisk.sync_dir, [False]

    def remove(self: SimDisk, path: str) -> None:
        removed[0] = True
        remove_tree(self, path)

    def sync(self: SimDisk, path: str) -> None:
        planted, removed[0] = removed[0], False
        if planted:
            self._step()
        else:
            sync_dir(self, path)

    forget = patch.object(trial, "begin", _forgetful_begin) if forgetful else contextlib.nullcontext()
    with patch.object(SimDisk, "remove_tree", remove), patch.object(SimDisk, "sync_dir", sync), forget:
        yield Shell()


def _newest_by_reading(self: records.Records, record: model.Record) -> None:
    self._durable = ""
    _commit(self, record)


def _prepare_only(self: records.Records) -> None:
    with patch.object(records.Records, "_newest", lambda _: ""):
        _prepare(self)


@contextlib.contextmanager
def _nothing_hashed_nothing_synced() -> Iterator[Shell]:
    with patch.object(SimDisk, "sync", _sync_without("versions/")):
        yield Shell(verify=_believes_all)


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


def _every_end_given_back(state: model.State, _phase: model.Running, _code: str, _detail: str) -> model.Record:
    return guard.given_back(state.record, state.record.run) if state.record.run is not None else state.record


def _no_guard(state: model.State, at: float) -> Any:
    del at
    return replace(state, record=replace(state.record, run=None)), ()


def _believes_all(_disk: SimDisk, _release_id: str) -> str:
    return ""


_begin, _failed = trial.begin, trial.failed
_commit, _prepare = records.Records.commit, records.Records.prepare
modelcheck.baseline()  # made by the launcher as it is, before anything is planted

# name -> (how the fault is planted, which walks look for it)
CAUGHT: dict[str, tuple[Callable[[], Any], tuple[Walk, ...]]] = {}
HARMLESS: dict[str, tuple[Callable[[], Any], tuple[Walk, ...], str]] = {}


def _walks(*characters: str, depth: int = 1) -> tuple[Walk, ...]:
    return tuple(lambda shell, c=c: modelcheck.walk(c, depth, shell, stop_at_first=True) for c in characters)  # type: ignore[misc]


def _refusals(character: str) -> tuple[Walk, ...]:
    return (lambda shell: modelcheck.walk_refusals(character, EIO, shell, stop_at_first=True),)


CAUGHT |= {
    "no record is synced": (
        lambda: _swapped(SimDisk, "sync", _sync_without("state/")), _walks("crash", "good", depth=2)),
    "the record that begins a trial is not synced": (
        lambda: _swapped(records.Records, "commit", _commit_without_sync(_begins_a_trial)), _walks("crash", depth=2)),
    "the record that counts an execution is not synced": (
        lambda: _swapped(records.Records, "commit", _commit_without_sync(_counts_an_execution)),
        _walks("killer", "crash", depth=2)),
    "the newer slot is overwritten": (
        lambda: _swapped(records.Records, "commit", _newer_slot), _walks("good", depth=1)),
    "a slot whose sync has failed is taken for the newest": (
        lambda: _swapped(records.Records, "commit", _newest_by_reading), _refusals("crash")),
    "what a process before failed to sync is believed": (
        lambda: _swapped(records.Records, "prepare", _prepare_only),
        (lambda shell: modelcheck.walk_restarts(EIO, shell, stop_at_first=True),)),
    "the execution is counted after it": (lambda: _shell(count_first=False), _walks("killer", "crash", depth=2)),
    "the execution is not counted": (lambda: _swapped(trial, "count", _not_counted), _walks("crash")),
    "what could not be counted is executed all the same": (
        lambda: _shell(heeds_refusals=False), (lambda shell: modelcheck.refusing_disk("crash", ENOSPC, shell),)),
    "installing again resets the ledger": (
        lambda: _swapped(trial, "begin", _forgetful_begin), _walks("crash", depth=2)),
    "installing again resets the ledger, and removals are not synced": (
        lambda: _removal_not_synced(forgetful=True), _walks("crash", depth=2)),
    "a failed release is not quarantined": (lambda: _swapped(trial, "failed", _no_quarantine), _walks("crash")),
    "confirmed without saying so": (lambda: _shell(decide=_ready_is_healthy), _walks("hang")),
    "files are not hashed before they run": (lambda: _shell(verify=_believes_all), _walks("ruins", "rots")),
    "files are neither synced nor hashed before they run": (_nothing_hashed_nothing_synced, _walks("good")),
    "more executions are given back to power cuts than may be": (
        lambda: _swapped(guard, "REFUNDS_MAX", 9), _walks("ready-killer")),
    "an execution that ends by itself after READY is given back": (
        lambda: _swapped(decisions, "_tried", _every_end_given_back), _walks("ready-crash")),
    "the host guard forgets": (
        lambda: _swapped(guard, "after_restart", _no_guard), (modelcheck.killer_confirmed,)),
}  # fmt: skip
HARMLESS |= {
    "data of releases are not synced": (
        lambda: _swapped(SimDisk, "sync", _sync_without("versions/")), _walks("good", "crash"),
        "what was lost is noticed by hashing before the start, and fetched again"),
    "removals are not synced": (
        lambda: _removal_not_synced(forgetful=False), _walks("crash", depth=2),
        "what comes back over a new tree is noticed by hashing, and no install resets the ledger"),
    "the rename of a new tree is not synced": (
        lambda: _swapped(SimDisk, "sync_dir", _sync_dir_without(install.VERSIONS)), _walks("crash", depth=2),
        "a release that is missing after a power cut is fetched again, and the ledger knows its executions"),
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
