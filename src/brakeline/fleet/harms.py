"""What an endpoint says was done to it, bounded, as text and back. Pure.

The numbers come from a machine that may have been taken over: whatever is beyond reason counts as *not told*.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.protocol.messages import Harms
from brakeline.protocol.probes import NAME, PROBES_MAX

NUMBERS: Final = ("refused", "quarantined", "files_gone", "units_masked", "accounts_closed")
LATER: Final = ("errors", "boot_s")  # of agents that tell how they do their work, too
NUMBER_MAX: Final = 1 << 40
PORTS_MAX: Final = 128  # of one endpoint; a server listens on a dozen
PORT_MAX: Final = 65_535
NAMES_MAX: Final = 12
NAME_CHARS: Final = 120
WHY_CHARS: Final = 80  # of a probe that fails


def bounded(told: Harms | None) -> Harms | None:
    """The same without what cannot be."""
    if told is None:
        return None
    numbers = {name: None if (n := getattr(told, name)) is None or not 0 <= n <= NUMBER_MAX else n
               for name in (*NUMBERS, *LATER)}  # fmt: skip
    ports = told.ports
    if ports is not None:
        ports = tuple(sorted({p for p in ports if 0 < p <= PORT_MAX})[:PORTS_MAX])
    named = tuple("".join(c for c in n if c.isprintable())[:NAME_CHARS] for n in told.named[:NAMES_MAX])
    probes = told.probes and tuple(n for n in told.probes[:PROBES_MAX] if NAME.fullmatch(n))
    failed = tuple(t for t in map(_failed, told.probes_failed[:PROBES_MAX]) if t)
    return replace(told, **numbers, ports=ports, named=named, probes=probes, probes_failed=failed)


def _failed(told: str) -> str:
    """ "web: HTTP 500", "" = no name that a probe can have."""
    name, _, why = told.partition(":")
    plain = "".join(c for c in why if c.isprintable() and c != ";").strip()[:WHY_CHARS]
    return (f"{name}: {plain}" if plain else name) if NAME.fullmatch(name) else ""


def text(told: Harms | None) -> str:
    """For storage, short and quick to read: numbers, ports, names; "-" = not told, "" = nothing was told. Seven numbers
    are followed by probes that pass and probes that fail; five are of an agent that tells none of these."""
    if told is None:
        return ""
    later = any(getattr(told, name) is not None for name in (*LATER, "probes")) or bool(told.probes_failed)
    names = (*NUMBERS, *LATER) if later else NUMBERS
    numbers = " ".join("-" if n is None else str(n) for n in (getattr(told, name) for name in names))
    ports = "-" if told.ports is None else " ".join(map(str, told.ports))
    probes = ("-" if told.probes is None else " ".join(told.probes), ";".join(told.probes_failed)) if later else ()
    return "\t".join((numbers, ports, *probes, *told.named))


def read(stored: str) -> Harms | None:
    """What `text` wrote; None for anything else. Read for every endpoint in each round of the executor."""
    if not stored:
        return None
    numbers, _, rest = stored.partition("\t")
    ports, *named = rest.split("\t")
    try:
        a, b, c, d, e, *later = (None if n == "-" else int(n) for n in numbers.split(" "))
        open_ = None if ports == "-" else tuple(map(int, ports.split()))
        if not later:
            return Harms(a, b, c, d, e, open_, tuple(named))
        (errors, boot_s), (probes, failed, *named) = later, named
    except ValueError:
        return None
    passing = None if probes == "-" else tuple(probes.split())
    return Harms(a, b, c, d, e, open_, tuple(named), errors, boot_s, passing, tuple(filter(None, failed.split(";"))))
