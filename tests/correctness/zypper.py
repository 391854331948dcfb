"""zypper's rows of the table of correctness: each situation is provoked for real, and what we say is held against it.

*Real manager, synthetic distribution* (`tests.zypperroot`). A situation is a function that takes a directory of its own
and returns a `Row`: `truth` is read from rpm and zypper themselves, never from us; `right` says whether `ours` is it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.aptroot import eventually, order
from tests.correctness import hostile
from tests.correctness.dnf import FILL
from tests.correctness.plain import RpmRecords
from tests.correctness.row import Row
from tests.correctness.standin import Trait, staged
from tests.zypperroot import SEVERAL, Advisory, Root, Rpm, RpmRepository, make_root, outdated, sized

from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.model import Bounds, Inverse, Refused
from brakeline.agent.providers.zypper.lock import held
from brakeline.agent.providers.zypper.tools import CACHE
from brakeline.protocol.messages import Outcome, UpdateRef, UpdateState

MANAGER = "zypper"


SITUATIONS: dict[str, Callable[[Path], Row]] = {}
Body = Callable[[Root, RpmRepository], tuple[str, str, bool]]


@contextmanager
def world(work: Path, mib: int = 0) -> Iterator[tuple[Any, RpmRepository]]:
    """A root (of a limited size, if one is given) and a repository."""
    repository = RpmRepository(work)
    try:
        if mib:
            with sized(work / "root", mib) as path:
                yield staged(make_root(path), RpmRecords(path, repository.directory)), repository
        else:
            root = make_root(work / "root")
            yield staged(root, RpmRecords(root.path, repository.directory)), repository
    finally:
        repository.stop()


def situation(name: str, mib: int = 0) -> Callable[[Body], Callable[[Path], Row]]:
    """Register a situation; its body answers truth, ours and whether that is right."""

    def register(body: Body) -> Callable[[Path], Row]:
        def run(work: Path) -> Row:
            with world(work, mib) as (root, repository):
                return Row(MANAGER, name, *body(root, repository))

        run.__name__ = body.__name__
        SITUATIONS[name] = run
        return run

    return register


def state_of(root: Root, name: str) -> tuple[UpdateState | None, str]:
    found = {u.name: u for u in root.provider.available()}
    return (found[name].state, found[name].reason) if name in found else (None, "")


@situation("plain update")
def plain(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),))
    state, _ = state_of(root, "p")
    result = root.apply(root.plan(("p", "2-1")))
    good = (state, result.outcome, root.version("p")) == (UpdateState.AVAILABLE, Outcome.INSTALLED, "2-1")
    return f"rpm has p {root.version('p')}", f"{state}; {result.outcome}: {result.detail}", good


@situation("kept back: a requirement cannot be had")
def kept_back(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", requires=("nowhere >= 3",)), first=(Rpm("p", "1"),))
    code, _ = root.zypper("update")
    state, reason = state_of(root, "p")
    good = state is UpdateState.KEPT_BACK and "nowhere" in reason and root.version("p") == "1-1"
    return f"zypper update ends with {code}, p stays {root.version('p')}", f"{state}: {reason}", good


@situation("locked by the owner")
def locked(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),))
    root.lock("p")
    code, _ = root.zypper("update")
    state, reason = state_of(root, "p")
    refused = root.refusal(("p", "2-1"))
    good = (state, refused.code, root.version("p")) == (UpdateState.HELD, "held", "1-1")
    return f"zypper update ends with {code}, p stays {root.version('p')}", f"{state}: {reason} {refused.reason}", good


@situation("no network while refreshing")
def no_network(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),))
    repository.stop()
    code, _ = root.zypper("refresh")
    answer = root.provider.refresh()
    good = isinstance(answer, Refused) and answer.code == "no_network"
    return f"nothing listens; zypper refresh ends with {code}", str(answer), good


@situation("no network while downloading")
def network_lost(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),))
    transaction = root.plan(("p", "2-1"))
    repository.stop()
    result = root.apply(transaction)
    good = (result.outcome, result.code, root.version("p")) == (Outcome.REFUSED, "network", "1-1")
    return f"nothing listens; p stays {root.version('p')}", f"{result.outcome} {result.code}: {result.detail}", good


@situation("metadata signed by an unknown key")
def unknown_key(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    repository.publish(Rpm("p", "2"))
    repository.sign()
    root.use(repository, gpgcheck=True)
    code, _ = root.zypper("refresh")
    answer = root.provider.refresh()
    trusted = "gpg-pubkey" in root.rpm("-qa")
    good = isinstance(answer, Refused) and answer.code == "signature" and not trusted
    return f"the key is not trusted; zypper refresh ends with {code}", str(answer), good


@situation("metadata changed after it was signed")
def bad_signature(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    repository.publish(Rpm("p", "2"))
    root.rpm("--import", str(repository.sign()))
    root.use(repository, gpgcheck=True)
    before = root.provider.refresh()
    path = repository.directory / "repodata/repomd.xml"
    path.write_text(path.read_text() + "<!-- changed -->\n")
    answer = root.provider.refresh()
    good = not isinstance(before, Refused) and isinstance(answer, Refused) and answer.code == "signature"
    return "the signature does not fit the file", f"before: {before}; after: {answer}", good


@situation("metadata signed by a key that has expired")
def expired_key(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    repository.publish(Rpm("p", "2"))
    root.rpm("--import", str(repository.sign(expired=True)))
    root.use(repository, gpgcheck=True)
    code, _ = root.zypper("refresh")
    answer = root.provider.refresh()
    good = isinstance(answer, Refused) and answer.code == "expired"
    return f"the key was good until the end of 2020; zypper refresh ends with {code}", str(answer), good


@situation("repository moved on since the plan")
def moved_on(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),))
    transaction = root.plan(("p", "2-1"))
    repository.withdraw("p", "2")
    repository.publish(Rpm("p", "3"))
    root.zypper("refresh")
    result = root.apply(transaction)
    good = (result.outcome, result.code, root.version("p")) == (Outcome.REFUSED, "changed", "1-1")
    return f"only p 3 is to be had; p stays {root.version('p')}", f"{result.code}: {result.detail}", good


@situation("another resolver while rpm works")
def kept_away(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),))
    with held(root.provider.tools) as mine:
        code, text = root.zypper("update")
    after, _ = root.zypper("list-updates")
    truth = f"zypper ends with {code} while the lock is ours, with {after} afterwards"
    return truth, f"lock held: {mine}", mine and code == 7 and "locked" in text and after == 0


@situation("kernel beside its older version")
def kernel(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    (root.path / "etc/zypp/zypp.conf").write_text("[main]\nmultiversion = provides:multiversion(kernel)\n")
    outdated(root, repository, Rpm("k", "2", provides=SEVERAL), first=(Rpm("k", "1", provides=SEVERAL),))
    result = root.apply(root.plan(("k", "2-1")))
    both = sorted(root.version("k").split())
    good = (result.outcome, both, result.health.healthy) == (Outcome.INSTALLED, ["1-1", "2-1"], True)
    return f"rpm has k {' and '.join(both)}", f"{result.outcome}: {result.detail}", good


@situation("package does not fit its checksum")
def hash_mismatch(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),))
    transaction = root.plan(("p", "2-1"))
    path = repository.file("p", "2")
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    result = root.apply(transaction)
    good = (result.outcome, result.code, root.version("p")) == (Outcome.REFUSED, "hash_mismatch", "1-1")
    return (
        f"one bit of p 2 is wrong; p stays {root.version('p')}",
        f"{result.outcome} {result.code}: {result.detail}",
        good,
    )


@situation("script before installing fails")
def pre_fails(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", scripts={"pre": "exit 3"}), first=(Rpm("p", "1"),))
    result = root.apply(root.plan(("p", "2-1")))
    good = (result.outcome, result.code, root.version("p")) == (Outcome.FAILED, "maintainer_script_failed", "1-1")
    return f"%pre ends with 3; rpm has p {root.version('p')}", f"{result.outcome} {result.code}: {result.detail}", good


@situation("script after installing fails, rpm counts the package as installed")
def post_fails(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", scripts={"post": "exit 3"}), first=(Rpm("p", "1"),))
    result = root.apply(root.plan(("p", "2-1")))
    good = (result.outcome, result.code, root.version("p")) == (Outcome.FAILED, "maintainer_script_failed", "2-1")
    return f"%post ends with 3; rpm has p {root.version('p')}", f"{result.outcome} {result.code}: {result.detail}", good


@situation("script hangs")
def script_hangs(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", scripts={"post": "sleep 4242"}), first=(Rpm("p", "1"),))
    result = root.apply(root.plan(("p", "2-1")), Bounds(run_s_max=25))
    left = "sleep\x004242" in "".join(_command_lines())
    good = (result.outcome, result.code, left) == (Outcome.FAILED, "timeout", False)
    return f"%post sleeps; left running: {left}; rpm has p {root.version('p')}", f"{result.code}: {result.detail}", good


@situation("too little room is known beforehand", mib=60)
def too_small(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", files={"/opt/p/big": 30_000_000}), first=(Rpm("p", "1"),))
    refused = root.refusal(("p", "2-1"))
    free = shutil.disk_usage(root.path).free >> 20
    return (
        f"{free} MiB are free, p 2 needs 60 with its download",
        f"{refused.code}: {refused.reason}",
        refused.code == "no_space",
    )


@situation("disk fills up while rpm unpacks", mib=90)
def disk_fills_up(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    newer = Rpm("p", "2", files={"/opt/p/big": 10_000_000}, scripts={"pre": FILL})
    outdated(root, repository, newer, first=(Rpm("p", "1"),))
    bounds = Bounds(disk_reserve_bytes=0)
    transaction = root.plan(("p", "2-1"), bounds=bounds)
    result = root.apply(transaction, bounds)
    (root.path / "filler").unlink()
    (root.path / "etc/filled").touch()
    there = root.version("p")
    told = (result.outcome, result.code, there) == (Outcome.FAILED, "no_space", "1-1")
    again = root.apply(transaction, bounds, number=2)
    done = (again.outcome, root.version("p")) == (Outcome.INSTALLED, "2-1")
    truth = f"rpm has {there}; with room again, the same order brought {root.version('p')}"
    return truth, f"{result.outcome} {result.code}: {result.detail}", told and done


@situation("disk filled by another between plan and run", mib=90)
def disk_full(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", files={"/opt/p/big": 20_000_000}), first=(Rpm("p", "1"),))
    bounds = Bounds(disk_reserve_bytes=0)
    transaction = root.plan(("p", "2-1"), bounds=bounds)
    free = shutil.disk_usage(root.path).free
    with open(root.path / "filler", "wb") as f:
        os.posix_fallocate(f.fileno(), 0, free - 50_000_000)  # download and copy fit, what is unpacked does not
    result = root.apply(transaction, bounds)
    (root.path / "filler").unlink()
    good = (result.code, root.version("p"), result.outcome) == ("no_space", "1-1", Outcome.REFUSED)
    again = root.apply(transaction, bounds, number=2)
    good = good and again.outcome is Outcome.INSTALLED
    return (
        f"full; p stayed 1-1, then with room it is {root.version('p')}",
        f"{result.outcome} {result.code}: {result.detail}",
        good,
    )


@situation("lock held by another")
def lock_held(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),))
    transaction = root.plan(("p", "2-1"))
    other = subprocess.Popen(["sleep", "600"])
    try:
        (root.path / "run/zypp.pid").write_text(str(other.pid))
        code, _ = root.zypper("update")
        told = root.provider.health().lock_holder
        result = root.apply(transaction, Bounds(lock_wait_s=1))
    finally:
        other.kill()
        other.wait()
    good = (result.outcome, result.code, told) == (Outcome.REFUSED, "lock_timeout", f"sleep (pid {other.pid})")
    good = good and root.apply(transaction, number=2).outcome is Outcome.INSTALLED
    return f"pid {other.pid} holds it; zypper ends with {code}", f"{result.code}: {result.detail}", good


@situation("another package would have to go")
def removal(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", conflicts=("q",)), first=(Rpm("p", "1"), Rpm("q", "1")))
    state, reason = state_of(root, "p")
    refused = root.refusal(("p", "2-1"))
    allowed = Bounds(allow_removals=True)
    result = root.apply(root.plan(("p", "2-1"), bounds=allowed), allowed)
    good = (state, refused.code, result.outcome) == (UpdateState.NEEDS_REMOVAL, "refused", Outcome.INSTALLED)
    good = good and (root.version("p"), root.version("q")) == ("2-1", "")
    return (
        "p 2 conflicts with q, which is installed",
        f"{state}: {reason} {refused.reason} Allowed: {result.detail}",
        good,
    )


@situation("obsoleted package goes only where removals are allowed")
def obsoleted(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", obsoletes=("q",)), first=(Rpm("p", "1"), Rpm("q", "1")))
    refused = root.refusal(("p", "2-1"))
    allowed = Bounds(allow_removals=True)
    result = root.apply(root.plan(("p", "2-1"), bounds=allowed), allowed)
    good = (refused.code, result.outcome, root.version("q"), root.version("p")) == (
        "refused",
        Outcome.INSTALLED,
        "",
        "2-1",
    )
    return "p 2 obsoletes q", f"{refused.reason} Allowed: {result.outcome} {result.detail}", good


@situation("new requirement")
def new_requirement(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", requires=("fresh",)), Rpm("fresh", "1"), first=(Rpm("p", "1"),))
    state, reason = state_of(root, "p")
    refused = root.refusal(("p", "2-1"), bounds=Bounds(allow_new_packages=False))
    result = root.apply(root.plan(("p", "2-1")))
    marked = "fresh" in (root.path / "var/lib/zypp/AutoInstalled").read_text().split()
    good = (state, refused.code, result.outcome, marked) == (UpdateState.NEEDS_NEW, "refused", Outcome.INSTALLED, True)
    return f"p 2 requires fresh; rpm has fresh {root.version('fresh')}", f"{state}: {reason} {result.detail}", good


@situation("vendor would change")
def vendor(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", vendor="Somebody Else"), first=(Rpm("p", "1"),))
    root.zypper("update")
    truth = f"zypper update leaves p at {root.version('p')}"
    refused = root.provider.plan(root_updates("p"), Bounds())
    code = refused.code if isinstance(refused, Refused) else "planned"
    state, reason = state_of(root, "p")
    good = root.version("p") == "1-1" and code == "vendor" and state in (None, UpdateState.KEPT_BACK)
    return truth, f"{code}; {state}: {reason}", good


@situation("patch that wants a restart is left out with exit code 0")
def reboot_patch(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    advisory = Advisory("EX-2026-1", "p", "2", reboot=True)
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),), advisories=(advisory,))
    check, _ = root.zypper("patch-check")
    code, _ = root.zypper("patch")
    left = root.version("p")
    update = next(u for u in root.provider.available() if u.name == "p")
    result = root.apply(root.plan(("p", "2-1")))
    good = left == "1-1" and update.security and "restart" in update.suite
    good = good and (result.outcome, root.version("p")) == (Outcome.INSTALLED, "2-1")
    truth = f"patch-check ends with {check}, patch with {code}, p stayed {left}"
    return truth, f"{update.suite}; security {update.security}; {result.detail}", good


@situation("package that asks for a restart")
def restart_due(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    hint = ("installhint(reboot-needed)",)
    outdated(root, repository, Rpm("p", "2", provides=hint), first=(Rpm("p", "1"),))
    before = root.provider.reboot_need()
    root.apply(root.plan(("p", "2-1")))
    after = root.provider.reboot_need()
    mark, _ = root.zypper("needs-rebooting")
    good = (before.required, after.required, after.reasons) == (False, True, ("p changed since the last start",))
    return f"zypper needs-rebooting ends with {mark}: libzypp marks its own runs alone", "; ".join(after.reasons), good


@situation("run ends with 0 and did nothing")
def did_nothing(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),))
    transaction = root.plan(("p", "2-1"))
    idle = root.path.parent / "bin"
    idle.mkdir()
    real = shutil.which("rpm")
    (idle / "rpm").write_text(f'#!/bin/sh\ncase " $* " in *" -U "*) exit 0;; esac\nexec {real} "$@"\n')
    (idle / "rpm").chmod(0o755)
    provider = replace(root.provider, runner=Idle(idle))
    result = provider.apply(order(transaction), root.said.append)
    good = (result.outcome, result.code, root.version("p")) == (Outcome.FAILED, "verify_failed", "1-1")
    return f"rpm ends with 0, p stays {root.version('p')}", f"{result.outcome} {result.code}: {result.detail}", good


@situation("rpm killed in mid-run")
def killed(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    again = "if [ -e /tmp/once ]; then exit 0; fi; touch /tmp/once; kill -9 $PPID; sleep 1"
    outdated(root, repository, Rpm("p", "2", scripts={"post": again}), first=(Rpm("p", "1"),))
    transaction = root.plan(("p", "2-1"))
    result = root.apply(transaction, Bounds(repair=False))
    between, verify = root.version("p"), root.zypper("verify", "--dry-run")[0]
    good = (result.outcome, result.code) == (Outcome.FAILED, "killed") and not result.health.healthy
    healed = root.provider.recover(order(transaction), root.said.append)
    good = good and (healed.code, root.version("p"), healed.health.healthy) == ("interrupted_repaired", "2-1", True)
    truth = (
        f"rpm had p {between} at once, zypper verify ended with {verify}; after recovery rpm has p {root.version('p')}"
    )
    return truth, f"{result.code}: {result.detail} Recovered: {healed.code}", good


@situation("rpm killed in mid-run, repair allowed")
def killed_repaired(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    again = "if [ -e /tmp/once ]; then exit 0; fi; touch /tmp/once; kill -9 $PPID; sleep 1"
    outdated(root, repository, Rpm("p", "2", scripts={"post": again}), first=(Rpm("p", "1"),))
    result = root.apply(root.plan(("p", "2-1")))
    good = (result.outcome, root.version("p"), result.health.healthy) == (Outcome.INSTALLED, "2-1", True)
    return f"rpm has p {root.version('p')}", f"{result.outcome}: {result.detail}", good


@situation("power cut while rpm works")
def power_cut(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    waits = "if [ -e /tmp/once ]; then exit 0; fi; touch /tmp/once; sleep 60"
    outdated(root, repository, Rpm("p", "2", scripts={"post": waits}), first=(Rpm("p", "1"),))
    transaction = root.plan(("p", "2-1"))
    pid = os.fork()
    if pid == 0:
        root.apply(transaction)
        os._exit(0)
    eventually(lambda: (root.path / "tmp/once").exists(), "the script runs", 60)
    os.kill(pid, signal.SIGKILL)
    _kill_all_below(root)
    os.waitpid(pid, 0)
    between = root.version("p")
    result = root.provider.recover(order(transaction), root.said.append)
    good = (result.outcome, result.code) == (Outcome.INTERRUPTED, "interrupted_repaired")
    good = good and root.version("p") == "2-1" and result.health.healthy
    return f"after kill -9 of all rpm had p {between}, now {root.version('p')}", f"{result.code}: {result.detail}", good


@situation("configuration file changed by the owner")
def config_changed(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    first = Rpm("p", "1", config={"/etc/p.conf": "one"}, hard_config={"/etc/p.hard": "one"})
    newer = Rpm("p", "2", config={"/etc/p.conf": "two"}, hard_config={"/etc/p.hard": "two"})
    outdated(root, repository, newer, first=(first,))
    for name in ("p.conf", "p.hard"):
        (root.path / "etc" / name).write_text("mine\n")
    transaction = root.plan(("p", "2-1"))
    changed = root.provider.changed_conffiles(transaction)
    result = root.apply(transaction)
    beside = sorted(p.name for p in (root.path / "etc").glob("p.*"))
    good = (root.path / "etc/p.conf").read_text() == "mine\n" and beside == [
        "p.conf",
        "p.conf.rpmnew",
        "p.hard",
        "p.hard.rpmsave",
    ]
    good = good and result.conffiles_kept == ("/etc/p.conf",) and "/etc/p.hard" in result.detail
    good = good and sorted(changed) == ["/etc/p.conf", "/etc/p.hard"]
    return f"/etc has {', '.join(beside)}", f"changed {changed}, kept {result.conffiles_kept}; {result.detail}", good


@situation("downgrade needs to be allowed; the way back is exact")
def downgrade(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", requires=("q",)), Rpm("q", "1"), first=(Rpm("p", "1"),))
    done = root.apply(root.plan(("p", "2-1")))
    left = root.provider.undo("ro_1", look=True)
    if not isinstance(left, Inverse):
        return f"rpm has p {root.version('p')}", f"{done.way_back}; {left}", False
    refused = root.provider.apply(replace(order(left.transaction, number=2), inverse=left), root.said.append)
    bounds = Bounds(allow_downgrades=True, allow_removals=True)
    result = root.provider.apply(replace(order(left.transaction, bounds, 3), inverse=left), root.said.append)
    good = (refused.outcome, result.outcome) == (Outcome.REFUSED, Outcome.INSTALLED)
    good = good and (root.version("p"), root.version("q")) == ("1-1", "")
    return (
        f"rpm has p {root.version('p')}, q {root.version('q') or 'gone'}",
        f"{refused.detail} Then: {result.detail}",
        good,
    )


@situation("former version cannot be had any more: no way back")
def no_way_back(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),))
    repository.withdraw("p", "1")
    root.zypper("refresh")
    shutil.rmtree(root.path / CACHE.lstrip("/"), ignore_errors=True)
    result = root.apply(root.plan(("p", "2-1")))
    way = result.way_back
    good = result.outcome is Outcome.INSTALLED and way is not None and (way.stored, way.code) == (False, "gone")
    return "p 1 is in no repository and in no cache", f"{way.told if way else way}", good


@dataclass(frozen=True)
class Idle:
    """A runner that finds the programs of `first` before all others."""

    first: Path

    def _words(self, command: tuple[str, ...]) -> tuple[str, ...]:
        return ("env", f"PATH={self.first}:{os.environ['PATH']}", *command)

    def query(self, *command: str, timeout_s: float = 60.0):  # type: ignore[no-untyped-def]
        return Machine().query(*self._words(command), timeout_s=timeout_s)

    def job(self, *command: str, **options):  # type: ignore[no-untyped-def]
        return Machine().job(*self._words(command), **options)

    def path(self, absolute: str) -> Path:
        return Path(absolute)


def root_updates(*names: str):  # type: ignore[no-untyped-def]
    return tuple(UpdateRef(n, "2-1") for n in names)


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue


def _kill_all_below(root: Root) -> None:
    """Every process that names this root or works in it: what a power cut would end."""
    time.sleep(0.2)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            inside = os.readlink(entry / "root") == str(root.path)
        except OSError:
            continue
        if inside or (f"{root.path}" in words and "rpm" in words):
            os.kill(int(entry.name), signal.SIGKILL)


@situation("mixed origins: each update is told with its own")
def mixed_origins(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    other = RpmRepository(repository.directory.parent, "vendor")
    try:
        outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"), Rpm("q", "1")))
        other.publish(Rpm("q", "2"))
        root.use(repository, other)
        root.zypper("refresh")
        found = {u.name: u.suite for u in root.provider.available()}
        return "p 2 is in test, q 2 in vendor", str(found), found == {"p": "test", "q": "vendor"}
    finally:
        other.stop()


@situation("told to upgrade where a patch wants a restart")
def reboot_patch_run(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    advisory = Advisory("EX-2026-1", "p", "2", reboot=True)
    outdated(root, repository, Rpm("p", "2"), first=(Rpm("p", "1"),), advisories=(advisory,))
    result = root.apply(root.plan(("p", "2-1")))
    good = (result.outcome, root.version("p")) == (Outcome.INSTALLED, "2-1")
    return f"rpm has p {root.version('p')}", f"{result.outcome}: {result.detail}", good


@situation("told to upgrade where a requirement cannot be had")
def kept_back_run(root: Root, repository: RpmRepository) -> tuple[str, str, bool]:
    outdated(root, repository, Rpm("p", "2", requires=("nowhere >= 3",)), first=(Rpm("p", "1"),))
    refused = root.refusal(("p", "2-1"))
    good = "nowhere" in refused.reason and root.version("p") == "1-1"
    return f"rpm has p {root.version('p')}", f"{refused.code}: {refused.reason}", good


def _make(name: str, version: str, post: str = "", needs: tuple[str, ...] = ()) -> Rpm:
    return Rpm(name, version, requires=needs, scripts={"post": post} if post else {})


@contextmanager
def _place(work: Path, newer: tuple[Rpm, ...], first: tuple[Rpm, ...]) -> Iterator[hostile.Place]:
    with world(work) as (root, repository):
        outdated(root, repository, *newer, first=first)
        yield hostile.Place(root, root.version, lambda p: Path(root.path / p.lstrip("/")), repository.file)


HOSTILE = hostile.rows(hostile.Manager(MANAGER, _make, _place))
SITUATIONS.update({f.__name__: f for f in HOSTILE})

TRAITS: dict[str, Trait] = {
    "expired_key": Trait(alone="zypper believes such a key with a warning: a question of policy"),
    "kept_back_run": Trait(impossible=True),
    **hostile.ALONE,
    "kept_back": Trait(impossible=True),
    "locked": Trait(hidden=True),
    "vendor": Trait(hidden=True),
    "bad_signature": Trait(first=1),
    "post_fails": Trait(unwell=True),
    "moved_on": Trait(alone="only we have an order from before"),
    "kept_away": Trait(alone="it asks how we hold zypp's lock"),
    "script_hangs": Trait(alone="zypper has no bound for a script: it would wait for ever"),
    "did_nothing": Trait(alone="the idle rpm stands in our path alone"),
    "power_cut": Trait(alone="the kill is aimed at our own processes"),
    "downgrade": Trait(alone="nobody is asked for a way back but us"),
    "no_way_back": Trait(alone="zypper does not say beforehand whether there is a way back"),
}
QUICK = frozenset({"plain", "post_fails", "reboot_patch"})
