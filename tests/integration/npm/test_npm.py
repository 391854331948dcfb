"""Real npm on a real global folder, with a registry and packages of the test's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.aptroot import order
from tests.correctness.npm import NEEDS, apply, plan
from tests.npmregistry import Endpoint, Registry, endpoint

from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.protocol.messages import ActionKind, Outcome, Transaction, TransactionResult, UpdateRef, UpdateState

pytestmark = pytest.mark.long  # about forty seconds of CPU: npm is slow to start
BACK = Bounds(allow_downgrades=True, allow_removals=True)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    registry = Registry()
    try:
        yield endpoint(tmp_path / "root", registry)
    finally:
        registry.hangs.clear()
        registry.stop()


def planned(box: Endpoint, version: str, name: str = "app:npm") -> Transaction:
    found = plan(box, version, name)
    assert isinstance(found, Planned), found
    return found.transaction


def done(box: Endpoint, version: str, bounds: Bounds | None = None) -> TransactionResult:
    result = apply(box, version, bounds)
    assert isinstance(result, TransactionResult), result
    return result


def test_inventory_update_and_way_back(box: Endpoint) -> None:
    """The former tree comes back as it was, with what had been built in it, after the registry has lost it."""
    (box.modules / "app/built.bin").write_bytes(b"what a script had built")
    box.registry.publish("part", "1.5.0")
    box.registry.publish("fresh", "1.0.0")
    box.registry.publish("app", "1.10.0", {**NEEDS, "fresh": "1.0.0"})
    assert isinstance(box.provider.refresh(), Refreshed)
    here = {(p.name, p.architecture): p for p in box.provider.inventory()}
    assert {k: (p.version, p.ecosystem) for k, p in here.items()} == {
        ("app", "npm"): ("1.0.0", "npm"), ("part", "npm-in-app"): ("1.0.0", "npm"),
    }  # fmt: skip
    assert here[("app", "npm")].origin == "registry of your own"  # the public one's advisories do not speak of it
    waits = box.provider.available()
    assert [(u.name, u.candidate, u.state) for u in waits] == [("app", "1.10.0", UpdateState.AVAILABLE)]
    found = planned(box, "1.10.0")
    assert [(a.kind, a.name, a.architecture, a.after) for a in found.actions] == [
        (ActionKind.UPGRADE, "app", "npm", "1.10.0"),
        (ActionKind.INSTALL, "fresh", "npm-in-app", "1.0.0"),
        (ActionKind.UPGRADE, "part", "npm-in-app", "1.5.0"),
    ]
    assert box.runs() == "1.0.0 part 1.0.0"
    result = box.provider.apply(order(found), [].append)
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result.detail
    assert result.way_back is not None
    assert (result.way_back.stored, result.way_back.packages) == (True, 3)
    assert (box.runs(), box.provider.verify(found)) == ("1.10.0 part 1.5.0 fresh 1.0.0", ())
    again = box.provider.apply(order(found, number=2), [].append)
    assert (again.outcome, again.code) == (Outcome.REFUSED, "nothing_to_do")
    box.registry.withdraw("app", "1.0.0")
    box.registry.stop()  # the way back needs no network
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    back = box.provider.apply(replace(order(left.transaction, BACK, 3), inverse=left), [].append)
    assert (back.outcome, back.code) == (Outcome.INSTALLED, "ok"), back.detail
    assert box.runs() == "1.0.0 part 1.0.0"
    assert (box.modules / "app/built.bin").read_bytes() == b"what a script had built"
    assert isinstance(none := box.provider.undo("ro_1", look=True), Refused)
    assert none.code == "nothing_to_do"


def test_no_network_is_never_nothing_newer(box: Endpoint) -> None:
    box.registry.publish("app", "1.1.0", NEEDS)
    box.provider.refresh()
    found = planned(box, "1.1.0")
    box.registry.stop()
    answer = box.provider.refresh()
    assert isinstance(answer, Refused)
    assert answer.code == "no_network"
    assert [u.candidate for u in box.provider.available()] == ["1.1.0"]  # what was known stays
    assert "could not be reached" in box.provider.health().lists_problem
    result = box.provider.apply(order(found), [].append)
    assert (result.outcome, result.code, box.runs()) == (Outcome.REFUSED, "network", "1.0.0 part 1.0.0")


def test_scoped_packages_and_two_versions_of_one_name(box: Endpoint) -> None:
    box.registry.publish("deep", "3.0.0", {"part": "^2.0.0"})
    box.registry.publish("part", "2.0.0")
    box.registry.publish("@acme/tool", "1.0.0", NEEDS)
    box.npm("install", "@acme/tool@1.0.0")
    box.registry.publish("@acme/tool", "1.1.0", {**NEEDS, "deep": "3.0.0"})
    found = planned(box, "1.1.0", "@acme/tool:npm")
    inside = "npm-in-acme+tool"
    assert [(a.kind, a.name, a.architecture, a.before, a.after) for a in found.actions] == [
        (ActionKind.UPGRADE, "@acme/tool", "npm", "1.0.0", "1.1.0"),
        (ActionKind.INSTALL, "deep", inside, "", "3.0.0"),
        (ActionKind.INSTALL, "part", f"{inside}~2", "", "2.0.0"),
    ]
    result = box.provider.apply(order(found), [].append)
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result.detail
    assert (box.runs("tool"), box.runs()) == ("1.1.0 part 1.0.0 deep 3.0.0", "1.0.0 part 1.0.0")
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    back = box.provider.apply(replace(order(left.transaction, BACK, 3), inverse=left), [].append)
    assert (back.code, box.runs("tool")) == ("ok", "1.0.0 part 1.0.0"), back.detail


@pytest.mark.parametrize("second", ["done", "fails"])
def test_second_order_of_a_rollout_keeps_the_way_back_from_the_first(box: Endpoint, second: str) -> None:
    """As an endpoint gets one where only a part was done: what was done has no other way back, and stays if the second
    fails.
    """
    box.registry.publish("tool", "1.0.0", NEEDS)
    box.npm("install", "tool@1.0.0")
    box.registry.publish("part", "1.1.0")
    box.registry.publish("app", "1.1.0", {"part": "1.1.0"})
    assert done(box, "1.1.0").code == "ok"
    more = {"scripts": {"postinstall": "exit 1"}} if second == "fails" else {}
    box.registry.publish("tool", "1.1.0", {"part": "1.1.0"}, **more)
    again = box.provider.apply(order(planned(box, "1.1.0", "tool:npm"), number=2), [].append)
    assert again.way_back is not None
    assert (again.code == "ok", again.way_back.packages) == (second == "done", 4), again.detail
    tool = "1.1.0 part 1.1.0" if second == "done" else "1.0.0 part 1.0.0"
    assert (box.runs(), box.runs("tool")) == ("1.1.0 part 1.1.0", tool)
    box.registry.stop()  # the way back needs no network
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    back = box.provider.apply(replace(order(left.transaction, BACK, 3), inverse=left), [].append)
    assert back.code == "ok", back.detail
    assert (box.runs(), box.runs("tool")) == ("1.0.0 part 1.0.0", "1.0.0 part 1.0.0")


def test_a_part_of_an_application_is_never_changed_alone(box: Endpoint) -> None:
    box.registry.publish("part", "1.1.0")
    answer = plan(box, "1.1.0", "part:npm-in-app")
    assert isinstance(answer, Refused)
    assert (answer.code, "comes with an update of that" in answer.reason) == ("refused", True)


def test_no_way_back_is_told_and_does_not_stop_the_update(box: Endpoint) -> None:
    box.registry.publish("app", "1.1.0", NEEDS)
    (box.root / "var/lib").mkdir(parents=True, exist_ok=True)
    (box.root / "var/lib/brakeline-helper").mkdir(exist_ok=True)
    (box.root / "var/lib/brakeline-helper/back-npm").write_text("in the way")
    result = done(box, "1.1.0")
    assert result.outcome is Outcome.INSTALLED
    assert result.way_back is not None
    assert (result.way_back.stored, result.way_back.code) == (False, "no_space")


def test_where_there_is_no_room_to_keep_the_former_packages_it_is_told(box: Endpoint) -> None:
    """What is kept lies on a disk of its own here, and that one is full."""
    box.registry.publish("app", "1.1.0", NEEDS)
    state = box.root / "var/lib/brakeline-helper/back-npm"
    state.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(state)], check=True)
    try:
        result = done(box, "1.1.0")
    finally:
        subprocess.run(["umount", str(state)], check=True)
    assert (result.code, box.runs()) == ("ok", "1.1.0 part 1.0.0")
    assert result.way_back is not None
    assert (result.way_back.stored, result.way_back.code) == (False, "no_space")


def test_folder_that_others_can_write_is_left_alone(box: Endpoint) -> None:
    box.registry.publish("app", "1.1.0", NEEDS)
    found = planned(box, "1.1.0")
    os.chmod(box.modules, 0o777)
    result = box.provider.apply(order(found), [].append)
    assert (result.outcome, box.runs()) == (Outcome.REFUSED, "1.0.0 part 1.0.0")
    assert "can be written by others" in result.detail


def test_file_that_is_not_what_was_fetched_is_found_and_healed(box: Endpoint) -> None:
    box.registry.publish("app", "1.1.0", NEEDS)
    found = planned(box, "1.1.0")
    assert box.provider.apply(order(found), [].append).outcome is Outcome.INSTALLED
    (box.modules / "app/data.bin").unlink()
    healed = box.provider.recover(order(found), [].append)
    assert (healed.outcome, healed.code) == (Outcome.INTERRUPTED, "interrupted_repaired"), healed.detail
    assert (box.modules / "app/data.bin").exists()


def test_registry_that_hangs_is_given_up_with_everything_that_asks_it(box: Endpoint) -> None:
    box.registry.publish("app", "1.1.0", NEEDS)
    found = planned(box, "1.1.0")
    box.registry.hangs.set()
    result = box.provider.apply(order(found, Bounds(run_s_max=4)), [].append)
    assert (result.outcome, result.code) == (Outcome.REFUSED, "network"), result.detail
    assert "npm gave no answer in 4 s" in result.detail
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listed.splitlines() if str(box.root) in line]


def test_script_that_hangs_is_ended_with_everything_it_started(box: Endpoint) -> None:
    mark = f"sleep {600 + os.getpid() % 100}.25"
    box.registry.publish("app", "1.1.0", NEEDS, scripts={"postinstall": f"{mark} & {mark}"})
    found = planned(box, "1.1.0")
    result = box.provider.apply(order(found, Bounds(run_s_max=30)), [].append)
    assert (result.outcome, result.code, result.changes) == (Outcome.FAILED, "timeout", ()), result.detail
    assert box.runs() == "1.0.0 part 1.0.0"
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert mark not in listed.splitlines()


def test_disk_that_fills_up_in_mid_run_is_told_and_done_when_space_is_back(box: Endpoint) -> None:
    aside = box.modules.rename(box.modules.with_name("aside"))
    box.modules.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", str(box.modules)], check=True)
    try:
        shutil.copytree(aside, box.modules, symlinks=True, dirs_exist_ok=True)
        box.registry.publish("app", "1.1.0", NEEDS, size=6_000_000)
        found = planned(box, "1.1.0")
        unchecked = Bounds(disk_reserve_bytes=-(1 << 40))  # the space goes after it was looked for
        full = box.provider.apply(order(found, unchecked), [].append)
        assert (full.outcome, full.code) == (Outcome.FAILED, "no_space"), full.detail
        assert (box.runs(), full.changes) == ("1.0.0 part 1.0.0", ())
        subprocess.run(["mount", "-o", "remount,size=128m", str(box.modules)], check=True)
        result = box.provider.apply(order(found, number=2), [].append)
        assert (result.outcome, box.runs()) == (Outcome.INSTALLED, "1.1.0 part 1.0.0"), result.detail
    finally:
        subprocess.run(["umount", str(box.modules)], check=True)
        shutil.rmtree(aside)


def test_power_cut_in_the_middle_is_repaired_from_what_lies_ready(box: Endpoint) -> None:
    """Everything is killed once the former tree is aside and the new one is not wholly there."""
    box.registry.publish("app", "1.1.0", NEEDS, size=60_000_000)
    found = planned(box, "1.1.0")
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        box.provider.apply(order(found), [].append)
        os._exit(0)
    deadline = time.monotonic() + 240
    while not [p for p in box.modules.iterdir() if p.name.startswith(".app-")]:
        assert time.monotonic() < deadline, "npm never came to the middle"
        time.sleep(0.002)
    kill_all(child)
    problems = box.provider.health().problems
    assert any("left behind" in p for p in problems), problems
    box.registry.stop()  # what is needed lies ready
    result = box.provider.recover(order(found), [].append)
    assert (result.outcome, result.code) == (Outcome.INTERRUPTED, "interrupted_repaired"), result.detail
    assert (box.runs(), box.provider.verify(found)) == ("1.1.0 part 1.0.0", ())
    assert box.provider.health().problems == ()


def kill_all(child: int) -> None:
    """End our child and everything below it (npm gives itself another name): stopped first, so that nothing escapes."""
    found, fresh = [child], [child]
    while fresh:
        for pid in fresh:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
        fresh = [pid for pid, parent in pairs if parent in found and pid not in found]
        found += fresh
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os.waitpid(child, 0)


def test_what_is_installed_is_everybody_s_to_run(box: Endpoint) -> None:
    box.registry.publish("app", "1.1.0", NEEDS)
    mask = os.umask(0o077)  # as the root helper has it
    try:
        assert done(box, "1.1.0").code == "ok"
    finally:
        os.umask(mask)
    closed = [p for p in (box.modules / "app").rglob("*") if not p.lstat().st_mode & 0o004]
    assert closed == []


def test_several_global_packages_in_one_transaction(box: Endpoint) -> None:
    box.registry.publish("other", "1.0.0")
    box.npm("install", "other@1.0.0")
    box.registry.publish("other", "1.1.0")
    box.registry.publish("app", "1.1.0", NEEDS, scripts={"postinstall": "exit 7"})
    found = box.provider.plan((UpdateRef("app:npm", "1.1.0"), UpdateRef("other:npm", "1.1.0")), Bounds())
    assert isinstance(found, Planned), found
    result = box.provider.apply(order(found.transaction), [].append)
    assert (result.outcome, result.code) == (Outcome.FAILED, "maintainer_script_failed"), result.detail
    assert (box.runs(), box.runs("other"), result.changes) == ("1.0.0 part 1.0.0", "1.0.0", ())  # all or nothing
