"""Alpine's secdb (packages -> fixed version -> CVEs) -> rows of alpine:RELEASE; pure.

Invariants: the file must be of the release and the repository that the feed is named after; "0" as the fixed version
means never affected; where a CVE stands under several versions of one package the highest closes it, because an
incomplete fix was completed there. One garbled entry raises `ValueError` and the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from brakeline.advisories.ecosystems import canonical
from brakeline.advisories.osv.documents import TEXT_MAX, encodable
from brakeline.advisories.osv.model import Span
from brakeline.advisories.versions.alpine import apk_key
from brakeline.core.debversion import BadVersion

ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{2,60}")
CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{1,19}")
NEVER: Final = "0"


def spans(document: Any, release: str, repository: str, at: str) -> list[Span]:
    """Every row; `at` is the time of the file. Raises `ValueError`."""
    try:
        said = (document["distroversion"], document["reponame"])
        if said != (release, repository):
            raise ValueError(f"it is of {said[0]!r:.20} {said[1]!r:.20}, not of {release} {repository}")
        rows: dict[tuple[str, str], Span] = {}
        for row in _rows(document["packages"], canonical(f"alpine:{release}"), at):
            known = rows.get((row.name, row.id))
            if known is None or _key(row) > _key(known):
                rows[row.name, row.id] = row
        return list(rows.values())
    except (KeyError, TypeError, AttributeError, IndexError) as e:
        raise ValueError(f"this is not a file of secdb: {e!r:.80}") from None
    except BadVersion as e:
        raise ValueError(str(e)[:160]) from None


def _rows(packages: list[dict[str, Any]], ecosystem: str, at: str) -> Iterator[Span]:
    for package in packages:
        name = encodable(package["pkg"]["name"], "name")
        if not 0 < len(name) <= TEXT_MAX:
            raise ValueError("a package has a name")
        for fixed, entries in (package["pkg"]["secfixes"] or {}).items():
            for entry in entries:
                yield _row(Span(ecosystem, name, "", modified=at), fixed, entry)


def _row(head: Span, fixed: str, entry: str) -> Span:
    """An entry is one or several ids of the same flaw, the CVE first where it has one."""
    ids = entry.split()
    if not ids or len(ids) > 50 or not all(ID.fullmatch(each) for each in ids):
        raise ValueError(f"no id: {entry[:60]!r}")
    id_ = next((each for each in ids if CVE.fullmatch(each)), ids[0])
    head = head._replace(id=id_, aliases=tuple(sorted(set(ids) - {id_})))
    if fixed == NEVER:
        return head._replace(state="not_affected")
    if len(fixed) > TEXT_MAX or not apk_key(fixed):
        raise ValueError(f"no version: {fixed[:60]!r}")
    return head._replace(state="fixed", fixed=fixed)


def _key(row: Span) -> bytes:
    return apk_key(row.fixed) if row.fixed else b""
