"""Space, kernels, old code in memory: pure decisions."""

from __future__ import annotations

import pytest

from brakeline.agent.providers.apt.disk import archive_name, mount_of
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.kernel import kernel_reason
from brakeline.agent.providers.apt.space import FileSystem, Unpacking, needed, too_small
from brakeline.agent.providers.apt.stale import (
    Stale,
    deleted_code,
    needrestart_services,
    reasons,
    restartable,
    unit_of,
)

MIB = 1024 * 1024


def kernels(*names: str) -> list[Installed]:
    return [Installed(f"linux-image-{n}", "amd64", "6.1.153-1", "linux", "6.1.153-1", "ii") for n in names]


def test_newer_kernel_of_the_same_flavour() -> None:
    have = kernels("6.1.0-39-amd64", "6.1.0-40-amd64", "6.1.0-9-amd64", "6.1.0-99-cloud-amd64")
    assert kernel_reason("6.1.0-39-amd64", "", have) == "kernel 6.1.0-40-amd64 installed, 6.1.0-39-amd64 running"
    assert kernel_reason("6.1.0-40-amd64", "", have) == ""
    assert kernel_reason("6.18.44-own", "", have) == "", "a kernel that no package brought is nobody's to judge"


def test_same_kernel_rebuilt_with_fixes() -> None:
    running = "Linux version 6.1.0-40-amd64 (…) #1 SMP PREEMPT_DYNAMIC Debian 6.1.147-1 (2025-08-02)"
    found = kernel_reason("6.1.0-40-amd64", running, kernels("6.1.0-40-amd64"))
    assert found == "kernel 6.1.0-40-amd64 6.1.153-1 installed, 6.1.147-1 running"


def test_space_counts_growth_and_the_largest_package_at_its_place() -> None:
    pair = [
        Unpacking("a", 100 * MIB, 110 * MIB, {"/": 1.0}),
        Unpacking("b", 0, 20 * MIB, {"/": 0.5, "/boot": 0.5}, boot_bytes=60 * MIB),
    ]
    need = needed(pair, 30 * MIB, "/var", "/boot")
    assert need == {"/": (10 + 10 + 110) * MIB, "/boot": (10 + 60 + 10) * MIB, "/var": 30 * MIB}
    systems = [FileSystem("/", 500 * MIB), FileSystem("/boot", 100 * MIB), FileSystem("/var", 40 * MIB)]
    assert too_small(need, systems, 5 * MIB) == ""
    assert too_small(need, systems, 64 * MIB) == (
        "/boot has 100 MiB free, 144 MiB are needed (80 for the transaction, 64 kept in reserve); "
        "/var has 40 MiB free, 94 MiB are needed (30 for the transaction, 64 kept in reserve)"
    )


def test_places_and_names_of_archives() -> None:
    mounts = {"/": "/", "/usr": "/", "/var": "/var", "/boot": "/boot"}
    assert [mount_of(p, mounts) for p in ("/usr/bin/x", "/var/lib/x", "/variety", "/boot/vmlinuz")] == [
        "/", "/var", "/", "/boot",
    ]  # fmt: skip
    assert archive_name("p", "1:2.0-1", "amd64") == "p_1%3a2.0-1_amd64.deb"


MAPS = """\
7f01-7f02 r-xp 00000000 fe:00 1234 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)
7f02-7f03 r--p 00000000 fe:00 1234 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)
7f03-7f04 rw-s 00000000 00:01 99 /dev/zero (deleted)
7f03-7f04 rw-s 00000000 00:01 98 /memfd:x (deleted)
7f04-7f05 rw-p 00000000 fe:00 97 /tmp/plugin.so (deleted)
7f05-7f06 r--p 00000000 fe:00 96 /usr/lib/locale/locale-archive (deleted)
7f06-7f07 r-xp 00000000 fe:00 95 /usr/sbin/daemon
7f07-7f08 rw-p 00000000 00:00 0 [heap]
"""


def test_only_deleted_code_counts() -> None:
    assert deleted_code(MAPS.splitlines(keepends=True)) == "/usr/lib/x86_64-linux-gnu/libssl.so.3"
    assert deleted_code(MAPS.splitlines()[2:]) == ""


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/cron.service\n", "cron.service"),
        ("12:pids:/x.service\n1:name=systemd:/payload/system.slice/ssh.service\n0::/\n", "ssh.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service\n", ""),
        ("0::/init.scope\n", ""),
        ("0::/system.slice/docker-abc.scope\n", ""),
    ],
)
def test_unit_of_a_process(cgroup: str, unit: str) -> None:
    assert unit_of(cgroup) == unit


@pytest.mark.parametrize(
    ("unit", "may"),
    [
        ("cron.service", True),
        ("ssh.service", True),
        ("dbus.service", False),
        ("systemd-logind.service", False),
        ("getty@tty1.service", False),
        ("docker.service", False),
        ("brakeline-tx-1.service", False),
        ("", False),
    ],
)
def test_who_may_be_restarted(unit: str, may: bool) -> None:
    assert restartable(unit) is may


def test_reasons_for_a_restart_of_the_endpoint() -> None:
    path = "/usr/lib/libssl.so.3"
    stale = [
        Stale(1, "systemd", "", path),
        Stale(5, "dbus-daemon", "dbus.service", path),
        Stale(6, "cron", "cron.service", path),
        Stale(7, "python3", "brakeline-agent.service", path),
    ]
    assert reasons(stale, {path: "libssl3"}) == ("libssl3 in use by systemd", "libssl3 in use by dbus.service")


def test_needrestart() -> None:
    text = "NEEDRESTART-VER: 3.6\nNEEDRESTART-KSTA: 3\nNEEDRESTART-SVC: cron.service\nNEEDRESTART-SVC: dbus.service\n"
    assert needrestart_services(text) == ("cron.service", "dbus.service")
