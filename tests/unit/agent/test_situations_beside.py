"""The tables of npm's, flatpak's and fwupd's situations are true: each row's test exists, and its words are ours."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / f"docs/reference/{name}-situations.md" for name in ("npm", "flatpak", "fwupd")]


def rows() -> list[list[str]]:
    lines = [line for page in PAGES for line in page.read_text().splitlines() if line.startswith("| ") and "::" in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def sources() -> str:
    places = [*(ROOT / "src/brakeline/agent/providers").rglob("*.py"), *(ROOT / "src/brakeline/protocol").glob("*.py")]
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


def test_every_row_of_the_correctness_tables_is_told() -> None:
    told = {row[4] for row in rows()}
    for name in ("npm", "flatpak"):
        text = (ROOT / f"tests/correctness/{name}.py").read_text().partition("SITUATIONS")[2].partition("= (")[2]
        missing = {f"correctness/{name}.py::{s}" for s in re.findall(r"\w+", text.partition(")")[0])} - told
        assert missing <= {
            f"correctness/{name}.py::{s}" for s in ("plain_update", "dependency_comes_along", "no_network")
        }
