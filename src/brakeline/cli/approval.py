"""`brakeline approval`: what waits for a second person; agree to it or reject it.

`approve` shows exactly what will be done, then asks for your address and password: the server takes an agreement from a
session of a person that has just begun, never from a token. The session ends right after.
"""

from __future__ import annotations

import getpass
import sys
from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, pairs, say, table, talk, when
from brakeline.core.errors import Invalid

app = noun("Acts that take two people: list, show, approve, reject.")
Id = Annotated[str, typer.Argument(metavar="APPROVAL", help="Id of the request (ap_…).")]


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Also what is over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: Json = False,
) -> None:
    """What waits for a second person, newest first."""
    answer = Client.from_context().get("/approvals", all=every, limit=limit)
    rows = [
        (a["id"], a["state"], a["way"], a["asked_by"], when(a["expires_ms"]), a["says"][0]) for a in answer["items"]
    ]
    columns = ["id", "state", "takes", "asked by", "until", "what"]
    emit(answer, as_json, lambda: table(columns, rows, "Nothing waits for a second person."))


@app.command()
def show(approval: Id, as_json: Json = False) -> None:
    """One request: exactly what will be done, who asked, until when."""
    seen = Client.from_context().get(f"/approvals/{approval}")
    emit(seen, as_json, lambda: _show(seen))


def _show(a: dict[str, Any]) -> None:
    for sentence in a["says"]:
        say(sentence)
    pairs({
        "act": f"{a['act']} {a['object_id']}", "state": f"{a['state']}: {a['note']}" if a["note"] else a["state"],
        "asked": f"{when(a['asked_ms'])} by {a['asked_by']}",
        "takes": f"{a['way']}, not before {when(a['not_before_ms'])}" if a["not_before_ms"] else a["way"],
        "until": when(a["expires_ms"]),
        "decided": f"{when(a['decided_ms'])} by {a['decided_by']}" if a["decided_ms"] else "not yet",
    })  # fmt: skip


@app.command()
def approve(
    approval: Id,
    email: Annotated[str, typer.Option(help="Your address; asked for where it is missing.")] = "",
    as_json: Json = False,
) -> None:
    """Agree, as yourself: your password is asked for (or read from standard input); a token is not enough."""
    client = Client.from_context()
    seen = client.get(f"/approvals/{approval}")
    talk("\n".join([*seen["says"], f"Asked for by {seen['asked_by']} at {when(seen['asked_ms'])}."]))
    session = client.signed_in(email or _asked("Your address: "), _password())
    try:
        done = session.post(f"/approvals/{approval}/approve", {"digest": seen["digest"]})
    finally:
        session.post("/auth/logout")
    text = "noted; somebody else has to agree too" if done["state"] == "open" else done["state"]
    emit(done, as_json, lambda: say(f"{done['id']}: {text}"))


@app.command()
def reject(
    approval: Id,
    reason: Annotated[str, typer.Option("--reason", help="Kept in the log.")],
    as_json: Json = False,
) -> None:
    """Say no, for everybody."""
    answer = Client.from_context().post(f"/approvals/{approval}/reject", {"reason": reason})
    emit(answer, as_json, lambda: say(f"{answer['id']}: {answer['state']}"))


def _asked(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise Invalid("say who you are: --email ADDRESS")
    return input(prompt).strip()


def _password() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("Your password: ")
    return sys.stdin.readline().rstrip("\n")
