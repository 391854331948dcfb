"""A bill as SPDX 3.0.1, in JSON-LD, and one of others read. Pure; the same bill gives the same bytes.

Written in the profiles *core* and *software*. SPDX 3 has a profile for security, too; what VEX says is not written in
it yet. Invariants: a document is read in SPDX's own context alone, because with another its words may mean anything and
nothing is fetched to find out; references are followed a bounded number of steps, so a circle ends.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from brakeline.sbom.cyclonedx import stamp
from brakeline.sbom.model import BadBill, Bill, Component

CONTEXT: Final = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
KNOWN: Final = re.compile(r"https://spdx\.org/rdf/3\.[0-9]{1,2}\.[0-9]{1,2}/spdx-context\.jsonld")
CREATION: Final = "_:creation"
STEPS_MAX: Final = 5  # document -> bill -> subject
ELEMENTS_MAX: Final = 500_000  # files and relationships stand there, too


def write(bill: Bill, made_by: str) -> dict[str, Any]:
    """The document. `made_by`: the version of Brakeline."""
    digest = hashlib.sha256(repr((bill, made_by)).encode()).hexdigest()
    space = f"urn:brakeline:sbom:{digest}#"
    packages = [_package(c, f"{space}package-{number}") for number, c in enumerate(bill.components, 1)]
    subject = _element(
        "software_Package", f"{space}subject", name=bill.subject, software_packageVersion=bill.version,
        software_primaryPurpose="device" if bill.kind == "device" else "platform",
    )  # fmt: skip
    gaps = "Not known: " + "; ".join(bill.gaps) if bill.gaps else ""
    contains = _element(
        "Relationship", f"{space}contains", to=[p["spdxId"] for p in packages], relationshipType="contains",
        completeness="incomplete" if bill.gaps else "noAssertion",
    ) | {"from": subject["spdxId"]}  # fmt: skip
    profiles = ["core", "software"]
    whole = _element(
        "software_Sbom", f"{space}bill", profileConformance=profiles, rootElement=[subject["spdxId"]],
        software_sbomType=["deployed"],
        element=[subject["spdxId"], *(p["spdxId"] for p in packages), contains["spdxId"]] if packages else [],
    )  # fmt: skip
    document = _element(
        "SpdxDocument", f"{space}document", name=bill.subject, rootElement=[whole["spdxId"]], comment=gaps,
        profileConformance=profiles,
    )  # fmt: skip
    agent = _element("SoftwareAgent", f"{space}agent", name="Brakeline")
    tool = _element("Tool", f"{space}tool", name=f"brakeline-{made_by}")
    creation = {
        "type": "CreationInfo", "@id": CREATION, "specVersion": "3.0.1", "created": stamp(bill.made_ms),
        "createdBy": [agent["spdxId"]], "createdUsing": [tool["spdxId"]],
    }  # fmt: skip
    related = [contains] if packages else []
    return {"@context": CONTEXT, "@graph": [creation, agent, tool, document, whole, subject, *packages, *related]}


def _element(kind: str, id_: str, **said: Any) -> dict[str, Any]:
    return {"type": kind, "spdxId": id_, "creationInfo": CREATION} | {
        key: value for key, value in said.items() if value
    }


def _package(c: Component, id_: str) -> dict[str, Any]:
    said = (("ecosystem", c.ecosystem), ("found at", c.where), ("part of", c.owner), ("module", c.module),
            ("endpoints", str(c.endpoints) if c.endpoints > 1 else ""))  # fmt: skip
    return _element(
        "software_Package", id_, name=c.name, software_packageVersion=c.version, software_packageUrl=c.purl,
        software_sourceInfo=f"built from {c.source} {c.source_version}".rstrip() if c.source else "",
        comment="; ".join(f"{key}: {value}" for key, value in said if value),
    )  # fmt: skip


class Read(NamedTuple):
    """What a document says; texts as they stand there. `parts`: name, version and package URL of each package."""

    version: str
    subject: Any
    subject_version: Any
    serial: Any
    made: Any
    parts: list[tuple[Any, Any, Any]]


def is_spdx3(said: dict[str, Any]) -> bool:
    """Whether it is one, by its context."""
    return any(isinstance(one, str) and "spdx.org/rdf/3." in one for one in _listed(said.get("@context")))


def read(said: dict[str, Any]) -> Read:
    """Raises `BadBill`."""
    contexts = _listed(said.get("@context"))
    if len(contexts) != 1 or not isinstance(contexts[0], str) or not KNOWN.fullmatch(contexts[0]):
        raise BadBill("its context is not SPDX's own, so what its words mean is not known")
    graph = said.get("@graph")
    if not isinstance(graph, list) or len(graph) > ELEMENTS_MAX:
        raise BadBill(f"@graph is a list of at most {ELEMENTS_MAX} elements")
    elements = [one for one in graph if isinstance(one, dict)]
    by_id = {id_: one for one in elements if isinstance(id_ := one.get("spdxId", one.get("@id")), str)}
    document = next((one for one in elements if _kind(one) == "SpdxDocument"), {})
    subject = _subject(document, by_id)
    packages = [one for one in elements if _kind(one) == "software_Package"]
    parts = [one for one in packages if one is not subject or len(packages) == 1]
    creation = document.get("creationInfo")
    creation = by_id.get(creation, {}) if isinstance(creation, str) else creation
    creation = creation if isinstance(creation, dict) else {}
    return Read(
        contexts[0].split("/")[4], subject.get("name") or document.get("name"), subject.get("software_packageVersion"),
        document.get("spdxId"), creation.get("created"),
        [(one.get("name"), one.get("software_packageVersion"), _purl(one)) for one in parts],
    )  # fmt: skip


def _subject(document: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What a document is about: its root, or that of the bill which is its root."""
    here = document
    for _ in range(STEPS_MAX):
        roots = [by_id[id_] for id_ in _listed(here.get("rootElement")) if isinstance(id_, str) and id_ in by_id]
        if not roots:
            return {}
        here = roots[0]
        if _kind(here) == "software_Package":
            return here
    return {}


def _purl(package: dict[str, Any]) -> Any:
    if package.get("software_packageUrl"):
        return package["software_packageUrl"]
    return next(_identifiers(package), "")


def _identifiers(package: dict[str, Any]) -> Iterator[Any]:
    for one in _listed(package.get("externalIdentifier")):
        if isinstance(one, dict) and one.get("externalIdentifierType") == "packageUrl":
            yield one.get("identifier")


def _kind(element: dict[str, Any]) -> Any:
    return element.get("type", element.get("@type"))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
