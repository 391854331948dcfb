"""What stands beside a vulnerability: on how many endpoints it is accepted, and by when the rest is due. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from brakeline.exposure.acceptance import NOBODY, Accepted
from brakeline.exposure.answers import Vulnerability
from brakeline.exposure.due import NOT_DUE, Due


class Mark(NamedTuple):
    """Beside one CVE of a fleet."""

    accepted: Accepted = NOBODY
    due: Due = NOT_DUE


UNMARKED: Final = Mark()


def marked(one: Vulnerability, mark: Mark) -> Vulnerability:
    """A vulnerability with what is beside it. What is accepted everywhere is late nowhere until that ends."""
    due = mark.due
    if mark.accepted.whole:
        due = due._replace(late=0, why=f"accepted wherever it can run; without that: {due.why}")
    return replace(
        one, accepted=mark.accepted.endpoints, accepted_until_ms=mark.accepted.until_ms or None,
        accepted_whole=mark.accepted.whole, due=due.day, overdue_days=due.late, due_why=due.why,
    )  # fmt: skip


def earliest(cves: Iterable[str], marks: Mapping[str, Mark]) -> str:
    """The first day by which one of these is due; "" = none is. What is accepted everywhere is not waited for."""
    found = [mark for cve in cves if (mark := marks.get(cve)) is not None]
    return min((mark.due.day for mark in found if mark.due.day and not mark.accepted.whole), default="")
