"""The body of an adoption: bounded in time, because all organisations share the places in which files are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support_fleet import OWNER

from brakeline.catalog import curated_api
from brakeline.catalog.curation import CurationService
from brakeline.core.errors import Unavailable


class Stalled:
    """A request whose body begins and never ends."""

    async def stream(self) -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()


async def test_a_body_that_never_ends_gives_its_place_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curated_api, "RECEIVE_S", 0)
    nothing: Any = None
    curation, request = CurationService(nothing, nothing, lambda: nothing), Stalled()
    given: Any = request
    for _ in range(3):  # more than there are places
        with pytest.raises(Unavailable, match="did not arrive"):
            await curated_api.adopt_product("grafana", "amd64", given, OWNER, curation)
    assert not curation.places.locked()
