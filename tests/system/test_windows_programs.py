"""The provider of Windows' programs in wine: packages built here (wixl), put in, taken back, failing, held up, lost.

The very provider, its real `Box` under Windows' Python, wine's msiexec, registry and mutex. What is Windows' own in
this is wine's; an installer of another kind (EXE) and Windows Update cannot be had here.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests import support_msi
from tests.aptroot import order
from tests.contract.worlds_windows import Wine
from tests.support_windows import dos

from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed
from brakeline.agent.providers.windows.box import OUTPUT_BYTES_MAX
from brakeline.agent.providers.windows.provider import LIST
from brakeline.protocol.messages import Outcome, Transaction, UpdateRef

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
HOLD = r"""
import ctypes, sys
handle = ctypes.WinDLL("kernel32").CreateMutexW(None, True, "Global\\_MSIExecute")
print("held", flush=True)
sys.stdin.read()
"""
WHOLE = """
import json, sys
sys.path.insert(0, {source!r})
from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.detect import managers
from brakeline.agent.providers.model import Bounds, Order, Planned
from brakeline.protocol import codec
from brakeline.protocol.messages import UpdateRef
provider = managers(SystemClock())
packages, waits = provider.survey()
plan = provider.plan((UpdateRef("p", "2.0.0"),), Bounds())
assert isinstance(plan, Planned), plan
said = []
result = provider.apply(Order("tx_9", "of_9", "ro_9", 1, plan.transaction), said.append)
print(json.dumps({{
    "packages": [[p.name, p.version] for p in packages], "waits": [[w.name, w.candidate] for w in waits],
    "result": codec.to_plain(result), "said": said, "problems": provider.health().problems,
    "managers": [m.ecosystem for m in provider.managers],
}}, default=str))
"""
CHILD = r"""
import json, sys, time
from pathlib import Path
sys.path.insert(0, {source!r})
from brakeline.agent.providers.windows.stamps import parts
from brakeline.agent.errands import Errands
from brakeline.agent.windows import over_or_slept
start = "import sys; sys.path.insert(0, {source!r}); from brakeline.agent.__main__ import main; sys.exit(main())"
errands = Errands([sys.executable, "-I", "-c", start], Path("C:\state\work"))
before = parts()[0]

def run(*verb):
    errands.start(list(verb), time.monotonic() + 200)
    while (ended := errands.look(time.monotonic())) is None:
        over_or_slept([errands.child], 5)
    return ended

ended = run("scan", "--state", "C:\state")
found = json.loads(ended.output) if ended.output else {{}}
print(json.dumps({{
    "problem": ended.problem, "packages": found.get("packages", 0), "again": parts()[0] != before,
    "failed": run("no-such-verb").problem,
}}))
"""


@pytest.fixture
def world(tmp_path: Path) -> Wine:
    made = Wine(tmp_path)
    made.publish(Version("p", "1"))
    made.install("p")
    made.publish(Version("p", "2"))
    assert isinstance(made.provider.refresh(), Refreshed)
    return made


def planned(world: Wine, version: str = "2.0.0") -> Transaction:
    found = world.provider.plan((UpdateRef("p", version),), Bounds())
    assert isinstance(found, Planned), found
    return found.transaction


def test_the_way_back_takes_the_newer_product_away_and_puts_the_older_one_in(world: Wine) -> None:
    done = world.provider.apply(order(planned(world)), [].append)
    assert (done.outcome, world.really_has("p")) == (Outcome.INSTALLED, "2"), done
    assert done.way_back is not None
    assert done.way_back.stored
    world.cut_network()
    left = world.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse)
    bounds = Bounds(allow_downgrades=True, allow_removals=True)
    said: list[str] = []
    back = world.provider.apply(replace(order(left.transaction, bounds, 2), inverse=left), said.append)
    assert (back.outcome, back.code, world.really_has("p")) == (Outcome.INSTALLED, "ok", "1"), (back, said)
    assert [any(f"msiexec.exe {verb} " in line for line in said) for verb in ("/x", "/i")] == [True, True]


def test_a_damaged_package_is_told_by_its_number_and_changes_nothing(world: Wine) -> None:
    """What is listed, is what lies there, and is no package of Windows Installer."""
    made = planned(world)
    row = world.rows[-1]
    Path(row["from"]).write_bytes(b"no package" * 100)
    world.rows[-1] = row | {"bytes": 1000, "sha256": hashlib.sha256(b"no package" * 100).hexdigest()}
    world.write(LIST, json.dumps({"format": 1, "packages": world.rows}))
    result = world.provider.apply(order(made), [].append)
    assert (result.outcome, result.changes, world.really_has("p")) == (Outcome.FAILED, (), "1")
    assert result.code in ("refused", "failed")
    assert "(16" in result.detail


def test_whoever_installs_is_waited_for_and_named(world: Wine) -> None:
    machine = support_msi.box().machine
    holder = subprocess.Popen(
        machine.python("-I", "-c", HOLD), env=machine.environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == b"held"
    made = planned(world)
    result = world.provider.apply(order(made, Bounds(lock_wait_s=2)), [].append)
    assert (result.outcome, result.code, world.really_has("p")) == (Outcome.REFUSED, "lock_timeout", "1")
    assert "Windows Installer" in result.detail
    holder.communicate(timeout=30)
    assert world.provider.apply(order(made, number=2), [].append).outcome is Outcome.INSTALLED


def test_a_lost_run_is_examined_and_put_right(world: Wine) -> None:
    made = order(planned(world))
    assert world.provider.recover(made, [].append).code == "interrupted_unchanged"
    assert world.provider.apply(made, [].append).outcome is Outcome.INSTALLED
    support_msi.box().forget(world.rows[1]["product"])
    world.install("p")
    said: list[str] = []
    result = world.provider.recover(made, said.append)
    assert (result.code, world.really_has("p")) == ("interrupted_repaired", "2"), (result.detail, said)


def test_the_whole_of_it_under_windows_python(world: Wine) -> None:
    """As the agent makes it there: from `detect`, with the list where the owner writes it."""
    machine = support_msi.box().machine
    home = machine.prefix / "drive_c/ProgramData/Brakeline"
    home.mkdir(parents=True, exist_ok=True)
    rows = [row | {"from": dos(Path(row["from"]))} for row in world.rows]
    (home / "programs.json").write_text(json.dumps({"format": 1, "packages": rows}))
    done = subprocess.run(
        machine.python("-I", "-c", WHOLE.format(source=dos(support_msi.SOURCE))), env=machine.environment,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    told = json.loads(done.stdout)
    assert ["p", "1.0.0"] in told["packages"]
    assert told["waits"] == [["p", "2.0.0"]]
    assert (told["result"]["outcome"], told["result"]["way_back"]["stored"]) == ("installed", True), told
    assert told["managers"] == ["", "wua"]  # wine has a powershell.exe, which answers nothing
    assert any(p.startswith("Windows Update: could not be looked at") for p in told["problems"])
    assert world.really_has("p") == "2"


def test_a_program_that_hangs_or_never_stops_talking_is_ended_with_what_it_started() -> None:
    box = support_msi.box()
    place = box.machine.prefix / "drive_c"
    (place / "late.py").write_text("import time; open('C:/started', 'w').close(); time.sleep(100_000)")
    (place / "hang.py").write_text("import subprocess, sys; subprocess.run([sys.executable, '-I', 'C:/late.py'])")
    (place / "talk.py").write_text("import sys; sys.stdout.write('x' * 3_000_000)")
    python = '"C:\\cp313\\python.exe" -I '
    talks = box.run(f"{python} C:\\talk.py", 120)
    assert (talks.code, talks.timed_out, len(talks.output)) == (0, False, OUTPUT_BYTES_MAX)
    for limit_s in (10, 40, 160):  # until what it starts has really begun
        hangs = box.run(f"{python} C:\\hang.py", limit_s)
        assert (hangs.code, hangs.timed_out) == (137, True)
        if (place / "started").exists():
            break
    assert (place / "started").exists()
    deadline = time.monotonic() + 60
    while "late.py" in "".join(_command_lines()):
        assert time.monotonic() < deadline, "what it had started is still there"
        time.sleep(0.2)
    with pytest.raises(OSError, match=r"."):
        box.run('"C:\\no such program.exe"', 5)


def _command_lines() -> list[str]:
    """Of everything on this host."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_a_scan_as_the_agent_s_own_child(world: Wine) -> None:
    """By pipes and threads, as `errands` starts it there; what it found is on the disk of that machine."""
    machine = support_msi.box().machine
    done = subprocess.run(
        machine.python("-I", "-c", CHILD.format(source=dos(support_msi.SOURCE).replace("\\", "/"))),
        env=machine.environment,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    told = json.loads(done.stdout)
    assert (told["problem"], told["again"]) == ("", False), told
    assert told["packages"] >= 1
    assert told["failed"].startswith("exit code 2: ")  # a verb that is none
    inventory = json.loads((machine.prefix / "drive_c/state/work/inventory.json").read_bytes())
    assert "windows" in {p["ecosystem"] for p in inventory["changed"]}
    assert any("Windows Update" in p for p in inventory["status"]["health"]["problems"])
