"""People's routes of own packages below `/api/v1`: parse, authorise (in the service), call, render.

The body of an upload is the file itself. What is wrong with it is a 422 that says where and what to do; too large is a
413.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from brakeline.catalog.model import OwnPackage, OwnPackageDetail
from brakeline.catalog.service import CatalogService
from brakeline.core.errors import Fault
from brakeline.protocol.software import DOCUMENT_BYTES_MAX
from brakeline.protocol.software_rules import PAYLOAD_BYTES_MAX
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1", tags=["own-packages"])
Who = Annotated[Principal, Depends(current_principal)]
PACKAGE: Final[dict[str, Any]] = {
    "required": True, "content": {"application/json": {"schema": {"type": "object"}}},
}  # fmt: skip
PAYLOAD: Final[dict[str, Any]] = {
    "required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}  # fmt: skip


class SoftwareTooLarge(Fault):
    """The file is larger than any that travels in content."""

    code, status = "software-too-large", 413
    hint = "Give a large artifact a url that endpoints can reach; its size and SHA-256 are signed all the same."


@dataclass(frozen=True, slots=True)
class OwnPackages:
    """By name, the last added first."""

    items: tuple[OwnPackage, ...]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    reason: str


def _service(request: Request) -> CatalogService:
    service: CatalogService = request.app.state.catalog
    return service


Catalog = Annotated[CatalogService, Depends(_service)]


@router.get("/own-packages")
async def list_software(who: Who, catalog: Catalog) -> OwnPackages:
    """Every own package that was taken in, withdrawn versions too."""
    return OwnPackages(tuple(await catalog.entries(who)))


@router.post("/own-packages", openapi_extra={"requestBody": PACKAGE})
async def add_software(request: Request, who: Who, catalog: Catalog) -> OwnPackage:
    """Take in a signed package. The same text again adds the signatures that are new."""
    return await catalog.add(who, await _body(request, DOCUMENT_BYTES_MAX))


@router.post("/own-packages/payloads", openapi_extra={"requestBody": PAYLOAD})
async def add_payload(request: Request, who: Who, catalog: Catalog) -> OwnPackages:
    """Keep the artifact that a package names by its SHA-256."""
    return OwnPackages(await catalog.add_payload(who, await _body(request, PAYLOAD_BYTES_MAX)))


@router.get("/own-packages/payloads/{sha256}", response_class=Response)
async def get_payload(sha256: str, who: Who, catalog: Catalog) -> Response:
    """An artifact that travels in content."""
    return Response(await catalog.payload(who, sha256), media_type="application/octet-stream")


@router.get("/own-packages/{name}")
async def get_software(name: str, who: Who, catalog: Catalog, version: str = "") -> OwnPackageDetail:
    """One version with its scripts, as its authors signed them; without `version` the newest that stands."""
    return await catalog.show(who, name, version)


@router.get("/own-packages/{name}/{version}/document", response_class=Response)
async def get_document(name: str, version: str, who: Who, catalog: Catalog) -> Response:
    """The signed document, as it came."""
    return Response(await catalog.document(who, name, version), media_type="application/json")


@router.post("/own-packages/{name}/{version}/withdraw")
async def withdraw_software(name: str, version: str, what: Withdrawal, who: Who, catalog: Catalog) -> OwnPackage:
    """No further content and no new deployment has this version."""
    return await catalog.withdraw(who, name, version, what.reason)


async def _body(request: Request, most: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise SoftwareTooLarge(f"at most {most} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
