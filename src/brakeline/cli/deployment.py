"""`brakeline deployment`: preview what updates would do, create exactly that, see what became of the findings.

`log`, `stop` and `retry` are about one endpoint: see `run_log`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, pairs, say, table, talk, when
from brakeline.cli.plan_file import read_plan
from brakeline.cli.run_log import log, retry, stop
from brakeline.cli.waiting import emit_or_wait

app = noun("Updates over endpoints: preview, create, log, stop, retry.")
app.command()(log)
app.command()(stop)
app.command()(retry)
Filter = Annotated[str, typer.Option("--filter", help="Endpoints, such as: os:debian tag:web. Empty = everybody.")]
Select = Annotated[str, typer.Option("--select", help="security, all, names or cve")]
Names = Annotated[list[str] | None, typer.Option("--name", help="Package (or CVE with --select cve); repeatable.")]
Across = Annotated[bool, typer.Option("--across", help="Over several distributions: each gets its own versions.")]
CVES_SHOWN = 8
PINS_SHOWN = 4


def _body(filter_text: str, selection: str, names: list[str] | None, across: bool) -> dict[str, Any]:
    return {"filter": filter_text, "selection": selection, "names": names or [], "across": across}


@app.command()
def preview(
    filter_text: Filter = "", selection: Select = "security", names: Names = None, across: Across = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """What would be updated where, who is left out, which findings close. Changes nothing.

    With --json, .count and .digest are what `create` takes as --expect and --digest.
    """
    answer = Client.from_context().post("/deployments/preview", _body(filter_text, selection, names, across))

    def human() -> None:
        plan, closing = answer["plan"], answer["closing"]
        pairs({
            "endpoints": f"{answer['count']} of {answer['matched']} that match",
            "updates": f"{len(plan['updates'])} packages, pinned (digest {answer['digest'][:16]})",
            "for": plan["release"],
            "findings": f"{closing['before']} CVEs open there, {closing['after']} afterwards; "
                        f"closes {len(closing['closed'])}, {len(closing['kev'])} of them known exploited",
        })  # fmt: skip
        by_update = closing["by_update"]
        table(
            ["package", "to version", "endpoints", "security", "closes"],
            [(u["name"], u["version"], u["endpoints"], "yes" if u["security"] else "", by_update.get(u["name"], ""))
             for u in plan["updates"]],
            "Nothing to update.",
        )  # fmt: skip
        if plan["skipped"]:
            table(
                ["left out", "host", "why"], [(s["endpoint_id"], s["hostname"], s["reason"]) for s in plan["skipped"]]
            )
        if answer["count"]:
            _pace(answer)
            talk(f"Create exactly this: --expect {answer['count']} --digest {answer['digest']}")

    emit(answer, as_json, human)


def _pace(answer: dict[str, Any]) -> None:
    """What waiting and hurrying cost, and which pace is suggested."""
    head, *rows = answer["pace_table"]
    table(head, [tuple(row) for row in rows])
    for sentence in answer["pace"]["sentences"]:
        say(sentence)


@app.command()
def create(
    expect: Annotated[int, typer.Option("--expect", help="Endpoints that the preview showed; refused if it moved.")],
    filter_text: Filter = "",
    selection: Select = "security",
    names: Names = None,
    across: Across = False,
    digest: Annotated[str, typer.Option(help="Digest of the preview; refused if the pins moved.")] = "",
    title: Annotated[str, typer.Option(help="For people's eyes.")] = "",
    pace: Annotated[str, typer.Option(help="risk (as previewed), careful, fast, emergency, rehearsal.")] = "risk",
    why: Annotated[str, typer.Option("--why", help="Why not the suggested pace; kept with the rollout.")] = "",
    policy: Annotated[Path | None, typer.Option(help="A plan of your own, YAML or JSON, instead of --pace.")] = None,
    start: Annotated[bool, typer.Option("--start", help="Start its rollout at once.")] = False,
    as_json: Json = False,
) -> None:
    """Make the deployment that was previewed, as a rollout."""
    body = _body(filter_text, selection, names, across) | {
        "expect_count": expect, "digest": digest, "title": title, "start": start, "pace": pace, "pace_reason": why,
    }  # fmt: skip
    if policy is not None:
        body["policy"] = read_plan(policy)
    made = Client.from_context().post("/deployments", body)

    def human() -> None:
        say(f"{made['id']}: {made['title']}; pinned: {_pinned(made['updates'])}")
        verb = "watch" if start else "start"
        talk(f"next: brakeline rollout {verb} {made['rollout_id']}")

    emit_or_wait(made, as_json, human)


def _pinned(updates: list[dict[str, Any]]) -> str:
    more = f" and {len(updates) - PINS_SHOWN} more" if len(updates) > PINS_SHOWN else ""
    return ", ".join(f"{u['name']} {u['version']}" for u in updates[:PINS_SHOWN]) + more


@app.command()
def show(deployment_id: str, as_json: Json = False) -> None:
    """One deployment, by its id or its rollout's: what it was to close and what still stands open."""
    answer = Client.from_context().get(f"/deployments/{deployment_id}")

    def human() -> None:
        made = answer["deployment"]
        pairs({
            "deployment": f"{made['id']} {made['title']}",
            "rollout": f"{made['rollout_id']}, {answer['state']}",
            "endpoints": f"{made['endpoints']}, {made['skipped']} were left out",
            "CVEs open there": f"{made['cves_before']} when it was made, {answer['cves_now']} now",
            "to close": f"{len(made['closes'])}; closed: {len(answer['closed'])}, open: {len(answer['still_open'])}",
        })  # fmt: skip
        for cve, count in list(answer["still_open"].items())[:CVES_SHOWN]:
            say(f"  still open: {cve} on {count} endpoints")
        table(["package", "version", "endpoints"], [(u["name"], u["version"], u["endpoints"]) for u in made["updates"]])
        for sentence in answer["limits"]:
            talk(sentence)

    emit(answer, as_json, human)


@app.command("list")
def list_deployments(
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    after: Annotated[str, typer.Option(help="Go on where the page before ended.")] = "",
) -> None:
    """Deployments, newest first."""
    page = Client.from_context().get("/deployments", limit=limit, after=after or None)

    def human() -> None:
        table(
            ["id", "rollout", "title", "endpoints", "packages", "made", "by"],
            [(d["id"], d["rollout_id"], d["title"], d["endpoints"], len(d["updates"]), when(d["created_ms"]),
              d["created_by"]) for d in page["items"]],
        )  # fmt: skip
        if page["next"]:
            talk(f"There is more: --after {page['next']}")

    emit(page, as_json, human)
