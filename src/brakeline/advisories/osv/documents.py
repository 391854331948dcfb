"""One OSV document -> rows, strict and bounded; pure.

Invariants: a document that misses or garbles what its schema demands raises `ValueError` with what is wrong, and
nothing else; the caller names its place and refuses the file. Ranges decide: a package's list of versions is kept only
where it has no range of versions or one whose order is not known. Ranges of commits (GIT) are left out, and so is what
is of no package (a repository's commits). What databases say beside the schema is `hints`'. Aliases are never followed,
so a circle of them ends nowhere; what names itself is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from brakeline.advisories.ecosystems import belongs, compare_of, ecosystem_of, key_of, name_of, names_binaries
from brakeline.advisories.osv import hints
from brakeline.advisories.osv.model import Span
from brakeline.advisories.texts import encodable
from brakeline.core.debversion import BadVersion

ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,99}")
TIME: Final = re.compile(r"([0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9])(?:\.[0-9]{1,9})?Z")
MODULE: Final = re.compile(r"\.module[_+]")
STREAM: Final = re.compile(r"(?:^|\s)([A-Za-z0-9][A-Za-z0-9._-]{0,60}:[A-Za-z0-9][A-Za-z0-9._-]{0,40})(?=[\s,]|$)")
AFFECTED_MAX: Final = 20_000  # a rebuild of all of Perl has about 500
EVENTS_MAX: Final = 1_000
VERSIONS_MAX: Final = 20_000
ALIASES_MAX: Final = 500
RELATED_MAX: Final = 5_000  # a year of a kernel
TEXT_MAX: Final = 300  # of a name or a version
SUMMARY_MAX: Final = 200  # kept of it; the whole text stays with its maker
VECTOR_MAX: Final = 300
ENDS: Final = ("fixed", "last_affected", "limit")
_RANK: Final = {"introduced": 1, "fixed": 0, "limit": 0, "last_affected": 2}  # of events at one version


def spans(document: Any, wanted: str) -> tuple[list[Span], int]:
    """Rows of the ecosystem `wanted` ("pypi"), and how many packages of others were left out. Raises `ValueError`."""
    if type(document) is not dict:
        raise ValueError("a document is one object")
    head = _head(document)
    rows: list[Span] = []
    elsewhere, parts = 0, dict[tuple[str, str], int]()
    for affected in _list(document.get("affected", []), "affected", AFFECTED_MAX):
        said = _dict(affected, "affected").get("package")
        if said is None:  # the schema allows it: commits of a repository
            elsewhere += 1
            continue
        package = _dict(said, "package")
        ecosystem = ecosystem_of(_text(package.get("ecosystem"), "ecosystem"))
        if not belongs(ecosystem, wanted):
            elsewhere += 1
            continue
        name = name_of(ecosystem, _text(package.get("name"), "name"))
        found = [
            hints.deferred(row, affected) for row in _intervals(affected, head._replace(ecosystem=ecosystem, name=name))
        ]
        for row in _binaries(affected, found) if names_binaries(ecosystem) else found:
            part = parts[ecosystem, row.name] = parts.get((ecosystem, row.name), -1) + 1
            rows.append(row._replace(part=part))
    return rows, elsewhere


def _head(document: dict[str, Any]) -> Span:
    id_ = _text(document.get("id"), "id")
    if not ID.fullmatch(id_):
        raise ValueError(f"no id: {id_[:60]!r}")
    aliases = {_text(a, "alias") for a in _list(document.get("aliases") or [], "aliases", ALIASES_MAX)} - {id_}
    related = {
        _text(each, "related")
        for of in ("related", "upstream")
        for each in _list(document.get(of) or [], of, RELATED_MAX)
    }
    withdrawn = document.get("withdrawn")
    return Span(
        "", "", id_, aliases=tuple(sorted(aliases)),
        state="withdrawn" if withdrawn is not None else "open", severity=vector(document.get("severity")),
        published=time_of(document.get("published"), "published", needed=False),
        modified=time_of(document.get("modified"), "modified"),
        withdrawn=time_of(withdrawn, "withdrawn", needed=False), summary=_summary(document),
        related=tuple(sorted(related - aliases - {id_})),
    )  # fmt: skip


def _summary(document: dict[str, Any]) -> str:
    text = document.get("summary") or document.get("details") or ""
    if type(text) is not str:
        raise ValueError("summary and details are text")
    return encodable(" ".join(text[: SUMMARY_MAX * 4].replace("\0", " ").split())[:SUMMARY_MAX], "summary")


def _intervals(affected: dict[str, Any], row: Span) -> Iterator[Span]:
    """The rows of one `affected` entry: from its ranges, else its list of versions, else "all versions"."""
    severity = vector(affected.get("severity")) or row.severity
    listed = _list(affected.get("versions") or [], "versions", VERSIONS_MAX)
    versions = tuple(sorted({_text(v, "version") for v in listed}))
    row = row._replace(severity=severity)
    found: list[Span] = []
    for each in _list(affected.get("ranges") or [], "ranges", EVENTS_MAX):
        kind = _dict(each, "range").get("type")
        if kind not in ("ECOSYSTEM", "SEMVER", "GIT"):
            raise ValueError(f"no type of a range: {str(kind)[:40]!r}")
        events = [(event, hints.full(row.ecosystem, version)) for event, version in _events(each)]
        found += () if kind == "GIT" else _walk(events, row)
    if found and _ordered(found):
        found = [hints.ended(span, affected) for span in found]
    elif found:
        found = [span._replace(versions=versions) for span in found]
    if not found:
        found = [row._replace(versions=versions)]
    for span in found:
        yield span._replace(module=module_of(span))


def _binaries(affected: dict[str, Any], found: list[Span]) -> Iterator[Span]:
    """SUSE's documents name a source and list its binaries with their versions: these are what is installed."""
    specific = affected.get("ecosystem_specific")
    listed = specific.get("binaries") if type(specific) is dict else None
    versions = [
        (_text(name, "binary"), _text(version, "version"))
        for each in _list(listed or [], "binaries", AFFECTED_MAX)
        for name, version in _dict(each, "binaries").items()
    ]
    row = found[0]
    if not versions or not row.fixed:
        yield from found
        return
    for name, version in dict.fromkeys(versions):
        yield row._replace(name=name, introduced="", fixed=version)


def _events(each: dict[str, Any]) -> list[tuple[str, str]]:
    events = []
    for event in _list(each.get("events"), "events", EVENTS_MAX):
        for kind, version in _dict(event, "event").items():
            if kind not in _RANK:
                raise ValueError(f"no event: {kind[:40]!r}")
            events.append((kind, _text(version, "version")))
    if not any(kind == "introduced" for kind, _ in events):
        raise ValueError("a range begins nowhere")
    return events


def _walk(events: list[tuple[str, str]], row: Span) -> Iterator[Span]:
    """Intervals of one range, by the order of versions where it is known, else as they stand there."""
    begun: str | None = None
    for kind, version in _sorted(events, row.ecosystem):
        if kind == "introduced":
            begun = version if begun is None else begun
        elif begun is not None and (kind, version) != ("limit", "*"):
            yield _span(row, begun, kind, version)
            begun = None
    if begun is not None:
        yield _span(row, begun, "", "")


def _span(row: Span, begun: str, kind: str, version: str) -> Span:
    row = row._replace(introduced="" if begun == "0" else begun)
    if kind != "fixed":
        return row._replace(last_affected=version)
    return row._replace(fixed=version, state="fixed" if row.state == "open" else row.state)


def _sorted(events: list[tuple[str, str]], ecosystem: str) -> list[tuple[str, str]]:
    key = key_of(ecosystem)
    if key is None or len(events) <= 2:
        return sorted(events, key=lambda e: e[0] != "introduced") if len(events) <= 2 else events
    try:
        first = [e for e in events if e[0] == "introduced" and e[1] == "0"]
        rest = [e for e in events if e not in first]
        return first + sorted(rest, key=lambda e: (key("0" if e[1] == "*" else e[1]), _RANK[e[0]]))
    except BadVersion:
        return events


def _ordered(found: list[Span]) -> bool:
    """Whether every bound has a place in its ecosystem's order."""
    order = compare_of(found[0].ecosystem)
    try:
        return order is not None and all(
            order(v, v) == 0 for span in found for v in (span.introduced, span.fixed, span.last_affected) if v
        )
    except BadVersion:
        return False


def module_of(span: Span) -> str:
    """The module stream that an rpm's fix is of; its advisory's summary names it."""
    if not MODULE.search(span.fixed):
        return ""
    found = STREAM.search(span.summary)
    return found[1] if found else "?"


def vector(severity: Any) -> str:
    """The newest CVSS vector of a list of severities; "" where there is none."""
    known = dict[str, str]()
    for entry in _list(severity or [], "severity", 50):
        kind, score = _dict(entry, "severity").get("type"), entry.get("score")
        if type(kind) is not str or type(score) is not str or not score.isascii() or len(score) > VECTOR_MAX:
            raise ValueError("a severity has a type and a score")
        known[kind] = _text(score, "score")
    return next((known[kind] for kind in ("CVSS_V4", "CVSS_V3", "CVSS_V2") if kind in known), "")


def time_of(text: Any, what: str, *, needed: bool = True) -> str:
    """A time of UTC, by the second."""
    if text is None and not needed:
        return ""
    found = TIME.fullmatch(text) if type(text) is str else None
    if found is None:
        raise ValueError(f"{what} is a time of UTC such as 2026-11-20T09:30:00Z")
    return f"{found[1]}Z"


def _text(value: Any, what: str) -> str:
    if type(value) is not str or not value.strip() or len(value) > TEXT_MAX:
        raise ValueError(f"{what} is a text of 1 to {TEXT_MAX} characters")
    return encodable(value, what)


def _list(value: Any, what: str, limit: int) -> list[Any]:
    if type(value) is not list or len(value) > limit:
        raise ValueError(f"{what} is a list of at most {limit}")
    return value


def _dict(value: Any, what: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise ValueError(f"{what} is an object")
    return value
