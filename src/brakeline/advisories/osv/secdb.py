"""Alpine's secdb (packages -> fixed version -> CVEs) -> rows of alpine:RELEASE; pure.

Invariants: the file must be of the release and the repository that the feed is named after; "0" as the fixed version
means never affected; where a CVE stands under several versions of one package the highest closes it, because an
incomplete fix was completed there. The file is written by hand, by hundreds of people, so its remarks and its slips are
part of its shape (`CVE-2017-2616 (+ regression fix)`, `CVE_2019-2426`, `1.9.5p2-r0`): what they mean is read; a version
that apk itself would not take is kept with its row, which the matcher tells as unreadable. One entry without any id, or
more slips than people make, raises `ValueError` and the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from brakeline.advisories.ecosystems import canonical
from brakeline.advisories.osv.documents import TEXT_MAX
from brakeline.advisories.osv.model import Span
from brakeline.advisories.texts import encodable
from brakeline.advisories.versions.alpine import apk_key
from brakeline.core.debversion import BadVersion

ID: Final = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z][A-Za-z0-9._-]{2,60}")  # "CVE N/A ZBX-11023" has one
CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{1,19}")
UNDERLINED: Final = re.compile(r"CVE_(?=[0-9])")
BETWEEN: Final = re.compile(r"[\s,;]+")  # a comma behind an id must not lose it
REMARK: Final = re.compile(r"\([^()]{0,200}\)")
PATCH_LEVEL: Final = re.compile(r"(?<=[0-9])p(?=[0-9])")  # as upstream writes it; apk, and the package: 1.9.5_p2-r0
NEVER: Final = "0"
ENTRY_MAX: Final = 1_000
UNREADABLE_MAX: Final = 50  # versions of one file; the largest real one is known to have two


def spans(document: Any, release: str, repository: str, at: str) -> list[Span]:
    """Every row; `at` is the time of the file. Raises `ValueError`."""
    try:
        said = (document["distroversion"], document["reponame"])
        if said != (release, repository):
            raise ValueError(f"it is of {said[0]!r:.20} {said[1]!r:.20}, not of {release} {repository}")
        rows: dict[tuple[str, str], Span] = {}
        for row in _rows(document["packages"], canonical(f"alpine:{release}"), at):
            known = rows.get((row.name, row.id))
            if known is None or _rank(row) > _rank(known):
                rows[row.name, row.id] = row
    except (KeyError, TypeError, AttributeError, IndexError) as e:
        raise ValueError(f"this is not a file of secdb: {e!r:.80}") from None
    versions = {row.fixed for row in rows.values() if row.fixed}
    slips = {version for version in versions if not _apk(version)}
    if slips and (len(slips) > UNREADABLE_MAX or slips == versions):
        raise ValueError(f"{len(slips)} versions are none of apk's, such as {min(slips)[:60]!r}")
    return list(rows.values())


def unreadable(rows: list[Span]) -> tuple[int, tuple[str, ...]]:
    """How many rows have a version that apk would not take, and which."""
    found = [row for row in rows if row.fixed and not _key(row)]
    why = sorted({f"{row.name} {row.fixed}" for row in found})
    return len(found), (f"no version of apk: {', '.join(why[:5])[:160]}",) if why else ()


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
    ids = _ids(entry)
    id_ = next((each for each in ids if CVE.fullmatch(each)), ids[0])
    head = head._replace(id=id_, aliases=tuple(sorted(set(ids) - {id_})))
    if fixed == NEVER:
        return head._replace(state="not_affected")
    if not 0 < len(fixed) <= TEXT_MAX:
        raise ValueError(f"no version: {fixed[:60]!r}")
    return head._replace(state="fixed", fixed=_version(encodable(fixed, "a version")))


def _ids(entry: str) -> list[str]:
    """The ids of an entry, without remarks. Raises `ValueError` where there is none."""
    words = BETWEEN.split(REMARK.sub(" ", UNDERLINED.sub("CVE-", entry[:ENTRY_MAX])))
    found = [word.removesuffix(".patch") for word in words if ID.fullmatch(word)]
    if not found or len(found) > 50 or len(entry) > ENTRY_MAX:  # cut, the last id would be another one
        raise ValueError(f"no id: {entry[:60]!r}")
    return found


def _version(fixed: str) -> str:
    """`fixed` as apk writes it, where that is known; else as it stands there."""
    level = PATCH_LEVEL.sub("_p", fixed)
    return level if level != fixed and _apk(level) and not _apk(fixed) else fixed


def _key(row: Span) -> bytes:
    return _apk(row.fixed) if row.fixed else b""


def _rank(row: Span) -> tuple[bool, bytes]:
    """What closes a flaw latest: a version that cannot be read is above "never affected"."""
    return bool(row.fixed), _key(row)


def _apk(version: str) -> bytes:
    """Its key; empty for what is no version."""
    try:
        return apk_key(version)
    except BadVersion:
        return b""
