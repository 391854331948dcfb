"""`brakeline freeze-window`: spans in which nobody, or some, get no new offers.

Halts, brakes and recalls are never held up by one. Adding is one command; ending one early needs a reason.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk
from brakeline.cli.waiting import emit_or_wait

app = noun("Spans in which endpoints get no new offers.")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All of them, oldest first, and whether they are in force now."""
    answer = Client.from_context().get("/freeze-windows")
    rows = [(w["id"], w["name"], w["state"], w["when"], w["filter"] or "(everybody)", w["created_by"])
            for w in answer["items"]]  # fmt: skip
    columns = ["id", "name", "state", "when", "for", "by"]
    emit(answer, as_json, lambda: table(columns, rows, "None. Add one: brakeline freeze-window add NAME --weekly …"))


@app.command()
def add(
    name: str,
    weekly: Annotated[
        str, typer.Option(help='"fri 16:00/mon 08:00", "mon-fri 09:00/17:00", "daily 22:00/06:00".')
    ] = "",
    begins: Annotated[str, typer.Option("--from", help="2026-12-20T18:00; without it, now.")] = "",
    ends: Annotated[str, typer.Option("--until", help="2027-01-04T08:00; without it, until it is removed.")] = "",
    zone: Annotated[str, typer.Option(help="Time zone of these times, such as Europe/Berlin.")] = "UTC",
    filter_text: Annotated[str, typer.Option("--filter", help="For whom, such as tag:shop. Empty = everybody.")] = "",
    as_json: Json = False,
) -> None:
    """Add a freeze window: weekly, or once."""
    body = {"name": name, "weekly": weekly, "begins": begins, "ends": ends, "zone": zone, "filter": filter_text}
    made = Client.from_context().post("/freeze-windows", body)
    emit(made, as_json, lambda: say(f"{made['id']}: {made['text'] or made['when']} ({made['state']})"))


@app.command()
def remove(
    window: Annotated[str, typer.Argument(help="Name or id.")],
    reason: Annotated[str, typer.Option(help="Kept in the audit log; needed unless it is over.")] = "",
    as_json: Json = False,
) -> None:
    """Remove one; what it held up goes on."""
    query = urlencode({"reason": reason})
    gone = Client.from_context().delete(f"/freeze-windows/{quote(window, safe='')}?{query}")
    emit_or_wait(gone, as_json, lambda: say(f"{gone['name']} is gone."))
    if not as_json and gone["state"] == "frozen":
        talk("It was in force: rollouts go on within a second.")
