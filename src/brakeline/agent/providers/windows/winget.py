"""Tables that winget prints, read by their line of dashes and by display width: their words are in the user's language.

A header stands above the dashes; a column begins at a word of it before which no row has anything. A wide character
takes two cells. An Id that was cut off (`…`) names nothing and is told as such. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

DASHES: Final = re.compile(r"-{10,}")
CUT: Final = ("…", "???")  # the second: how it comes out of a console with another code page
UNKNOWN: Final = ("Unknown", "< ", "> ")  # winget does not know the installed version, or only a bound of it


@dataclass(frozen=True, slots=True)
class Row:
    """One program. `available` "" = nothing newer is told; `alone`: is upgraded only when it is named."""

    name: str
    id: str
    version: str
    available: str = ""
    source: str = ""
    alone: bool = False

    @property
    def cut(self) -> bool:
        """Whether the Id was cut off for want of room: then it names nothing."""
        return self.id.endswith(CUT)

    @property
    def known(self) -> bool:
        """Whether the installed version is one, and no guess of winget's."""
        return bool(self.version) and not self.version.startswith(UNKNOWN)


def rows(text: str) -> tuple[Row, ...]:
    """Every row of every table. From the second table on: programs that are upgraded only when they are named."""
    lines = [line.rpartition("\r")[2].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    found, tables = [], 0
    for i, line in enumerate(lines):
        if i and DASHES.fullmatch(line.strip()):
            body = list(_body(lines[i + 1 :]))
            starts = columns(lines[i - 1], body)
            whole = [b for b in body if _is_row(b, starts)]
            made = [_row([_cell(b, a, z) for a, z in zip(starts, [*starts[1:], 10_000], strict=True)], tables > 0)
                    for b in whole]  # fmt: skip
            found += [r for r in made if r is not None]
            tables += 1
    return tuple(found)


def _body(lines: list[str]) -> Iterator[str]:
    for i, line in enumerate(lines):
        if not line.strip() or (i + 1 < len(lines) and DASHES.fullmatch(lines[i + 1].strip())):
            return
        yield line


def columns(header: str, body: list[str]) -> list[int]:
    """Where columns begin, in cells. A word of the header begins one if no row has anything in the cell before it."""
    cells = [_spread(line) for line in (header, *body)]
    head, tables = cells[0], [c for c in cells[1:] if len(c) > len(cells[0]) // 2]  # a footer is no row
    starts = [0]
    for at in range(1, len(head)):
        if head[at] != " " and head[at - 1] == " " and all(c[at - 1 : at] in ([], [" "]) for c in tables):
            starts.append(at)
    return starts


def _spread(line: str) -> list[str]:
    """One entry a cell: a wide character has two, a mark that combines has none."""
    cells: list[str] = []
    for character in line:
        if unicodedata.combining(character):
            continue
        wide = unicodedata.east_asian_width(character) in "WF"
        cells += [character, ""] if wide else [character]
    return cells


def _is_row(line: str, starts: list[int]) -> bool:
    """Whether nothing goes on from one column into the next, as the sentence below a table does."""
    cells = _spread(line)
    return all(cells[at - 1 : at] in ([], [" "]) for at in starts[1:])


def _cell(line: str, start: int, end: int) -> str:
    return "".join(_spread(line)[start:end]).strip()


def _row(cells: list[str], alone: bool) -> Row | None:
    """None for a footer. Of four columns the last is the source if it looks like no version."""
    if len(cells) < 3 or not cells[1] or " " in cells[1]:
        return None
    name, id_, version, *rest = cells
    if len(rest) >= 2:
        return Row(name, id_, version, rest[0], rest[1], alone)
    last = rest[0] if rest else ""
    newer = last if re.search(r"\d", last) else ""
    return Row(name, id_, version, newer, "" if newer else last, alone)
