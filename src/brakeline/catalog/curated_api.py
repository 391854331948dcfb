"""People's routes of the curated catalogue below `/api/v1`: parse, authorise (in the service), call, render.

The body of an adoption is a tar of the vendor's own files, each called by its role. It is kept on disk and bounded.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from typing import IO, Annotated, Any, Final

from fastapi import APIRouter, Depends, Request

from brakeline.catalog.api import SoftwareTooLarge
from brakeline.catalog.curated.model import Adopted
from brakeline.catalog.curation import UPLOAD_BYTES_MAX, CurationService
from brakeline.catalog.model import CatalogueDetail, CatalogueRow
from brakeline.core.errors import Unavailable
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1", tags=["catalogue"])
Who = Annotated[Principal, Depends(current_principal)]
FILES: Final[dict[str, Any]] = {
    "required": True, "content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}},
}  # fmt: skip
IN_MEMORY: Final = 1024 * 1024
RECEIVE_S: Final = 900  # a body that never ends would keep the place of every organisation's next


@dataclass(frozen=True, slots=True)
class CatalogueProducts:
    """By name. `edition`: a day; `origin`: where this edition came from."""

    items: tuple[CatalogueRow, ...]
    edition: str
    origin: str


def _service(request: Request) -> CurationService:
    service: CurationService = request.app.state.curation
    return service


Curation = Annotated[CurationService, Depends(_service)]


@router.get("/catalogue")
async def list_catalogue(who: Who, curation: Curation, search: str = "") -> CatalogueProducts:
    """Products of the curated catalogue; `search`: words that all have to be in name, vendor or description."""
    found, edition = await curation.search(who, search), await curation.edition()
    return CatalogueProducts(found, edition.edition, edition.origin)


@router.get("/catalogue/{name}")
async def get_product(name: str, who: Who, curation: Curation) -> CatalogueDetail:
    """One product: how it is seen, who vouches for it, which files adopting needs, what it would run."""
    return await curation.show(who, name)


@router.post("/catalogue/{name}/adopt", openapi_extra={"requestBody": FILES})
async def adopt_product(
    name: str, architecture: str, request: Request, who: Who, curation: Curation, version: str = ""
) -> Adopted:
    """Make a draft of an own package from the vendor's files, if they prove what the definition asks for."""
    who.require("policy.write")
    if curation.places.locked():
        raise Unavailable("other files are being looked at; try again in a minute")
    async with curation.places:
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as upload:
            try:
                async with asyncio.timeout(RECEIVE_S):
                    await _received(request, upload)
            except TimeoutError:
                raise Unavailable(f"the files did not arrive within {RECEIVE_S} s, and others wait") from None
            return await curation.adopt(who, name, architecture, version, upload)


async def _received(request: Request, upload: IO[bytes]) -> None:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > UPLOAD_BYTES_MAX:
            raise SoftwareTooLarge(f"at most {UPLOAD_BYTES_MAX} bytes")
        upload.write(chunk)
    upload.seek(0)
