"""SPDX 3 as a graph of elements: what its writers and readers of bills and of VEX share. Pure.

Invariants: a document is read in SPDX's own context alone, because with another its words may mean anything and nothing
is fetched to find out; the count of elements is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from brakeline.sbom.model import BadBill

CONTEXT: Final = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
KNOWN: Final = re.compile(r"https://spdx\.org/rdf/3\.[0-9]{1,2}\.[0-9]{1,2}/spdx-context\.jsonld")
CREATION: Final = "_:creation"
ELEMENTS_MAX: Final = 500_000  # files and relationships stand there, too
SOFTWARE: Final = ["core", "software"]
SECURITY: Final = ["core", "software", "security"]


class Graph(NamedTuple):
    """The elements of a document that was believed to be one."""

    version: str  # of SPDX
    elements: list[dict[str, Any]]
    by_id: dict[str, dict[str, Any]]
    document: dict[str, Any]

    def creation(self, one: dict[str, Any]) -> dict[str, Any]:
        """When and by whom an element was made; it may stand beside it or within."""
        said = one.get("creationInfo")
        said = self.by_id.get(said, {}) if isinstance(said, str) else said
        return said if isinstance(said, dict) else {}


def graph_of(said: dict[str, Any]) -> Graph:
    """Raises `BadBill`."""
    contexts = listed(said.get("@context"))
    if len(contexts) != 1 or not isinstance(contexts[0], str) or not KNOWN.fullmatch(contexts[0]):
        raise BadBill("its context is not SPDX's own, so what its words mean is not known")
    graph = said.get("@graph")
    if not isinstance(graph, list) or len(graph) > ELEMENTS_MAX:
        raise BadBill(f"@graph is a list of at most {ELEMENTS_MAX} elements")
    elements = [one for one in graph if isinstance(one, dict)]
    by_id = {id_: one for one in elements if isinstance(id_ := one.get("spdxId", one.get("@id")), str)}
    document = next((one for one in elements if kind_of(one) == "SpdxDocument"), {})
    return Graph(contexts[0].split("/")[4], elements, by_id, document)


def is_spdx3(said: dict[str, Any]) -> bool:
    """Whether it is one, by its context."""
    return any(isinstance(one, str) and "spdx.org/rdf/3." in one for one in listed(said.get("@context")))


def creation(space: str, created: str, made_by: str) -> list[dict[str, Any]]:
    """Who made a document, when and with what."""
    agent = element("SoftwareAgent", f"{space}agent", name="Brakeline")
    tool = element("Tool", f"{space}tool", name=f"brakeline-{made_by}")
    said = {
        "type": "CreationInfo", "@id": CREATION, "specVersion": "3.0.1", "created": created,
        "createdBy": [agent["spdxId"]], "createdUsing": [tool["spdxId"]],
    }  # fmt: skip
    return [said, agent, tool]


def element(kind: str, id_: str, **said: Any) -> dict[str, Any]:
    """One element, without what is not said."""
    return {"type": kind, "spdxId": id_, "creationInfo": CREATION} | {
        key: value for key, value in said.items() if value
    }


def purl_of(package: dict[str, Any]) -> Any:
    """Its package URL, where it has one."""
    if package.get("software_packageUrl"):
        return package["software_packageUrl"]
    return next(_identifiers(package), "")


def _identifiers(package: dict[str, Any]) -> Iterator[Any]:
    for one in listed(package.get("externalIdentifier")):
        if isinstance(one, dict) and one.get("externalIdentifierType") == "packageUrl":
            yield one.get("identifier")


def kind_of(one: dict[str, Any]) -> Any:
    """Its type."""
    return one.get("type", one.get("@type"))


def listed(value: Any) -> list[Any]:
    """A value that may stand alone or in a list."""
    return value if isinstance(value, list) else [] if value is None else [value]
