"""Real flatpak and OSTree on a real system-wide installation, with a remote and applications of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.aptroot import order
from tests.correctness.flatpak import apply, newest, planned
from tests.flatpakrepo import APP, LABEL, REF, RUNTIME, Endpoint, Remote, endpoint
from tests.integration.npm.test_npm import kill_all

from brakeline.agent.providers.flatpak.store import Store
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.protocol.messages import ActionKind, Outcome, TransactionResult, UpdateRef

BACK = Bounds(allow_downgrades=True, allow_removals=True)
long = pytest.mark.long


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    remote = Remote(tmp_path / "remote")
    try:
        yield endpoint(tmp_path / "root", remote)
    finally:
        remote.hangs.clear()
        remote.stop()


def test_inventory_update_and_way_back(box: Endpoint) -> None:
    box.remote.publish_runtime("2")
    box.remote.publish("2.0", runtime="2")
    assert isinstance(box.provider.refresh(), Refreshed)
    here = {p.name: p for p in box.provider.inventory()}
    app = here[APP]
    assert (app.architecture, app.state, app.origin, app.ecosystem) == (LABEL, "ii", "example", "flatpak")
    assert app.version.startswith("20261101100200.")  # when the commit was made, as the remote's builder had it
    assert box.deployed() == app.version.partition(".")[2][:12]
    found = planned(box).transaction
    assert [(a.kind, a.name) for a in found.actions] == [(ActionKind.UPGRADE, APP), (ActionKind.INSTALL, RUNTIME)]
    assert box.has() == "1.0"
    result = box.provider.apply(order(found), [].append)
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result.detail
    assert result.way_back is not None
    assert (result.way_back.stored, result.way_back.packages) == (True, 2)
    assert (box.has(), box.provider.verify(found)) == ("2.0", ())
    again = box.provider.apply(order(found, number=2), [].append)
    assert (again.outcome, again.code) == (Outcome.REFUSED, "nothing_to_do")
    box.remote.stop()  # the way back needs no network
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    back = box.provider.apply(replace(order(left.transaction, BACK, 3), inverse=left), [].append)
    assert (back.outcome, back.code) == (Outcome.INSTALLED, "ok"), back.detail
    assert (box.has(), [str(r) for r in Store(box.runner).refs() if r.branch == "2"]) == ("1.0", [])
    box.flatpak("repair", "--system", "--dry-run")  # our refs are nothing that flatpak would stumble over
    assert isinstance(none := box.provider.undo("ro_1", look=True), Refused)
    assert none.code == "nothing_to_do"


@long
def test_second_order_of_a_rollout_keeps_the_way_back_from_the_first(box: Endpoint) -> None:
    """As an endpoint gets one where only a part was done: what was done has no other way back."""
    other = "org.example.Other"
    box.remote.publish("1.0", name=other)
    box.flatpak("install", "--system", "-y", "--noninteractive", "example", other)
    box.remote.publish("1.1")
    assert isinstance(first := apply(box), TransactionResult)
    assert first.code == "ok", first.detail
    box.remote.publish("1.1", name=other)
    box.provider.refresh()
    candidate = next(u.candidate for u in box.provider.available() if u.name == other)
    found = box.provider.plan((UpdateRef(f"{other}:{LABEL}", candidate),), Bounds())
    assert isinstance(found, Planned), found
    again = box.provider.apply(order(found.transaction, number=2), [].append)
    assert again.way_back is not None
    assert (again.code, again.way_back.packages, box.has(), box.has(other)) == ("ok", 2, "1.1", "1.1"), again.detail
    box.remote.stop()  # the way back needs no network
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    back = box.provider.apply(replace(order(left.transaction, BACK, 3), inverse=left), [].append)
    assert (back.code, box.has(), box.has(other)) == ("ok", "1.0", "1.0"), back.detail


@long
def test_no_network_is_never_nothing_newer(box: Endpoint) -> None:
    box.remote.publish("1.1")
    found = planned(box)
    known = [u.candidate for u in box.provider.available()]
    box.remote.stop()
    answer = box.provider.refresh()
    assert isinstance(answer, Refused)
    assert answer.code == "no_network"
    assert [u.candidate for u in box.provider.available()] == known  # what was known stays
    assert "could not be reached" in box.provider.health().lists_problem
    result = box.provider.apply(order(found.transaction), [].append)
    assert (result.outcome, result.code, box.has()) == (Outcome.REFUSED, "network", "1.0")


@long
def test_signature_of_somebody_else(tmp_path: Path) -> None:
    """The remote is signed with another key from now on: what it says is not believed."""
    signed = Remote(tmp_path / "remote", tmp_path / "gpg")
    try:
        box = endpoint(tmp_path / "root", signed)
        signed.publish("1.1")
        good = apply(box)
        assert isinstance(good, TransactionResult)
        assert (good.code, box.has()) == ("ok", "1.1"), good
        other = Remote(tmp_path / "other", tmp_path / "gpg2")
        other.stop()
        signed.signed = other.signed
        (signed.directory / "repo/summary.sig").unlink()
        signed.publish("1.2")
        answer = box.provider.refresh()
        assert isinstance(answer, Refused)
        assert (answer.code, box.has()) == ("signature", "1.1"), answer
    finally:
        signed.stop()


@long
def test_remote_that_hangs_is_given_up_with_everything_that_asks_it(box: Endpoint) -> None:
    box.remote.publish("1.1")
    found = planned(box)
    box.remote.hangs.set()
    result = box.provider.apply(order(found.transaction, Bounds(run_s_max=4)), [].append)
    assert (result.outcome, result.code, box.has()) == (Outcome.REFUSED, "network", "1.0"), result.detail
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listed.splitlines() if str(box.root) in line]


@long
def test_disk_that_fills_up_in_mid_run_is_told_and_done_when_space_is_back(box: Endpoint) -> None:
    """flatpak keeps 500 MB free unless it is told otherwise; here its owner has told it otherwise."""
    home = box.root / "var/lib/flatpak"
    aside = home.rename(home.with_name("aside"))
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", str(home)], check=True)
    try:
        shutil.copytree(aside, home, symlinks=True, dirs_exist_ok=True)
        settings = home / "repo/config"
        settings.write_text(settings.read_text().replace("min-free-space-size=500MB", "min-free-space-size=0MB"))
        box.remote.publish("1.1", size=12_000_000)
        found = planned(box)
        unchecked = Bounds(disk_reserve_bytes=-(1 << 40))  # the space goes after it was looked for
        full = box.provider.apply(order(found.transaction, unchecked), [].append)
        assert (full.code, full.changes, box.has()) == ("no_space", (), "1.0"), full.detail
        subprocess.run(["mount", "-o", "remount,size=160m", str(home)], check=True)
        result = box.provider.apply(order(found.transaction, number=2), [].append)
        assert (result.outcome, box.has()) == (Outcome.INSTALLED, "1.1"), result.detail
    finally:
        subprocess.run(["umount", str(home)], check=True)
        shutil.rmtree(aside)


@long
@pytest.mark.parametrize("when", ["pulling", "deploying"])
def test_power_cut_in_the_middle_is_repaired_from_what_lies_ready(box: Endpoint, when: str) -> None:
    """Everything is killed while the commit is pulled, or once the first of two is deployed and the other is not."""
    box.remote.publish_runtime("2")
    box.remote.publish("2.0", runtime="2", size=40_000_000)
    found = planned(box)
    tmp, runtime = box.root / "var/lib/flatpak/repo/tmp", box.root / f"var/lib/flatpak/runtime/{RUNTIME}"
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        box.provider.apply(order(found.transaction), [].append)
        os._exit(0)
    deadline = time.monotonic() + 240
    while not (list(tmp.glob("staging-*/*/*")) if when == "pulling" else list(runtime.glob("*/2/active"))):
        assert time.monotonic() < deadline, "flatpak never came to the middle"
        time.sleep(0.001)
    kill_all(child)
    result = box.provider.recover(order(found.transaction), [].append)
    assert result.outcome is Outcome.INTERRUPTED
    if when == "pulling":
        assert (result.code, result.changes, box.has()) == ("interrupted_unchanged", (), "1.0"), result.detail
        result = box.provider.apply(order(found.transaction, number=2), [].append)
        assert result.code == "ok", result.detail
    else:
        assert result.code in ("interrupted_repaired", "interrupted_complete"), result.detail
    assert (box.has(), box.provider.verify(found.transaction), box.provider.health().problems) == ("2.0", (), ())


@long
def test_what_cannot_be_deployed_takes_the_rest_back(box: Endpoint) -> None:
    """The second of two cannot be deployed: the runtime that came first goes again."""
    box.remote.publish_runtime("2")
    box.remote.publish("2.0", runtime="2")
    found = planned(box)
    place = box.root / f"var/lib/flatpak/{REF}"
    subprocess.run(["chattr", "+i", str(place)], check=True)
    try:
        result = box.provider.apply(order(found.transaction), [].append)
    finally:
        subprocess.run(["chattr", "-i", str(place)], check=True)
    assert (result.outcome, result.changes, box.has()) == (Outcome.FAILED, (), "1.0"), result.detail
    assert "The former commits are there as before" in result.detail


@long
def test_what_is_kept_is_everybody_s_to_read(box: Endpoint) -> None:
    box.remote.publish("1.1")
    mask = os.umask(0o077)  # as the root helper has it
    try:
        assert isinstance(done := apply(box), TransactionResult)
        assert done.code == "ok", done.detail
    finally:
        os.umask(mask)
    home = box.root / "var/lib/flatpak"
    places = (home / "repo/tmp/cache/summaries", home / "repo/refs", home / "app")
    closed = [p for place in places for p in place.rglob("*") if not p.lstat().st_mode & 0o004]
    assert closed == []


@long
def test_deployed_half_is_told(box: Endpoint) -> None:
    place = box.root / f"var/lib/flatpak/{REF}"
    (place / "active").unlink()
    assert [(p.name, p.state) for p in box.provider.inventory() if p.name == APP] == [(APP, "iHR")]
    assert "needs reinstallation" in box.provider.health().problems[0]


@long
def test_the_time_in_a_version_is_the_commit_s(box: Endpoint) -> None:
    """We read it from the commit's own bytes; OSTree's program reads the same ones."""
    commit = os.readlink(box.root / f"var/lib/flatpak/{REF}/active")
    repo = f"--repo={box.root / 'var/lib/flatpak/repo'}"
    shown = subprocess.run(["ostree", repo, "show", commit], capture_output=True, text=True, check=True).stdout
    date = next(line for line in shown.splitlines() if line.startswith("Date:"))
    assert "".join(c for c in date if c.isdigit())[:14] == Store(box.runner).version(commit).partition(".")[0]
    assert newest(box) == ""
