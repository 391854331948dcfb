"""`brakeline settings`: what agents may do, brought to endpoints that have settings already, by rings."""

from __future__ import annotations

from typing import Annotated

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk
from brakeline.cli.waiting import emit_or_wait

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
