"""What every verb prints with, and the exit codes. Results to stdout, talk to stderr.

A verb builds plain data, then calls `emit(data, as_json, human)`: with `--json` the data goes out as one document,
else `human()` says it for eyes. Errors end in `explain`: what, why, what to type next.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, Any

import typer

from brakeline.core.errors import BrakelineError, Fault

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
COLUMN_GAP = "  "


class Exit(IntEnum):
    """Exit codes; stable, scripts rely on them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4  # or not signed in
    CONFLICT = 5  # or a precondition that does not hold
    BRAKED = 6  # the rollout was braked or failed (`watch`, `start --wait`)
    TIMEOUT = 7  # waiting took too long
    CHANGES = 8  # `config plan` found changes
    UNREACHABLE = 9  # the server
    PENDING = 10  # asked for; a second person, or time, is needed before it is done
    INTERRUPTED = 130


EXIT_BY_STATUS = {
    400: Exit.USAGE, 401: Exit.NOT_ALLOWED, 403: Exit.NOT_ALLOWED, 404: Exit.NOT_FOUND, 409: Exit.CONFLICT,
    412: Exit.CONFLICT, 422: Exit.USAGE, 428: Exit.CONFLICT, 504: Exit.TIMEOUT,
}  # fmt: skip


def noun(help_text: str) -> typer.Typer:
    """The `app` of a noun: shows its verbs when called with none."""
    return typer.Typer(help=help_text, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def emit(data: Any, as_json: bool, human: Callable[[], None]) -> None:
    """Print `data` as the one JSON document, or let `human` print for eyes."""
    if as_json:
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    else:
        human()


def say(text: str = "") -> None:
    """A line of the result."""
    sys.stdout.write(text + "\n")


def talk(text: str) -> None:
    """A line beside the result (progress, hints): to stderr, so that pipes stay clean."""
    sys.stderr.write(text + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str = "None.") -> None:
    """A table: with rich at a terminal, as aligned plain text in a pipe; `empty` when there are no rows."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not texts:
        say(empty)
    elif sys.stdout.isatty():
        _rich_table(columns, texts)
    else:
        _plain_table(columns, texts)


def pairs(facts: Mapping[str, object]) -> None:
    """`name: value` lines, values aligned."""
    width = max(map(len, facts), default=0) + 1
    for name, value in facts.items():
        say(f"{name + ':':<{width}} {value}")


def when(ms: int | None) -> str:
    """Unix milliseconds for people: UTC, to the second; "" for None."""
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def exit_code_of(error: BrakelineError) -> int:
    """The exit code that tells scripts what kind of error this is."""
    given = getattr(error, "exit_code", None)
    if given is not None:
        return int(given)
    return EXIT_BY_STATUS.get(error.status, Exit.FAILED) if isinstance(error, Fault) else Exit.FAILED


def explain(error: BrakelineError, as_json: bool) -> None:
    """What went wrong, why, and what to type next: to stderr, and as a document to stdout with `--json`."""
    title = getattr(error, "said_title", "") or error.title
    hint = getattr(error, "said_hint", "") or error.hint
    lines = [f"Error: {title}", f"  why:  {error.detail}" if error.detail else "", f"  next: {hint}" if hint else ""]
    talk("\n".join(line for line in lines if line))
    if as_json:
        code = getattr(error, "said_code", "") or error.code
        context = {k: v if isinstance(v, (int, float, bool, list)) else str(v) for k, v in error.context.items()}
        document = {"error": {"code": code, "title": title, "detail": error.detail, "hint": hint, "context": context}}
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD  # 50 ms to import: only at a terminal
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))  # Text: names of packages are no markup
    Console().print(shown)


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [list(columns), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        say(COLUMN_GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
