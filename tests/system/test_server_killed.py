"""The server dies by kill -9 while endpoints are installing, twice; started again, the rollout goes on to its end.

Each endpoint counts by itself, in the maintainer script, how often the update ran on it.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from tests.system.box import Box
from tests.system.product import ENDED, Product, short_policy
from tests.system.world import Server, wait_for
from tools.fleetbox.repository import Built, Repository

NAMES = ("eu1", "eu2", "us1", "us2")
SLOW = "slow-to-configure"
POSTINST_S = 6  # long enough to kill the server in the middle of it
STEP_WAIT_S = 60.0
ROLLOUT_WAIT_S = 180.0


@pytest.mark.long
def test_nothing_twice_nothing_lost_and_the_rollout_goes_on(server: Server, box: Box, work: Path) -> None:
    box.up(len(NAMES), ("eu", "us"), server.data, enrolled=False)
    repository = Repository(box.place, work / "repository")
    runs = f"echo $(date +%s) >> /root/runs-of-2.0; sleep {POSTINST_S}"
    repository.publish(Built(SLOW, "1.0"), Built(SLOW, "2.0", postinst=runs))
    repository.close()
    for name in NAMES:
        repository.introduce(name, f"{SLOW}=1.0")
    box.enrol(server.data)
    product = Product(server)
    ids = product.await_inventories(NAMES)
    product.allow_patching("tag:fleet-in-a-box")
    rollout = product.deploy(work, short_policy(bake_s=4, first_checkpoint_s=30), SLOW)

    killed: set[str] = set()
    for ring in ("first", "second"):
        victim = wait_for(f"an installation in the {ring} ring", lambda: _installing(box, killed), STEP_WAIT_S, 0.2)
        killed.add(victim)
        server.kill9()
        wait_for(f"{victim} to finish without a server", functools.partial(_finished, box, victim), STEP_WAIT_S, 0.2)
        assert server.start() < STEP_WAIT_S

    seen = product.await_state(rollout, ENDED, ROLLOUT_WAIT_S)
    assert seen["state"] == "completed", seen["why"]
    for name in NAMES:
        assert box.run(name, "wc -l < /root/runs-of-2.0").strip() == "1"
        assert len(box.dpkg_log(name, SLOW, "2.0")) == 1
        assert box.version(name, SLOW) == "2.0"
    assert {m["hostname"]: m["state"] for m in seen["members"]} == dict.fromkeys(NAMES, "proven")
    # The result proves it; the inventory comes after it, by itself.
    wait_for("the inventories", lambda: all(product.packages(ids[n])[SLOW] == "2.0" for n in NAMES), STEP_WAIT_S)
    # the audit chain is whole as well: nothing acknowledged was lost
    assert server.cli_raw("audit", "verify").returncode == 0


def _installing(box: Box, but: set[str]) -> str:
    """An endpoint on which the maintainer script runs right now."""
    for name in NAMES:
        if name not in but and box.execute(name, f"test -e /root/runs-of-2.0 && ! {_DONE}").returncode == 0:
            return name
    return ""


_DONE = rf"grep -q 'status installed {SLOW}:all 2.0' /var/log/dpkg.log"


def _finished(box: Box, name: str) -> bool:
    return box.execute(name, _DONE).returncode == 0
