"""When a scan looks at everything, at a part, or at nothing; and that the stamp sees each change it is there for."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from brakeline.agent import stamp
from brakeline.agent.rescan import FULL_S_MAX, QUICK_S_MAX, Depth, Look, Stamp, depth

SAME = Stamp("slow", "quick")
LAST = Look(SAME, full_s=1000.0, looked_s=50_000.0)


@pytest.mark.parametrize(
    ("last", "now", "at_s", "asked", "due"),
    [
        (LAST, SAME, 50_900, False, Depth.NOTHING),
        (None, SAME, 50_900, False, Depth.FULL),
        (LAST, SAME, 50_900, True, Depth.FULL),
        (LAST, replace(SAME, slow="x"), 50_900, False, Depth.FULL),
        (LAST, Stamp("x", "x"), 50_900, False, Depth.FULL),
        (LAST, replace(SAME, quick="x"), 50_900, False, Depth.QUICK),
        (LAST, SAME, 50_000 + QUICK_S_MAX - 1, False, Depth.NOTHING),
        (LAST, SAME, 50_000 + QUICK_S_MAX, False, Depth.QUICK),
        (LAST, SAME, 1000 + FULL_S_MAX - 1, False, Depth.QUICK),
        (LAST, SAME, 1000 + FULL_S_MAX, False, Depth.FULL),
    ],
)
def test_what_is_due(last: Look | None, now: Stamp, at_s: float, asked: bool, due: Depth) -> None:
    assert depth(last, now, float(at_s), asked=asked) is due


FILES = {
    "proc/sys/kernel/random/boot_id": "boot-1",
    "proc/sys/kernel/osrelease": "6.1.0-40-amd64",
    "var/lib/dpkg/status": "Package: a",
    "var/lib/dpkg/updates/0000": "",
    "var/lib/apt/extended_states": "",
    "var/lib/apt/lists/deb_InRelease": "Date",
    "var/lib/apt/lists/deb_Packages": "Package: a",
    "var/lib/apt/lists/lock": "",
    "var/lib/apt/lists/partial/x": "",
    "etc/apt/sources.list.d/debian.sources": "Types: deb",
    "etc/apt/preferences.d/pin": "",
    "etc/apt/apt.conf.d/50x": "",
    "etc/os-release": "ID=debian",
    "etc/machine-id": "0",
    "var/cache/brakeline/apt-refresh.json": "{}",
    "var/cache/brakeline/stale-services.json": "{}",
    "usr/share/doc/readme": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def seen(before: Stamp, after: Stamp) -> str:
    return ("slow " if before.slow != after.slow else "") + ("quick" if before.quick != after.quick else "")


def rewrite(path: Path) -> None:
    """The same bytes again, in a new file under the old name, with the old times: as careful tools do."""
    s = path.stat()
    aside = path.with_name(path.name + ".aside")
    aside.write_bytes(path.read_bytes())
    os.utime(aside, ns=(s.st_atime_ns, s.st_mtime_ns))
    aside.rename(path)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("var/lib/dpkg/status", "slow "),
        ("var/lib/dpkg/updates/0000", "slow "),
        ("var/lib/apt/extended_states", "slow "),
        ("var/lib/apt/lists/deb_Packages", "slow "),
        ("etc/apt/sources.list.d/debian.sources", "slow "),
        ("etc/apt/preferences.d/pin", "slow "),
        ("etc/apt/apt.conf.d/50x", "slow "),
        ("etc/machine-id", "slow "),
        ("etc/os-release", "quick"),
        ("var/cache/brakeline/apt-refresh.json", "quick"),
        ("var/cache/brakeline/stale-services.json", "quick"),
        ("var/lib/apt/lists/lock", ""),
        ("usr/share/doc/readme", ""),
    ],
)
def test_a_file_that_was_replaced_is_seen(root: Path, name: str, part: str) -> None:
    before = stamp.take("1", root)
    rewrite(root / name)
    assert seen(before, stamp.take("1", root)) == part


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("var/lib/dpkg/updates/0001", "slow "),
        ("etc/apt/preferences", "slow "),
        ("etc/apt/preferences.d/new", "slow "),
        ("var/lib/apt/lists/new_Packages", "slow "),
        ("var/lib/apt/lists/partial/new", ""),
        ("run/reboot-required", "quick"),
    ],
)
def test_a_file_that_came_or_went_is_seen(root: Path, name: str, part: str) -> None:
    without = stamp.take("1", root)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("")
    there = stamp.take("1", root)
    assert seen(without, there) == part
    (root / name).unlink()
    assert stamp.take("1", root) == without


def test_boot_kernel_and_agent_are_seen(root: Path) -> None:
    before = stamp.take("1", root)
    assert stamp.take("1", root) == before
    assert seen(before, stamp.take("2", root)) == "slow "
    (root / "proc/sys/kernel/osrelease").write_text("6.1.0-41-amd64")
    assert seen(before, stamp.take("1", root)) == "quick"
    (root / "proc/sys/kernel/random/boot_id").write_text("boot-2")
    assert seen(before, stamp.take("1", root)) == "slow quick"


def test_a_refresh_without_news_asks_for_the_quick_part_only(root: Path) -> None:
    """apt sets Release files to their old times again: only the ctime moves."""
    before, release = stamp.take("1", root), root / "var/lib/apt/lists/deb_InRelease"
    s = release.stat()
    while release.stat().st_ctime_ns == s.st_ctime_ns:
        os.utime(release, ns=(s.st_atime_ns, s.st_mtime_ns))
    assert seen(before, stamp.take("1", root)) == "quick"


def test_an_empty_system_has_a_stamp_too(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("b")
    assert stamp.take("1", tmp_path) == stamp.take("1", tmp_path)
