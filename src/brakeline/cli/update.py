"""`brakeline update`: pending updates of the fleet, what each one closes, where it is held back, the way to install."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk
from brakeline.cli.vuln import Filter, plan_of, write_export

app = noun("Updates: list, show, export, plan a deployment of one; decline one for everybody.")
Why = Annotated[str, typer.Option("--reason", help="For whoever looks for it.")]


@app.command("list")
def list_updates(
    query: Annotated[
        str, typer.Argument(help="Such as: priority:act kev:yes due:overdue closes:yes held:no source:openssl ssl")
    ] = "",
    name: Annotated[str, typer.Option(help="Part of a package's name.")] = "",
    security: Annotated[bool, typer.Option("--security", help="Only what the suite calls a security update.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 200,
    as_json: Json = False,
) -> None:
    """What endpoints could install, with what each one closes; the most urgent first."""
    answer = Client.from_context().get(
        "/exposure/updates", q=query or None, name=name or None, security=str(security).lower(), limit=limit
    )

    def human() -> None:
        table(
            ["update", "to", "closes", "exploited", "overdue", "most urgent", "endpoints", "could now"],
            [(u["update"]["name"], u["update"]["candidate"], u["closes"] or "", u["kev"] or "", u["overdue"] or "",
              u["worst"], u["update"]["endpoints"], u["update"]["available"]) for u in answer["items"]],
            "None of them matches." if answer["known"] else "No endpoint has an update pending that is known.",
        )  # fmt: skip
        if answer["total"] > len(answer["items"]):
            talk(f"{len(answer['items'])} of {answer['total']} that match are shown; --limit or a word narrows it.")
        if cut := answer.get("cut"):  # a server of the version before does not say so
            talk(cut)

    emit(answer, as_json, human)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="To be written; - is stdout.")],
    query: Annotated[str, typer.Argument(help="As of list: such as priority:act held:no")] = "",
    as_format: Annotated[str, typer.Option("--format", help="csv or ndjson.")] = "csv",
    as_json: Json = False,
) -> None:
    """Write every pending update that matches to a file, as CSV or a JSON document a line."""
    write_export("/exposure/export/updates", file, query, as_format, as_json=as_json)


@app.command()
def show(name: str, as_json: Json = False) -> None:
    """One package: versions on offer, what they close, where it is held back and why."""
    answer = Client.from_context().get(f"/exposure/updates/{quote(name)}")

    def human() -> None:
        for v in answer["versions"]:
            u = v["update"]
            say(f"{u['name']} {u['candidate']} of {u['source']}: on {u['endpoints']} endpoints, {u['available']} could "
                f"install it now; closes {v['closes']} CVEs.")  # fmt: skip
        table(
            ["CVE", "priority", "exploited", "due", "endpoints"],
            [(c["cve"], c["priority"]["level"], "yes" if c["kev"] else "", c["due"], c["endpoints"])
             for c in answer["closes"]],
            "It closes nothing that is known.",
        )  # fmt: skip
        table(
            ["endpoint", "host", "from", "to", "state", "why not yet"],
            [(e["endpoint_id"], e["hostname"], e["installed"], e["candidate"], e["state"].replace("_", " "),
              e["reason"]) for e in answer["endpoints"]],
        )  # fmt: skip
        if answer["total"] > len(answer["closes"]):
            talk(f"{len(answer['closes'])} of {answer['total']} CVEs are shown.")
        talk(f"Plan it: brakeline update plan {name}")

    emit(answer, as_json, human)


@app.command()
def plan(
    name: str,
    filter_text: Filter = "",
    title: Annotated[str, typer.Option(help="Of the deployment.")] = "",
    as_json: Json = False,
) -> None:
    """Make a draft of a deployment of one package: pinned versions, rings, nothing started."""
    plan_of("names", name, filter_text, title, as_json=as_json)


@app.command()
def decline(name: str, version: str, reason: Why, as_json: Json = False) -> None:
    """Never offer this version, in no rollout and not as a dependency, until somebody allows it again."""
    answer = Client.from_context().post("/quarantine", {"name": name, "version": version, "reason": reason})

    def human() -> None:
        say(f"{name} {version} is offered to no endpoint from now on; rollouts that have it hold. A newer version is "
            f"another update. Take it back: brakeline update allow {name} {version} --reason …")  # fmt: skip

    emit(answer, as_json, human)


@app.command()
def allow(name: str, version: str, reason: Why, as_json: Json = False) -> None:
    """Take back that a version was declined: rollouts may offer it again."""
    body = {"name": name, "version": version, "reason": reason}
    Client.from_context().post("/quarantine/allow", body)
    emit(body, as_json, lambda: say(f"{name} {version} may be offered again, by rollouts."))


@app.command()
def declined(as_json: Json = False) -> None:
    """What no rollout offers, and why: declined by people, or quarantined by a halt."""
    answer = Client.from_context().get("/quarantine")

    def human() -> None:
        table(
            ["update", "version", "by", "why"],
            [(q["name"], q["version"], "people" if q["declined"] else q["rollout_id"], q["reason"]) for q in answer],
            "Nothing is declined, and nothing is in quarantine.",
        )

    emit(answer, as_json, human)
