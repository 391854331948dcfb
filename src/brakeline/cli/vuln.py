"""`brakeline vuln`: vulnerabilities of the fleet; accept one until a day, by when they are due, what closes one."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from brakeline.cli import exposure
from brakeline.cli.client import Client
from brakeline.cli.faults import CannotRead
from brakeline.cli.output import Json, emit, noun, pairs, say, table, talk, when
from brakeline.cli.waiting import emit_or_wait

app = noun("Vulnerabilities: list, accept until a day, by when they are due, plan the updates that close one.")
app.command("list")(exposure.list_vulnerabilities)
app.command("show")(exposure.show)
EXPORT_S: Final = 120.0  # a VEX document of a large fleet
Filter = Annotated[str, typer.Option("--filter", help='Of endpoints, such as "tag:lab"; without: every endpoint.')]


@app.command()
def accept(
    cve: str,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks next.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="Until it is decided anew.")],
    filter_text: Filter = "",
    expect_count: Annotated[int | None, typer.Option(help="Endpoints that you saw it on; refused if others.")] = None,
    as_json: Json = False,
) -> None:
    """Accept a CVE until a day; it stays in every list, as accepted. What is exploited takes a second person."""
    body = {"reason": reason, "days": days, "filter": filter_text, "expect_count": expect_count}
    made = Client.from_context().post(f"/vulnerabilities/{cve}/accept", body)
    emit_or_wait(made, as_json, lambda: say(f"{made['id']}: {made['cve']} is accepted until {when(made['until_ms'])}."))


@app.command()
def accepted(
    cve: Annotated[str, typer.Option(help="Of this CVE only.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Also what is over.")] = False,
    as_json: Json = False,
) -> None:
    """What is accepted, by whom, why, on whom and until when."""
    answer = Client.from_context().get("/acceptances", cve=cve or None, every=str(every).lower())

    def human() -> None:
        table(
            ["id", "CVE", "stands", "until", "endpoints", "on", "by", "reason"],
            [(a["id"], a["cve"], a["standing"], when(a["until_ms"]),
              "-" if a["endpoints"] is None else a["endpoints"], a["filter"] or "every endpoint", a["approved_by"],
              a["reason"]) for a in answer["items"]],
            "Nothing is accepted.",
        )  # fmt: skip

    emit(answer, as_json, human)


@app.command()
def end(
    acceptance: str, reason: Annotated[str, typer.Option(help="Why, for whoever looks next.")], as_json: Json = False
) -> None:
    """Take an acceptance back: it counts as open at once."""
    made = Client.from_context().post(f"/acceptances/{acceptance}/end", {"reason": reason})
    emit(made, as_json, lambda: say(f"{made['id']}: {made['cve']} counts as open again."))


@app.command()
def terms(
    exploited: Annotated[int | None, typer.Option(min=1, max=365)] = None,
    critical: Annotated[int | None, typer.Option(min=1, max=365)] = None,
    high: Annotated[int | None, typer.Option(min=1, max=365)] = None,
    moderate: Annotated[int | None, typer.Option(min=1, max=365)] = None,
    low: Annotated[int | None, typer.Option(min=1, max=365)] = None,
    unscored: Annotated[int | None, typer.Option(min=1, max=365)] = None,
    catalogue: Annotated[
        bool | None, typer.Option("--catalogue/--no-catalogue", help="CISA's own date counts where it is earlier.")
    ] = None,
    two_people: Annotated[
        str | None, typer.Option(help="When accepting takes a second person: never, exploited or always.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Days from becoming known here until due, by class; with options, set them. Looser takes a second person."""
    client = Client.from_context()
    now = client.get("/finding-terms")
    given = {"exploited": exploited, "critical": critical, "high": high, "moderate": moderate, "low": low,
             "unscored": unscored, "catalogue": catalogue, "two_people": two_people}  # fmt: skip
    wanted = {name: now[name] if value is None else value for name, value in given.items()}
    made: Any = now if all(v is None for v in given.values()) else client.put("/finding-terms", wanted)

    def human() -> None:
        pairs({name: made[name] for name in given})
        talk(f"Defaults: {made['default_sources']}")

    emit_or_wait(made, as_json, human)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="To be written; - is stdout.")],
    query: Annotated[str, typer.Argument(help="As of list: such as priority:act due:overdue")] = "",
    as_format: Annotated[str, typer.Option("--format", help="csv, ndjson or vex (CycloneDX, JSON).")] = "csv",
    as_json: Json = False,
) -> None:
    """Write every vulnerability that matches to a file, as CSV, a JSON document a line, or CycloneDX VEX."""
    write_export("/exposure/export", file, query, as_format, as_json=as_json)


def write_export(address: str, file: Path, query: str, as_format: str, *, as_json: bool) -> None:
    """Fetch a file of everything that matches and write it; - is stdout."""
    data = Client.from_context(EXPORT_S).download(address, format=as_format, q=query)
    if str(file) == "-":
        sys.stdout.write(data.decode())
        return
    try:
        file.write_bytes(data)
    except OSError as e:
        raise CannotRead(f"{file}: {e.strerror}") from None
    made = {"file": str(file), "format": as_format, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    emit(made, as_json, lambda: say(f"{made['file']}: {made['bytes']} bytes, sha256 {made['sha256']}"))


@app.command()
def plan(
    cve: str,
    filter_text: Filter = "",
    title: Annotated[str, typer.Option(help="Of the deployment.")] = "",
    as_json: Json = False,
) -> None:
    """Make a draft of a deployment that closes a CVE: pinned updates, rings, nothing started."""
    plan_of("cve", cve.upper(), filter_text, title, as_json=as_json)


def plan_of(selection: str, name: str, filter_text: str, title: str, *, as_json: bool) -> None:
    """Preview, then the draft of exactly what the preview showed."""
    client = Client.from_context()
    asked = {"filter": filter_text, "selection": selection, "names": [name]}
    seen = client.post("/deployments/preview", asked)
    made = client.post(
        "/deployments", {**asked, "title": title, "expect_count": seen["count"], "digest": seen["digest"]}
    )

    def human() -> None:
        say(f"{made['id']}: a draft for {made['endpoints']} endpoints, {made['skipped']} left out; "
            f"it would close {len(made['closes'])} CVEs. Nothing has started.")  # fmt: skip
        for update in made["updates"]:
            say(f"  {update['name']} {update['version']} on {update['endpoints']}")
        talk(f"Look at it: brakeline rollout show {made['rollout_id']}; start it: rollout start {made['rollout_id']}")

    emit(made, as_json, human)
