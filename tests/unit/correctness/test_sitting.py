"""A run that was ended goes on behind its rows, and only behind its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.correctness.row import Row
from tests.correctness.sitting import MADE_BY, ROOT, Sitting, digest_of

IDS = ("apt/one", "apt/two", "dnf/one")
ROWS = [Row("apt", "one", "truth", "ours", right=True), Row("apt", "two", "truth", "ours", right=False)]


def ended(place: Path) -> Path:
    file = place / "rows.json"
    sitting = Sitting(file, IDS, "these sources")
    for row in ROWS:
        sitting.add(row)
    return file


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    again = Sitting(ended(tmp_path), IDS, "these sources")
    assert again.take_up() == 2
    assert again.rows == ROWS


@pytest.mark.parametrize(
    ("ids", "sources"), [(IDS, "other sources"), (IDS[::-1], "these sources"), (IDS[:1], "these sources")]
)
def test_other_sources_or_situations_begin_anew(tmp_path: Path, ids: tuple[str, ...], sources: str) -> None:
    again = Sitting(ended(tmp_path), ids, sources)
    assert again.take_up() == 0
    assert again.rows == []


@pytest.mark.parametrize("text", ["", "[", '{"a": 1}', '[{"no": "row"}]'])
def test_a_torn_file_begins_anew(tmp_path: Path, text: str) -> None:
    file = ended(tmp_path)
    file.write_text(text)
    assert Sitting(file, IDS, "these sources").take_up() == 0


def test_without_a_file_rows_are_only_remembered() -> None:
    sitting = Sitting(None, IDS, "these sources")
    assert sitting.take_up() == 0
    sitting.add(ROWS[0])
    assert sitting.rows == ROWS[:1]


def test_any_source_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.py").write_text("a = 1\n")
    first = digest_of(tmp_path, ["src/*.py"])
    (tmp_path / "src/a.py").write_text("a = 2\n")
    second = digest_of(tmp_path, ["src/*.py"])
    (tmp_path / "src/b.py").write_text("")
    assert len({first, second, digest_of(tmp_path, ["src/*.py"])}) == 3


def test_what_a_row_is_made_by_is_there() -> None:
    assert all(list(ROOT.glob(place)) for place in MADE_BY)
    assert len(digest_of()) == 64
