"""The endpoint package by real tools: rebuilt bit by bit, read by dpkg, rpm and lintian, installed into real roots."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.aptroot import Clone, clone, layers
from tests.support import require
from tests.support_clock import started_at

PROMISED = {
    "/usr/lib/brakeline/stub.py", "/usr/lib/brakeline/launcher.pyz", "/usr/lib/brakeline/agent.tar",
    "/usr/bin/brakeline-agent", "/usr/lib/systemd/system/brakeline-agent.service",
    "/usr/lib/systemd/system/brakeline-helper.service", "/usr/lib/systemd/system/brakeline-helper.socket",
    "/usr/lib/sysusers.d/brakeline.conf",
}  # fmt: skip
DIRECTORIES = {
    "/etc/brakeline": "755 root root", "/var/lib/brakeline": "700 brakeline brakeline",
    "/var/lib/brakeline-helper": "700 root root", "/var/lib/brakeline-launcher": "755 root root",
}  # fmt: skip
# Everything below /etc /usr /var with owner and mode, and the accounts; not what package managers keep for themselves.
LIST = """
find /etc /usr /var -xdev -printf '%p %M %u %g\\n' \\
    | grep -Ev '^/(var/(lib/(dpkg|rpm)|log|cache)|etc/(\\.pwd\\.lock|(passwd|shadow|group|gshadow)-))' | sort
find /var/cache -maxdepth 1 -name 'brakeline*'
sort /etc/passwd /etc/group
"""
OVERLAY = """
mount --make-rprivate /
mount -t tmpfs -o size=300m,mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
mount --bind /dev /mnt/root/dev
mount -t tmpfs tmpfs /mnt/root/run
echo ready
exec sleep infinity
"""


def build(out: Path, *words: str, zone: str = "UTC", umask: int = 0o022, clock: str = "") -> Path:
    """`brakeline release package` in a process of its own; the package."""
    command = [sys.executable, "-m", "brakeline.cli", "release", "package", *words, "--out", str(out), "--json"]
    environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": str(len(clock)), "TMPDIR": str(out)}
    environment |= started_at(clock) if clock else {}
    out.mkdir(exist_ok=True)
    done = subprocess.run(command, cwd=out, env=environment, umask=umask, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    path = Path(made["files"][0])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == made["sha256"]
    return path


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    require(shutil.which("rpmbuild"), "rpmbuild (Debian package rpm)")
    out = tmp_path_factory.mktemp("built")
    return {f: build(out, "1.4.0", "--sequence", "4", "--format", f) for f in ("deb", "rpm")}


@pytest.mark.long
@pytest.mark.parametrize("format_", ["deb", "rpm"])
def test_two_builds_are_bit_identical_whatever_the_machine_is_like(
    format_: str, packages: dict[str, Path], tmp_path: Path
) -> None:
    again = build(tmp_path / "elsewhere", "1.4.0", "--sequence", "4", "--format", format_, zone="Pacific/Kiritimati",
                  umask=0o077, clock="2031-01-01 10:00:00")  # fmt: skip
    assert again.read_bytes() == packages[format_].read_bytes()
    for paper in (".cdx.json", ".intoto.json"):
        here, there = (Path(f"{path}{paper}").read_text() for path in (packages[format_], again))
        assert here == there


def test_dpkg_and_rpm_see_the_promised_layout(packages: dict[str, Path]) -> None:
    listed = run("dpkg-deb", "-c", str(packages["deb"])).splitlines()
    assert {line.split()[5].removeprefix(".") for line in listed} >= PROMISED
    assert {line.split()[1] for line in listed} == {"root/root"}
    assert set(run("rpm", "-qlp", str(packages["rpm"])).splitlines()) >= PROMISED
    assert run("dpkg-deb", "-f", str(packages["deb"]), "Depends").strip() == "python3 (>= 3.11), systemd"
    assert "python3 >= 3.11" in run("rpm", "-qp", "--requires", str(packages["rpm"]))


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_bill_of_materials_and_provenance_name_every_file_and_the_very_package(packages: dict[str, Path]) -> None:
    for path in packages.values():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        bom, statement = (json.loads(Path(f"{path}{paper}").read_text()) for paper in (".cdx.json", ".intoto.json"))
        assert bom["metadata"]["component"]["hashes"][0]["content"] == digest
        assert {f"/{c['name']}" for c in bom["components"] if c["type"] == "file"} >= PROMISED
        assert statement["subject"] == [{"name": path.name, "digest": {"sha256": digest}}]


@pytest.mark.long
def test_lintian_finds_nothing(packages: dict[str, Path]) -> None:
    require(shutil.which("lintian"), "lintian")
    done = subprocess.run(["lintian", "--allow-root", "--tag-display-limit", "0", "-I", str(packages["deb"])],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture
def root() -> Iterator[Clone]:
    """A real Debian root without systemd running, as when images are made."""
    with clone() as made:
        yield made


def into(root: Clone, path: Path) -> str:
    """The file inside; its path there."""
    shutil.copy(path, f"/proc/{root.pid}/root/root/{path.name}")
    return f"/root/{path.name}"


def directories(sh: Callable[[str], str]) -> dict[str, str]:
    lines = sh(f"stat -c '%n %a %U %G' {' '.join(DIRECTORIES)}").splitlines()
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}


def test_a_deb_makes_user_and_directories_in_an_image_and_purged_nothing_of_it_is_left(
    root: Clone, packages: dict[str, Path]
) -> None:
    before = root.sh(LIST)
    root.sh(f"dpkg -i {into(root, packages['deb'])}")
    assert directories(root.sh) == DIRECTORIES
    assert "/usr/sbin/nologin" in root.sh("getent passwd brakeline")
    assert "brakeline" not in root.sh("find /etc/systemd -name '*brakeline*'"), "not enrolled: nothing is enabled"
    root.sh("dpkg -V brakeline-agent")
    root.sh("echo mine > /etc/brakeline/agent.json; dpkg -r brakeline-agent")
    assert root.sh("cat /etc/brakeline/agent.json") == "mine\n", "removed is not purged: its identity stays"
    root.sh("mkdir -p /var/cache/brakeline; echo '{}' > /var/cache/brakeline/apt-refresh.json")
    root.sh("dpkg -P brakeline-agent")
    assert root.sh(LIST) == before


def test_systemd_takes_the_units_and_rates_the_one_that_speaks_to_the_network(
    root: Clone, packages: dict[str, Path]
) -> None:
    root.sh(f"dpkg -i {into(root, packages['deb'])}")
    assert root.sh("systemd-analyze verify /usr/lib/systemd/system/brakeline-* 2>&1") == ""
    rated = root.sh("systemd-analyze security --offline=true --no-pager brakeline-agent.service 2>&1 || true")
    score = re.search(r"Overall exposure level for brakeline-agent.service: ([0-9.]+)", rated)
    assert score is not None, rated
    assert float(score[1]) <= 3.0, "launcher: root, who becomes the agent's user; docs/measurements has the score"


def test_an_image_that_is_enrolled_already_has_its_units_enabled(root: Clone, packages: dict[str, Path]) -> None:
    root.sh(f"mkdir /etc/brakeline; echo '{{}}' > /etc/brakeline/agent.json; dpkg -i {into(root, packages['deb'])}")
    enabled = root.sh("find /etc/systemd/system -type l -name 'brakeline-*' | sort").split()
    assert [Path(link).name for link in enabled] == ["brakeline-agent.service", "brakeline-helper.socket"]


def test_units_of_an_earlier_enrolment_do_not_hide_those_of_the_package(root: Clone, packages: dict[str, Path]) -> None:
    unit = "/etc/systemd/system/brakeline-agent.service"
    root.sh(f"echo old > {unit}; dpkg -i {into(root, packages['deb'])}; test ! -e {unit}")
    assert root.sh(f"cat {unit}.before-package") == "old\n"
    root.sh(f"dpkg -P brakeline-agent; test ! -e {unit}.before-package")


# Real rpm, synthetic distribution: what packages of Fedora's would provide is said by one that is made here.
DISTRIBUTION = """Name: synthetic-distribution
Version: 1
Release: 1
Summary: Says that the Debian root below has what it has
License: none
BuildArch: noarch
Provides: /bin/sh python3 = 3.11.2 systemd = 252
%description
.
%files
"""


@dataclass(frozen=True, slots=True)
class RpmRoot:
    """A Debian root that this machine's rpm installs into; mounted where nobody else sees it."""

    pid: int

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "--mount", f"--target={self.pid}", "--wdns=/"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, check=False)

    def sh(self, script: str) -> str:
        done = self.inside("chroot", "/mnt/root", "sh", "-euc", script)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rpm(self, *words: str) -> str:
        """rpm says much on its standard error that is no failure; what its scripts say counts too."""
        done = self.inside("rpm", "--root", "/mnt/root", "--dbpath", "/var/lib/rpm", *words)
        return done.stdout + "".join(f"{line}\n" for line in done.stderr.splitlines() if "use Alien" not in line
                                     and "know what you are doing" not in line)  # fmt: skip


@pytest.fixture
def rpm_root() -> Iterator[RpmRoot]:
    lower = layers().directories[-1]
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-euc", OVERLAY, "sh", lower]
    holder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n", "the root could not be mounted"
        yield RpmRoot(holder.pid)
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.long
def test_an_rpm_installs_upgrades_and_erases_in_a_root_of_its_own(
    rpm_root: RpmRoot, packages: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "d.spec").write_text(DISTRIBUTION)
    run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {tmp_path}", str(tmp_path / "d.spec"))
    assert "python3 >= 3.11 is needed" in rpm_root.rpm("-i", str(packages["rpm"]))
    before = rpm_root.sh(f"mkdir -p /usr/share/man/man1\n{LIST}")  # on a distribution of rpm its own, here nobody's
    assert rpm_root.rpm("-i", *map(str, tmp_path.glob("RPMS/noarch/*.rpm"))) == ""
    rpm_root.rpm("-i", str(packages["rpm"]))
    assert directories(rpm_root.sh) == DIRECTORIES
    assert "/usr/sbin/nologin" in rpm_root.sh("getent passwd brakeline")
    newer = build(tmp_path / "newer", "1.5.0", "--sequence", "5", "--format", "rpm")
    rpm_root.rpm("-U", str(newer))
    assert rpm_root.rpm("-q", "brakeline-agent") == "brakeline-agent-1.5.0-1.noarch\n"
    assert rpm_root.rpm("-V", "brakeline-agent") == "", "every file is as it was packed"
    assert rpm_root.rpm("-e", "brakeline-agent") == ""
    rpm_root.sh("test ! -e /usr/lib/brakeline && test -d /var/lib/brakeline")
    # what docs/how-to/packages.md gives, because rpm knows no purge
    rpm_root.sh("rm -rf /etc/brakeline /var/lib/brakeline /var/lib/brakeline-* /var/cache/brakeline; userdel brakeline")
    assert rpm_root.sh(LIST) == before
