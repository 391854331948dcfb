"""Changes of installed software as CSV and NDJSON, one line a change. Pure."""

from __future__ import annotations

import json
from typing import Final

from brakeline.runlog.model import ChangedBy, Story

COLUMNS: Final = (
    "endpoint_id", "at_ms", "kind", "name", "architecture", "before", "after", "rollout_id", "by",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would calculate


def csv_text(story: Story) -> str:
    """With a head; texts are quoted, and none of them begins like a formula."""
    lines = [",".join(COLUMNS), *(",".join(map(_cell, _row(story, c))) for c in story.changes)]
    return "".join(f"{line}\r\n" for line in lines)


def ndjson_text(story: Story) -> str:
    rows = (dict(zip(COLUMNS, _row(story, c), strict=True)) for c in story.changes)
    return "".join(f"{json.dumps(row, ensure_ascii=False, sort_keys=True)}\n" for row in rows)


def _row(story: Story, c: ChangedBy) -> tuple[str | int, ...]:
    return (story.endpoint_id, c.at_ms, c.kind, c.name, c.architecture, c.before, c.after, c.author.rollout_id,
            c.author.title)  # fmt: skip


def _cell(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    text = f"'{value}" if value.startswith(_FORMULA) else value
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text
