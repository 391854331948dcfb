"""A walk finds what is there, goes nowhere else, remembers, and ends in order at each of its bounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from brakeline.agent.software import kinds, mounts, readers
from brakeline.agent.software.look import BOUNDS, look, remembered
from brakeline.agent.software.model import Bounds
from brakeline.agent.software.walk import Clocks, Memory, Walk, Walked, items_of
from brakeline.protocol.messages import Package

LATER_NS = 1 << 62  # so long after every write that nothing is fresh


class Time:
    def __init__(self, step_s: float = 0.0) -> None:
        self.cpu, self.step_s = 0.0, step_s

    def clocks(self) -> Clocks:
        return Clocks(self.tick, lambda: 0.0, lambda: LATER_NS)

    def tick(self) -> float:
        self.cpu += self.step_s
        return self.cpu


@pytest.fixture
def system(tmp_path: Path) -> Path:
    site = tmp_path / "opt/app/lib/python3.11/site-packages"
    for name, version in (("jinja2", "3.1.2"), ("requests", "2.31.0")):
        (site / f"{name}-{version}.dist-info").mkdir(parents=True)
        (site / f"{name}-{version}.dist-info/METADATA").write_text(f"Name: {name}\nVersion: {version}\n\n")
    return tmp_path


def walk(system: Path, memory: Memory | None = None, bounds: Bounds = BOUNDS, step_s: float = 0.0) -> Walked:
    made = Walk(readers.read, bounds, Time(step_s).clocks(), {"/": "ext4"}, str(system))
    return made.go(("/opt",), memory or {})


def names(walked: Walked) -> list[str]:
    return sorted(item.name for _, item in items_of(walked.memory))


def test_it_finds_what_is_there_and_reads_nothing_twice(system: Path) -> None:
    first = walk(system)
    assert (names(first), first.read, first.ended, first.gaps) == (["jinja2", "requests"], 2, "", [])
    second = walk(system, first.memory)
    assert (names(second), second.read) == (["jinja2", "requests"], 0)


def test_what_changed_is_read_again_and_what_is_gone_is_gone(system: Path) -> None:
    before = walk(system)
    site = system / "opt/app/lib/python3.11/site-packages"
    (site / "jinja2-3.1.2.dist-info/METADATA").write_text("Name: jinja2\nVersion: 3.1.6\n\n")
    os.remove(site / "requests-2.31.0.dist-info/METADATA")
    after = walk(system, before.memory)
    assert [(i.name, i.version) for _, i in items_of(after.memory)] == [("jinja2", "3.1.6")]
    assert after.read == 1


def test_what_was_just_written_is_not_believed_the_next_time(system: Path) -> None:
    now = (system / "opt").stat().st_mtime_ns
    clocks = Clocks(lambda: 0.0, lambda: 0.0, lambda: now)
    first = Walk(readers.read, Bounds(), clocks, {"/": "ext4"}, str(system)).go(("/opt",), {})
    assert walk(system, first.memory).read == 2


@pytest.mark.parametrize(
    ("bounds", "step_s", "why"),
    [
        (Bounds(directories=3), 0.0, "more than 3 directories"),
        (Bounds(found=1), 0.0, "more than 1 packages"),
        (Bounds(cpu_s=5.0), 1.0, "it took too long"),
    ],
)
def test_a_bound_ends_it_in_order_and_what_was_known_stays(
    system: Path, bounds: Bounds, step_s: float, why: str
) -> None:
    (system / "opt/app/lib/python3.11/site-packages/zzz").mkdir()
    known = walk(system)
    cut = walk(system, known.memory, bounds, step_s)
    assert why in cut.ended
    assert any(why in gap for gap in cut.gaps)
    assert names(cut) == ["jinja2", "requests"]


def test_it_follows_no_link_and_goes_into_no_loop(system: Path) -> None:
    (system / "opt/loop").symlink_to(system / "opt")
    (system / "opt/app/lib/up").symlink_to("..")
    (system / "opt/app/lib/python3.11/site-packages/x.dist-info").mkdir()
    os.symlink("/etc/passwd", system / "opt/app/lib/python3.11/site-packages/x.dist-info/METADATA")
    os.mkfifo(system / "opt/pipe.jar")
    assert names(walk(system)) == ["jinja2", "requests"]


def test_depth_is_bounded_and_told(system: Path) -> None:
    (system / "opt/a/b/c").mkdir(parents=True)
    told = walk(system, bounds=Bounds(depth=1)).gaps
    assert "/opt/a: what lies deeper than 1 directories is not looked at" in told


def test_a_network_file_system_is_never_entered(system: Path) -> None:
    for kind in ("nfs4", "cifs", "fuse.sshfs", "autofs"):
        made = Walk(readers.read, Bounds(), Time().clocks(), {"/": kind}, str(system))
        walked = made.go(("/opt",), {})
        assert walked.memory == {}
        assert walked.gaps == [f"/opt: not looked at, its file system is no local one ({kind})"]


def test_what_cannot_be_read_is_told_with_its_reason(system: Path) -> None:
    bad = system / "opt/b\x1b[31mad\udcff.dist-info"
    bad.mkdir()
    (bad / "METADATA").write_bytes(b"\x00" * 200_000)
    gaps = walk(system).gaps
    assert gaps == [
        "/opt/b\\x1b[31mad\\udcff.dist-info: it names no package and version".replace(": ", "/METADATA: ", 1)
    ]
    assert gaps[0].isprintable()


def test_mounts_are_read_as_the_kernel_writes_them() -> None:
    text = (
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "30 21 0:40 / /srv/with\\040space rw shared:1 - nfs4 server:/x rw\n"
        "31 21 0:41 / /srv rw - autofs systemd-1 rw\n"
    )
    found = mounts.kinds(text)
    assert found == {"/": "ext4", "/srv/with space": "nfs4", "/srv": "autofs"}
    assert mounts.kind_at("/srv/with space/deep", found) == "nfs4"
    assert mounts.kind_at("/srv2", found) == "ext4"
    assert mounts.refusal("/x", {}) == "what file system it lies on is not known"


@pytest.mark.parametrize(
    ("directory", "name", "kind"),
    [
        ("/x/a-1.dist-info", "METADATA", kinds.PYTHON), ("/x/a", "METADATA", ""),
        ("/x/a.egg-info", "PKG-INFO", kinds.PYTHON),
        ("/x", "a-1.egg-info", kinds.PYTHON), ("/x/node_modules/a", "package.json", kinds.NODE),
        ("/x/node_modules/@s/a", "package.json", kinds.NODE), ("/x/a", "package.json", ""),
        ("/x/node_modules/a/test", "package.json", ""), ("/g/specifications", "a-1.gemspec", kinds.RUBY),
        ("/g/specifications/default", "a-1.gemspec", kinds.RUBY), ("/g/a", "a.gemspec", ""),
        ("/x", "a.war", kinds.JAVA),
        ("/usr/bin", "tool", kinds.PROGRAM), ("/usr/lib/x", "tool", ""), ("/opt/x", "tool", kinds.PROGRAM),
        ("/root/.cargo", ".crates2.json", kinds.CARGO), ("/i", "index.json", kinds.IMAGE),
        ("/i/overlay-images", "images.json", kinds.STORE),
    ],
)  # fmt: skip
def test_names_say_what_a_file_tells(directory: str, name: str, kind: str) -> None:
    assert kinds.kind_of(directory, name) == kind


@pytest.fixture
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def test_a_look_marks_what_a_system_package_owns(system: Path, work: Path) -> None:
    info = system / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "python3-jinja2.list").write_text(
        "/.\n/opt/app/lib/python3.11/site-packages/jinja2-3.1.2.dist-info/METADATA\n"
    )
    found, told = look(work, roots=("/opt",), root=str(system), clocks=Time().clocks())
    assert {(p.name, p.owner, p.ecosystem) for p in found} == {
        ("jinja2", "python3-jinja2", "pypi"),
        ("requests", "", "pypi"),
    }
    assert all(p.architecture.startswith("at-") and p.where.endswith("site-packages") for p in found)
    assert (told.found, told.complete, told.gaps) == (2, True, ())
    (info / "python3-jinja2.list").unlink()  # forgotten with the records, whose mark changes
    (system / "var/lib/dpkg/status").write_text("x")
    assert [p.owner for p in look(work, roots=("/opt",), root=str(system), clocks=Time().clocks())[0]] == ["", ""]


def test_without_an_answer_of_the_package_manager_nothing_is_taken_for_nobodys(system: Path, work: Path) -> None:
    """An rpm that is ended must not turn the system's own Python packages into PyPI's."""
    assert len(look(work, roots=("/opt",), root=str(system), clocks=Time().clocks())[0]) == 2
    for place in ("usr/bin", "var/lib/rpm", "opt/app/lib/python3.11/site-packages/new-1.dist-info"):
        (system / place).mkdir(parents=True)
    (system / "var/lib/rpm/rpmdb.sqlite").touch()
    (system / "opt/app/lib/python3.11/site-packages/new-1.dist-info/METADATA").write_text("Name: new\nVersion: 1\n")
    (system / "usr/bin/rpm").write_text("#!/bin/sh\nkill -9 $$\n")
    (system / "usr/bin/rpm").chmod(0o755)
    found, told = look(work, roots=("/opt",), root=str(system), clocks=Time().clocks())
    assert {p.name for p in found} == {"jinja2", "requests"}
    assert "could not be asked" in told.gaps[0]
    (system / "usr/bin/rpm").write_text("#!/bin/sh\nprintf 'new-package\\t/opt/app/lib/python3.11/site-packages/"
                                      "new-1.dist-info/METADATA\\n'\n")  # fmt: skip
    found, told = look(work, roots=("/opt",), root=str(system), clocks=Time().clocks())
    assert {p.name: p.owner for p in found} == {"jinja2": "", "requests": "", "new": "new-package"}
    assert told.gaps == ()


def test_what_a_provider_has_told_is_not_told_twice(system: Path, work: Path) -> None:
    site = system / "usr/local/lib/python3.11/dist-packages/Foo_Bar-1.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Name: Foo_Bar\nVersion: 1\n\n")
    known = Package("foo-bar", "pypi", "1", "foo-bar", "1", ecosystem="pypi")
    roots = ("/usr",)
    assert look(work, (known,), roots, root=str(system), clocks=Time().clocks())[0] == ()
    assert len(look(work, (), roots, root=str(system), clocks=Time().clocks())[0]) == 1


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"format":1}', b'{"format":1,"mark":"","owners":{},"directories":{"/x":[1]}}', b"\xff" * 99]
)
def test_a_damaged_memory_is_looked_up_again(system: Path, work: Path, damage: bytes) -> None:
    (work / "software.json").write_bytes(damage)
    assert remembered(work / "software.json") == ({}, {}, "")
    assert len(look(work, roots=("/opt",), root=str(system), clocks=Time().clocks())[0]) == 2
    assert len(remembered(work / "software.json")[0]) > 0
