"""The page of situations is true: each row is one that is provoked, and its words are ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.correctness.dnf import SITUATIONS

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs/reference/dnf-situations.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def sources() -> str:
    paths = [*ROOT.glob("src/brakeline/agent/providers/**/*.py"), *ROOT.glob("src/brakeline/protocol/*.py")]
    return "\n".join(p.read_text() for p in sorted(paths))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_words_are_ours(row: list[str]) -> None:
    _, codes, ours, _, _ = row
    text = sources()
    assert not [c for c in re.findall(r"`([^`]+)`", codes) if not re.search(rf"\b{c}\b", text)]
    assert not [part for part in re.findall(r"`([^`]+)`", ours) if part not in text]


def test_every_situation_has_its_row() -> None:
    assert {row[4] for row in rows()} == {s.__name__ for s in SITUATIONS}
