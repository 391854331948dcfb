"""The table of situations is true: each row's test exists, its words are ours, and apt's words were recorded."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs/reference/apt-situations.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "::" in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@cache
def words_of(*patterns: str) -> str:
    """The text of files, with every run of quotes, line ends and blanks between parts of one string closed up."""
    text = "\n".join(p.read_text(errors="replace") for pattern in patterns for p in sorted(ROOT.glob(pattern)))
    return re.sub(r'"\s*\n\s*f?"', "", text)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[4].partition("::")[2] + "/" + row[0][:20])
def test_row(row: list[str]) -> None:
    _, codes, ours, theirs, test = row
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, "the test does not exist"
    sources = words_of("src/brakeline/agent/providers/**/*.py", "src/brakeline/protocol/*.py")
    for code in re.findall(r"`([^`]+)`", codes):
        assert re.search(rf"\b{re.escape(code)}\b", sources), f"{code} is no code of ours"
    for part in fragments(ours):
        assert part in sources, f"we do not say {part!r}"
    recorded = words_of("tests/fixtures/apt/*.txt", "src/brakeline/agent/providers/apt/blame.py")
    for part in fragments(theirs):
        assert part in recorded or part in ("-eany", *COMMANDS), f"nobody recorded {part!r}"


COMMANDS = ("dpkg --configure -a", "apt-get -f install", "apt-get check")


def fragments(cell: str) -> list[str]:
    """The parts between backticks, split at the ellipses; short joints are left out."""
    found = [part.strip(" .") for text in re.findall(r"`([^`]+)`", cell) for part in text.split("…")]
    return [part for part in found if len(part) > 3]


def test_the_table_has_rows() -> None:
    assert len(rows()) >= 40
