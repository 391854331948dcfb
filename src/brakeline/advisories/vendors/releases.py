"""CPEs of Red Hat and SUSE -> the release that rows are of; pure.

Invariants: Red Hat's ordinary stream of a major release alone. Its extended streams (EUS, AUS, TUS, E4S, ELS) fix an
older minor release with a version of their own, which would close what the ordinary stream has open: they answer None.
SUSE's modules, LTSS and ESPOS of one service pack are one line of versions, so they are one release.
"""

from __future__ import annotations

import re
from typing import Final

from brakeline.advisories.ecosystems import canonical

RED_HAT: Final = re.compile(r"cpe:/[oa]:redhat:enterprise_linux:([0-9]{1,2})(?:\.[0-9]{1,2})?(?::.{0,100})?")
SUSE: Final = re.compile(r"cpe:/o:suse:((?:suse_)?sle[a-z_-]{0,60}):([0-9]{2})(?::sp([0-9]))?(?::.{0,60})?")
LEAP: Final = re.compile(r"cpe:/o:opensuse:leap:([0-9]{2}\.[0-9])(?::.{0,60})?")
TUMBLEWEED: Final = re.compile(r"cpe:/o:opensuse:tumbleweed(?::.{0,60})?")
OTHER_LINES: Final = re.compile(r"teradata|micro|live-patching|_rt|-rt")  # lines of versions of their own


def red_hat(cpe: str) -> str | None:
    """The release of a platform of Red Hat."""
    found = RED_HAT.fullmatch(cpe)
    return canonical(f"Red Hat:{found[1]}") if found else None


def suse(cpe: str) -> str | None:
    """The service pack of a platform of SUSE Linux Enterprise."""
    found = SUSE.fullmatch(cpe)
    if found is None or OTHER_LINES.search(found[1]):
        return None
    return canonical(f"SLES:{found[2]}.{found[3]}" if found[3] else f"SLES:{found[2]}")


def opensuse(cpe: str) -> str | None:
    """The release of a platform of openSUSE."""
    if found := LEAP.fullmatch(cpe):
        return canonical(f"openSUSE:Leap {found[1]}")
    return canonical("openSUSE:Tumbleweed") if TUMBLEWEED.fullmatch(cpe) else None
