"""`brakeline enrol`: tokens that let machines become endpoints."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk, when
from brakeline.core.errors import Invalid

app = noun("Tokens and the command that make a machine an endpoint.")
token_app = noun("Enrolment tokens: once-usable by default, expiring, good for nothing else.")
app.add_typer(token_app, name="token")

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    """A span such as 30m, 12h or 7d in seconds; `Invalid`."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found:
        raise Invalid(f"{text!r} is no span of time; write 30m, 12h or 7d")
    return int(found[1]) * UNITS_S[found[2]]


@token_app.command("create")
def create(
    region: Annotated[str, typer.Option(help="Region of the endpoints; none = the cell's.")] = "",
    uses: Annotated[int, typer.Option(min=1, help="How many machines may use it.")] = 1,
    ttl: Annotated[str, typer.Option(help="How long it works: 30m, 12h, 7d.")] = "30m",
    tag: Annotated[list[str] | None, typer.Option(help="Tag of the endpoints; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Make a token; prints the line to paste on the machine. It is shown this once."""
    body = {"region": region, "uses": uses, "ttl_s": seconds(ttl), "tags": tag or []}
    made = Client.from_context().post("/enrol-tokens", body)

    def human() -> None:
        say(made["one_liner"])
        record = made["record"]
        talk(f"For {record['uses']} machine(s), until {when(record['expires_ms'])}. The token is shown this once.")

    emit(made, as_json, human)


@token_app.command("list")
def list_tokens(as_json: Json = False) -> None:
    """The newest 500 tokens, without what makes them work."""
    found = Client.from_context().get("/enrol-tokens")
    rows = [
        (t["id"], t["region"], ", ".join(t["tags"]), f"{t['used']}/{t['uses']}", when(t["expires_ms"]),
         "revoked" if t["revoked"] else "", t["created_by"])
        for t in found
    ]  # fmt: skip
    columns = ["id", "region", "tags", "used", "expires", "state", "made by"]
    emit({"items": found}, as_json, lambda: table(columns, rows, "No tokens."))


@token_app.command("revoke")
def revoke(token_id: str, as_json: Json = False) -> None:
    """Make a token useless; endpoints that it enrolled stay."""
    Client.from_context().delete(f"/enrol-tokens/{token_id}")
    emit({"id": token_id, "revoked": True}, as_json, lambda: say(f"{token_id} is revoked."))
