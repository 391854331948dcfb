"""The table of situations is true: each row's function exists and is in the table of correctness; words are ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.correctness.pacman import SITUATIONS

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs/reference/pacman-situations.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "situation in the" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def listed() -> set[str]:
    return {s.__name__ for s in SITUATIONS}


def our_words() -> str:
    """The sources, with every run of quotes, line ends and blanks between parts of one string closed up."""
    files = [*ROOT.glob("src/brakeline/agent/providers/**/*.py"), *ROOT.glob("src/brakeline/protocol/*.py")]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(f.read_text() for f in files))


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[4]}/{row[0][:24]}")
def test_row(row: list[str]) -> None:
    _, codes, ours, _, situation = row
    assert situation in listed(), "the situation does not exist"
    sources = our_words()
    for code in re.findall(r"`([^`]+)`", codes):
        assert re.search(rf"\b{re.escape(code)}\b", sources), f"{code} is no code of ours"
    for text in re.findall(r"`([^`]+)`", ours):
        for part in (p.strip(" .") for p in text.split("…")):
            assert len(part) <= 3 or part == ".pacnew" or part in sources, f"we do not say {part!r}"


def test_every_situation_is_on_the_page() -> None:
    assert listed() == {row[4] for row in rows()}
