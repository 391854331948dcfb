"""`brakeline exposure compare-versions`: which of two versions an ecosystem calls newer, without a server.

Prints `<`, `=` or `>`. With `-`, pairs come on standard input, two versions with a tab between, and each line is
answered by one: `!` where one of them is no version there. Exit codes: 0 compared, 2 wrong usage, or a pair that was
given as words and cannot be compared. Imports no command-line framework: many pairs, or one, should not wait for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import TextIOWrapper
from typing import Final, TextIO

from brakeline.advisories.versions import ORDERS
from brakeline.cli.faults import BadUsage
from brakeline.core.debversion import BadVersion
from brakeline.core.errors import Fault

USAGE: Final = f"""\
Usage: brakeline exposure compare-versions ECOSYSTEM A B
       brakeline exposure compare-versions ECOSYSTEM -

Say whether A is older (<), the same (=) or newer (>) than B, as ECOSYSTEM orders versions; no server is needed.

  ECOSYSTEM   {", ".join(ORDERS)}
  -           pairs from standard input, two versions a line with a tab between; one answer a line,
              ! where one of them is no version there
"""
EXIT_USAGE: Final = 2
_SIGNS: Final = {-1: "<", 0: "=", 1: ">"}


class WrongWords(BadUsage):
    """The command was not understood."""

    hint = "See: brakeline exposure compare-versions --help"


def main(arguments: Sequence[str], pairs: TextIO | None = None) -> int:
    """Run the verb with its arguments; returns the exit code. `pairs`: in place of standard input."""
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(USAGE)
        return 0
    if pairs is None and isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # bytes that are no text are no version; the other lines are
    try:
        for line in run(arguments, pairs or sys.stdin):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except Fault as e:
        sys.stderr.write(f"Error: {e.title}\n  why:  {e.detail}\n" + (f"  next: {e.hint}\n" if e.hint else ""))
        return EXIT_USAGE
    except BrokenPipeError:
        sys.stderr.close()  # the reader has seen enough ("| head"); that is no error of ours
    return 0


def run(arguments: Sequence[str], pairs: Iterable[str]) -> Iterator[str]:
    """The answers; `WrongWords`, or `BadVersion` of a pair that was given as words."""
    if len(arguments) not in (2, 3) or (len(arguments) == 2 and arguments[1] != "-"):
        raise WrongWords("expected an ecosystem and two versions, or an ecosystem and -")
    order = ORDERS.get(arguments[0])
    if order is None:
        raise WrongWords(f"no such ecosystem: {arguments[0][:40]}; known are {', '.join(ORDERS)}")
    if len(arguments) == 3:
        yield _SIGNS[_sign(order(arguments[1], arguments[2]))]
        return
    for line in pairs:
        yield _answer(order, line.rstrip("\r\n"))


def _answer(order: Callable[[str, str], int], line: str) -> str:
    a, tab, b = line.partition("\t")
    if not tab:
        return "!"
    try:
        return _SIGNS[_sign(order(a, b))]
    except BadVersion:
        return "!"


def _sign(n: int) -> int:
    return (n > 0) - (n < 0)
