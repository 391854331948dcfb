"""People's routes of releases below `/api/v1`: list, publish, withdraw, recall, pardon, keys, documents.

The body of `POST /releases` is the bundle itself. Documents that people have signed elsewhere come to
`POST /releases/metadata`. What endpoints fetch is `server.trust_plane`; a release is rolled out by `rollout`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from brakeline.core.errors import NotFound
from brakeline.protocol.codec import to_plain
from brakeline.releases.faults import BundleTooLarge
from brakeline.releases.model import Release, Status
from brakeline.releases.service import REASON_CHARS_MAX, ReleasesService
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal
from brakeline.tenancy.waiting import WAITS, asked
from brakeline.trust.assess import RELEASE_BYTES_MAX

router = APIRouter(prefix="/api/v1", tags=["releases"])
Who = Annotated[Principal, Depends(current_principal)]
BODY: Final = {"required": True, "content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}}


def _service(request: Request) -> ReleasesService:
    service: ReleasesService = request.app.state.releases
    return service


Releases = Annotated[ReleasesService, Depends(_service)]


@dataclass(frozen=True, slots=True)
class ReleaseReason:
    """Why. Kept in the audit log."""

    reason: str


@dataclass(frozen=True, slots=True)
class SignedDocuments:
    """Texts of documents; what is left out stays as it is."""

    root: str = ""
    targets: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """A release. `state`: published | withdrawn | recalled; times are Unix milliseconds, 0 = it did not happen."""

    id: str
    product: str
    version: str
    sequence: int
    platform: str
    state: str
    sha256: str
    length: int
    published_ms: int
    published_by: str
    notes: str
    withdrawn_ms: int
    withdrawn_reason: str
    recalled_ms: int
    recalled_reason: str
    pardon_asked_ms: int
    pardon_asked_by: str


@dataclass(frozen=True, slots=True)
class ReleaseList:
    """Newest first."""

    items: tuple[ReleaseView, ...]


def view(r: Release) -> ReleaseView:
    """A release as people's API shows it."""
    return ReleaseView(
        r.release_id, r.product, r.version, r.sequence, r.platform, r.state, r.sha256, r.length, r.published_ms,
        r.published_by, r.notes, r.withdrawn_ms, r.withdrawn_reason, r.recalled_ms, r.recalled_reason,
        r.pardon_asked_ms, r.pardon_asked_by,
    )  # fmt: skip


@router.get("/releases")
async def list_releases(who: Who, releases: Releases) -> ReleaseList:
    """Every release, newest first."""
    return ReleaseList(tuple(map(view, await releases.list(who))))


@router.get("/releases/status")
async def status(who: Who, releases: Releases) -> Status:
    """Where the keys are, what expires when, what people have to do."""
    who.require("release.read")
    return releases.status()


@router.get("/releases/root")
async def root(who: Who, releases: Releases) -> dict[str, str]:
    """The newest root: what launchers pin."""
    who.require("release.read")
    return {"root": releases.root_json()}


@router.get("/releases/documents")
async def documents(who: Who, releases: Releases) -> dict[str, Any]:
    """Everything that is published now, to stage the next documents from. `roots`: all, the newest last."""
    who.require("release.read")
    return to_plain(releases.present())  # type: ignore[no-any-return]


@router.get("/releases/wanted")
async def wanted(who: Who, releases: Releases) -> dict[str, Any]:
    """What the next targets and content should say: the holders of offline keys stage and sign this."""
    who.require("release.read")
    return to_plain(await releases.wanted())  # type: ignore[no-any-return]


@router.post("/releases", status_code=201, openapi_extra={"requestBody": BODY})
async def publish(
    request: Request, who: Who, releases: Releases, notes: Annotated[str, Query(max_length=REASON_CHARS_MAX)] = ""
) -> ReleaseView:
    """Publish a bundle. Nobody runs it until a rollout is made of it."""
    who.require("release.publish")
    return view(await releases.publish(who, await _body(request), notes=notes))


@router.post("/releases/metadata")
async def metadata(who: Who, releases: Releases, body: SignedDocuments) -> dict[str, Any]:
    """Take documents that the holders of offline keys have signed. They count together, or wait for what they list."""
    brought = {"root": body.root, "targets": body.targets, "content": body.content}
    said = await releases.import_metadata(who, {name: text for name, text in brought.items() if text})
    return {"said": list(said)}


@router.get("/releases/{release_id}")
async def show(release_id: str, who: Who, releases: Releases) -> ReleaseView:
    """One release."""
    who.require("release.read")
    return view(await _known(releases, release_id))


@router.post("/releases/{release_id}/withdraw")
async def withdraw(release_id: str, who: Who, releases: Releases, body: ReleaseReason) -> ReleaseView:
    """Offer it to nobody any more."""
    await releases.withdraw(who, release_id, body.reason)
    return view(await _known(releases, release_id))


@router.post("/releases/{release_id}/recall")
async def recall(release_id: str, who: Who, releases: Releases, body: ReleaseReason) -> ReleaseView:
    """Forbid it everywhere, now."""
    await releases.recall(who, release_id, body.reason)
    return view(await _known(releases, release_id))


@router.post("/releases/{release_id}/pardon", status_code=202, response_model=None, responses=WAITS)
async def pardon(request: Request, release_id: str, who: Who, releases: Releases, body: ReleaseReason) -> JSONResponse:
    """Ask for a recall to be taken back; a second person agrees first."""
    return asked(request, await releases.pardon(who, release_id, body.reason))


async def _known(releases: ReleasesService, release_id: str) -> Release:
    found = await releases.get(release_id)
    if found is None:
        raise NotFound(f"there is no release {release_id[:60]!r}")
    return found


async def _body(request: Request) -> bytes:
    """The bundle, not a byte more than endpoints accept."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > RELEASE_BYTES_MAX:
            raise BundleTooLarge(f"more than {RELEASE_BYTES_MAX} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
