"""OSV's question and its answer, pure: which advisories does a version of a package stand in?

Invariants: a question that cannot be answered truthfully is refused with its reason (a commit, a version that its
ecosystem does not know, an ecosystem without a name), never answered with "nothing". A row whose bounds have no place
in the order answers by its list of versions; without one it answers always, because a false alarm is seen. Withdrawn
and not-affected rows answer nothing. Within one advisory the fixes of one rpm are builds of the same update for several
minor releases: being at or above one of them is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any, Final, NamedTuple

from brakeline.advisories.ecosystems import compare_of, ecosystem_of, name_of, order_of, shown
from brakeline.advisories.osv.documents import MODULE, TEXT_MAX
from brakeline.advisories.osv.model import Span
from brakeline.advisories.osv.purl import package
from brakeline.advisories.texts import encodable
from brakeline.core.debversion import BadVersion
from brakeline.core.errors import Invalid

PAGE: Final = 500  # advisories an answer; more have a token
BATCH_MAX: Final = 1000  # questions at once, as at OSV
SCHEMA: Final = "1.6.0"


class NoQuestion(Invalid):
    """This question cannot be answered here."""

    code = "no-osv-question"
    hint = 'Ask as in {"package": {"ecosystem": "PyPI", "name": "jinja2"}, "version": "3.1.2"}, or by package.purl.'


class Question(NamedTuple):
    """One package, with or without a version. `after`: the id that the last page ended with."""

    ecosystem: str
    name: str
    version: str
    module: str = ""
    after: str = ""


class Page(NamedTuple):
    """One page: rows by advisory, and the token of the next one ("" = this is the last)."""

    found: list[list[Span]]
    token: str


def question(body: Any) -> Question:
    """A question as OSV has it. Raises `NoQuestion`."""
    if type(body) is not dict:
        raise NoQuestion("a question is one object")
    if body.get("commit"):
        raise NoQuestion("by commit: ranges of commits are not kept here, and 'nothing found' would be untrue")
    said = body.get("package")
    if type(said) is not dict:
        raise NoQuestion("package is missing")
    try:
        return _question(body, said)
    except (ValueError, TypeError, AttributeError, BadVersion) as e:
        raise NoQuestion(str(e)[:200]) from None


def _question(body: Mapping[str, Any], said: Mapping[str, Any]) -> Question:
    version, after = _text(body.get("version"), "version"), _text(body.get("page_token"), "page_token")
    purl, module = _text(said.get("purl"), "purl", 1000), ""
    ecosystem, name = _text(said.get("ecosystem"), "ecosystem"), _text(said.get("name"), "name")
    if purl:
        if ecosystem or name:
            raise ValueError("say purl, or ecosystem and name, not both")
        ecosystem, name, told, module = package(purl)
        if told and version:
            raise ValueError("the version stands in purl already")
        version = version or told
    if not ecosystem or not name:
        raise ValueError("ecosystem and name are needed, or purl")
    ecosystem = ecosystem_of(ecosystem)
    order = compare_of(ecosystem)
    if version and order is not None:
        order(version, version)
    return Question(ecosystem, name_of(ecosystem, name), version, module, after)


def _text(value: Any, what: str, most: int = TEXT_MAX) -> str:
    if value is None:
        return ""
    if type(value) is not str or len(value) > most:
        raise ValueError(f"{what} is a text of at most {most} characters")
    return encodable(value, what)


def page(asked: Question, rows: Iterable[Span]) -> Page:
    """The advisories that speak of what was asked. `rows`: of this package, in order of their ids."""
    found: list[list[Span]] = []
    for id_, group in groupby(rows, key=lambda row: row.id):
        if id_ <= asked.after:
            continue
        releases = groupby(group, key=lambda row: row.ecosystem)
        if spans := [row for _, rows_of in releases for row in speaking(asked, list(rows_of))]:
            if len(found) == PAGE:
                return Page(found, found[-1][0].id)
            found.append(spans)
    return Page(found, "")


def speaking(asked: Question, rows: list[Span]) -> list[Span]:
    """The rows of one advisory in one release that answer, or none."""
    live = [row for row in rows if row.state in ("fixed", "open", "deferred")]
    if not asked.version:
        return live
    if order_of(asked.ecosystem) == "rpm":
        live = _same_build(asked, live)
        fixes = [row for row in live if row.fixed and not row.introduced]
        if fixes and not all(holds(row, asked.version) for row in fixes):
            live = [row for row in live if row not in fixes]
    return live if any(holds(row, asked.version) for row in live) else []


def _same_build(asked: Question, rows: list[Span]) -> list[Span]:
    """A module's builds are compared with fixes of modules alone, and within the stream where both are known."""
    modular = MODULE.search(asked.version) is not None
    rows = [row for row in rows if bool(row.module) == modular or not row.fixed]
    return [row for row in rows if not asked.module or row.module in ("", "?", asked.module)]


def holds(row: Span, version: str) -> bool:
    """Whether `version` is vulnerable by this row."""
    order = compare_of(row.ecosystem)
    if row.versions:
        return any(each == version or _same(order, each, version) for each in row.versions)
    if order is None:
        return True  # nobody here can say that it is not
    try:
        return (
            (not row.introduced or order(row.introduced, version) <= 0)
            and (not row.fixed or order(version, row.fixed) < 0)
            and (not row.last_affected or order(version, row.last_affected) <= 0)
        )
    except BadVersion:
        return True


def _same(order: Callable[[str, str], int] | None, a: str, b: str) -> bool:
    try:
        return order is not None and order(a, b) == 0
    except BadVersion:
        return False


def answer(found: Page) -> dict[str, Any]:
    """As OSV answers `/v1/query`."""
    said: dict[str, Any] = {"vulns": [document(rows) for rows in found.found]} if found.found else {}
    return {**said, "next_page_token": found.token} if found.token else said


def brief(found: Page) -> dict[str, Any]:
    """As OSV answers one question of `/v1/querybatch`."""
    said: dict[str, Any] = {}
    if found.found:
        said["vulns"] = [{"id": rows[0].id, "modified": rows[0].modified} for rows in found.found]
    return {**said, "next_page_token": found.token} if found.token else said


def document(rows: list[Span]) -> dict[str, Any]:
    """The part of an OSV document that these rows kept, in OSV's shape."""
    first = rows[0]
    said: dict[str, Any] = {
        "schema_version": SCHEMA, "id": first.id, "modified": first.modified, "aliases": list(first.aliases),
        "summary": first.summary, "affected": [_affected(row) for row in rows],
    }  # fmt: skip
    if first.related:
        said["related"] = list(first.related)
    if first.published:
        said["published"] = first.published
    if first.severity:
        said["severity"] = [{"type": _kind(first.severity), "score": first.severity}]
    return said


def _affected(row: Span) -> dict[str, Any]:
    events = [{"introduced": row.introduced or "0"}]
    events += [{kind: v} for kind, v in (("fixed", row.fixed), ("last_affected", row.last_affected)) if v]
    listed = not (row.introduced or row.fixed or row.last_affected) and bool(row.versions)
    kind = "SEMVER" if order_of(row.ecosystem) in ("semver", "npm", "golang") else "ECOSYSTEM"
    said: dict[str, Any] = {
        "package": {"ecosystem": shown(row.ecosystem), "name": row.name},
        "ranges": [] if listed else [{"type": kind, "events": events}],
    }
    if row.versions:
        said["versions"] = list(row.versions)
    if row.module:
        said["ecosystem_specific"] = {"module": row.module}
    return said


def _kind(vector: str) -> str:
    return "CVSS_V4" if vector.startswith("CVSS:4") else "CVSS_V3" if vector.startswith("CVSS:3") else "CVSS_V2"
