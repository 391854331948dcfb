"""People's routes of feeds below `/api/v1/content`: how old everything is, import a file, fetch from its address.

The body of an import is the file itself, as it is published (EPSS as CSV or gzip, CISA's JSON, NVD's JSON or lines of
CVSS vectors). What is wrong with it is a 422 that names the line. Held content is 200 with `outcome` held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request

from brakeline.advisories.arrivals import PACKED_BYTES_MAX
from brakeline.advisories.importing import Importing
from brakeline.advisories.model import FeedState
from brakeline.advisories.standing import Standing
from brakeline.core.errors import Fault
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1/content", tags=["content"])
Who = Annotated[Principal, Depends(current_principal)]
BODY: Final[dict[str, Any]] = {
    "required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}  # fmt: skip


class FeedTooLarge(Fault):
    """The file is larger than any feed."""

    code, status = "feed-too-large", 413
    hint = "Pack it with gzip or zstandard, or split it: feeds of CVSS may have several parts (cvss-2024, cvss-2025)."


def _importing(request: Request) -> Importing:
    importing: Importing = request.app.state.importing
    return importing


Feeds = Annotated[Importing, Depends(_importing)]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of it. `outcome`: live | held; `problem` says why it is held."""

    feed: str
    outcome: str
    version: str
    issued: str
    rows: int
    problem: str


@dataclass(frozen=True, slots=True)
class Standings:
    """Every feed with its age."""

    feeds: tuple[Standing, ...]


@router.get("/status")
async def status(who: Who, feeds: Feeds) -> Standings:
    """How old each feed is, where it comes from, and whether that is too old."""
    return Standings(await feeds.status(who))


@router.post("/{feed}/import", openapi_extra={"requestBody": BODY})
async def import_feed(request: Request, feed: str, who: Who, feeds: Feeds, day: str = "") -> Imported:
    """Take a file of a feed: epss, cisa-kev, cvss, end-of-life, rustsec, osv-ECOSYSTEM, a vendor's, or a bundle."""
    return imported(await feeds.import_file(who, feed, await read_body(request), day))


@router.post("/{feed}/fetch")
async def fetch_feed(feed: str, who: Who, feeds: Feeds) -> Imported:
    """Ask the feed's address now, if the server's settings name one."""
    return imported(await feeds.fetch(who, feed))


def imported(state: FeedState) -> Imported:
    """A feed's state as what became of an attempt that raised nothing."""
    outcome = "held" if state.problem else "live"
    return Imported(state.feed, outcome, state.version, state.issued, state.rows, state.problem)


async def read_body(request: Request) -> bytes:
    """The body of a request, as far as a feed may be large."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > PACKED_BYTES_MAX:
            raise FeedTooLarge(f"more than {PACKED_BYTES_MAX} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
