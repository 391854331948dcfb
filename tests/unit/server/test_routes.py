"""No two routes of people's API answer to one method and path: the first would hide the other unseen."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter
from fastapi.routing import APIRoute

from brakeline.server.wiring import ROUTERS


def doubled(routers: tuple[APIRouter, ...]) -> list[tuple[str, str]]:
    routes = (r for router in routers for r in router.routes if isinstance(r, APIRoute))
    counts = Counter((method, r.path) for r in routes for method in r.methods)
    return sorted(key for key, count in counts.items() if count > 1)


def test_no_route_hides_another() -> None:
    assert doubled(ROUTERS) == []


def test_a_planted_double_is_seen() -> None:
    one, other = APIRouter(prefix="/a"), APIRouter()
    one.get("/b")(lambda: None)
    other.get("/a/b")(lambda: None)
    assert doubled((one, other)) == [("GET", "/a/b")]
