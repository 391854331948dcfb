"""Services that run old code, under a real systemd: told, restarted where that is enough, reported when they fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.aptrepo import Built, Repository
from tests.aptroot import Clone, booted, eventually
from tests.integration.apt.steps import prepare

from brakeline.agent.providers.apt.services import RECORD, Services
from brakeline.agent.providers.model import Bounds
from brakeline.protocol.messages import Outcome

LIBRARY = "/usr/lib/x86_64-linux-gnu/libdemo.so.1"
SCRIPT = f"""#!/usr/bin/python3
import mmap, os, time
f = open("{LIBRARY}", "rb"); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_EXEC, flags=mmap.MAP_PRIVATE)
if b"broken" in m[:100]: raise SystemExit(1)
open("/run/" + os.path.basename(__file__) + ".ready", "w").close()
time.sleep(100000)
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Clone]:
    """One boot for the tests of this module; each uses services and packages of its own."""
    with booted() as made:
        yield made


def unit(name: str) -> str:
    return f"[Service]\nExecStartPre=-/bin/rm -f /run/{name}.ready\nExecStart=/usr/bin/{name}\n"


def library(package: str, version: str, content: str) -> Built:
    path = LIBRARY.replace("libdemo", package)
    return Built(package, version, files={path: content.encode().ljust(8192, b".")})


def service(machine: Clone, name: str, package: str, unit_name: str = "", more: str = "") -> str:
    """A running service that has a library of `package` mapped. `more`: lines for its unit."""
    unit_name = unit_name or f"{name}.service"
    script = SCRIPT.replace("libdemo", package)
    machine.machine.path(f"/usr/bin/{name}").write_text(script)
    machine.machine.path(f"/etc/systemd/system/{unit_name}").write_text(unit(name) + more)
    machine.sh(f"chmod 755 /usr/bin/{name}; systemctl daemon-reload; systemctl restart {unit_name}")
    eventually(lambda: machine.machine.path(f"/run/{name}.ready").exists(), f"{name} runs")
    return unit_name


def main_pid(machine: Clone, name: str) -> str:
    return machine.sh(f"systemctl show -p MainPID --value {name}").strip()


def test_service_with_an_old_library_is_restarted(machine: Clone, repository: Repository) -> None:
    prepare(machine, repository, library("libone", "2", "new"), first=(library("libone", "1", "old"),))
    name = service(machine, "oned", "libone")
    before = main_pid(machine, name)
    result = machine.apply(machine.plan(("libone", "2")))
    assert (result.outcome, result.services_restarted, result.services_failed) == (Outcome.INSTALLED, (name,), ())
    assert main_pid(machine, name) != before
    need = machine.provider.reboot_need()
    assert (need.required, name in need.services) == (False, False)


def test_without_leave_the_service_is_only_named(machine: Clone, repository: Repository) -> None:
    prepare(machine, repository, library("libtwo", "2", "new"), first=(library("libtwo", "1", "old"),))
    name = service(machine, "twod", "libtwo")
    before = main_pid(machine, name)
    bounds = Bounds(restart_services=False)
    result = machine.apply(machine.plan(("libtwo", "2"), bounds=bounds), bounds, number=2)
    assert (result.outcome, result.services_restarted) == (Outcome.INSTALLED, ())
    assert main_pid(machine, name) == before
    assert name in machine.provider.reboot_need().services
    record = json.loads(machine.machine.path(RECORD).read_text())
    assert name in record["services"], "the unprivileged agent learns it from here"
    machine.sh(f"systemctl stop {name}")


def test_service_that_does_not_come_back_is_reported(machine: Clone, repository: Repository) -> None:
    prepare(machine, repository, library("libbad", "2", "broken"), first=(library("libbad", "1", "old"),))
    name = service(machine, "badd", "libbad")
    result = machine.apply(machine.plan(("libbad", "2")), number=3)
    assert result.outcome is Outcome.INSTALLED, "the package is as ordered; the service is evidence of its own"
    assert result.services_failed == (name,)
    again = library("libbad", "3", "broken too")
    repository.publish(again)
    machine.sh("apt-get -q -eany update")
    later = machine.apply(machine.plan(("libbad", "3")), number=4)
    assert later.services_failed == (), "it had failed before"


@pytest.mark.long
def test_service_that_is_begun_again_and_again_has_not_come_back(machine: Clone, repository: Repository) -> None:
    prepare(machine, repository, library("libloop", "2", "broken"), first=(library("libloop", "1", "old"),))
    name = service(machine, "loopd", "libloop", more="Restart=on-failure\nRestartSec=50ms\n")
    limits = machine.machine.path(f"/etc/systemd/system/{name}.d")
    limits.mkdir()
    (limits / "limit.conf").write_text("[Unit]\nStartLimitIntervalSec=0\n")
    machine.sh("systemctl daemon-reload")
    result = machine.apply(machine.plan(("libloop", "2")), number=6)
    machine.sh(f"systemctl stop {name}")
    assert (result.services_restarted, result.services_failed) == ((), (name,))


def test_service_that_must_not_be_restarted_is_a_reason_to_reboot(machine: Clone, repository: Repository) -> None:
    prepare(machine, repository, library("libbus", "2", "new"), first=(library("libbus", "1", "old"),))
    name = service(machine, "busd", "libbus", "lxcfs.service")
    before = main_pid(machine, name)
    result = machine.apply(machine.plan(("libbus", "2")), number=5)
    assert (result.services_restarted, main_pid(machine, name)) == ((), before)
    need = machine.provider.reboot_need()
    assert need.required
    assert need.reasons == ("libbus in use by lxcfs.service",)
    machine.sh(f"systemctl stop {name}")


def test_package_that_asks_for_a_reboot_is_named(machine: Clone) -> None:
    run = machine.machine.path("/run")
    (run / "reboot-required").write_text("*** System restart required ***\n")
    (run / "reboot-required.pkgs").write_text("linux-image-6.1.0-40-amd64\nlinux-image-6.1.0-40-amd64\n")
    try:
        assert machine.provider.reboot_need().reasons == ("requested by linux-image-6.1.0-40-amd64",)
    finally:
        for name in ("reboot-required", "reboot-required.pkgs"):
            (run / name).unlink()


def test_what_root_saw_counts_for_this_boot_only(machine: Clone) -> None:
    services = Services(machine.machine)
    services.remember()
    record = Path(machine.machine.path(RECORD))
    values = json.loads(record.read_text())
    record.write_text(json.dumps({**values, "services": ["x.service"]}))
    assert services._recorded().services == ("x.service",)
    record.write_text(json.dumps({**values, "services": ["x.service"], "boot_id": "another"}))
    assert services._recorded().services == ()
