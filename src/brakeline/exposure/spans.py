"""Spans of OSV documents as advisory rows, one for each CVE that they name, so that one matcher judges both. Pure.

A span says of one package from which version to which an advisory speaks. Its CVEs are its aliases; where it has none,
the advisory's own id stands in their place, because a vulnerability without a CVE is one all the same. A span that has
only a list of versions becomes one row for each: each is an interval of itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from brakeline.advisories.model import Advisory


class Span(Protocol):
    """What is needed of an OSV row. `state`: fixed | open | not_affected | withdrawn."""

    @property
    def ecosystem(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def introduced(self) -> str: ...
    @property
    def fixed(self) -> str: ...
    @property
    def last_affected(self) -> str: ...
    @property
    def versions(self) -> tuple[str, ...]: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def state(self) -> str: ...
    @property
    def published(self) -> str: ...
    @property
    def module(self) -> str: ...
    @property
    def reason(self) -> str: ...


def rows_of(spans: Iterable[Span]) -> Iterator[Advisory]:
    """The rows, in the order of the spans."""
    for span in spans:
        ends = [(span.introduced, span.fixed, span.last_affected)]
        if span.versions and ends == [("", "", "")]:
            ends = [(version, "", version) for version in span.versions]
        cves = tuple(alias for alias in span.aliases if alias.startswith("CVE-")) or (span.id,)
        reason = span.reason
        for cve in cves:
            for introduced, fixed, last_affected in ends:
                yield Advisory(
                    span.name, cve, fixed, span.published[:10], introduced=introduced, ecosystem=span.ecosystem,
                    state=span.state, id=span.id, aliases=span.aliases, last_affected=last_affected, module=span.module,
                    reason=reason,
                )  # fmt: skip
