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


def test_check_and_the_required_set_leave_the_same_to_the_whole_run() -> None:
    script = (ROOT / "dev").read_text()
    check, _, test = script.partition("def test(args")
    assert 'NOT_LONG = "not long"' in check
    assert '["-m", NOT_LONG, *EXAMPLES' in check
    assert '["-m", NOT_LONG, *SAME_DRAWS' in test
    assert check.count("EXAMPLES") == 2, "what check draws at random is fewer"
    assert "EXAMPLES" not in test


def test_every_folder_with_tests_belongs_to_what_is_run() -> None:
    """`./dev test` names the suites, the slowest first: one that it does not name would never run."""
    script = (ROOT / "dev").read_text()
    named = set(re.findall(r'"tests/(\w+)"', script.partition("VERBS:")[0]))
    assert named == {p.parent.relative_to(ROOT / "tests").parts[0] for p in (ROOT / "tests").rglob("test_*.py")}
