"""A bill as SPDX 2.3, JSON. Pure; the same bill gives the same bytes. SPDX 2.3 has no place for what VEX says."""

from __future__ import annotations

import hashlib
from typing import Any

from brakeline.sbom.cyclonedx import stamp
from brakeline.sbom.model import Bill, Component

NONE = "NOASSERTION"


def write(bill: Bill, made_by: str) -> dict[str, Any]:
    """The document. `made_by`: the version of Brakeline."""
    digest = hashlib.sha256(repr((bill, made_by)).encode()).hexdigest()
    packages = [_package(c, number) for number, c in enumerate(bill.components, 1)]
    subject = {
        "SPDXID": "SPDXRef-Subject", "name": bill.subject, "versionInfo": bill.version or NONE,
        "downloadLocation": NONE, "filesAnalyzed": False, "primaryPackagePurpose": "DEVICE",
    }  # fmt: skip
    document: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": bill.subject, "documentNamespace": f"urn:brakeline:sbom:{digest}",
        "creationInfo": {"created": stamp(bill.made_ms), "creators": [f"Tool: brakeline-{made_by}"]},
        "documentDescribes": ["SPDXRef-Subject"],
        "packages": [subject, *packages],
        "relationships": [
            _relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Subject"),
            *(_relation("SPDXRef-Subject", "CONTAINS", p["SPDXID"]) for p in packages),
        ],
    }  # fmt: skip
    if bill.gaps:
        document["comment"] = "Not known: " + "; ".join(bill.gaps)
    return document


def _package(c: Component, number: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "SPDXID": f"SPDXRef-Package-{number}", "name": c.name, "versionInfo": c.version, "downloadLocation": NONE,
        "filesAnalyzed": False, "licenseConcluded": NONE, "licenseDeclared": NONE, "copyrightText": NONE,
    }  # fmt: skip
    if c.purl:
        made["externalRefs"] = [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": c.purl}
        ]
    said = (("ecosystem", c.ecosystem), ("found at", c.where), ("part of", c.owner), ("module", c.module),
            ("endpoints", str(c.endpoints) if c.endpoints > 1 else ""))  # fmt: skip
    comment = "; ".join(f"{key}: {value}" for key, value in said if value)
    if comment:
        made["comment"] = comment
    if c.source:
        made["sourceInfo"] = f"built from {c.source} {c.source_version}".rstrip()
    return made


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
