"""`brakeline lead`: one change over several cells. create drafts it, start opens its first ring; brake never asks.

take leads on what a lost conductor led, once its cells have joined this one; orphans lists what waits for that.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk, when
from brakeline.cli.waiting import emit_or_wait
from brakeline.core.errors import Invalid
from brakeline.protocol.channels import STABLE

app = noun("Leads: one change over several cells, ring by ring, by counts alone.")
Id = Annotated[str, typer.Argument(help="The lead's id.")]
Why = Annotated[str, typer.Option("--reason", help="Kept in the audit log.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Leads of this conductor, newest first."""
    answer = Client.from_context().get("/leads")

    def human() -> None:
        rows = [(x["id"], x["title"], x["state"], len(x["cells"]), sum(c["treated"] for c in x["cells"]), x["why"])
                for x in answer["items"]]  # fmt: skip
        table(["lead", "title", "state", "cells", "treated", "why"], rows)

    emit(answer, as_json, human)


@app.command()
def create(
    title: Annotated[str, typer.Argument(help="What people read.")],
    update: Annotated[list[str] | None, typer.Option("--update", help="NAME=VERSION; several times.")] = None,
    release: Annotated[str, typer.Option("--release", help="A release of ours, by its id, instead of updates.")] = "",
    filter_: Annotated[str, typer.Option("--filter", help="Which endpoints of each cell.")] = "",
    cell: Annotated[list[str] | None, typer.Option("--cell", help="In the order in which they open; else all.")] = None,
    pace: Annotated[str, typer.Option("--pace", help="careful, fast, emergency or rehearsal.")] = "careful",
    exploited: Annotated[bool, typer.Option("--exploited", help="Nobody is held out.")] = False,
    channel: Annotated[str, typer.Option("--channel", help="Of a release: stable, or early.")] = STABLE,
    as_json: Json = False,
) -> None:
    """Draft one; each cell tells how many endpoints it has."""
    body = {"title": title, "updates": [_pin(u) for u in update or ()], "filter": filter_, "cells": cell or [],
            "pace": pace, "exploited": exploited, "release": release, "channel": channel}  # fmt: skip
    made = Client.from_context().post("/leads", body)
    emit(made, as_json, lambda: say(f"{made['id']}: drafted over {len(made['cells'])} cells."))


def _pin(text: str) -> dict[str, str]:
    name, equals, version = text.partition("=")
    if not (name and equals and version):
        raise Invalid(f"an update is NAME=VERSION, not {text[:60]!r}")
    return {"name": name, "version": version}


@app.command()
def show(lead: Id, as_json: Json = False) -> None:
    """Cells times rings, and why it does what it does."""
    answer = Client.from_context().get(f"/leads/{lead}")
    emit(answer, as_json, lambda: _human(answer))


def _human(x: dict[str, Any]) -> None:
    say(f"{x['title']} ({x['id']}): {x['state']}. {x['why']}")
    for words in x["settings"]:
        say(f"  {words}")
    names = [f"{'▸ ' if i == x['ring'] else ''}{r}" for i, r in enumerate(x["rings"])]
    rows = [
        (c["cell"], c["region"], c["state"], *(c["planned"] or [""] * len(names)), c["treated"], c["proven"],
         c["failed"], when(c["heard_ms"] or None), c["text"])
        for c in x["cells"]
    ]  # fmt: skip
    table(["cell", "region", "state", *names, "treated", "proven", "failed", "heard", "says"], rows)
    for line in x["lines"]:
        talk(f"{line['state']:8} {line['text']}")


@app.command()
def start(lead: Id, as_json: Json = False) -> None:
    """Open its first ring, once every cell has told how many endpoints it has."""
    _act(lead, "start", {}, as_json)


@app.command()
def orphans(as_json: Json = False) -> None:
    """Leads of a conductor that cells have left for this one: nobody leads them, and their cells hold."""
    answer = Client.from_context().get("/leads/orphans")
    rows = [(x["id"], x["title"], ", ".join(x["cells"]), x["treated"], x["why_not"]) for x in answer["items"]]
    emit(answer, as_json, lambda: table(["lead", "title", "cells", "treated", "cannot be taken because"], rows))


@app.command()
def take(lead: Id, reason: Why = "", as_json: Json = False) -> None:
    """Lead on what a lost conductor led. A second person agrees; then it is paused until `lead resume`."""
    _act(lead, "take", {"reason": reason}, as_json)


@app.command()
def pause(lead: Id, reason: Why = "", as_json: Json = False) -> None:
    """Every cell holds with its next exchange."""
    _act(lead, "pause", {"reason": reason}, as_json)


@app.command()
def resume(lead: Id, reason: Why = "", as_json: Json = False) -> None:
    """Go on after a pause. What was halted stays so."""
    _act(lead, "resume", {"reason": reason}, as_json)


@app.command()
def brake(lead: Id, as_json: Json = False) -> None:
    """Stop it in every cell. Never asks."""
    _act(lead, "brake", {}, as_json)


def _act(lead: str, act: str, body: dict[str, str], as_json: bool) -> None:
    answer = Client.from_context().post(f"/leads/{lead}/{act}", body)
    emit_or_wait(answer, as_json, lambda: say(f"{answer['id']}: {answer['state']}. {answer['why']}"))
