"""Which manager is the system's own: its os-release decides, and what cannot be driven is said, never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from brakeline.agent import facts, stamp, system_manager
from brakeline.agent.providers import detect
from brakeline.agent.providers.apt.runner import Machine, Ran
from brakeline.agent.providers.version import version_of
from brakeline.agent.system_manager import PROGRAMS, Unknown, choose
from brakeline.core.clock import ManualClock
from brakeline.protocol.content import BUILT_IN

ALL = {"apt": "apt-get", "dnf": "dnf-3", "zypper": "zypper", "pacman": "pacman"}


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ({"ID": "debian"}, "apt"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt"),
        ({"ID": "fedora"}, "dnf"),
        ({"ID": "virtuozzo", "ID_LIKE": "rhel fedora"}, "dnf"),
        ({"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, "zypper"),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "pacman"),
    ],
)
def test_the_distribution_decides_whatever_tools_are_there(release: dict[str, str], expected: str) -> None:
    assert choose(release, ALL) == expected


def test_a_system_of_no_known_family_has_the_one_manager_that_is_there() -> None:
    assert choose({"ID": "own"}, {"dnf": "dnf-3"}) == "dnf"


@pytest.mark.parametrize(
    ("release", "programs", "image", "said"),
    [
        ({"ID": "own", "PRETTY_NAME": "Own 1"}, {"apt": "apt-get", "dnf": "dnf-3"}, False, "has several (apt, dnf)"),
        ({"ID": "alpine"}, {}, False, "none that is known"),
        ({"ID": "fedora"}, {"apt": "apt-get"}, False, "belongs to dnf, which is not there"),
        ({"ID": "fedora"}, {"dnf": "dnf5"}, False, "only dnf 4 can be driven"),
        ({"ID": "fedora"}, ALL, True, "booted from an image"),
    ],
)
def test_what_cannot_be_driven_is_said(
    release: dict[str, str], programs: dict[str, str], image: bool, said: str
) -> None:
    found = choose(release, programs, image=image)
    assert isinstance(found, Unknown)
    assert said in found.reason


def system(root: Path, identity: str, program: str) -> None:
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/os-release").write_text(f"ID={identity}\n")
    path = root / PROGRAMS[program]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    boot = root / "proc/sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True, exist_ok=True)
    boot.write_text("11111111-1111-1111-1111-111111111111")


@pytest.mark.parametrize(
    ("identity", "manager", "record"),
    [
        ("fedora", "dnf", "var/lib/rpm/rpmdb.sqlite"),
        ("fedora", "dnf", "usr/lib/sysimage/rpm/rpmdb.sqlite-wal"),
        ("fedora", "dnf", "etc/yum.repos.d/new.repo"),
        ("opensuse", "zypper", "var/cache/zypp/solv/main/cookie"),
        ("opensuse", "zypper", "etc/zypp/locks"),
        ("arch", "pacman", "var/lib/pacman/local/p-2-1/desc"),
        ("arch", "pacman", "var/cache/brakeline/pacman/sync/core.db"),
    ],
)
def test_facts_and_stamp_are_of_the_systems_manager(tmp_path: Path, identity: str, manager: str, record: str) -> None:
    system(tmp_path, identity, manager)
    assert facts.gather("x", tmp_path).package_manager == manager
    before = stamp.take("x", tmp_path)
    assert stamp.take("x", tmp_path) == before
    (tmp_path / record).parent.mkdir(parents=True)
    (tmp_path / record).write_text("new")
    assert stamp.take("x", tmp_path).slow != before.slow


def test_an_endpoint_with_nothing_to_drive_says_none(tmp_path: Path) -> None:
    assert facts.gather("x", tmp_path).package_manager == "none"
    assert isinstance(system_manager.here({}, tmp_path), Unknown)


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_each_manager_has_its_provider(name: str) -> None:
    made = detect._system(name, ManualClock(), Machine(), "/work", bool, BUILT_IN, "/back")
    assert (made.name, made.work_dir, made.back_dir) == (name, "/work", "/back")  # type: ignore[attr-defined]


def test_without_one_a_look_fails_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(detect.NoManager, match="none that is known"):
        detect.system_name(tmp_path)


@pytest.mark.parametrize(
    ("manager", "answer", "version"),
    [
        ("apt", "apt 2.6.1 (amd64)", "2.6.1"),
        ("dnf", "4.14.0\n  Installed: dnf-0:4.14.0-8.fc37.noarch", "4.14.0"),
        ("zypper", "zypper 1.14.42", "1.14.42"),
        ("pacman", " .--.                  Pacman v6.0.2 - libalpm v13.0.2", "6.0.2"),
        ("pacman", "no idea", ""),
        ("fake", "1.2.3", ""),
    ],
)
def test_the_managers_own_word_of_its_version(manager: str, answer: str, version: str) -> None:
    class Said(Machine):
        def query(self, *_: str, timeout_s: float = 0) -> Ran:
            return Ran(0, answer)

    assert version_of(manager, Said()) == version
