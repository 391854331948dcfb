"""The table of pip's situations is true: each row's test exists, and its words are ours."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs/reference/pip-situations.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "::" in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def sources() -> str:
    places = [*(ROOT / "src/brakeline/agent/providers").rglob("*.py"), *ROOT.glob("src/brakeline/protocol/*.py")]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(p.read_text() for p in places))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[4].partition("::")[2] + "/" + row[0][:20])
def test_row(row: list[str]) -> None:
    _, codes, ours, _, test = row
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, "the test does not exist"
    said = sources()
    for word in (*re.findall(r"`([^`]+)`", codes), *re.findall(r"`([^`]+)`", ours)):
        assert word in said, f"{word!r} is not ours"


def test_the_table_has_rows() -> None:
    assert len(rows()) >= 15
