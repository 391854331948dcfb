"""Changes as CSV and NDJSON: one line each, and nothing that a spreadsheet would calculate."""

from __future__ import annotations

import csv
import io
import json

import pytest

from brakeline.runlog.exports import COLUMNS, csv_text, ndjson_text
from brakeline.runlog.model import Author, ChangedBy, Story

CHANGES = (
    ChangedBy("a", "amd64", "1", "2", "changed", 7, Author("ro_1", 'October, "fast"')),
    ChangedBy("=cmd()", "all", "", "1", "installed", 8),
)
STORY = Story("ep_1", 0, 10, CHANGES)


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t=", "\r="])
def test_no_cell_begins_as_a_formula_does(begins: str) -> None:
    story = Story("ep_1", 0, 10, (ChangedBy(f"{begins}cmd()", "all", "", "1", "installed", 8),))
    (row,) = csv.DictReader(io.StringIO(csv_text(story), newline=""))
    assert row["name"] == f"'{begins}cmd()"


def test_both_forms_say_the_same() -> None:
    rows = list(csv.DictReader(csv_text(STORY).splitlines()))
    lines = [json.loads(line) for line in ndjson_text(STORY).splitlines()]
    assert [list(row) for row in rows] == [list(COLUMNS)] * 2
    assert rows[0]["by"] == lines[0]["by"] == 'October, "fast"'
    assert (rows[1]["name"], lines[1]["name"]) == ("'=cmd()", "=cmd()")
