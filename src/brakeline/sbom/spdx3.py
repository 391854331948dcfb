"""A bill as SPDX 3.0.1, in JSON-LD, and one of others read. Pure; the same bill gives the same bytes.

Written in the profiles *core* and *software*, and in *security* where it says what stands open. Invariants: as of every
graph (`spdx3_graph`); references are followed a bounded number of steps, so a circle ends.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

from brakeline.sbom import spdx3_vex
from brakeline.sbom.cyclonedx import stamp
from brakeline.sbom.model import Bill, Component
from brakeline.sbom.spdx3_graph import (
    CONTEXT,
    SECURITY,
    SOFTWARE,
    creation,
    element,
    graph_of,
    kind_of,
    listed,
    purl_of,
)

STEPS_MAX: Final = 5  # document -> bill -> subject


def write(bill: Bill, made_by: str) -> dict[str, Any]:
    """The document. `made_by`: the version of Brakeline."""
    digest = hashlib.sha256(repr((bill, made_by)).encode()).hexdigest()
    space = f"urn:brakeline:sbom:{digest}#"
    packages = [_package(c, f"{space}package-{number}") for number, c in enumerate(bill.components, 1)]
    subject = element(
        "software_Package", f"{space}subject", name=bill.subject, software_packageVersion=bill.version,
        software_primaryPurpose="device" if bill.kind == "device" else "platform",
    )  # fmt: skip
    gaps = "Not known: " + "; ".join(bill.gaps) if bill.gaps else ""
    contains = element(
        "Relationship", f"{space}contains", to=[p["spdxId"] for p in packages], relationshipType="contains",
        completeness="incomplete" if bill.gaps else "noAssertion",
    ) | {"from": subject["spdxId"]}  # fmt: skip
    urls: dict[str, list[str]] = {}
    for c, package in zip(bill.components, packages, strict=True):
        urls.setdefault(c.purl, []).append(package["spdxId"])
    said = spdx3_vex.elements(bill.mentions, urls, space)
    profiles = SECURITY if said else SOFTWARE
    whole = element(
        "software_Sbom", f"{space}bill", profileConformance=profiles, rootElement=[subject["spdxId"]],
        software_sbomType=["deployed"],
        element=[subject["spdxId"], *(p["spdxId"] for p in packages), contains["spdxId"],
                 *(one["spdxId"] for one in said)] if packages else [],
    )  # fmt: skip
    document = element(
        "SpdxDocument", f"{space}document", name=bill.subject, rootElement=[whole["spdxId"]], comment=gaps,
        profileConformance=profiles,
    )  # fmt: skip
    related = [contains, *said] if packages else []
    made = creation(space, stamp(bill.made_ms), made_by)
    return {"@context": CONTEXT, "@graph": [*made, document, whole, subject, *packages, *related]}


def _package(c: Component, id_: str) -> dict[str, Any]:
    said = (("ecosystem", c.ecosystem), ("found at", c.where), ("part of", c.owner), ("module", c.module),
            ("endpoints", str(c.endpoints) if c.endpoints > 1 else ""))  # fmt: skip
    return element(
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


def read(said: dict[str, Any]) -> Read:
    """Raises `BadBill`."""
    graph = graph_of(said)
    document, by_id = graph.document, graph.by_id
    subject = _subject(document, by_id)
    packages = [one for one in graph.elements if kind_of(one) == "software_Package"]
    parts = [one for one in packages if one is not subject or len(packages) == 1]
    return Read(
        graph.version, subject.get("name") or document.get("name"), subject.get("software_packageVersion"),
        document.get("spdxId"), graph.creation(document).get("created"),
        [(one.get("name"), one.get("software_packageVersion"), purl_of(one)) for one in parts],
    )  # fmt: skip


def _subject(document: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What a document is about: its root, or that of the bill which is its root."""
    here = document
    for _ in range(STEPS_MAX):
        roots = [by_id[id_] for id_ in listed(here.get("rootElement")) if isinstance(id_, str) and id_ in by_id]
        if not roots:
            return {}
        here = roots[0]
        if kind_of(here) == "software_Package":
            return here
    return {}
