"""The launcher under the official CPython for Windows, in wine: records, install, update, crash, heal, power cut.

Real here: Windows' Python, its file modes and locking rules, pipes, handles, job objects, volatile registry keys, TLS.
Not real: the kernel, NTFS, services, accounts, hard memory limits (docs/explanation/windows.md).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import support_windows as windows_support
from tests.support import require
from tests.support_launcher import HEALTHY, RAN, READY, Cell, release_bytes
from tests.support_trust import Repository
from tests.support_windows import DEAF, GOOD, SAY, UNTIL_ASKED, Machine, WindowsEndpoint, windows_endpoint

from brakeline.launcher.disk import RealDisk
from brakeline.launcher.records import SLOT_BYTES, SLOTS, Records
from brakeline.platform.clock import SystemClock
from brakeline.platform.tls import ensure_tls

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
CRASHES = SAY + RAN + 'sys.exit("it crashed")\n'
CHILDREN = (
    'import subprocess\nsubprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(99) # agent.pyz"])\n'
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    require(shutil.which("wine"), "wine (Debian package wine64)")
    made = Machine(tmp_path_factory.mktemp("wine", numbered=True) / "prefix")
    try:
        made.make()
        yield made
    finally:
        made.power_cut()
        shutil.rmtree(made.prefix, ignore_errors=True)  # 700 MB


@pytest.fixture
def host(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsEndpoint]:
    tls = ensure_tls(tmp_path_factory.getbasetemp() / "tls", (), SystemClock())
    cell = Cell(Repository(now_ms=time.time_ns() // 1_000_000), tls)
    with windows_endpoint(machine, cell) as made:
        made.knobs |= {"ready_s": 4, "healthy_s": 8}
        yield made


def begin(host: WindowsEndpoint) -> str:
    baseline = host.prepare(release_bytes("1.0.0", GOOD))
    host.start()
    host.until_running(baseline)
    host.until(lambda: host.runs("1.0.0") == 1, what="first start")
    return baseline


def offer(host: WindowsEndpoint, version: str, program: str, sequence: int) -> str:
    release_id = host.cell.repository.publish(version, release_bytes(version, program, sequence), sequence)
    host.cell.repository.offer(release_id)
    return release_id


def test_it_is_windows_python(machine: Machine) -> None:
    said = json.loads(
        machine.run("import json, sys, os; print(json.dumps([sys.platform, os.name, sys.version_info[:2]]))")
    )
    assert said == ["win32", "nt", [3, 13]]


def test_time_is_that_in_which_the_machine_was_awake(host: WindowsEndpoint) -> None:
    """Nothing sleeps here, so only that the call is there, counts seconds, and is what the launcher reads."""
    host.prepare(release_bytes("1.0.0", GOOD))
    host.machine.run(
        "import ctypes, time\nfrom brakeline.launcher import clock\n"
        "def awake():\n"
        "    t = ctypes.c_uint64()\n"
        "    assert ctypes.WinDLL('kernel32').QueryUnbiasedInterruptTime(ctypes.byref(t))\n"
        "    return t.value / 1e7\n"
        "before, now, after = awake(), clock.monotonic_s(), awake()\n"
        "assert before <= now <= after, (before, now, after)\n"
        "time.sleep(0.3)\n"
        "assert clock.monotonic_s() - now >= 0.25\n"
    )


def test_types_hold_on_windows_too() -> None:
    """The everyday run of the type checker sees only what other systems see."""
    here = Path(windows_support.__file__).resolve().parents[1]
    options = ["--platform", "win32", "--python-version", "3.13", "--follow-imports=silent"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "src/brakeline/launcher/windows.py",
         "src/brakeline/launcher/clock.py"],
        cwd=here, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_records_are_written_in_place_and_byte_for_byte(host: WindowsEndpoint) -> None:
    """In Windows' text mode each line's end would become two bytes, and the slot would be torn for ever."""
    release_id = host.prepare(release_bytes("1.0.0", GOOD))
    host.machine.run(
        "from pathlib import Path\nimport dataclasses\n"
        "from brakeline.launcher.disk import RealDisk\nfrom brakeline.launcher.records import Records\n"
        "records = Records(RealDisk(Path(r'C:\\endpoint\\root')))\n"
        "for n in range(2, 9):\n"
        "    record, problem = records.load()\n"
        "    assert record.generation == n - 1 and not problem, (record, problem)\n"
        "    records.commit(dataclasses.replace(record, generation=n))\n"
    )
    assert [(host.root / slot).stat().st_size for slot in SLOTS] == [SLOT_BYTES] * 2
    record, problem = Records(RealDisk(host.root)).load()
    assert (record.generation, record.current, problem) == (8, release_id, "")


def test_a_file_that_is_open_cannot_be_replaced(host: WindowsEndpoint) -> None:
    """The rule itself, so that the tests below are known to test something."""
    (host.base / "old").write_text("old")
    (host.base / "new").write_text("new")
    replace = (
        "import os\ntry:\n os.replace(r'C:\\endpoint\\new', r'C:\\endpoint\\old')\n print('replaced')\n"
        "except PermissionError:\n print('refused')\n"
    )
    with host.held_open("old"):
        assert host.machine.run(replace).strip() == "refused"
    assert host.machine.run(replace).strip() == "replaced"


def test_a_good_release_is_tried_and_confirmed(host: WindowsEndpoint) -> None:
    baseline = begin(host)
    two = offer(host, "2.0.0", GOOD, 2)
    host.until_confirmed(two, 40)
    report = host.report()
    assert (report.running, report.last_known_good, report.trial) == (two, baseline, "")
    assert host.runs("2.0.0") == 1


@pytest.mark.parametrize(
    "program",
    [CRASHES, "this is no python\n", SAY + RAN + UNTIL_ASKED, DEAF, SAY + RAN + READY + HEALTHY + "os._exit(3)\n"],
    ids=["exits_at_once", "does_not_parse", "never_ready", "deaf", "dies_after_ready"],
)
def test_a_bad_release_runs_three_times_at_most_and_the_last_good_one_goes_on(
    host: WindowsEndpoint, program: str
) -> None:
    host.knobs |= {"ready_s": 2, "healthy_s": 3}
    if HEALTHY in program:  # its end is seen late on a busy machine, and later than the probation it would be confirmed
        host.knobs |= {"probation_s": 10, "healthy_s": 20}
    baseline = begin(host)
    bad = offer(host, "2.0.0", program, 2)
    host.until_quarantined(bad, 60)
    host.until_running(baseline)
    assert host.runs("2.0.0") <= 3
    three = offer(host, "3.0.0", GOOD, 3)
    host.until_confirmed(three, 60)


def test_what_a_release_has_started_ends_with_it(host: WindowsEndpoint) -> None:
    host.knobs |= {"healthy_s": 2}
    baseline = begin(host)
    bad = offer(host, "2.0.0", SAY + RAN + CHILDREN + READY + UNTIL_ASKED, 2)
    host.until_quarantined(bad, 60)
    host.until_running(baseline)
    host.until(lambda: len(host.left()) == 1, what=f"only the good release left: {host.left()}")


def test_a_release_over_its_budget_is_ended(host: WindowsEndpoint) -> None:
    """By the launcher's own look, each 15 s: wine does not enforce the job's own limit on memory."""
    eats = SAY + RAN + READY + "x = bytearray(200 << 20)\nx[::4096] = b'x' * len(x[::4096])\n" + UNTIL_ASKED
    host.knobs |= {"healthy_s": 60}
    host.budget = {"resident_bytes": 100 << 20, "memory_bytes": 1 << 30}
    begin(host)
    offer(host, "2.0.0", eats, 2)
    host.until(lambda: "MiB resident" in host.log(), 60, "the budget's end")


def test_a_recalled_release_is_ended_and_the_last_known_good_runs(host: WindowsEndpoint) -> None:
    baseline = begin(host)
    two = offer(host, "2.0.0", GOOD, 2)
    host.until_confirmed(two, 40)
    host.cell.repository.recalled.append(two)
    host.cell.repository.bump("recall")
    host.until_running(baseline)
    assert two in host.report().recalled


def test_the_launcher_is_killed_and_its_release_with_it(host: WindowsEndpoint) -> None:
    """The job closes with the launcher: no release goes on unguarded, none runs twice."""
    baseline = begin(host)
    for pause_s in (0.1, 0.7):
        time.sleep(pause_s)
        host.stop()
        host.until(lambda: not host.left(), what="the release's end")
        host.start()
        host.until_running(baseline)
    two = offer(host, "2.0.0", GOOD, 2)
    host.until_confirmed(two, 40)
    assert len(host.left()) == 1


def test_a_power_cut_is_seen_by_the_registry_key_that_is_gone(host: WindowsEndpoint) -> None:
    """The same release is suspected after a boot, waits, and runs again without hands; a plain kill is no power cut."""
    baseline = begin(host)
    host.stop()
    host.start()
    host.until(lambda: host.runs("1.0.0") == 2, what="start after a kill")
    assert not host.report().host_guard
    time.sleep(1)
    host.power_cut()
    host.start()
    host.until(lambda: host.report().host_guard, what="host guard")
    host.until(lambda: host.runs("1.0.0") == 3, 60, "start after the guard's delay")
    assert host.report().running == baseline


def test_damaged_files_are_never_executed_and_are_fetched_again(host: WindowsEndpoint) -> None:
    begin(host)
    two = offer(host, "2.0.0", GOOD, 2)
    host.until_confirmed(two, 40)
    host.stop()
    runs = host.runs("2.0.0")
    (host.root / "versions" / two / "agent.pyz").write_text("open(r'C:\\endpoint\\home\\evil', 'w')\n")
    host.cell.repository.leased = []
    host.start()
    host.until(lambda: host.runs("2.0.0") > runs, 40, "the mended release")
    assert not (host.home / "evil").exists()


def test_both_records_corrupt(host: WindowsEndpoint) -> None:
    baseline = begin(host)
    host.stop()
    for slot in SLOTS:
        (host.root / slot).write_bytes(b"\0" * SLOT_BYTES)
    host.start()
    host.until_running(baseline)
    host.until(lambda: host.runs("1.0.0") == 2, what="start")


def test_somebody_reads_the_report_while_it_is_to_be_replaced(host: WindowsEndpoint) -> None:
    """Refused for as long as that lasts, said once in the log, and written afterwards."""
    begin(host)
    with host.held_open("root\\report.json"):
        two = offer(host, "2.0.0", GOOD, 2)
        host.until(lambda: host.record().current == two, 40, "confirmed on disk")
        time.sleep(2)
        assert host.report().confirmed != two
    host.until_confirmed(two)
    assert host.log().count("report.json cannot be written") == 1


def test_a_virus_scanner_holds_a_leftover_of_an_earlier_download(host: WindowsEndpoint) -> None:
    """It cannot be removed, so the release is not installed: reported. The good one runs on, and later it heals."""
    baseline = begin(host)
    release_id = host.cell.repository.publish("2.0.0", release_bytes("2.0.0", GOOD, 2), 2)
    leftover = host.root / "versions" / f"{release_id}.tmp"
    leftover.mkdir()
    (leftover / "agent.pyz").write_text("half")
    with host.held_open(f"root\\versions\\{release_id}.tmp\\agent.pyz"):
        host.cell.repository.offer(release_id)
        host.until(lambda: any(release_id in p for p in host.report().problems), 30, "the problem")
        assert host.report().running == baseline
    host.until_confirmed(release_id, 40)


def test_the_record_is_held_by_somebody_who_reads_it(host: WindowsEndpoint) -> None:
    """Records are overwritten, never replaced: a reader is no obstacle."""
    begin(host)
    with host.held_open("root\\state\\s0"), host.held_open("root\\state\\s1"):
        two = offer(host, "2.0.0", GOOD, 2)
        host.until_confirmed(two, 40)
