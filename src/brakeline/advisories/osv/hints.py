"""What databases say beside OSV's schema, and what the people who write there leave out; pure.

GitHub's reviewers leave a range open where the fix is in no registry, and name the last version that they know to be
affected. Debian's tracker says by an urgency what it does not mean to repair. Bounds of npm and crates.io may be
without their last number. Invariants: a hint never opens anything that its range closes; one that cannot be understood
changes nothing.
"""

from __future__ import annotations

import re
from typing import Any, Final

from brakeline.advisories.ecosystems import compare_of, order_of
from brakeline.advisories.osv.model import Span
from brakeline.core.debversion import BadVersion

UNIMPORTANT: Final = "unimportant: no security impact"
URGENCIES: Final = {"unimportant": UNIMPORTANT, "end-of-life": "its support in this release had ended"}
LAST_KNOWN: Final = re.compile(r"\s*(<=?)\s*([^\s,<>=]{1,200})\s*")
THREE: Final = ("npm", "semver")  # orders whose versions have three numbers, always
PARTIAL: Final = re.compile(r"([0-9]{1,20})(\.[0-9]{1,20})?([-+].*)?")  # "< 1.2": what people leave out is zero


def ended(span: Span, affected: dict[str, Any]) -> Span:
    """`span`, if it has no end, with that of its reviewers, who know of nothing affected behind it.

    From "< 2.1.3" on it counts as fixed, because there is a version that is not affected.
    """
    specific = affected.get("database_specific")
    said = specific.get("last_known_affected_version_range") if type(specific) is dict else None
    found = LAST_KNOWN.fullmatch(said) if type(said) is str and not (span.fixed or span.last_affected) else None
    order = compare_of(span.ecosystem)
    if found is None or order is None:
        return span
    end = full(span.ecosystem, found[2])
    try:
        after = order(end, span.introduced) if span.introduced else order(end, end) + 1
    except BadVersion:
        return span  # open, because nobody here can say where it ends
    if after < (found[1] == "<"):
        return span
    if found[1] == "<=":
        return span._replace(last_affected=end)
    return span._replace(fixed=end, state="fixed" if span.state == "open" else span.state)


def deferred(row: Span, affected: dict[str, Any]) -> Span:
    """What Debian does not mean to repair has the same state as from its tracker."""
    specific = affected.get("ecosystem_specific")
    urgency = specific.get("urgency") if type(specific) is dict else None
    if row.state != "open" or not row.ecosystem.startswith("debian:") or type(urgency) is not str:
        return row
    reason = URGENCIES.get(urgency)
    return row._replace(state="deferred", reason=reason) if reason else row


def full(ecosystem: str, version: str) -> str:
    """A bound with three numbers where its ecosystem's versions have them; "0" is the first of all, and stays."""
    found = PARTIAL.fullmatch(version) if version != "0" and order_of(ecosystem) in THREE else None
    return f"{found[1]}{found[2] or '.0'}.0{found[3] or ''}" if found else version
