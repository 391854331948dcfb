"""One CSAF 2.0 document (an advisory or a VEX profile) -> rows, strict and bounded; pure.

Invariants: a document of another publisher, of another version of the standard, or still a draft raises `ValueError`.
Every status of a product is kept: fixed with the version, affected, not affected with the vendor's justification,
under investigation (which counts as open, because nobody said that it is not). What will not be fixed is *deferred*, in
the vendor's words. Where a document says several things of one package in one release, the fix goes before what is
open, and that before what is not affected. Sources stand for what was built of them where the document names sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from brakeline.advisories.ecosystems import key_of
from brakeline.advisories.osv.documents import ID, VECTOR_MAX
from brakeline.advisories.osv.model import Span
from brakeline.advisories.vendors.parts import listed, mapped, moment, prose, text
from brakeline.advisories.vendors.products import ID_MAX, Build, Tree

VERSIONS: Final = frozenset(("2.0", "2.1"))
CATEGORIES: Final = frozenset(("csaf_vex", "csaf_security_advisory"))
STATUSES: Final = frozenset(("final", "interim"))
VULNERABILITIES_MAX: Final = 5_000
PRODUCTS_MAX: Final = 500_000
CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{1,19}")
KB: Final = re.compile(r"support\.microsoft\.com/(?:[a-z-]{1,10}/)?(?:help|kb)/(?:kb)?([0-9]{6,8})\b", re.IGNORECASE)
ADVISORY: Final = re.compile(r"(RH[SBE]A-[0-9]{4}:[0-9]{1,9})\b")
GROUPS: Final[Mapping[str, str]] = MappingProxyType({  # of a product's status -> what is kept of it
    "fixed": "fixed", "first_fixed": "fixed", "recommended": "fixed",
    "known_affected": "open", "first_affected": "open", "last_affected": "open", "under_investigation": "open",
    "known_not_affected": "not_affected",
})  # fmt: skip
FIRST: Final[Mapping[str, int]] = MappingProxyType({"fixed": 0, "open": 1, "deferred": 2, "not_affected": 3})
INVESTIGATED: Final = "its vendor is still looking into it"
JUSTIFICATIONS: Final[Mapping[str, str]] = MappingProxyType({
    "component_not_present": "the vulnerable component is not in it",
    "vulnerable_code_not_present": "the vulnerable code is not in it",
    "vulnerable_code_not_in_execute_path": "the vulnerable code is never run",
    "vulnerable_code_cannot_be_controlled_by_adversary": "an attacker cannot reach the vulnerable code",
    "inline_mitigations_already_exist": "it is protected by what is built in",
})  # fmt: skip


class Vendor(NamedTuple):
    """Whose documents are read: `namespace` as the standard has it, and how its tree of products is read."""

    name: str
    namespace: str
    tree: Callable[[Any], Tree]


class Document(NamedTuple):
    """What one document says. `elsewhere`: products of no release that is assessed here."""

    id: str
    modified: str
    rows: list[Span]
    elsewhere: int


def read(said: Any, vendor: Vendor) -> Document:
    """Raises `ValueError`."""
    head = _head(mapped(mapped(said, "the document").get("document"), "document"), vendor)
    tree = vendor.tree(said.get("product_tree"))
    rows: dict[tuple[str, ...], Span] = {}
    elsewhere = 0
    for each in listed(said.get("vulnerabilities"), "vulnerabilities", VULNERABILITIES_MAX):
        found, others = _vulnerability(mapped(each, "a vulnerability"), head, tree)
        elsewhere += others
        for row in found:
            add(rows, row)
    return Document(head.id, head.modified, list(rows.values()), elsewhere)


def kbs(said: Any, tree: Tree) -> dict[tuple[str, str], set[str]]:
    """(CVE, product) -> the KBs that its remediations lead to; of Microsoft's documents."""
    found: dict[tuple[str, str], set[str]] = {}
    for each in listed(said.get("vulnerabilities"), "vulnerabilities", VULNERABILITIES_MAX):
        vulnerability = mapped(each, "a vulnerability")
        for remediation in _objects(vulnerability, "remediations"):
            kb = KB.search(str(remediation.get("url", ""))[:ID_MAX])
            for build in map(tree.build, _ids(remediation)) if kb else ():
                if build is not None and kb:
                    found.setdefault((str(vulnerability.get("cve")), build.name), set()).add(f"KB{kb[1]}")
    return found


def _head(document: dict[str, Any], vendor: Vendor) -> Span:
    publisher, tracking = mapped(document.get("publisher"), "publisher"), mapped(document.get("tracking"), "tracking")
    namespace = text(publisher.get("namespace"), "the publisher's namespace", ID_MAX).rstrip("/")
    if namespace != vendor.namespace:
        raise ValueError(f"it is of {namespace[:60]}, not of {vendor.name}")
    if str(document.get("csaf_version")) not in VERSIONS or str(document.get("category")) not in CATEGORIES:
        raise ValueError("it is no security advisory and no VEX of CSAF 2.0")
    if str(tracking.get("status")) not in STATUSES:
        raise ValueError(f"it is {str(tracking.get('status'))[:20]!r}, and only what is final or interim is read")
    id_ = text(tracking.get("id"), "tracking.id", 100)
    if not ID.fullmatch(id_):
        raise ValueError(f"no id: {id_[:60]!r}")
    return Span(
        "", "", id_, published=moment(tracking.get("initial_release_date"), "initial_release_date"),
        modified=moment(tracking.get("current_release_date"), "current_release_date"),
        summary=prose(document.get("title"), "title"),
    )  # fmt: skip


def _vulnerability(said: dict[str, Any], head: Span, tree: Tree) -> tuple[list[Span], int]:
    """The rows of one vulnerability, one for each package, release and version; and products of other releases."""
    cve = _name(said, head)
    alias = (cve,) if cve != head.id else ()
    head = head._replace(aliases=alias, severity=_vector(said))
    reasons, wordings, fixes = _reasons(said), _unfixed(said), _fixes(said)
    best: dict[tuple[str, str, str], list[Span]] = {}
    elsewhere = 0
    sources = set[str]()
    found: list[tuple[str, str, str, Build]] = []
    for group, state, id_ in _products(said, tree):
        build = tree.build(id_)
        if build is None:
            elsewhere += 1
            continue
        found.append((group, state, id_, build))
        sources |= {build.ecosystem} if build.source and state == "fixed" else set()
    for group, state, id_, build in found:
        if state == "fixed" and not build.source and build.ecosystem in sources:
            continue  # its source stands there, too
        row = head._replace(ecosystem=build.ecosystem, name=build.name, module=build.module)
        if state == "fixed":
            row = _fixed(row, build, fixes.get(id_, ""), cve)
        elif state == "not_affected":
            row = row._replace(state=state, reason=reasons.get(id_, ""))
        else:
            row = _open(row, group, build, wordings.get(id_))
        _keep_best(best.setdefault((build.ecosystem, build.name, build.module), []), row)
    return [row for rows in best.values() for row in rows], elsewhere


def _keep_best(rows: list[Span], row: Span) -> None:
    """Of what is said of one package in one release, only what comes first."""
    if rows and FIRST[rows[0].state] < FIRST[row.state]:
        return
    if rows and FIRST[row.state] < FIRST[rows[0].state]:
        rows.clear()
    if row not in rows:
        rows.append(row)


def _fixed(row: Span, build: Build, advisory: str, cve: str) -> Span:
    if not build.version:
        raise ValueError(f"{build.name[:60]} of {build.ecosystem} is fixed, and no version says since when")
    key = key_of(build.ecosystem)
    if key is not None:
        key(build.version)  # BadVersion now, and not when it is compared
    if advisory and advisory != row.id:
        row = row._replace(id=advisory, aliases=tuple(sorted({*row.aliases, cve})))
    return row._replace(state="fixed", fixed=build.version)


def _open(row: Span, group: str, build: Build, wording: tuple[str, str] | None) -> Span:
    if group == "under_investigation":
        return row._replace(state="open", reason=INVESTIGATED)
    if group == "first_affected" and build.version:
        row = row._replace(introduced=build.version)
    if group == "last_affected" and build.version:
        row = row._replace(last_affected=build.version)
    state, reason = wording or ("open", "")
    return row._replace(state=state, reason=reason)


def _products(said: dict[str, Any], tree: Tree) -> Iterator[tuple[str, str, str]]:
    status = mapped(said.get("product_status"), "product_status")
    for group, ids in status.items():
        if group not in GROUPS:
            raise ValueError(f"no status of a product: {group[:40]!r}")
        for id_ in dict.fromkeys(text(each, "a product id", ID_MAX) for each in listed(ids, group, PRODUCTS_MAX)):
            if not tree.known(id_):
                raise ValueError(f"a status of a product that the tree has not: {id_[:80]!r}")
            yield group, GROUPS[group], id_


def _name(said: dict[str, Any], head: Span) -> str:
    cve = said.get("cve")
    if cve is not None:
        if type(cve) is not str or not CVE.fullmatch(cve):
            raise ValueError(f"no CVE: {str(cve)[:40]!r}")
        return cve
    ids = listed(said.get("ids"), "ids", 50)
    return text(mapped(ids[0], "an id").get("text"), "an id", 100) if ids else head.id


def _reasons(said: dict[str, Any]) -> dict[str, str]:
    """Product id -> why it is not affected: the flag of the standard, else the vendor's sentence."""
    found: dict[str, str] = {}
    for threat in _objects(said, "threats"):
        if threat.get("category") == "impact":
            words = prose(threat.get("details"), "details")
            found |= dict.fromkeys(_ids(threat), words)
    for flag in _objects(said, "flags"):
        label = text(flag.get("label"), "a label", 100)
        found |= dict.fromkeys(_ids(flag), JUSTIFICATIONS.get(label, label.replace("_", " ")))
    return found


def _unfixed(said: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Product id -> (state, reason) of what has no fix: whether one may come."""
    found: dict[str, tuple[str, str]] = {}
    for each in _objects(said, "remediations"):
        category, words = each.get("category"), prose(each.get("details"), "details")
        if category == "no_fix_planned" or (category == "none_available" and "defer" in words.lower()):
            found |= dict.fromkeys(_ids(each), ("deferred", words or "no fix is planned"))
        elif category == "none_available":
            found |= {id_: found.get(id_, ("open", "" if words == "Affected" else words)) for id_ in _ids(each)}
    return found


def _fixes(said: dict[str, Any]) -> dict[str, str]:
    """Product id -> the advisory that brings its fix, where a document of a CVE names it."""
    found: dict[str, str] = {}
    for each in _objects(said, "remediations"):
        named = ADVISORY.search(str(each.get("url", ""))[:ID_MAX]) if each.get("category") == "vendor_fix" else None
        if named:
            found |= dict.fromkeys(_ids(each), named[1])
    return found


def _objects(said: dict[str, Any], what: str) -> Iterator[dict[str, Any]]:
    for each in listed(said.get(what), what, PRODUCTS_MAX):
        yield mapped(each, f"one of {what}")


def _ids(said: dict[str, Any]) -> list[str]:
    return [text(id_, "a product id", ID_MAX) for id_ in listed(said.get("product_ids"), "product_ids", PRODUCTS_MAX)]


def _vector(said: dict[str, Any]) -> str:
    """The first CVSS vector, newest version of the standard first."""
    known = dict[str, str]()
    for score in _objects(said, "scores"):
        for kind in ("cvss_v4", "cvss_v3", "cvss_v2"):
            vector = mapped(score.get(kind), kind).get("vectorString")
            if vector is not None and kind not in known:
                known[kind] = text(vector, "a vector", VECTOR_MAX)
    return next((known[kind] for kind in ("cvss_v4", "cvss_v3", "cvss_v2") if kind in known), "")


def add(rows: dict[tuple[str, ...], Span], row: Span) -> None:
    """Keep a row; what several CVEs say alike of one package becomes one row with all their names."""
    where = (row.ecosystem, row.name, row.id, row.state, row.introduced, row.fixed, row.last_affected, row.module,
             row.reason)  # fmt: skip
    known = rows.get(where)
    if known is None:
        rows[where] = row
        return
    severity = known.severity if known.severity == row.severity else ""
    modified, published = max(known.modified, row.modified), min(known.published, row.published)
    rows[where] = known._replace(aliases=tuple(sorted({*known.aliases, *row.aliases})), severity=severity,
                                 modified=modified, published=published)  # fmt: skip
