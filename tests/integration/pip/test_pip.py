"""Real pip in a real environment, with an index and packages of the test's own."""

from __future__ import annotations

import json
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
from tests.pipindex import HOME, LABEL, Index, Tool, template, tool

from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.protocol.messages import ActionKind, Outcome, UpdateRef, UpdateState


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return template(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def box(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tool]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    index = Index(tmp_path / "index")
    index.publish("tool", "1.0", needs=("part<2",))
    index.publish("part", "1.0")
    box = tool(tmp_path / "root", made, index)
    box.pip("install", "tool==1.0")
    try:
        yield box
    finally:
        index.stop()


def plan(box: Tool, *updates: tuple[str, str], bounds: Bounds | None = None) -> Planned | Refused:
    return box.provider.plan(tuple(UpdateRef(f"{n}:{LABEL}", v) for n, v in updates), bounds or Bounds())


def planned(box: Tool, *updates: tuple[str, str], bounds: Bounds | None = None) -> Planned:
    found = plan(box, *updates, bounds=bounds)
    assert isinstance(found, Planned), found
    return found


def refused(box: Tool, *updates: tuple[str, str], bounds: Bounds | None = None) -> Refused:
    found = plan(box, *updates, bounds=bounds)
    assert isinstance(found, Refused), found
    assert found.reason.endswith(".")
    return found


@pytest.mark.long
def test_inventory_update_and_way_back(box: Tool) -> None:
    box.index.publish("tool", "1.10", needs=("part<2", "fresh"))
    box.index.publish("fresh", "1.0")
    assert isinstance(box.provider.refresh(), Refreshed)
    here = {p.name: p for p in box.provider.inventory()}
    assert (here["tool"].version, here["tool"].architecture, here["tool"].ecosystem) == ("1.0", LABEL, "pypi")
    waits = {u.name: u for u in box.provider.available()}
    assert (waits["tool"].candidate, waits["tool"].state) == ("1.10", UpdateState.AVAILABLE)
    found = planned(box, ("tool", "1.10")).transaction
    assert [(a.kind, a.name, a.after) for a in found.actions] == [
        (ActionKind.INSTALL, "fresh", "1.0"),
        (ActionKind.UPGRADE, "tool", "1.10"),
    ]
    assert box.has("tool") == "1.0"
    done = box.provider.apply(order(found), [].append)
    assert (done.outcome, done.code) == (Outcome.INSTALLED, "ok"), done.detail
    assert done.way_back is not None
    assert (done.way_back.stored, done.way_back.packages) == (True, 2)
    assert (box.has("tool"), box.has("fresh"), box.provider.verify(found)) == ("1.10", "1.0", ())
    again = box.provider.apply(order(found, number=2), [].append)
    assert (again.outcome, again.code) == (Outcome.REFUSED, "nothing_to_do")
    box.index.stop()  # the way back needs no network
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    back = replace(order(left.transaction, Bounds(allow_downgrades=True, allow_removals=True), 3), inverse=left)
    result = box.provider.apply(back, [].append)
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result.detail
    assert (box.has("tool"), box.has("fresh")) == ("1.0", "")


@pytest.mark.long
def test_second_order_of_a_rollout_keeps_the_way_back_from_the_first(box: Tool) -> None:
    """As an endpoint gets one where only a part was done: what was done has no other way back."""
    box.index.publish("part", "1.1")
    assert box.provider.apply(order(planned(box, ("part", "1.1")).transaction), [].append).code == "ok"
    box.index.publish("tool", "1.10", needs=("part<2",))
    again = box.provider.apply(order(planned(box, ("tool", "1.10")).transaction, number=2), [].append)
    assert again.way_back is not None
    assert (again.code, again.way_back.packages) == ("ok", 2)
    box.index.stop()  # the way back needs no network
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    assert len(left.archives) == 2
    back = replace(order(left.transaction, Bounds(allow_downgrades=True, allow_removals=True), 3), inverse=left)
    assert box.provider.apply(back, [].append).code == "ok"
    assert (box.has("tool"), box.has("part")) == ("1.0", "1.0")


def test_kept_back_by_another_package_is_refused_not_broken(box: Tool) -> None:
    box.index.publish("part", "2.0")
    answer = refused(box, ("part", "2.0"))
    assert answer.code == "refused"
    assert box.has("part") == "1.0"


def test_pinned_by_the_owner(box: Tool) -> None:
    box.index.publish("tool", "1.1", needs=("part<2",))
    box.provider.refresh()
    record = {"main_package": {"package": "tool", "pinned": True}}
    (box.root / HOME / "pipx_metadata.json").write_text(json.dumps(record))
    assert box.provider.available()[0].state is UpdateState.HELD
    assert refused(box, ("tool", "1.1")).code == "held"


def test_no_network_is_never_nothing_newer(box: Tool) -> None:
    box.index.publish("tool", "1.1", needs=("part<2",))
    box.provider.refresh()
    found = planned(box, ("tool", "1.1")).transaction
    box.index.stop()
    answer = box.provider.refresh()
    assert isinstance(answer, Refused)
    assert answer.code == "no_network"
    assert [u.candidate for u in box.provider.available()] == ["1.1"]  # what was known stays
    assert "could not be reached" in box.provider.health().lists_problem
    done = box.provider.apply(order(found), [].append)
    assert (done.outcome, done.code, box.has("tool")) == (Outcome.REFUSED, "network", "1.0")


def test_wheel_that_does_not_fit_its_digest_changes_nothing(box: Tool) -> None:
    wheel = box.index.publish("tool", "1.1", needs=("part<2",))
    found = planned(box, ("tool", "1.1")).transaction
    wheel.write_bytes(wheel.read_bytes() + b"tampered")
    done = box.provider.apply(order(found), [].append)
    assert (done.outcome, box.has("tool")) == (Outcome.REFUSED, "1.0")
    assert done.code == "hash_mismatch", done.detail


@pytest.mark.long
def test_index_that_moved_on_is_a_changed_situation(box: Tool) -> None:
    box.index.publish("tool", "1.1", needs=("part<2",))
    found = planned(box, ("tool", "1.1")).transaction
    box.index.publish("tool", "1.1", needs=("part<2", "fresh"))
    box.index.publish("fresh", "1.0")
    done = box.provider.apply(order(found), [].append)
    assert (done.outcome, done.code, box.has("tool")) == (Outcome.REFUSED, "changed", "1.0")
    assert "fresh would also be installed" in done.detail


@pytest.mark.long
def test_no_way_back_is_told_and_does_not_stop_the_update(box: Tool) -> None:
    box.index.publish("tool", "1.1", needs=("part<2",))
    found = planned(box, ("tool", "1.1")).transaction
    box.index.withdraw("tool", "1.0")
    done = box.provider.apply(order(found), [].append)
    assert done.outcome is Outcome.INSTALLED
    assert done.way_back is not None
    assert (done.way_back.stored, done.way_back.code) == (False, "gone")


def test_older_versions_need_leave(box: Tool) -> None:
    box.index.publish("part", "0.9")
    assert "older version of part" in refused(box, ("part", "0.9")).reason


def test_quarantined_versions_are_in_no_plan(box: Tool) -> None:
    box.index.publish("tool", "1.1", needs=("part<2", "fresh"))
    box.index.publish("fresh", "1.0")
    bounds = Bounds(without=(UpdateRef("fresh", "1.0"),))
    assert refused(box, ("tool", "1.1"), bounds=bounds).code == "quarantined"


def test_too_little_space_is_known_before_anything_is_changed(box: Tool) -> None:
    box.index.publish("tool", "1.1", needs=("part<2",))
    found = planned(box, ("tool", "1.1")).transaction
    done = box.provider.apply(order(found, Bounds(disk_reserve_bytes=1 << 60)), [].append)
    assert (done.outcome, done.code, box.has("tool")) == (Outcome.REFUSED, "no_space", "1.0")


@pytest.mark.long
def test_disk_that_fills_up_in_mid_run_is_told_and_done_when_space_is_back(box: Tool) -> None:
    home = box.root / HOME
    aside = home.rename(home.with_name("aside"))
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=755", "tmpfs", str(home)], check=True)
    try:
        shutil.copytree(aside, home, symlinks=True, dirs_exist_ok=True)
        box.index.publish("tool", "1.1", needs=("part<2",), size=60_000_000)
        found = planned(box, ("tool", "1.1")).transaction
        unchecked = Bounds(disk_reserve_bytes=-(1 << 40))  # the space goes after it was looked for
        full = box.provider.apply(order(found, unchecked), [].append)
        assert (full.outcome, full.code, box.has("tool")) == (Outcome.FAILED, "no_space", "1.0"), full.detail
        subprocess.run(["mount", "-o", "remount,size=200m", str(home)], check=True)
        done = box.provider.apply(order(found, number=2), [].append)
        assert (done.outcome, box.has("tool")) == (Outcome.INSTALLED, "1.1"), done.detail
    finally:
        subprocess.run(["umount", str(home)], check=True)
        shutil.rmtree(aside)


@pytest.mark.long
def test_index_that_hangs_is_given_up_with_everything_that_asks_it(box: Tool) -> None:
    box.index.publish("tool", "1.1", needs=("part<2",))
    found = planned(box, ("tool", "1.1")).transaction
    box.index.hang()
    done = box.provider.apply(order(found, Bounds(run_s_max=4)), [].append)
    assert (done.outcome, done.code, box.has("tool")) == (Outcome.REFUSED, "network", "1.0"), done.detail
    assert "pip gave no answer in 4 s" in done.detail
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listed.splitlines() if str(box.root) in line]


def test_environment_that_others_can_write_is_never_run(box: Tool) -> None:
    box.index.publish("tool", "1.1", needs=("part<2",))
    found = planned(box, ("tool", "1.1")).transaction
    os.chmod(box.root / HOME / "bin", 0o777)
    done = box.provider.apply(order(found), [].append)
    assert (done.outcome, box.has("tool")) == (Outcome.REFUSED, "1.0")
    assert "can be written by others" in done.detail
    assert "can be written by others" in refused(box, ("tool", "1.1")).reason


def test_the_system_s_python_is_told_and_left_alone(box: Tool) -> None:
    site = box.root / "usr/local/lib/python3.11/dist-packages"
    shutil.copytree(box.site / "tool-1.0.dist-info", site / "tool-1.0.dist-info")
    assert ("tool", "pypi") in {(p.name, p.architecture) for p in box.provider.inventory()}
    answer = box.provider.plan((UpdateRef("tool:pypi", "2.0"),), Bounds())
    assert isinstance(answer, Refused)
    assert (answer.code, "PEP 668" in answer.reason) == ("externally_managed", True)


def test_file_that_is_not_what_was_installed_is_found_and_healed(box: Tool) -> None:
    box.index.publish("tool", "1.1", needs=("part<2",))
    found = planned(box, ("tool", "1.1")).transaction
    assert box.provider.apply(order(found), [].append).outcome is Outcome.INSTALLED
    (box.site / "tool/data.bin").unlink()
    assert "tool/data.bin is missing" in box.provider.verify(found)[0]
    healed = box.provider.recover(order(found), [].append)
    assert (healed.outcome, healed.code) == (Outcome.INTERRUPTED, "interrupted_repaired"), healed.detail
    assert box.provider.verify(found) == ()


@pytest.mark.long
def test_power_cut_in_the_middle_is_repaired_from_what_lies_ready(box: Tool) -> None:
    """Everything is killed once the old version is gone and the new one is not wholly there."""
    box.index.publish("tool", "1.1", needs=("part<2",), size=200_000_000)
    found = planned(box, ("tool", "1.1")).transaction
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        box.provider.apply(order(found), [].append)
        os._exit(0)
    deadline = time.monotonic() + 120
    while not (box.site / "tool/data.bin").exists() or (box.site / "tool-1.0.dist-info").exists():
        assert time.monotonic() < deadline, "pip never came to the middle"
        time.sleep(0.002)
    kill_all(child, str(box.root))
    broken = box.provider.verify(found)
    assert broken, "the kill came too late to break anything"
    result = box.provider.recover(order(found), [].append)
    assert (result.outcome, result.code) == (Outcome.INTERRUPTED, "interrupted_repaired"), result.detail
    assert (box.has("tool"), box.provider.verify(found)) == ("1.1", ())


def kill_all(child: int, mark: str) -> None:
    """End our child and every process whose command names this test's own directory."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for line in subprocess.run(
        ["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines():
        pid, _, words = line.strip().partition(" ")
        if mark in words:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
