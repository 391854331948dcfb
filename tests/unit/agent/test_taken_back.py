"""What is written so that an endpoint's own manager does not bring a version back; the lines of others stay."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.dnf import taken_back as dnf
from brakeline.agent.providers.dnf.child.opening import read_locks
from brakeline.agent.providers.pacman import taken_back as pacman
from brakeline.agent.providers.zypper import taken_back as zypper
from brakeline.agent.providers.zypper.answers import locks
from brakeline.agent.providers.zypper.tools import Rooted, Tools
from brakeline.protocol.messages import UpdateRef

P, Q = UpdateRef("p", "2-1"), UpdateRef("NetworkManager", "1:1.44.0~rc1-5.el9_3")
OWNERS = {
    "dnf": "# mine\nkernel-0:6.1-1.*\n!curl-0:8-1.*\n",
    "zypper": "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: kernel*\n\n"
              "type: package\nsolvable_name: curl\nversion: == 8-1\n",
}  # fmt: skip


def made(name: str, root: Path) -> dnf.TakenBack | zypper.TakenBack | pacman.TakenBack:
    machine = Machine(root=root)
    if name == "dnf":
        return dnf.TakenBack(machine)
    if name == "zypper":
        return zypper.TakenBack(Tools(Rooted(machine)))
    return pacman.TakenBack(machine)


@pytest.mark.parametrize("name", ["dnf", "zypper", "pacman"])
def test_what_is_forbidden_is_known_again_and_can_be_lifted(name: str, tmp_path: Path) -> None:
    one = made(name, tmp_path)
    one.allow([P])  # nothing there: nothing made
    assert not list(tmp_path.iterdir())
    one.forbid([P, Q])
    one.forbid([P])
    assert one.known() == (P, Q)
    one.allow([P, UpdateRef("p", "3-1")])
    assert one.known() == (Q,)
    one.allow([Q])
    assert one.known() == ()


@pytest.mark.parametrize(("name", "file"), [("dnf", dnf.FILE), ("zypper", zypper.FILE)])
def test_the_owners_lines_stay(name: str, file: str, tmp_path: Path) -> None:
    path = tmp_path / file.lstrip("/")
    path.parent.mkdir(parents=True)
    path.write_text(OWNERS[name])
    one = made(name, tmp_path)
    one.forbid([P, Q])
    text = path.read_text()
    assert all(line in text.splitlines() for line in OWNERS[name].splitlines())
    one.allow([P, Q])
    assert path.read_text().split() == OWNERS[name].split()


def test_dnf_says_where_its_own_runs_will_not_keep_it(tmp_path: Path) -> None:
    one = dnf.TakenBack(Machine(root=tmp_path))
    assert "no versionlock plugin" in one.forbid([P])
    plugin = tmp_path / "usr/lib/python3.9/site-packages/dnf-plugins/versionlock.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text("")
    assert one.forbid([Q]) == ""


def test_the_child_tells_ours_from_the_owners(tmp_path: Path) -> None:
    path = tmp_path / dnf.FILE.lstrip("/")
    path.parent.mkdir(parents=True)
    path.write_text(OWNERS["dnf"])
    dnf.TakenBack(Machine(root=tmp_path)).forbid([P, Q])
    others, ours = read_locks(str(path))
    assert others == ["kernel-0:6.1-1.*", "!curl-0:8-1.*"]
    assert set(ours.values()) == {("p", "2-1"), ("NetworkManager", "1:1.44.0~rc1-5.el9_3")}


def test_zypper_plans_around_its_locks_without_touching_them(tmp_path: Path) -> None:
    one = zypper.TakenBack(Tools(Rooted(Machine(root=tmp_path))))
    (tmp_path / "etc/zypp").mkdir(parents=True)
    conf = "[main]\nsolver.onlyRequires = true\nlocksfile.path = /etc/zypp/locks\n"
    (tmp_path / "etc/zypp/zypp.conf").write_text(conf)
    (tmp_path / "etc/zypp/locks").write_text(OWNERS["zypper"])
    one.forbid([P, Q])
    before = (tmp_path / "etc/zypp/locks").read_text()
    with one.lifted([UpdateRef("other", "1-1")]) as tools:
        assert tools.conf == ""
    with one.lifted([P]) as tools:
        lines = Path(tools.conf).read_text().splitlines()
        assert "solver.onlyRequires = true" in lines
        (seen,) = [line.split(" = ")[1] for line in lines if line.startswith("locksfile.path")]
        text = Path(seen).read_text()
        assert "solvable_name: p\n" not in text
        assert "kernel*" in text
        assert "NetworkManager" in text
        assert f"ZYPP_CONF={tools.conf}" in tools.zypper("install")
    assert not Path(tools.conf).exists()
    assert (tmp_path / "etc/zypp/locks").read_text() == before
    assert [lock.names for lock in locks(before)] == [("kernel*",)], "a lock of one version holds no package"


def test_pacmans_script_stops_that_version_alone(tmp_path: Path) -> None:
    """The real script under a real shell, with a pacman that says what the repositories have."""
    fake = tmp_path / "bin/pacman"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "Repository : core"\necho "Version         : $HAVE"\n')
    fake.chmod(0o755)
    script = tmp_path / "script"
    script.write_text(pacman.script_of((P,)))

    def run(have: str, names: str = "q\np\n", **more: str) -> subprocess.CompletedProcess[str]:
        path = f"{fake.parent}:/usr/bin:/bin"
        return subprocess.run(["/bin/sh", str(script)], input=names, capture_output=True, text=True, check=False,
                              env={"PATH": path, "HAVE": have, **more})  # fmt: skip

    stopped = run("2-1")
    assert stopped.returncode == 1
    assert "p: the version in the repositories was taken back" in stopped.stderr
    assert "--ignore p" in stopped.stderr
    assert run("3-1").returncode == 0
    assert run("2-1", "q\n").returncode == 0
    assert run("2-1", **{pacman.VARIABLE: "allow"}).returncode == 0


def test_nothing_that_a_shell_could_read_gets_into_the_script(tmp_path: Path) -> None:
    one = pacman.TakenBack(Machine(root=tmp_path))
    one.forbid([UpdateRef('p") ; reboot ;; "', "1-1"), UpdateRef("p", "$(reboot)"), UpdateRef("p*", "1-1"), P])
    assert one.known() == (P,)
    assert "reboot" not in (tmp_path / pacman.SCRIPT.lstrip("/")).read_text()
