"""The real agent as a program of its own (PyInstaller) under the real launcher: run out of its tree, says READY."""

from __future__ import annotations

import json
import shutil

import pytest
from tests.support import require
from tests.support_launcher import Endpoint, release_bytes

from brakeline.agent.identity import Identity
from brakeline.releases import onedir


@pytest.mark.long
def test_a_release_that_brings_its_own_program_says_ready(host: Endpoint) -> None:
    missing = [tool for tool in onedir.NEEDED if shutil.which(tool) is None]
    require(not missing, f"{', '.join(missing)} (Debian package binutils): PyInstaller's tools")
    release = onedir.agent_release("2.0.0", 2)
    host.knobs |= {"ready_s": 60, "healthy_s": 8, "healthy_unreachable_s": 8, "check_s": 20}
    baseline = host.prepare(release_bytes("1.0.0"))
    settings = json.loads((host.etc / "launcher.json").read_text())
    settings["arguments"] = ["run", "--config", str(host.etc / "agent.json"), "--state", str(host.home)]
    (host.etc / "launcher.json").write_text(json.dumps(settings))
    Identity.create(host.home)
    for path in (host.etc / "agent.json", *host.home.rglob("*")):
        shutil.chown(path, host.user, host.user)
    two = host.cell.repository.publish("2.0.0", release.bundle, 2, platform=release.platform)
    host.cell.repository.offer(two)
    host.start()
    # this cell answers no check-in: it was ready, and is given up for what comes after that
    host.until_quarantined(two, 120)
    end = host.report().last_trial
    assert end is not None
    assert (end.code, end.runs) == ("not_healthy", 3), "an entry without @python is only looked for in its own tree"
    host.until_running(baseline)
