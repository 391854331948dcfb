"""The .deb under a systemd that is PID 1, without a server: who runs when, who may be stopped, what is left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.aptroot import Clone, booted, eventually
from tests.integration.releases.test_packages import LIST, build
from tests.support_trust import ENDPOINT

from brakeline.agent import config

CELL = "https://192.0.2.1:8443"  # never answers


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("built")
    return {v: build(out, v, "--sequence", str(n)) for n, v in enumerate(("1.4.0", "1.5.0"), 4)}


@pytest.fixture
def root() -> Iterator[Clone]:
    with booted() as made:
        yield made


def install(root: Clone, deb: Path) -> str:
    shutil.copy(deb, f"{root.machine.root}/root/{deb.name}")
    return root.sh(f"dpkg -i /root/{deb.name}")


def pid(root: Clone) -> str:
    return root.sh("systemctl show -P MainPID brakeline-agent.service").strip()


def state(root: Clone) -> str:
    return root.machine.query("systemctl", "is-active", "brakeline-agent.service").text.strip()


@pytest.mark.long
def test_who_runs_when_and_what_is_left(root: Clone, debs: dict[str, Path], tmp_path: Path) -> None:
    before = root.sh(LIST)
    install(root, debs["1.4.0"])
    assert state(root) == "inactive", "not enrolled: nothing runs"
    config.save(tmp_path / "agent.json", config.Config(CELL, "", ENDPOINT, "00" * 32, "cell", "eu"))
    shutil.copy(tmp_path / "agent.json", f"{root.machine.root}/etc/brakeline/agent.json")
    install(root, debs["1.4.0"])
    assert state(root) == "active", "enrolled: it runs"
    eventually(lambda: '"running":"1.4.0-' in report(root), "the packaged release runs")
    eventually(lambda: root.machine.query("pgrep", "-u", "brakeline").rc == 0, "as the user brakeline")

    first = pid(root)
    install(root, debs["1.5.0"])
    assert (state(root), pid(root) != first) == ("active", True)
    eventually(lambda: '"running":"1.4.0-' in report(root), "the confirmed release, not the one of the new package")

    root.sh("systemd-run --quiet --unit=brakeline-tx_01test sleep 600")
    refused = root.machine.query("dpkg", "-r", "brakeline-agent")
    assert refused.rc != 0
    assert "a package transaction is going on (brakeline-tx_01test.service)" in refused.text
    assert state(root) == "active"
    assert root.version("brakeline-agent").endswith("1.5.0")
    install(root, debs["1.5.0"])
    assert root.sh("systemctl is-active brakeline-tx_01test") == "active\n", "an upgrade leaves the transaction alone"
    root.sh("systemctl stop brakeline-tx_01test")

    root.sh("dpkg -r brakeline-agent && test ! -e /usr/lib/brakeline && test -e /etc/brakeline/agent.json")
    assert state(root) == "inactive"
    assert root.machine.query("pgrep", "-u", "brakeline").rc == 1, "nothing of it is running"
    install(root, debs["1.5.0"])
    assert state(root) == "active", "the identity was there"
    root.sh("systemctl mask --now brakeline-agent.service")
    install(root, debs["1.5.0"])
    assert state(root) == "inactive", "who does not want it to run masks it"
    root.sh("systemctl unmask brakeline-agent.service")
    root.sh("dpkg -P brakeline-agent")
    root.sh("rm /root/*.deb")
    assert root.sh(LIST) == before
    assert root.machine.query("systemctl", "--failed", "--no-legend", "list-units", "brakeline*").text.strip() == ""


def report(root: Clone) -> str:
    text = root.machine.query("cat", "/var/lib/brakeline-launcher/report.json").text
    return text.replace('": "', '":"')
