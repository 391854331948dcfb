"""On a real Debian root file system: what is deleted by hand is gone, what dpkg removes is dpkg's business."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.aptroot import Clone, clone

from brakeline.agent import refusals

LOOK = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from brakeline.agent.clock import SystemClock
from brakeline.agent.harms import HarmsProbe
from brakeline.agent.model import Durable, Link, Self, State
state, clock = Path("/var/lib/looked"), SystemClock()
state.mkdir(exist_ok=True)
probe = HarmsProbe(state, lambda: None, clock.monotonic_s)
me = Self("ep_1", "00", "0.2", "boot", can_patch=False)
told = probe.sample(State(me, Durable(), link=Link(ever=True)), clock.instant())
print(json.dumps(asdict(told)))
"""


def look(c: Clone) -> dict[str, object]:
    """As a freshly started agent would tell it."""
    found: dict[str, object] = json.loads(c.agent("-c", LOOK).splitlines()[-1])
    return found


def test_a_deleted_program_is_gone_and_a_removed_package_is_not_missed() -> None:
    with clone() as c:
        first = look(c)
        masked = int(str(first["units_masked"]))  # whoever made the root has masked some: a level, compared with itself
        assert (first["files_gone"], first["accounts_closed"]) == (0, 0)
        c.sh(
            "rm /usr/bin/chage; ln -s /dev/null /etc/systemd/system/at-last.service; usermod -s /usr/sbin/nologin root"
        )
        look(c)
        harmed = look(c)
        assert (harmed["files_gone"], harmed["named"]) == (1, ["gone: /usr/bin/chage"])
        assert (harmed["units_masked"], harmed["accounts_closed"]) == (masked + 1, 1)
        c.sh("dpkg --force-all -r diffutils; test ! -e /usr/bin/cmp")
        look(c)
        assert look(c)["files_gone"] == 1


def test_this_kernel_s_own_ring_is_read_where_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    for _ in range(2):
        found = refusals.count(tmp_path / "state", tmp_path, "boot")
    readable = any(os.access(f"/{name}", os.R_OK) for name in (refusals.KMSG, refusals.AUDIT))
    assert found.refused == (0 if readable else None)
    assert found.quarantined is None
