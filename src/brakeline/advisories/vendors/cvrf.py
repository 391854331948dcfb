"""Microsoft's month as CVRF 1.1 in XML -> the same document as its interface gives as JSON, which `msrc` reads. Pure.

Both say the same: products, CVEs, builds, KBs and which KBs they take the place of. Invariants: a product twice under
two names raises `ValueError`; what is of no use here is not kept, so that a month is as large as what it says.
"""

from __future__ import annotations

from typing import Any, Final

from brakeline.advisories.vendors.xmltree import Element, parts

ROOT: Final = "http://www.icasi.org/CVRF/schema/cvrf/1.1 cvrfdoc"
WANTED: Final = frozenset(("DocumentPublisher", "DocumentTracking", "ProductTree", "Vulnerability"))
VULNERABILITIES_MAX: Final = 20_000


def document(data: bytes) -> dict[str, Any]:
    """Raises `ValueError`."""
    found: dict[str, Any] = {"Vulnerability": []}
    for part in parts(data, ROOT, WANTED.__contains__):
        if part.name == "Vulnerability":
            found["Vulnerability"].append(_vulnerability(part))
            if len(found["Vulnerability"]) > VULNERABILITIES_MAX:
                raise ValueError(f"more than {VULNERABILITIES_MAX} vulnerabilities")
        elif part.name in found:
            raise ValueError(f"{part.name} stands there twice")
        else:
            found[part.name] = _HEAD[part.name](part)
    return found


def _publisher(said: Element) -> dict[str, Any]:
    return {"ContactDetails": {"Value": said.said("ContactDetails")}}


def _tracking(said: Element) -> dict[str, Any]:
    return {
        "Identification": {"ID": {"Value": said.said("Identification", "ID")}},
        "InitialReleaseDate": said.said("InitialReleaseDate"),
        "CurrentReleaseDate": said.said("CurrentReleaseDate"),
    }


def _products(said: Element) -> dict[str, Any]:
    """In XML products stand in branches, and again below them."""
    names: dict[str, str] = {}
    for each in said.walk():
        if each.name == "FullProductName":
            id_, name = each.attributes.get("ProductID", ""), each.text.strip()
            if names.setdefault(id_, name) != name:
                raise ValueError(f"the product {id_[:60]!r} has two names")
    return {"FullProductName": [{"ProductID": id_, "Value": name} for id_, name in names.items()]}


_HEAD: Final = {"DocumentPublisher": _publisher, "DocumentTracking": _tracking, "ProductTree": _products}


def _vulnerability(said: Element) -> dict[str, Any]:
    return {
        "CVE": said.said("CVE"), "Title": {"Value": said.said("Title")},
        "ProductStatuses": [
            {"Type": each.attributes.get("Type", ""), "ProductID": _ids(each)} for each in _in(said, "ProductStatuses")
        ],
        "CVSSScoreSets": [
            {"Vector": each.said("Vector") or None, "ProductID": _ids(each)} for each in _in(said, "CVSSScoreSets")
        ],
        "Remediations": [_remediation(each) for each in _in(said, "Remediations")],
    }  # fmt: skip


def _remediation(said: Element) -> dict[str, Any]:
    return {
        "Type": said.attributes.get("Type", ""), "Description": {"Value": said.said("Description")},
        "Supercedence": said.said("Supercedence"), "FixedBuild": said.said("FixedBuild"), "ProductID": _ids(said),
    }  # fmt: skip


def _in(said: Element, name: str) -> list[Element]:
    whole = said.first(name)
    return whole.children if whole is not None else []


def _ids(said: Element) -> list[str]:
    return [each.text.strip() for each in said.all("ProductID")]
