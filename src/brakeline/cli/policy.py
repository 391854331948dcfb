"""`brakeline policy`: which endpoints may be patched. Without a policy an endpoint is assessed and left alone."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk, when
from brakeline.rollout.pace_text import span

app = noun("What may be patched, when and how.")


@app.command("list")
def list_policies(as_json: Json = False) -> None:
    """All policies, oldest first."""
    answer = Client.from_context().get("/policies")

    def human() -> None:
        table(
            ["id", "name", "mode", "filter", "lists every", "self-update", "made", "by"],
            [(p["id"], p["name"], p["mode"] or "leave", p["filter"] or "(everybody)", p["refresh_interval_s"],
              _self_update(p), when(p["created_ms"]), p["created_by"]) for p in answer["items"]],
            "None: every endpoint is assessed and nothing is changed.",
        )  # fmt: skip
        talk("Of several policies that match an endpoint the most careful wins.")

    emit(answer, as_json, human)


@app.command()
def create(
    name: str,
    filter_text: Annotated[str, typer.Option("--filter", help="Such as: os:debian -tag:lab. Empty = everybody.")],
    mode: Annotated[str, typer.Option(help="assess, patch, or leave (to other policies)")] = "patch",
    refresh_interval_s: Annotated[int | None, typer.Option(help="How often package lists are refreshed.")] = None,
    inventory_interval_s: Annotated[int | None, typer.Option(help="How often everything is scanned.")] = None,
    expect_count: Annotated[int | None, typer.Option(help="Refuse unless so many endpoints match.")] = None,
    self_update: Annotated[bool | None, typer.Option(help="May the agents take newer releases of themselves?")] = None,
    pin: Annotated[str, typer.Option(help="Release at which the agents stay.")] = "",
    as_json: Json = False,
) -> None:
    """Let the endpoints that match be patched (or forbid it with --mode assess)."""
    body = {
        "name": name, "filter": filter_text, "mode": mode, "refresh_interval_s": refresh_interval_s,
        "inventory_interval_s": inventory_interval_s, "expect_count": expect_count,
        "self_update": self_update, "pin": pin,
    }  # fmt: skip
    made = Client.from_context().post("/policies", body)
    emit(
        made,
        as_json,
        lambda: say(f"{made['id']}: {made['name']}, {made['mode'] or 'leave'}, {made['filter'] or 'everybody'}"),
    )


@app.command()
def ahead(
    filter_text: Annotated[str, typer.Option("--filter", help="Such as: os:debian -tag:lab. Empty = everybody.")] = "",
    pace: Annotated[str, typer.Option(help="careful, fast or emergency")] = "careful",
    as_json: Json = False,
) -> None:
    """What rollouts over these endpoints would look like: finish, what each ring sees, who would be reached."""
    answer = Client.from_context().get("/policies/ahead", filter=filter_text, pace=pace)

    def human() -> None:
        for sentence in answer["sentences"]:
            say(sentence)
        table(
            ["ring", "up to", "controls", "halts at … silent", "exposed by then", "opens after", "done after"],
            [(r["name"], r["upto"], r["controls"], r["halts_at"] or "proof decides", r["exposed"] or "",
              span(r["opens_s"] / 3600), span(r["done_s"] / 3600)) for r in answer["forecast"]["rings"]],
        )  # fmt: skip
        if answer["two_people"]:
            talk(f"A second person agrees before it starts: {answer['two_people']}.")

    emit(answer, as_json, human)


@app.command()
def delete(policy_id: str, as_json: Json = False) -> None:
    """Remove a policy; its endpoints follow the others, or are only assessed."""
    Client.from_context().delete(f"/policies/{policy_id}")
    emit({"deleted": policy_id}, as_json, lambda: say(f"{policy_id} is gone."))


def _self_update(policy: dict[str, Any]) -> str:
    if policy["self_update"] is False:
        return "off"
    return f"pinned to {policy['pin']}" if policy["pin"] else ("on" if policy["self_update"] else "")


@app.command()
def explain(endpoint: str, as_json: Json = False) -> None:
    """What the agent of an endpoint is told, and why."""
    answer = Client.from_context().get(f"/endpoints/{endpoint}/settings")
    emit(answer, as_json, lambda: say(f"{answer['settings']['mode']}: {answer['why']}\n{answer['self_update']['why']}"))
