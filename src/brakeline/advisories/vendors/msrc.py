"""Microsoft's monthly document (CVRF as JSON) -> rows of microsoft, by product, with the KBs that close them; pure.

A row is a CVE in a product: `fixed` is the build from which on it is closed, `aliases` the KBs that bring that build,
`related` the KBs which those take the place of; `kb` decides by them. Invariants: documents of others raise
`ValueError`; a product that is affected and has no fix is open; where several KBs close one CVE (a rollup and a
security-only update) the lowest build closes it, and each of the KBs does. Linux images of Microsoft are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from brakeline.advisories.osv.documents import VECTOR_MAX
from brakeline.advisories.osv.model import Span
from brakeline.advisories.vendors import csaf
from brakeline.advisories.vendors.parts import listed, mapped, moment, prose, text
from brakeline.advisories.vendors.products import NamedTree
from brakeline.advisories.versions.winget import winget_key

ECOSYSTEM: Final = "microsoft"
CONTACT: Final = re.compile(r"secure@microsoft\.com")
CVE: Final = re.compile(r"(CVE-[0-9]{4}-[0-9]{1,19}|ADV[0-9]{6,8})")
KB: Final = re.compile(r"(?:KB)?([0-9]{6,8})", re.IGNORECASE)
BUILD: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,5}")
ELSEWHERE: Final = re.compile(r"(?:azl[0-9]|cbl[0-9]|CBL-Mariner|Azure Linux|Mariner)\b.*", re.DOTALL)
VENDOR_FIX: Final = (2, "Vendor Fix")  # as the two versions of its interface say it
AFFECTED: Final = (3, "Known Affected")
PRODUCTS_MAX: Final = 50_000
VULNERABILITIES_MAX: Final = 20_000


class Month(NamedTuple):
    """What one document says. `elsewhere`: products that are left out."""

    id: str
    issued: str
    rows: list[Span]
    elsewhere: int


class Fix(NamedTuple):
    """One remediation of one product: the KB that brings it, its build, the KBs whose place it takes."""

    kb: str
    build: str
    replaces: tuple[str, ...]


def read(document: Any) -> Month:
    """Raises `ValueError`."""
    said = mapped(document, "a document")
    contact = _value(mapped(said.get("DocumentPublisher"), "DocumentPublisher").get("ContactDetails"))
    if not CONTACT.fullmatch(contact):
        raise ValueError(f"it is of {contact[:60]!r}, not of Microsoft")
    tracking = mapped(said.get("DocumentTracking"), "DocumentTracking")
    id_ = text(_value(mapped(tracking.get("Identification"), "Identification").get("ID")), "ID", 60)
    issued = moment(tracking.get("CurrentReleaseDate"), "CurrentReleaseDate")
    published = moment(tracking.get("InitialReleaseDate"), "InitialReleaseDate")
    products = _products(said)
    rows: list[Span] = []
    elsewhere = set[str]()
    for each in listed(said.get("Vulnerability"), "Vulnerability", VULNERABILITIES_MAX):
        vulnerability = mapped(each, "a vulnerability")
        head = _head(vulnerability, published, issued)
        for product, row in _rows(vulnerability, head, products):
            if row is None:
                elsewhere.add(product)
            else:
                rows.append(row)
    return Month(id_, issued, rows, len(elsewhere))


def tree(said: Any) -> NamedTree:
    """The products of one of Microsoft's CSAF documents."""
    return NamedTree(said, ECOSYSTEM)


def of_csaf(said: Any, vendor: csaf.Vendor) -> csaf.Document:
    """The same of a CSAF document, which knows one CVE and no supersedence. Raises `ValueError`."""
    document = csaf.read(said, vendor)
    found = csaf.kbs(said, vendor.tree(said.get("product_tree")))
    rows = []
    for row in document.rows:
        cves = [cve for cve in (row.id, *row.aliases) if CVE.fullmatch(cve)]
        kbs = {kb for cve in cves for kb in found.get((cve, row.name), ())}
        rows += [row._replace(id=cve, aliases=tuple(sorted(kbs))) for cve in cves if not ELSEWHERE.fullmatch(row.name)]
    return document._replace(rows=rows, elsewhere=document.elsewhere + len(document.rows) - len(rows))


def _products(said: dict[str, Any]) -> dict[str, str]:
    tree = mapped(said.get("ProductTree"), "ProductTree")
    found: dict[str, str] = {}
    for each in listed(tree.get("FullProductName"), "FullProductName", PRODUCTS_MAX):
        product = mapped(each, "a product")
        found[text(product.get("ProductID"), "ProductID", 60)] = text(product.get("Value"), "a product's name")
    return found


def _head(said: dict[str, Any], published: str, issued: str) -> Span:
    cve = said.get("CVE")
    if type(cve) is not str or not CVE.fullmatch(cve):
        raise ValueError(f"no CVE: {str(cve)[:40]!r}")
    return Span(ECOSYSTEM, "", cve, published=published, modified=issued, summary=prose(_value(said.get("Title")), "t"))


def _ids(status: dict[str, Any]) -> list[str]:
    return [text(each, "ProductID", 60) for each in listed(status.get("ProductID"), "ProductID", PRODUCTS_MAX)]


def _rows(said: dict[str, Any], head: Span, products: dict[str, str]) -> Iterator[tuple[str, Span | None]]:
    fixes, vectors = _fixes(said), _vectors(said)
    for status in listed(said.get("ProductStatuses"), "ProductStatuses", 50):
        affected = mapped(status, "a status")
        if affected.get("Type") not in AFFECTED:
            continue
        for id_ in dict.fromkeys(_ids(affected)):
            name = products.get(id_)
            if name is None:
                raise ValueError(f"{head.id} speaks of a product that the tree has not: {id_[:60]!r}")
            if ELSEWHERE.fullmatch(name):
                yield name, None
                continue
            yield name, _row(head._replace(name=name, severity=vectors.get(id_, "")), fixes.get(id_, []))


def _row(row: Span, fixes: list[Fix]) -> Span:
    kbs = tuple(sorted({fix.kb for fix in fixes if fix.kb}))
    row = row._replace(aliases=kbs, related=tuple(sorted({kb for fix in fixes for kb in fix.replaces} - set(kbs))))
    builds = [fix.build for fix in fixes if fix.build]
    if not builds:
        return row._replace(state="open", reason=f"closed by {' or '.join(kbs)}" if kbs else "")
    return row._replace(state="fixed", fixed=min(builds, key=winget_key))


def _fixes(said: dict[str, Any]) -> dict[str, list[Fix]]:
    found: dict[str, list[Fix]] = {}
    for each in listed(said.get("Remediations"), "Remediations", PRODUCTS_MAX):
        remediation = mapped(each, "a remediation")
        if remediation.get("Type") not in VENDOR_FIX:
            continue
        kb = KB.fullmatch(_value(remediation.get("Description")).strip())
        build = BUILD.fullmatch(str(remediation.get("FixedBuild") or "")[:100].strip())
        replaces = tuple(f"KB{n}" for n in KB.findall(str(remediation.get("Supercedence") or "")[:500]))
        fix = Fix(f"KB{kb[1]}" if kb else "", build[0] if build else "", replaces)
        for id_ in listed(remediation.get("ProductID"), "ProductID", PRODUCTS_MAX):
            found.setdefault(text(id_, "ProductID", 60), []).append(fix)
    return found


def _vectors(said: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in listed(said.get("CVSSScoreSets"), "CVSSScoreSets", PRODUCTS_MAX):
        score = mapped(each, "a score")
        if score.get("Vector") is not None:
            vector = text(score["Vector"], "a vector", VECTOR_MAX)
            found |= {text(i, "ProductID", 60): vector for i in listed(score.get("ProductID"), "ids", PRODUCTS_MAX)}
    return found


def _value(said: Any) -> str:
    """`{"Value": "x"}` or "x"; "" for neither."""
    value = said.get("Value") if type(said) is dict else said
    return value if type(value) is str else ""
