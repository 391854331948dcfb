"""`./dev` alone lists the verbs, and the verbs that others rely on are there."""

from __future__ import annotations

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
