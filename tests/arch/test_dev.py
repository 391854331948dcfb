"""`./dev` alone lists the verbs, and the verbs that others rely on are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def dev(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(ROOT / "dev"), *args], capture_output=True, text=True, check=False)


def test_alone_it_lists_its_verbs() -> None:
    done = dev()
    assert done.returncode == 0
    for verb in ("up", "test", "check", "bench", "fleet", "fmt"):
        assert f"\n  {verb} " in done.stdout


def test_an_unknown_verb_is_a_usage_error() -> None:
    done = dev("nonsense")
    assert done.returncode == 2
    assert "usage" in done.stdout


def test_ci_asks_for_everything() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "BRAKELINE_REQUIRE=all" in script
    assert "./dev test" in script


def test_what_check_leaves_out_as_wide_the_required_set_runs() -> None:
    script = (ROOT / "dev").read_text()
    check, _, test = script.partition("def test(args")
    assert 'SMALL = "not long and not wide"' in check
    assert check.count("SMALL") == 2, "only what check runs is narrowed"
    assert '["-m", "not long"' in test
    assert check.count("EXAMPLES") == 2, "and what check draws at random is fewer"
    assert "EXAMPLES" not in test


def test_whatever_is_wide_has_a_smaller_one_beside_it() -> None:
    files = [p for p in (ROOT / "tests").rglob("test_*.py") if "mark.wide" in p.read_text() and p != Path(__file__)]
    assert files
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-m", "not long and not wide", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1000:]
    for path in files:
        assert f"{path.name}::" in done.stdout, f"{path.name}: nothing of it is in ./dev check"


def test_every_folder_with_tests_belongs_to_what_is_run() -> None:
    """`./dev test` names the suites, the slowest first: one that it does not name would never run."""
    script = (ROOT / "dev").read_text()
    named = set(re.findall(r'"tests/(\w+)"', script.partition("VERBS:")[0]))
    assert named == {p.parent.relative_to(ROOT / "tests").parts[0] for p in (ROOT / "tests").rglob("test_*.py")}
