"""The table of situations is true: each row is provoked by `tests/correctness/zypper.py`, and its words are ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs/reference/zypper-situations.md"
PROVOKED = re.findall(r'@situation\("([^"]+)"', (ROOT / "tests/correctness/zypper.py").read_text())


def rows() -> list[list[str]]:
    lines = [
        line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| situation")
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if len(line.split("|")) == 6]


def ours() -> str:
    package = ROOT / "src/brakeline/agent/providers"
    files = [*sorted((package / "zypper").glob("*.py")), package / "frame.py", package / "ended.py"]
    files += (package.parents[1] / "protocol").glob("*.py")
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(p.read_text() for p in files))


def test_every_situation_that_is_provoked_has_its_row_and_no_other() -> None:
    assert [row[0] for row in rows()] == PROVOKED
    assert len(PROVOKED) >= 30


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_row(row: list[str]) -> None:
    _, codes, words, truth = row
    assert truth
    sources = ours()
    for code in re.findall(r"`([^`]+)`", codes):
        assert re.search(rf"\b{re.escape(code)}\b", sources), f"{code} is no code of ours"
    for text in re.findall(r"`([^`]+)`", words):
        for part in (p.strip(" .") for p in text.split("…")):
            assert len(part) <= 3 or part in sources, f"we do not say {part!r}"
