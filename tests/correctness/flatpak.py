"""flatpak's rows of the correctness table. *Real manager, synthetic packages.* Truth is what lies in the deployed
application and what `flatpak list` says; each function takes a fresh endpoint (`tests.flatpakrepo.Endpoint`) with 1.0.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.aptroot import order
from tests.correctness.beside import FlatpakRecords
from tests.correctness.row import Row
from tests.correctness.standin import Trait, staged
from tests.flatpakrepo import APP, LABEL, REF, Endpoint, Remote, endpoint
from tests.pipindex import without_proxies

from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.protocol.messages import Outcome, TransactionResult, UpdateRef, UpdateState

HOLD_LOCK = (
    "import fcntl,os,struct,sys,time; f=os.open(sys.argv[1], os.O_RDWR|os.O_CREAT);"
    "fcntl.fcntl(f, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)); print('held', flush=True); time.sleep(600)"
)  # 37: F_OFD_SETLK, the kind of lock that flatpak takes


def _row(box: Endpoint, situation: str, expected: str, answer: Refused | TransactionResult, code: str) -> Row:
    """Right: what must be deployed in this situation is, flatpak itself says so too, and the code is the one for it."""
    active = os.readlink(box.root / f"var/lib/flatpak/{REF}/active")
    assert active.startswith(box.deployed())
    said = answer.reason if isinstance(answer, Refused) else answer.detail
    right = box.has() == expected and answer.code == code
    return Row("flatpak", situation, box.has(), f"{answer.code}: {said}", right)


def newest(box: Endpoint) -> str:
    """What this endpoint is told to be newest, after it has asked."""
    box.provider.refresh()
    return next((u.candidate for u in box.provider.available() if u.name == APP), "")


def asked(box: Endpoint) -> Any:
    """The endpoint, with a peer in the provider's place while one plays."""
    return staged(box, FlatpakRecords(box))


def plan(box: Endpoint, version: str, bounds: Bounds | None = None) -> Planned | Refused:
    return asked(box).provider.plan((UpdateRef(f"{APP}:{LABEL}", version),), bounds or Bounds())


def planned(box: Endpoint) -> Planned:
    found = plan(box, newest(box))
    assert isinstance(found, Planned), found
    return found


def apply(box: Endpoint, bounds: Bounds | None = None) -> Refused | TransactionResult:
    found = plan(box, newest(box), bounds)
    return found if isinstance(found, Refused) else box.provider.apply(order(found.transaction, bounds), [].append)


def plain_update(box: Endpoint) -> Row:
    box.remote.publish("1.1")
    return _row(box, "plain update", "1.1", apply(box), "ok")


def runtime_comes_along(box: Endpoint) -> Row:
    box.remote.publish_runtime("2")
    box.remote.publish("2.0", runtime="2")
    newest(box)
    assert asked(box).provider.available()[0].state is UpdateState.NEEDS_NEW
    return _row(box, "needs a runtime that is not here", "2.0", apply(box), "ok")


def runtime_missing(box: Endpoint) -> Row:
    """flatpak itself deploys it where nobody looks for what it needs; it does not start then."""
    box.remote.publish("2.0", runtime="9")
    newest(box)
    assert asked(box).provider.available()[0].state is UpdateState.KEPT_BACK
    return _row(box, "its runtime cannot be had (kept back)", "1.0", apply(box), "refused")


def masked(box: Endpoint) -> Row:
    box.remote.publish("1.1")
    box.flatpak("mask", "--system", APP)
    newest(box)
    assert asked(box).provider.available()[0].state is UpdateState.HELD
    return _row(box, "masked by its owner", "1.0", apply(box), "held")


def masked_meanwhile(box: Endpoint) -> Row:
    box.remote.publish("1.1")
    found = planned(box)
    box.flatpak("mask", "--system", "org.example.*")
    answer = box.provider.apply(order(found.transaction), [].append)
    return _row(box, "masked between plan and order", "1.0", answer, "held")


def no_network(box: Endpoint) -> Row:
    """`flatpak update` says *Nothing to do* and ends with 0 then."""
    box.remote.publish("1.1")
    box.remote.stop()
    said = box.flatpak("update", "--system", "-y", "--noninteractive")
    assert "Nothing to do" in said
    answer = asked(box).provider.refresh()
    assert isinstance(answer, Refused)
    return _row(box, "no network", "1.0", answer, "no_network")


def disk_too_small(box: Endpoint) -> Row:
    box.remote.publish("1.1")
    return _row(box, "disk too small", "1.0", apply(box, Bounds(disk_reserve_bytes=1 << 60)), "no_space")


def moved_on(box: Endpoint) -> Row:
    """The ordered commit is what is deployed, although there is a newer one by now."""
    box.remote.publish("1.1")
    found = planned(box)
    box.remote.publish("1.2")
    answer = box.provider.apply(order(found.transaction), [].append)
    return _row(box, "remote moved on since the plan", "1.1", answer, "ok")


def commit_gone(box: Endpoint) -> Row:
    commit = box.remote.publish("1.1")
    found = planned(box)
    (box.remote.directory / f"repo/objects/{commit[:2]}/{commit[2:]}.commit").unlink()
    answer = box.provider.apply(order(found.transaction), [].append)
    return _row(box, "the ordered commit was withdrawn", "1.0", answer, "changed")


def tampered(box: Endpoint) -> Row:
    commit = box.remote.publish("1.1")
    found = planned(box)
    box.remote.corrupt(commit)
    answer = box.provider.apply(order(found.transaction), [].append)
    return _row(box, "a file does not fit its digest", "1.0", answer, "hash_mismatch")


def lock_held(box: Endpoint) -> Row:
    """flatpak itself waits for ever, and names nobody."""
    box.remote.publish("1.1")
    found = planned(box)
    path = str(box.root / "var/lib/flatpak/lock")
    holder = subprocess.Popen([sys.executable, "-c", HOLD_LOCK, path], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert isinstance(told := plan(box, found.transaction.actions[0].after), Refused)
        assert told.code == "locked"
        answer = box.provider.apply(order(found.transaction, Bounds(lock_wait_s=1)), [].append)
        assert f"(pid {holder.pid})" in answer.detail
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    return _row(box, "somebody holds the lock", "1.0", answer, "lock_timeout")


def done_already(box: Endpoint) -> Row:
    """Somebody updated by hand between plan and order: nothing is done a second time, and nothing is claimed."""
    box.remote.publish("1.1")
    found = planned(box)
    box.flatpak("update", "--system", "-y", "--noninteractive")
    answer = box.provider.apply(order(found.transaction), [].append)
    assert answer.outcome is Outcome.REFUSED
    return _row(box, "updated by hand meanwhile", "1.1", answer, "nothing_to_do")


def quarantined(box: Endpoint) -> Row:
    box.remote.publish("1.1")
    bad = newest(box)
    answer = plan(box, bad, Bounds(without=(UpdateRef(APP, bad),)))
    assert isinstance(answer, Refused)
    return _row(box, "quarantined", "1.0", answer, "quarantined")


def unknown_version(box: Endpoint) -> Row:
    answer = plan(box, f"20991231235959.{'a' * 32}")
    assert isinstance(answer, Refused)
    return _row(box, "a commit that no remote has told of", "1.0", answer, "lists_stale")


SITUATIONS: tuple[Callable[[Endpoint], Row], ...] = (
    plain_update, runtime_comes_along, runtime_missing, masked, masked_meanwhile, no_network, disk_too_small, moved_on,
    commit_gone, tampered, lock_held, done_already, quarantined, unknown_version,
)  # fmt: skip
MANAGER: Final = "flatpak"
PLANNED: Final = "between a plan and its order: only we have both"
TRAITS: Final = {
    "runtime_missing": Trait(impossible=True),
    "masked": Trait(hidden=True),
    "masked_meanwhile": Trait(alone=PLANNED),
    "disk_too_small": Trait(alone="the bound is the policy's of an order: a command of the owner's knows none"),
    "moved_on": Trait(alone=PLANNED),
    "commit_gone": Trait(alone=PLANNED),
    "tampered": Trait(alone=PLANNED),
    "lock_held": Trait(alone="it waits for ever"),
    "done_already": Trait(alone=PLANNED),
    "quarantined": Trait(alone="the list of what is quarantined is the cell's"),
    "unknown_version": Trait(alone="a version is asked for by orders alone"),
}
QUICK: Final = frozenset({"plain_update"})


def provoked(work: Path, situation: Callable[[Endpoint], Row]) -> Row:
    """One situation on a fresh endpoint."""
    remote = Remote(work / "remote")
    try:
        with without_proxies():
            return situation(endpoint(work / "root", remote))
    finally:
        remote.stop()
