"""People's routes of cells and leads below `/api/v1`: parse, call `cells` or `conducting`, render.

What narrows (drain, isolate, pause, brake) is one call; a join token is shown once; `lead` is a rollout over cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from brakeline.cells.model import Link, Member, generation_of, superseded
from brakeline.cells.service import CellsService
from brakeline.core.errors import Invalid
from brakeline.protocol.channels import STABLE
from brakeline.rollout.api import PinIn, Reason, Who
from brakeline.rollout.conducting import Conducting, LeadView
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.releasing import Releasing
from brakeline.rollout.taking import OrphanView
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1", tags=["cells"])


def _cells(request: Request) -> CellsService:
    found: CellsService = request.app.state.cells
    return found


def _conducting(request: Request) -> Conducting:
    found: Conducting = request.app.state.conducting
    return found


Cells = Annotated[CellsService, Depends(_cells)]
Leads = Annotated[Conducting, Depends(_conducting)]


@dataclass(frozen=True, slots=True)
class CellIn:
    """`url`: where that cell reaches this server; "" = as this request did. `generation`: 0 = as high as is needed."""

    name: str
    region: str
    url: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class TokenIn:
    """`fast_lane`: this conductor may lead here in the fast lane, too."""

    token: str
    fast_lane: bool = False


@dataclass(frozen=True, slots=True)
class CellOut:
    """One cell that this one conducts."""

    name: str
    region: str
    state: str
    version: str
    heard_ms: int
    skew_ms: int
    doubt: str


@dataclass(frozen=True, slots=True)
class LinkOut:
    """The conductor that this cell believes."""

    conductor: str
    name: str
    asked_ms: int
    answered_ms: int
    skew_ms: int
    trouble: str
    isolated: bool
    key: str = ""
    generation: int = 0
    fast_lane: bool = False


@dataclass(frozen=True, slots=True)
class CellList:
    """`cells`: conducted by this one; `link`: who conducts this one; `superseded`: why this one conducts no more;
    `key`: of this one as a conductor."""

    cells: tuple[CellOut, ...]
    link: LinkOut | None
    key: str = ""
    generation: int = 0
    superseded: str = ""


@dataclass(frozen=True, slots=True)
class InvitedOut:
    """`token` is shown once; it is good for a day, for one cell."""

    name: str
    token: str


@dataclass(frozen=True, slots=True)
class NewLead:
    """`filter`: which endpoints of each cell; `cells` in the order in which they open, none = all that have joined.
    `release`: the id of a release of ours, to every endpoint of these cells, instead of `updates`. `pace`: careful,
    fast, emergency or rehearsal. `channel`, of a release: stable, or early for those alone that follow it."""

    title: str
    updates: tuple[PinIn, ...] = ()
    filter: str = ""
    cells: tuple[str, ...] = ()
    pace: str = "careful"
    exploited: bool = False
    release: str = ""
    channel: str = STABLE


@dataclass(frozen=True, slots=True)
class LeadList:
    items: tuple[LeadView, ...]


@dataclass(frozen=True, slots=True)
class OrphanList:
    items: tuple[OrphanView, ...]


@router.get("/cells")
async def list_cells(who: Who, cells: Cells) -> CellList:
    """The cells that this one conducts, and who conducts it."""
    found, link = await cells.members(who), await cells.link(who)
    return CellList(
        tuple(CellOut(m.cell, m.region, m.state.value, m.version, m.heard_ms, m.skew_ms, m.doubt) for m in found),
        _link(link) if link else None, cells.conductor.public_hex, generation_of(found), superseded(found),
    )  # fmt: skip


def _link(x: Link) -> LinkOut:
    return LinkOut(x.url, x.cell, x.asked_ms, x.answered_ms, x.skew_ms, x.trouble, x.isolated, x.conductor_key,
                   x.generation, x.fast)  # fmt: skip


@router.post("/cells", status_code=201)
async def add_cell(request: Request, who: Who, cells: Cells, body: CellIn) -> InvitedOut:
    """A join token for one cell."""
    url = body.url or f"https://{request.url.netloc}"
    made = await cells.invite(who, body.name, body.region, url, body.generation)
    return InvitedOut(made.member.cell, made.token)


@router.post("/cells/join", response_model=LinkOut, responses=WAITS)
async def join(request: Request, who: Who, cells: Cells, body: TokenIn) -> LinkOut | JSONResponse:
    """Let the conductor that made this token lead here. A second person agrees first."""
    link, waits = await cells.join(who, body.token, body.fast_lane)
    return asked(request, waits) if waits else _link(link)


@router.post("/cells/isolate")
async def isolate_self(who: Who, cells: Cells, body: Reason) -> LinkOut:
    """This cell believes its conductor in nothing more; a new join token ends that."""
    return _link(await cells.isolate_self(who, body.reason))


@router.post("/cells/{name}/drain", status_code=204)
async def drain(who: Who, cells: Cells, name: str, body: Reason) -> None:
    """It takes no further part, and no ring waits for it."""
    await cells.drain(who, name, body.reason)


@router.post("/cells/{name}/isolate", status_code=204)
async def isolate(who: Who, cells: Cells, name: str, body: Reason) -> None:
    """As drained, and unheard; only a new join token brings it back."""
    await cells.isolate(who, name, body.reason)


@router.post("/cells/{name}/restore", status_code=204, response_model=None, responses=WAITS)
async def restore(request: Request, who: Who, cells: Cells, name: str, body: Reason) -> Response:
    """A drained or doubted cell takes part again. A second person agrees first."""
    found = await cells.restore(who, name, body.reason)
    return Response(status_code=204) if isinstance(found, Member) else asked(request, found)


@router.get("/leads")
async def list_leads(who: Who, leads: Leads) -> LeadList:
    """Newest first, each with its cells."""
    return LeadList(await leads.list(who))


@router.post("/leads", status_code=201)
async def create_lead(request: Request, who: Who, leads: Leads, body: NewLead) -> LeadView:
    """A draft; each cell tells how many endpoints it has with its next exchange."""
    if body.release and body.updates:
        raise Invalid("a lead is of updates or of a release, not of both")
    if body.release:
        releasing: Releasing = request.app.state.releasing
        change = await releasing.change_for(who, body.release, body.channel)
    elif body.channel != STABLE:
        raise Invalid("only a release of ours goes to a channel")
    else:
        change = Change(tuple(Pin(u.name, u.version) for u in body.updates), exploited=body.exploited, title=body.title)
    return await leads.create(who, body.title, change, body.filter, body.cells, body.pace)


@router.get("/leads/orphans")
async def list_orphans(who: Who, leads: Leads) -> OrphanList:
    """Leads of a conductor that its cells have left for this one: they hold until somebody takes them over."""
    return OrphanList(await leads.taking.orphans(who))


@router.post("/leads/{lead_id}/take", response_model=LeadView, responses=WAITS)
async def take_lead(request: Request, who: Who, leads: Leads, lead_id: str, body: Reason) -> LeadView | JSONResponse:
    """Lead on from here what a lost conductor led. A second person agrees first; then it is paused."""
    found = await leads.take(who, lead_id, body.reason)
    return found if isinstance(found, LeadView) else asked(request, found, id=lead_id)


@router.get("/leads/{lead_id}")
async def show_lead(who: Who, leads: Leads, lead_id: str) -> LeadView:
    """Cells times rings, and why it does what it does."""
    return await leads.show(who, lead_id)


@router.post("/leads/{lead_id}/start", response_model=LeadView, responses=WAITS)
async def start_lead(request: Request, who: Who, leads: Leads, lead_id: str) -> LeadView | JSONResponse:
    """From draft to its first ring. In the fast lane a second person agrees first."""
    found = await leads.start(who, lead_id)
    return found if isinstance(found, LeadView) else asked(request, found, id=lead_id)


@router.post("/leads/{lead_id}/pause")
async def pause_lead(who: Who, leads: Leads, lead_id: str, body: Reason) -> LeadView:
    """Every cell holds with its next exchange."""
    return await leads.pause(who, lead_id, body.reason)


@router.post("/leads/{lead_id}/resume")
async def resume_lead(who: Who, leads: Leads, lead_id: str, body: Reason) -> LeadView:
    """Go on after a pause."""
    return await leads.resume(who, lead_id, body.reason)


@router.post("/leads/{lead_id}/brake")
async def brake_lead(who: Who, leads: Leads, lead_id: str) -> LeadView:
    """Stop it in every cell."""
    return await leads.brake(who, lead_id)
