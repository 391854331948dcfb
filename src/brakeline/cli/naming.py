"""An endpoint on the command line: by its id, or by its host name where exactly one active endpoint has it."""

from __future__ import annotations

import re
from typing import Annotated, Final

import typer

from brakeline.cli.client import Client
from brakeline.cli.faults import Ambiguous
from brakeline.core.errors import NotFound

ID: Final = "ep_"  # how ids of endpoints begin
HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")  # anything else is for the server to refuse
SHOWN: Final = 5


def endpoint_id(word: str) -> str:
    """The id of the endpoint that is called so; "" and ids as they are. `NotFound`, `Ambiguous`."""
    if not word or word.startswith(ID) or not HOST.fullmatch(word):
        return word
    found = Client.from_context().get("/endpoints", q=f"host:{word}", limit=SHOWN + 1)["items"]
    active = [e for e in found if e["state"] == "active"] or found
    if not active:
        raise NotFound(f"no endpoint is called {word}; brakeline endpoint list shows names and ids")
    if len(active) > 1:
        ids = ", ".join(e["id"] for e in active[:SHOWN])
        raise Ambiguous(f"several endpoints are called {word}: {ids}; say which by its id")
    return str(active[0]["id"])


Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its id, or its host name.", callback=endpoint_id)]
PerhapsEndpoint = Annotated[
    str, typer.Argument(metavar="[ENDPOINT]", help="Its id or host name; without it, all.", callback=endpoint_id)
]
