"""The frozen stub and the launcher's slots under the official CPython for Windows, in wine.

There a program cannot become another one: the stub starts the launcher as a child and waits for its end.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.launcher.test_slots import launcher
from tests.support import require
from tests.support_launcher import Cell, release_bytes
from tests.support_trust import Repository
from tests.support_windows import GOOD, Machine, WindowsEndpoint, windows_endpoint

from brakeline.launcher import stub
from brakeline.platform.clock import SystemClock
from brakeline.platform.tls import ensure_tls

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
STUB_SUITE = Path(__file__).parents[1] / "integration" / "launcher" / "test_stub.py"
NOT_THERE = "not told_to_stop and not os.kill"  # signals: who ends the stub there is seen by the launcher, see below
BAD = {
    "never_ready": b"import time\ntime.sleep(600)\n",
    "exits_at_once": b"",
    "does_not_even_parse": b"this is no python\n",
    "crashes_after_ready": launcher("import os, threading\nthreading.Timer(4, lambda: os._exit(9)).start()\n"),
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    require(shutil.which("wine"), "wine (Debian package wine64)")
    made = Machine(tmp_path_factory.mktemp("wine-stub", numbered=True) / "prefix")
    try:
        made.make()
        yield made
    finally:
        made.power_cut()
        shutil.rmtree(made.prefix, ignore_errors=True)  # 700 MB


@pytest.fixture
def host(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsEndpoint]:
    tls = ensure_tls(tmp_path_factory.getbasetemp() / "tls", (), SystemClock())
    with windows_endpoint(machine, Cell(Repository(now_ms=time.time_ns() // 1_000_000), tls)) as made:
        made.knobs |= {"ready_s": 6, "healthy_s": 10, "launcher_ready_s": 12, "launcher_trial_s": 40}
        yield made


def begin(host: WindowsEndpoint) -> str:
    """The factory's launcher runs a good agent. The agent's release_id."""
    baseline = host.prepare(release_bytes("1.0.0", GOOD))
    host.under_a_stub()
    host.start()
    host.until_running(baseline, 40)
    return baseline


def until_in_use(host: WindowsEndpoint, release_id: str) -> None:
    host.until(lambda: (r := host.report()).launcher_release == release_id and not r.launcher_trial, 100,
               f"launcher {release_id or 'of the factory'} in use")  # fmt: skip


def settled(host: WindowsEndpoint, agent: str) -> None:
    """The agent runs, once."""
    host.until_running(agent, 40)
    host.until(lambda: len(host.left()) == 1, 20, "exactly one agent")


def test_the_stubs_own_suite_holds(machine: Machine, tmp_path: Path) -> None:
    """The file that pins its bytes and its picks, run there."""
    said = machine.suite(STUB_SUITE, tmp_path, "-k", NOT_THERE)
    assert "2 deselected" in said, said[-300:]


def test_a_good_launcher_is_tried_in_a_slot_confirmed_and_so_is_the_next_one(host: WindowsEndpoint) -> None:
    agent = begin(host)
    one = host.launcher_release("1.1.0", 2, launcher())
    until_in_use(host, one)
    assert host.selector().confirmed == "a"
    assert [(host.root / path).stat().st_size for path in stub.SELECTORS] == [stub.SELECTOR_BYTES] * 2
    settled(host, agent)
    two = host.launcher_release("1.2.0", 3, launcher("# another one\n"))
    with host.held_open("root\\launcher\\sel0"), host.held_open("root\\launcher\\sel1"):
        until_in_use(host, two)  # selectors are overwritten, never replaced: a reader is no obstacle
    assert (host.selector().confirmed, sorted(host.selector().slots)) == ("b", ["a", "b"])
    settled(host, agent)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_launcher_runs_once_and_the_one_before_goes_on(host: WindowsEndpoint, name: str) -> None:
    host.knobs |= {"launcher_ready_s": 4 if name == "never_ready" else 12, "launcher_probation_s": 20}
    agent = begin(host)
    bad = host.launcher_release("1.1.0", 2, BAD[name])
    host.until(lambda: bad in host.report().launcher_failed, 100, f"launcher {bad} given up")
    until_in_use(host, "")
    settled(host, agent)
    end = host.report().launcher_last_trial
    assert end is not None
    assert (end.release_id, end.outcome) == (bad, "reverted")


def test_who_ends_the_stub_ends_the_launcher_and_the_agent(host: WindowsEndpoint) -> None:
    """It is told by the end of the process that waits for it; nothing goes on that nobody started again."""
    agent = begin(host)
    host.stop()
    host.until(lambda: not host.left(), 20, "the agent's end")
    host.start()
    settled(host, agent)


def test_a_power_cut_in_the_trial_is_excused_and_the_launcher_is_tried_again(host: WindowsEndpoint) -> None:
    host.knobs |= {"launcher_probation_s": 20, "survive_s": 1}
    agent = begin(host)
    own = host.launcher_release("1.1.0", 2, launcher())
    host.until(lambda: host.selector().tries == 0 and host.report().launcher_trial == own, 100, "the trial")
    host.power_cut()
    host.knobs |= {"launcher_probation_s": 1}
    host.configure()
    host.start()
    until_in_use(host, own)
    settled(host, agent)


def test_a_damaged_slot_gives_way_to_the_factory(host: WindowsEndpoint) -> None:
    agent = begin(host)
    own = host.launcher_release("1.1.0", 2, launcher())
    until_in_use(host, own)
    host.cell.repository.leased.clear()
    host.stop()
    host.until(lambda: not host.left(), 20, "the agent's end")
    (host.root / "launcher/a/launcher.pyz").write_bytes(b"torn")
    host.start()
    until_in_use(host, "")
    settled(host, agent)
