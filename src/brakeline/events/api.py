"""People's routes of events below `/api/v1`: receivers, dead letters, the stream as a list and as server-sent events.

The stream goes on behind `Last-Event-ID` (or `?after=`): whoever reconnects misses nothing that is kept (30 days).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from brakeline.core.errors import Fault, Invalid
from brakeline.events import formats
from brakeline.events.decide import wants
from brakeline.events.model import DeadLetter
from brakeline.events.service import PAGE_MAX, Events, SinkView
from brakeline.protocol.codec import to_plain
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1", tags=["events"])
Who = Annotated[Principal, Depends(current_principal)]
SEQUENCE_MAX = 2**62


def _events(request: Request) -> Events:
    events: Events = request.app.state.events
    return events


Service = Annotated[Events, Depends(_events)]


@dataclass(frozen=True, slots=True)
class SinkBody:
    """`address`: https://…, syslog+tls://host:port or syslog+tcp://host:port. `kinds`: rollout.*; none = everything."""

    name: str
    address: str
    kinds: tuple[str, ...] = ()


def _sink(view: SinkView) -> dict[str, Any]:
    return {**to_plain(view.sink), "behind": view.behind, "dead": view.dead}


def _letter(letter: DeadLetter) -> dict[str, Any]:
    told = formats.plain(letter.event) if letter.event else None
    return {"sequence": letter.sequence, "at_ms": letter.at_ms, "problem": letter.problem, "tries": letter.tries,
            "event": told}  # fmt: skip


@router.get("/event-sinks")
async def sinks(who: Who, events: Service) -> dict[str, Any]:
    """Receivers, how far each is behind, and how many dead letters it has."""
    return {"items": [_sink(view) for view in await events.sinks(who)]}


@router.post("/event-sinks", status_code=201)
async def add(body: SinkBody, who: Who, events: Service) -> dict[str, Any]:
    """Add a receiver of what happens from now on. `key` of a webhook is shown this once."""
    made = await events.add(who, body.name, body.address, body.kinds)
    return {**to_plain(made.sink), "key": made.key}


@router.delete("/event-sinks/{sink_id}", status_code=204)
async def remove(sink_id: str, who: Who, events: Service) -> Response:
    """It gets nothing more."""
    await events.remove(who, sink_id)
    return Response(status_code=204)


@router.post("/event-sinks/{sink_id}/test", status_code=202)
async def test(sink_id: str, who: Who, events: Service) -> dict[str, Any]:
    """Let an event happen that says that it is a test."""
    await events.test(who, sink_id)
    return {"asked": True}


@router.get("/event-sinks/{sink_id}/dead")
async def dead(
    sink_id: str, who: Who, events: Service, limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100
) -> dict[str, Any]:
    """What it did not take after many tries."""
    return {"items": [_letter(letter) for letter in await events.dead(who, sink_id, limit)]}


@router.post("/event-sinks/{sink_id}/replay")
async def replay(sink_id: str, who: Who, events: Service) -> dict[str, Any]:
    """Deliver its dead letters now, oldest first, until one is refused again."""
    delivered, problem = await events.replay(who, sink_id)
    return {"delivered": delivered, "problem": problem}


@router.get("/events")
async def list_events(
    who: Who, events: Service, after: Annotated[int, Query(ge=0, le=SEQUENCE_MAX)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100, kind: Annotated[list[str] | None, Query()] = None,
) -> dict[str, Any]:  # fmt: skip
    """Events behind a number, oldest first; `next` is what to ask behind then."""
    found = await events.after(who, after, limit)
    items = [formats.plain(e) for e in found if wants(kind or (), e.kind)]
    return {"items": items, "next": found[-1].sequence if found else after}


@router.get("/events/stream", response_class=StreamingResponse)
async def stream(
    request: Request, who: Who, events: Service, after: Annotated[int | None, Query(ge=0, le=SEQUENCE_MAX)] = None,
    kind: Annotated[list[str] | None, Query()] = None,
) -> StreamingResponse:  # fmt: skip
    """The same as server-sent events, as they happen; without a number from now on."""
    last = request.headers.get("last-event-id", "")
    if last and not (last.isascii() and last.isdigit() and len(last) <= 18):
        raise Invalid("Last-Event-ID is the number of an event", got=last[:20])
    begin = int(last) if last else after if after is not None else await events.end(who)
    who.require("audit.read")

    async def allowed() -> bool:
        try:
            return (await current_principal(request)).may("audit.read")
        except Fault:
            return False

    body = events.stream(who, begin, kind or (), allowed)
    return StreamingResponse(body, media_type="text/event-stream", headers={"cache-control": "no-store"})
