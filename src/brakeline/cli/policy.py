"""`brakeline policy`: which endpoints may be patched. Without a policy an endpoint is assessed and left alone."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.naming import Endpoint
from brakeline.cli.output import Json, emit, noun, say, table, talk, when
from brakeline.rollout.pace_text import span

app = noun("What may be patched, when and how.")


@app.command("list")
def list_policies(as_json: Json = False) -> None:
    """All policies, oldest first."""
    answer = Client.from_context().get("/policies")

    def human() -> None:
        table(
            ["id", "name", "mode", "filter", "when and how", "lists every", "self-update", "channel", "made", "by"],
            [(p["id"], p["name"], p["mode"] or "leave", p["filter"] or "(everybody)", _words(p),
              p["refresh_interval_s"], _self_update(p), p["channel"], when(p["created_ms"]), p["created_by"])
             for p in answer["items"]],
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
    channel: Annotated[str, typer.Option(help="Channel of releases that they follow: stable or early.")] = "",
    window: Annotated[
        list[str] | None,
        typer.Option(help='When they may be changed, in their local time: "sat,sun 00:00/24:00". May be given again.'),
    ] = None,
    restart: Annotated[str, typer.Option(help="Restarts by order: never, required, window or any.")] = "",
    conffiles: Annotated[str, typer.Option(help="Changed configuration files: hold, keep or replace.")] = "",
    restarts_a_day: Annotated[int | None, typer.Option(help="Restarts by order in a day, at most (0 to 4).")] = None,
    download_kib_s: Annotated[int | None, typer.Option(help="KiB a second of downloads, at most.")] = None,
    nice: Annotated[int | None, typer.Option(help="Nice of package transactions (0 to 19).")] = None,
    probe: Annotated[
        list[str] | None,
        typer.Option(help='What they try of themselves: "web http://127.0.0.1/health". May be given again.'),
    ] = None,
    as_json: Json = False,
) -> None:
    """Let the endpoints that match be patched (or forbid it with --mode assess)."""
    body = {
        "name": name, "filter": filter_text, "mode": mode, "refresh_interval_s": refresh_interval_s,
        "inventory_interval_s": inventory_interval_s, "expect_count": expect_count,
        "self_update": self_update, "pin": pin, "windows": window or [], "restart": restart, "conffiles": conffiles,
        "restarts_a_day": restarts_a_day, "download_kib_s": download_kib_s, "nice": nice, "probes": probe or [],
        "channel": channel,
    }  # fmt: skip
    made = Client.from_context().post("/policies", body)

    def human() -> None:
        say(f"{made['id']}: {made['name']}, {made['mode'] or 'leave'}, {made['filter'] or 'everybody'}")
        if words := _words(made):
            say(words)
        if made["channel"]:
            say(f"follows {made['channel']}")
        talk(made["settings"]["sentence"])

    emit(made, as_json, human)


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
def explain(endpoint: Endpoint, as_json: Json = False) -> None:
    """What the agent of an endpoint is told, and why."""
    answer = Client.from_context().get(f"/endpoints/{endpoint}/settings")
    sheet = answer["sheet"]

    def human() -> None:
        update = answer["self_update"]
        say(f"{answer['settings']['mode']}: {answer['why']}\n{update['why']}\n{update['channel_why']}")
        table(
            ["setting", "in force", "from", "since", "waits for a rollout"],
            [(line["label"], line["value"], line["by"], _since(line), line["waits"]) for line in sheet["lines"]],
            "",
        )
        if sheet["window"]:
            say(f"Maintenance window: {sheet['window']}")
        for note in sheet["notes"]:
            say(note)

    emit(answer, as_json, human)


def _since(line: dict[str, Any]) -> str:
    version = f", version {line['version']}" if line["version"] else ""
    return f"{when(line['since_ms'])}{version}" if line["since_ms"] else ""


def _words(policy: dict[str, Any]) -> str:
    """What a policy says of when and how, in one line."""
    words = {name: value for name, value in policy["words"].items() if value is not None}
    return "; ".join(f"{name}: {', '.join(v) if isinstance(v, list) else v}" for name, v in words.items())
