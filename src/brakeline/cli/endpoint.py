"""`brakeline endpoint`: list, show, packages, updates, runs, history, tag, scan, retire."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.launcher import show_launcher
from brakeline.cli.naming import Endpoint, PerhapsEndpoint
from brakeline.cli.output import Json, emit, noun, pairs, say, table, talk, when
from brakeline.cli.run_log import history, runs

app = noun("Endpoints: list, show, runs, history, tag, retire.")
app.command()(runs)
app.command()(history)
Filter = Annotated[str, typer.Argument(help="Filter, such as: os:debian -tag:lab missing:security seen:<1h")]


@app.command("list")
def list_endpoints(
    query: Filter = "",
    sort: Annotated[str, typer.Option(help="host, seen, enrolled or missing; with - in front, descending.")] = "host",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    after: Annotated[str, typer.Option(help="Cursor that the page before gave as `next`.")] = "",
    as_json: Json = False,
) -> None:
    """Endpoints that match a filter."""
    page = Client.from_context().get("/endpoints", q=query, sort=sort, limit=limit, after=after or None)

    def human() -> None:
        columns = ["id", "host", "system", "region", "state", "missing", "reboot", "agent", "last seen"]
        table(columns, [_line(e) for e in page["items"]], "No endpoints match.")
        if page["next"]:
            talk(f"{page['total']} match; for more: --after {page['next']}")

    emit(page, as_json, human)


@app.command()
def show(endpoint_id: Endpoint, as_json: Json = False) -> None:
    """Everything about one endpoint, with its launcher and its pending updates."""
    client = Client.from_context()
    found = client.get(f"/endpoints/{endpoint_id}")
    found["pending"] = client.get(f"/endpoints/{endpoint_id}/updates")
    found["self_update"] = client.get(f"/endpoints/{endpoint_id}/settings")["self_update"]

    def human() -> None:
        e, facts = found["summary"], found["facts"]
        pairs({
            "host": e["hostname"], "id": e["id"], "state": _state(e), "why": found["state_reason"] or "-",
            "system": f"{e['os_name']} {facts['architecture']}, kernel {facts['kernel']}", "region": e["region"],
            "tags": ", ".join(e["tags"]) or "-", "agent": e["agent_version"], "last seen": _seen(e),
            "packages": found["packages"], "inventory": when(e["inventory_ms"] or None) or "none yet",
            "reboot": "; ".join(found["reboot"]["reasons"]) or "not due",
            "package manager": _manager(facts),
            "its state": "; ".join(found["health"]["problems"]) or "healthy",
            "same host name": ", ".join(found["same_hostname"]) or "-",
        })  # fmt: skip
        say()
        show_launcher(found["launcher"], found["self_update"])
        say()
        _pending_table(found["pending"])

    emit(found, as_json, human)


@app.command()
def packages(endpoint_id: Endpoint, as_json: Json = False) -> None:
    """Installed packages of one endpoint."""
    found = Client.from_context().get(f"/endpoints/{endpoint_id}/packages")
    rows = [
        (p["name"], p["where"] or p["architecture"], p["version"], p["ecosystem"], p["source"], p["state"],
         f"part of {p['owner']}" if p["owner"] else p["origin"])
        for p in found
    ]  # fmt: skip
    columns = ["package", "architecture or place", "version", "ecosystem", "source", "state", "origin"]
    emit({"items": found}, as_json, lambda: table(columns, rows, "No inventory yet."))


@app.command()
def updates(
    endpoint_id: PerhapsEndpoint = "",
    security: Annotated[bool, typer.Option("--security", help="Security updates only.")] = False,
    as_json: Json = False,
) -> None:
    """Pending updates of one endpoint, or across the fleet."""
    client = Client.from_context()
    if endpoint_id:
        pending = [u for u in client.get(f"/endpoints/{endpoint_id}/updates") if u["security"] or not security]
        emit({"items": pending}, as_json, lambda: _pending_table(pending))
        return
    found = client.get("/updates", security=str(security).lower(), limit=1000)
    rows = [
        (u["name"], u["candidate"], "security" if u["security"] else "", u["suite"], u["endpoints"], u["available"])
        for u in found
    ]
    columns = ["package", "to", "kind", "suite", "endpoints", "would install now"]
    emit({"items": found}, as_json, lambda: table(columns, rows, "Nothing is pending."))


@app.command()
def tag(
    endpoint_id: Endpoint, tags: Annotated[list[str] | None, typer.Argument()] = None, as_json: Json = False
) -> None:
    """Replace the tags of an endpoint (none = no tags)."""
    found = Client.from_context().put(f"/endpoints/{endpoint_id}/tags", {"tags": tags or []})
    emit(found, as_json, lambda: say(f"{endpoint_id}: {', '.join(found['tags']) or 'no tags'}"))


@app.command()
def scan(endpoint_id: Endpoint, as_json: Json = False) -> None:
    """Ask an endpoint to scan now."""
    found = Client.from_context().post(f"/endpoints/{endpoint_id}/scan")
    emit(found, as_json, lambda: say(f"{endpoint_id} scans with its next check-in."))


@app.command()
def retire(
    endpoint_id: Endpoint, reason: Annotated[str, typer.Option(help="For the audit log.")] = "", as_json: Json = False
) -> None:
    """End an endpoint's identity for good; to come back, the machine enrols again."""
    Client.from_context().post(f"/endpoints/{endpoint_id}/retire", {"reason": reason})
    emit({"id": endpoint_id, "state": "retired"}, as_json, lambda: say(f"{endpoint_id} is retired."))


def _line(e: dict[str, Any]) -> tuple[object, ...]:
    missing = f"{e['pending_total']} ({e['pending_security']} security)" if e["inventory_ms"] else "unknown"
    return (e["id"], e["hostname"], f"{e['os_id']} {e['os_version']}", e["region"], _state(e), missing,
            "due" if e["reboot_required"] else "", e["agent_version"], _seen(e))  # fmt: skip


def _state(e: dict[str, Any]) -> str:
    return str(e["state"]) + (", asleep" if e["asleep"] else "")


def _manager(facts: dict[str, Any]) -> str:
    if facts["package_manager"] == "windows":
        return "windows (not run on the real system; orders are not carried out yet)"
    return f"{facts['package_manager']} {facts['package_manager_version']}".strip()


def _seen(e: dict[str, Any]) -> str:
    return when(e["last_seen_ms"] or None) or "never"


def _pending_table(pending: list[dict[str, Any]]) -> None:
    rows = [
        (u["name"], u["installed"], u["candidate"], "security" if u["security"] else "", u["state"], u["reason"])
        for u in pending
    ]
    table(["package", "installed", "to", "kind", "state", "why not now"], rows, "Nothing is pending.")
