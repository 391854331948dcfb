"""What an endpoint says was done to it, bounded, as text and back. Pure.

The numbers come from a machine that may have been taken over: whatever is beyond reason counts as *not told*.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.protocol.messages import Harms

NUMBERS: Final = ("refused", "quarantined", "files_gone", "units_masked", "accounts_closed")
NUMBER_MAX: Final = 1 << 40
PORTS_MAX: Final = 128  # of one endpoint; a server listens on a dozen
PORT_MAX: Final = 65_535
NAMES_MAX: Final = 10
NAME_CHARS: Final = 120


def bounded(told: Harms | None) -> Harms | None:
    """The same without what cannot be."""
    if told is None:
        return None
    numbers = {name: None if (n := getattr(told, name)) is None or not 0 <= n <= NUMBER_MAX else n for name in NUMBERS}
    ports = told.ports
    if ports is not None:
        ports = tuple(sorted({p for p in ports if 0 < p <= PORT_MAX})[:PORTS_MAX])
    named = tuple("".join(c for c in n if c.isprintable())[:NAME_CHARS] for n in told.named[:NAMES_MAX])
    return replace(told, **numbers, ports=ports, named=named)


def text(told: Harms | None) -> str:
    """For storage, short and quick to read: numbers, ports, names; "-" = not told, "" = nothing was told."""
    if told is None:
        return ""
    numbers = " ".join("-" if n is None else str(n) for n in (getattr(told, name) for name in NUMBERS))
    ports = "-" if told.ports is None else " ".join(map(str, told.ports))
    return "\t".join((numbers, ports, *told.named))


def read(stored: str) -> Harms | None:
    """What `text` wrote; None for anything else. Read for every endpoint in each round of the executor."""
    if not stored:
        return None
    numbers, _, rest = stored.partition("\t")
    ports, *named = rest.split("\t")
    try:
        a, b, c, d, e = (None if n == "-" else int(n) for n in numbers.split(" "))
        return Harms(a, b, c, d, e, None if ports == "-" else tuple(map(int, ports.split())), tuple(named))
    except ValueError:
        return None
