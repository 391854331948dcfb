"""People's routes of bills of materials below `/api/v1`: parse, authorise (in the service), call, render.

The body of an import is the file itself. What is wrong with it is a 422 that says where; too large is a 413.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from brakeline.core.errors import Fault
from brakeline.exposure.api import plain
from brakeline.sbom.model import BILL_BYTES_MAX, VEX_BYTES_MAX, Asset, Format, Kind, VexDocument, VexFormat
from brakeline.sbom.service import SbomService
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1", tags=["sbom"])
Who = Annotated[Principal, Depends(current_principal)]
BODY: Final[dict[str, Any]] = {
    "required": True, "content": {"application/json": {"schema": {"type": "object"}}},
}  # fmt: skip
_KIND: Final = {
    Format.CYCLONEDX: "application/vnd.cyclonedx+json", Format.SPDX: "application/spdx+json",
    Format.SPDX3: "application/ld+json",
}  # fmt: skip
_VEX_KIND: Final = {
    VexFormat.OPENVEX: ("application/json", "openvex.json"), VexFormat.SPDX3: ("application/ld+json", "vex.spdx3.json"),
}  # fmt: skip
_ENDING: Final = {Format.CYCLONEDX: "cdx.json", Format.SPDX: "spdx.json", Format.SPDX3: "spdx3.json"}


class BillTooLarge(Fault):
    """The file is larger than any that is taken in."""

    code, status = "bill-too-large", 413
    hint = "Leave files and licences out of the bill when it is made: only packages are read."


@dataclass(frozen=True, slots=True)
class Assets:
    """By name."""

    items: tuple[Asset, ...]


@dataclass(frozen=True, slots=True)
class VexDocuments:
    """The newest first."""

    items: tuple[VexDocument, ...]


def _service(request: Request) -> SbomService:
    service: SbomService = request.app.state.sbom
    return service


Bills = Annotated[SbomService, Depends(_service)]
FormatOf = Annotated[Format, Query(alias="format", description="cyclonedx (1.6), spdx (2.3) or spdx3 (3.0.1, JSON-LD)")]

VexFormatOf = Annotated[VexFormat, Query(alias="format", description="openvex, or spdx3 (3.0.1, profile security)")]


@router.get("/endpoints/{endpoint_id}/sbom", response_class=Response)
async def endpoint_sbom(
    endpoint_id: str, who: Who, bills: Bills, form: FormatOf = Format.CYCLONEDX, vex: bool = False
) -> Response:
    """The bill of materials of one endpoint, with what is not known of it; `vex`: with what stands open."""
    return _file(await bills.of_endpoint(who, endpoint_id, form, with_vex=vex), form, endpoint_id)


@router.get("/endpoints/{endpoint_id}/vex", response_class=Response)
async def endpoint_vex(endpoint_id: str, who: Who, bills: Bills, form: VexFormatOf = VexFormat.OPENVEX) -> Response:
    """What is known of the vulnerabilities of one endpoint, as OpenVEX or as SPDX 3 says it."""
    kind, ending = _VEX_KIND[form]
    return _answer(await bills.vex_of_endpoint(who, endpoint_id, form), kind, f"{endpoint_id}.{ending}")


@router.get("/sbom", response_class=Response)
async def group_sbom(who: Who, bills: Bills, q: str = "", form: FormatOf = Format.CYCLONEDX) -> Response:
    """One bill of materials of all endpoints that match the filter."""
    return _file(await bills.of_group(who, q, form), form, "group")


@router.get("/assets")
async def list_assets(who: Who, bills: Bills) -> Assets:
    """Everything whose bill of materials was taken in."""
    return Assets(tuple(await bills.assets(who)))


@router.post("/assets/import", openapi_extra={"requestBody": BODY})
async def import_bill(
    request: Request, who: Who, bills: Bills, name: str = "", kind: Kind = Kind.IMAGE, file: str = ""
) -> Asset:
    """Take in a bill of materials (CycloneDX or SPDX, JSON) of an image, an appliance or an application."""
    return await bills.take_bill(who, await _body(request, BILL_BYTES_MAX), name=name, kind=kind, file_name=file)


@router.get("/assets/{asset_id}")
async def get_asset(asset_id: str, who: Who, bills: Bills) -> dict[str, Any]:
    """One asset: components, findings with what VEX says of them, what was not assessed."""
    return plain(await bills.asset(who, asset_id))  # type: ignore[no-any-return]


@router.delete("/assets/{asset_id}", status_code=204)
async def forget_asset(asset_id: str, who: Who, bills: Bills) -> None:
    """Forget an asset."""
    await bills.forget_asset(who, asset_id)


@router.get("/vex")
async def list_vex(who: Who, bills: Bills) -> VexDocuments:
    """VEX files that people have taken in."""
    return VexDocuments(tuple(await bills.vex_documents(who)))


@router.post("/vex/import", openapi_extra={"requestBody": BODY})
async def import_vex(request: Request, who: Who, bills: Bills, reason: str = "", file: str = "") -> VexDocument:
    """Take in what a VEX file says (OpenVEX, CycloneDX or SPDX 3), as the person who answers for it."""
    return await bills.take_vex(who, await _body(request, VEX_BYTES_MAX), reason=reason, file_name=file)


@router.delete("/vex/{sha256}", status_code=204)
async def withdraw_vex(sha256: str, who: Who, bills: Bills) -> None:
    """What the file says no longer stands."""
    await bills.withdraw_vex(who, sha256)


def _file(document: dict[str, Any], form: Format, name: str) -> Response:
    return _answer(document, _KIND[form], f"{name}.{_ENDING[form]}")


def _answer(document: dict[str, Any], kind: str, name: str) -> Response:
    data = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(data, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


async def _body(request: Request, most: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise BillTooLarge(f"at most {most} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
