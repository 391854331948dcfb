"""Spans of OSV documents as advisory rows, one for each CVE that they name, so that one matcher judges both. Pure.

A span says of one package from which version to which an advisory speaks. What people look it up by:
- its CVEs: its own id, its aliases and, where it is a distribution's, what it repairs (AlmaLinux's and Debian's
  advisories name their CVEs as *related* or *upstream*, because one of them repairs several);
- without one, the CVEs of the advisories of this package that it is an alias of, however many steps away;
- without any, the advisory's own id, the first of those that are aliases of each other: a vulnerability without a CVE
  is one all the same, and is told once.
A distribution's advisory of bugs or enhancements that names no CVE is no vulnerability and gives no row. A span that
has a list of versions becomes one row for each: its bounds have no place in the order, or there are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from brakeline.advisories.ecosystems import SYSTEMS, order_of
from brakeline.advisories.model import Advisory
from brakeline.exposure.windows import MICROSOFT, bounded

if TYPE_CHECKING:
    from brakeline.advisories.osv.model import Span

CVE: Final = re.compile(r"(?:[A-Z]+-)?(CVE-[0-9]{4}-[0-9]{1,19})")  # OSV's DEBIAN-CVE-2024-1 is CVE-2024-1
WINDOWS: Final = f"{MICROSOFT}:"
NO_SECURITY: Final = ("ALBA-", "ALEA-", "RHBA-", "RHEA-", "RLBA-", "RLEA-", "SUSE-RU-", "SUSE-FU-")


def rows_of(spans: Sequence[Span]) -> Iterator[Advisory]:
    """The rows of one package's spans, in the order of the spans."""
    if spans and spans[0].ecosystem.startswith(WINDOWS):
        spans = bounded(spans)
    named = names_of(spans)
    for span in spans:
        ends = [(span.introduced, span.fixed, span.last_affected)]
        if span.versions:
            ends = [(version, "", version) for version in span.versions]
        reason = span.reason
        if span.withdrawn and not reason:
            reason = f"its makers have withdrawn it on {span.withdrawn[:10]}"
        for cve in named[span.id]:
            for introduced, fixed, last_affected in ends:
                yield Advisory(
                    span.name, cve, fixed, span.published[:10], introduced=introduced, ecosystem=span.ecosystem,
                    state=span.state, id=span.id, aliases=span.aliases, last_affected=last_affected, module=span.module,
                    reason=reason,
                )  # fmt: skip


def names_of(spans: Sequence[Span]) -> dict[str, tuple[str, ...]]:
    """Advisory id -> what it is looked up by; () = it speaks of no vulnerability. `spans`: of one package."""
    own: dict[str, set[str]] = {}
    for span in spans:
        own.setdefault(span.id, set()).update(cves_of(span))
    found = {id_: tuple(sorted(cves)) for id_, cves in own.items()}
    if all(found.values()):
        return found
    groups = _groups(spans)
    for id_, cves in found.items():
        if not cves and not id_.startswith(NO_SECURITY):
            group = groups[id_]
            known = {cve for each in group if each in own for cve in own[each]}
            found[id_] = tuple(sorted(known)) or (min(each for each in group if each in own),)
    return found


def cves_of(span: Span) -> set[str]:
    """The CVEs that a span names by itself."""
    texts = [span.id, *span.aliases]
    if span.related and order_of(span.ecosystem) in SYSTEMS:
        texts += span.related
    return {found[1] for text in texts if (found := CVE.fullmatch(text))}


def _groups(spans: Iterable[Span]) -> dict[str, set[str]]:
    """Each id with all ids that are its aliases, through whichever others; circles end where they began."""
    groups: dict[str, set[str]] = {}
    for span in spans:
        joined = {span.id, *span.aliases}
        for each in (span.id, *span.aliases):
            joined |= groups.get(each, set())
        for each in joined:
            groups[each] = joined
    return groups
