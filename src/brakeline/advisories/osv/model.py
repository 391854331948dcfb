"""The words of OSV rows: one `Span` says of one package from which version to which an advisory speaks.

Invariants: plain frozen values, no I/O. Vulnerable when introduced <= version, and version < fixed or version <=
last_affected where one of them is there; introduced "" means "from the first version on". A span with `versions` and
no bounds means exactly these versions. Versions are text in the words of `ecosystem`, whose order decides.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SPANS_MAX: Final = 2_000_000  # all of OSV's Debian is about 250,000
DOCUMENTS_MAX: Final = 400_000  # npm, today's largest, is about 220,000


class Span(NamedTuple):
    """One row: advisory x package x interval."""

    ecosystem: str  # "pypi", "almalinux:9": by `advisories.ecosystems`, with the release where there is one
    name: str
    id: str  # of the advisory, in its maker's words: "PYSEC-2024-1"
    part: int = 0  # intervals of one package in one advisory are counted
    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""
    versions: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    state: str = "fixed"  # fixed | open | deferred | not_affected | withdrawn: an AdvisoryState
    severity: str = ""  # CVSS vector as published
    published: str = ""  # ISO, UTC, whole seconds
    modified: str = ""
    withdrawn: str = ""
    module: str = ""  # module stream of an rpm: "nodejs:12", "?" = a module, and which is not said
    summary: str = ""
    related: tuple[str, ...] = ()  # what it repairs or follows from, without being the same: a distribution's CVEs
    reason: str = ""  # why not affected, withdrawn or deferred, in the vendor's words


class Said(NamedTuple):
    """What a file says. `issued`: the newest time in it; `elsewhere`: packages of other ecosystems, left out;
    `because`: why, where there are several reasons."""

    spans: list[Span]
    issued: str
    documents: int
    elsewhere: int
    because: tuple[str, ...] = ()
