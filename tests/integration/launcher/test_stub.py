"""The frozen stub: what it picks from what selector, as the real program with little launchers that say who they are.

Its bytes are pinned. A change of them reaches no endpoint that is out there, and a fault in them is healed by nothing:
whoever must change it writes an ADR first, then the new sum here.
"""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from brakeline.launcher import stub

FROZEN = "4d8782a96697e6ffc98ff69dd5ede0c4ca7a018eaf98a640cc2f2e0c78fe880d"
SOURCE = Path(stub.__file__)
TELLS = """
import json, os, sys, time
said = ["launcher", {name!r}, json.loads(os.environ["BRAKELINE_STUB"]), sys.argv[1:]]
print(json.dumps(said), file=sys.stderr, flush=True)
"""
SAYS_ALL = 'print("READY", flush=True); print("RUNNING", flush=True)\n'


class Place:
    """A root and a lib with launchers in them."""

    def __init__(self, base: Path) -> None:
        self.root, self.lib = base / "root", base / "lib"
        for folder in (self.root / "launcher" / "a", self.root / "launcher" / "b", self.lib):
            folder.mkdir(parents=True)
        (self.lib / "launcher.pyz").write_text(TELLS.format(name="factory"))
        self.disk = stub.Disk(str(self.root))

    def slot(self, slot: str, more: str = "", sequence: int = 0) -> dict[str, Any]:
        program = TELLS.format(name=slot) + more
        (self.root / f"launcher/{slot}/launcher.pyz").write_bytes(program.encode())  # no other ends of lines on Windows
        sha256 = hashlib.sha256(program.encode()).hexdigest()
        about = {"release_id": f"1.0.0-{sha256[:12]}", "sha256": sha256, "sequence": sequence}
        if sequence:
            (self.root / f"launcher/{slot}/good.json").write_text(json.dumps(about))
        return about

    def select(self, **fields: Any) -> None:
        for path in stub.SELECTORS:
            if not (self.root / path).exists():
                (self.root / path).write_bytes(bytes(stub.SELECTOR_BYTES))
        held = stub.newest(self.disk)
        seconds = {"READY": 20.0, "RUNNING": 20.0, "CONFIRMED": 20.0}
        stub.commit(self.disk, {"generation": held.get("generation", 0) + 1, "seconds": seconds} | fields)

    def run(self, *arguments: str) -> tuple[list[tuple[str, dict[str, Any], list[str]]], int]:
        """Who was started with what, in their order; the exit code."""
        command = [sys.executable, "-I", str(SOURCE), "--root", str(self.root), "--lib", str(self.lib), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('["launcher"')]
        return [(who, said, given) for _, who, said, given in lines], done.returncode

    def who(self, *arguments: str) -> list[str]:
        return [who for who, _, _ in self.run(*(arguments or ("run",)))[0]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_it_is_frozen() -> None:
    assert hashlib.sha256(SOURCE.read_bytes()).hexdigest() == FROZEN, "see the head of this file"
    tree = ast.parse(SOURCE.read_text())
    found = {n.module if isinstance(n, ast.ImportFrom) else a.name for n in ast.walk(tree)
             if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}  # fmt: skip
    assert {str(name).partition(".")[0] for name in found} <= sys.stdlib_module_names


def test_without_any_selector_the_factory_runs_and_gets_its_arguments(place: Place) -> None:
    started, code = place.run("exec", "helper", "--root", "x", "--lib", "y")
    assert started == [("factory", {"slot": "", "release_id": "", "trial": False, "ended": "", "lib": str(place.lib)},
                        ["exec", "helper", "--root", "x", "--lib", "y"])]  # fmt: skip
    assert code == 0


def test_the_confirmed_slot_runs(place: Place) -> None:
    a, b = place.slot("a"), place.slot("b")
    place.select(confirmed="b", trial="", tries=0, slots={"a": a, "b": b})
    started, _ = place.run("run")
    assert [(who, said["slot"], said["release_id"]) for who, said, _ in started] == [("b", "b", b["release_id"])]


def test_damage_leads_to_the_other_slot_and_then_to_the_factory(place: Place) -> None:
    place.select(confirmed="b", trial="", tries=0, slots={"a": place.slot("a"), "b": place.slot("b")})
    (place.root / "launcher/b/launcher.pyz").write_text("torn")
    assert place.who() == ["a"]
    (place.root / "launcher/a/launcher.pyz").unlink()
    assert place.who() == ["factory"]


def test_a_lost_selector_leads_to_the_newest_that_was_confirmed(place: Place) -> None:
    place.slot("a", sequence=3)
    place.slot("b", sequence=2)
    for rubbish in (b"", b"\xff" * 4096, b"{}\n{}\n", hashlib.sha256(b"[]").hexdigest().encode() + b"\n[]\n"):
        for path in stub.SELECTORS:
            (place.root / path).write_bytes(rubbish)
        assert place.who() == ["a"], rubbish
    (place.root / "launcher/a/launcher.pyz").write_text("torn")
    assert place.who() == ["b"]
    (place.root / "launcher/b/good.json").write_text("torn")
    assert place.who() == ["factory"]


def test_a_selector_that_is_whole_and_senseless_is_no_dead_end(place: Place) -> None:
    about = place.slot("a", sequence=1)
    for fields in ({"confirmed": ["a"]}, {"confirmed": "a", "trial": "b", "tries": "x"}, {"confirmed": 7, "trial": {}},
                   {"confirmed": "a", "seconds": {"READY": "soon"}, "trial": "b", "tries": 1}):  # fmt: skip
        place.select(slots={"a": about, "b": place.slot("b")}, **fields)
        assert place.who() in (["a"], ["factory"]), fields


def test_a_launcher_that_keeps_ending_gives_way_to_the_next_best_in_turn(place: Place) -> None:
    place.select(confirmed="b", trial="", tries=0, slots={"a": place.slot("a"), "b": place.slot("b", "sys.exit(1)\n")})
    assert [place.who() for _ in range(2)] == [["b"], ["b"]], "nobody counts"
    (place.root / stub.STARTS).write_bytes(b"0       ")
    assert [place.who()[0] for _ in range(3 * stub.STARTS_MAX)] == [
        who for who in ("b", "a", "factory") for _ in range(stub.STARTS_MAX)
    ]
    (place.root / stub.STARTS).write_bytes(b"7       ")
    assert place.who("status") == ["b"], "other verbs neither count nor turn"
    assert (place.root / stub.STARTS).read_bytes() == b"7       "
    (place.root / stub.STARTS).write_bytes(b"torn\xff")
    assert place.who() == ["b"]


def test_without_a_factory_a_slot_that_was_confirmed_runs(place: Place) -> None:
    place.slot("a", sequence=1)
    place.select(confirmed="", trial="", tries=0, slots={})
    assert place.who() == ["factory"]
    (place.lib / "launcher.pyz").unlink()
    assert place.who() == ["a"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("sys.exit(3)\n", "ended: with code 3"),
        ("this is no python\n", "ended: with code 1"),
        ("time.sleep(60)\n", "late: it did not say READY in time"),
        ('print("READY", flush=True)\ntime.sleep(60)\n', "late: it did not say RUNNING in time"),
        (SAYS_ALL + "time.sleep(60)\n", "late: it did not say CONFIRMED in time"),
        (SAYS_ALL + "os.kill(os.getpid(), 9)\n", "ended: with code -9"),
        ('os.close(1)\ntime.sleep(60)\n', "late: it did not say READY in time"),
        ('print("CONFIRMED", flush=True)\nsys.exit(0)\n', "ended: with code 0"),
    ],
)  # fmt: skip
def test_a_trial_that_comes_to_nothing_runs_once_and_gives_way_at_once(place: Place, more: str, why: str) -> None:
    a, b = place.slot("a"), place.slot("b", more)
    late = {word: 1.0 for word, _ in stub.STEPS if f"say {word}" in why}
    seconds = {word: 20.0 for word, _ in stub.STEPS} | late
    place.select(confirmed="a", trial="b", tries=1, slots={"a": a, "b": b}, seconds=seconds)
    started, code = place.run("run")
    tried = [] if "no python" in more else ["b"]
    assert ([who for who, _, _ in started], code) == ([*tried, "a"], 0)
    assert started[-1][1]["ended"] == why
    assert not tried or started[0][1]["trial"]
    assert place.who() == ["a"], "there is no second try"


def test_a_trial_that_has_confirmed_itself_is_the_service_from_then_on(place: Place) -> None:
    a = place.slot("a")
    confirms = f"""
sys.path.insert(0, {str(SOURCE.parent)!r})
import stub
disk = stub.Disk({str(place.root)!r})
held = stub.newest(disk)
assert held["tries"] == 0, "the try is gone before it begins"
print("READY", flush=True); print("RUNNING", flush=True)
stub.commit(disk, held | {{"confirmed": "b", "trial": "", "generation": held["generation"] + 1}})
print("CONFIRMED", flush=True)
time.sleep(1.5)
sys.exit(4)
"""
    place.select(confirmed="a", trial="b", tries=1, slots={"a": a, "b": place.slot("b", confirms)})
    started, code = place.run("run")
    assert ([who for who, _, _ in started], code) == (["b"], 4), "the service manager starts it again"
    assert place.who("status") == ["b"]


def test_other_verbs_never_run_a_trial(place: Place) -> None:
    place.select(confirmed="a", trial="b", tries=1, slots={"a": place.slot("a"), "b": place.slot("b")})
    assert place.who("exec", "helper") == ["a"]
    assert stub.newest(place.disk)["tries"] == 1


def test_a_trial_whose_file_is_damaged_costs_no_try(place: Place) -> None:
    place.select(confirmed="a", trial="b", tries=1, slots={"a": place.slot("a"), "b": place.slot("b")})
    (place.root / "launcher/b/launcher.pyz").write_text("torn")
    started, _ = place.run("run")
    assert [who for who, _, _ in started] == ["a"]
    assert started[0][1]["ended"].startswith("damaged:")
    assert stub.newest(place.disk)["tries"] == 1


def test_a_selector_that_cannot_be_written_starts_no_trial(place: Place) -> None:
    place.select(confirmed="a", trial="b", tries=1, slots={"a": place.slot("a"), "b": place.slot("b")})
    older = min(stub.SELECTORS, key=lambda p: stub.load(place.disk, p).get("generation", -1))
    (place.root / older).unlink()
    (place.root / older).mkdir()
    started, _ = place.run("run")
    assert [who for who, _, _ in started] == ["a"]
    assert started[0][1]["ended"].startswith("disk:")


def test_told_to_stop_it_tells_the_trial_and_starts_nothing_else(place: Place) -> None:
    waits = "import signal\nsignal.signal(15, lambda *_: sys.exit(0))\n" + SAYS_ALL + "time.sleep(60)\n"
    about = place.slot("b", waits)
    place.select(confirmed="a", trial="b", tries=1, slots={"a": place.slot("a"), "b": about},
                 seconds={"READY": 9, "RUNNING": 9, "CONFIRMED": 90})  # fmt: skip
    command = [sys.executable, "-I", str(SOURCE), "--root", str(place.root), "--lib", str(place.lib), "run"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first = process.stderr.readline()
    process.terminate()
    rest = process.stderr.read()
    assert process.wait(20) in (0, 128 + 15), rest
    assert '"b"' in first
    assert '"launcher"' not in rest
    process.stderr.close()
