"""`brakeline settings`: what agents may do, brought to endpoints that have settings already, by rings.

`lead` does that over several cells, by the words of one policy; the draft is started by `brakeline lead start`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk
from brakeline.cli.waiting import emit_or_wait
from brakeline.rollout.pace_text import count

app = noun("What policies wish of agents, and the rollouts that bring it to them.")
Pace = Annotated[str, typer.Option(help="careful, fast or rehearsal")]


@app.command()
def show(as_json: Json = False) -> None:
    """Which version is everywhere, which is rolling out, and what waits."""
    answer = Client.from_context().get("/settings")
    emit(answer, as_json, lambda: say(answer["sentence"]))


@app.command()
def plan(pace: Pace = "careful", as_json: Json = False) -> None:
    """What a rollout of settings would change now; changes nothing."""
    answer = Client.from_context().post("/settings/plan", {"pace": pace})

    def human() -> None:
        if not answer["endpoints"]:
            say("Nothing waits: every endpoint has what its policies wish.")
            return
        table(
            ["setting", "now", "then", "endpoints"],
            [(d["setting"], d["before"], d["after"], d["endpoints"]) for d in answer["differences"]],
            "",
        )
        table(["ring", "endpoints"], [(r["name"], r["upto"]) for r in answer["rings"]], "")
        talk("What policies take away holds at once and is not in this list.")
        command = f"brakeline settings start --expect-count {answer['endpoints']} --digest {answer['digest']}"
        say(command + (f" --pace {pace}" if pace != "careful" else ""))

    emit(answer, as_json, human)


@app.command()
def start(
    expect_count: Annotated[int, typer.Option(help="Endpoints that the plan showed.")],
    digest: Annotated[str, typer.Option(help="Digest that the plan showed.")],
    pace: Pace = "careful",
    draft: Annotated[bool, typer.Option(help="Make it and do not start it.")] = False,
    as_json: Json = False,
) -> None:
    """Make the version that the plan showed and start its rollout."""
    body = {"expect_count": expect_count, "digest": digest, "pace": pace, "start": not draft}
    made = Client.from_context().post("/settings/start", body)
    emit_or_wait(
        made, as_json,
        lambda: say(f"version {made['version']}: rollout {made['rollout_id']}, {made['endpoints']} endpoints"),
    )  # fmt: skip


@app.command()
def lead(
    name: Annotated[str, typer.Argument(help="Under which it is known in every cell; led again it is replaced.")],
    filter_text: Annotated[str, typer.Option("--filter", help="Which endpoints of each cell. Empty = all.")] = "",
    mode: Annotated[str, typer.Option(help="assess, patch, or leave (to other policies)")] = "leave",
    refresh_interval_s: Annotated[int | None, typer.Option(help="How often package lists are refreshed.")] = None,
    inventory_interval_s: Annotated[int | None, typer.Option(help="How often everything is scanned.")] = None,
    window: Annotated[list[str] | None, typer.Option(help='"sat,sun 00:00/24:00". May be given again.')] = None,
    restart: Annotated[str, typer.Option(help="Restarts by order: never, required, window or any.")] = "",
    conffiles: Annotated[str, typer.Option(help="Changed configuration files: hold, keep or replace.")] = "",
    restarts_a_day: Annotated[int | None, typer.Option(help="Restarts by order in a day, at most (0 to 4).")] = None,
    download_kib_s: Annotated[int | None, typer.Option(help="KiB a second of downloads, at most.")] = None,
    nice: Annotated[int | None, typer.Option(help="Nice of package transactions (0 to 19).")] = None,
    probe: Annotated[list[str] | None, typer.Option(help='"web http://127.0.0.1/health". May be given again.')] = None,
    cell: Annotated[list[str] | None, typer.Option("--cell", help="In the order in which they open; else all.")] = None,
    pace: Annotated[str, typer.Option(help="careful, fast, emergency or rehearsal")] = "careful",
    as_json: Json = False,
) -> None:
    """Draft settings over cells by the words of one policy; without a word, take away what was led under the name."""
    body = {
        "name": name, "filter": filter_text, "mode": mode, "refresh_interval_s": refresh_interval_s,
        "inventory_interval_s": inventory_interval_s, "windows": window or [], "restart": restart,
        "conffiles": conffiles, "restarts_a_day": restarts_a_day, "download_kib_s": download_kib_s, "nice": nice,
        "probes": probe or [], "cells": cell or [], "pace": pace,
    }  # fmt: skip
    made = Client.from_context().post("/settings/lead", body)

    def human() -> None:
        say(f"{made['id']}: {made['title']}, drafted over {count(len(made['cells']), 'cell')}.")
        for words in made["settings"]:
            say(f"  {words}")
        talk(f"Once each has told how many endpoints it has: brakeline lead start {made['id']}")

    emit(made, as_json, human)
