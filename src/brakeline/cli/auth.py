"""`brakeline auth`: who am I, signing in on this machine, people, API tokens."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from brakeline.cli.client import Client, Context
from brakeline.cli.output import Json, emit, noun, pairs, say, table, talk, when
from brakeline.cli.waiting import emit_or_wait
from brakeline.core.errors import Invalid, NotFound

app = noun("Sign in, people, API tokens.")
token_app = noun("API tokens for programs.")
people_app = noun("People of your organisation and their roles.")
app.add_typer(token_app, name="token")
app.add_typer(people_app, name="people")

KEPT = Path("~/.config/brakeline/context.json")


@app.command()
def whoami(as_json: Json = False) -> None:
    """Who this command acts as, and what that may do."""
    client = Client.from_context()
    me = client.get("/auth/whoami")
    facts = {"server": client.url, "name": me["name"], "kind": me["kind"], "organisation": me["tenant_id"]}
    emit(me, as_json, lambda: pairs(facts | {"may": ", ".join(me["permissions"])}))


@app.command()
def login(
    url: Annotated[str, typer.Argument(help="https://HOST:PORT of the server.")],
    ca: Annotated[
        Path | None, typer.Option(help="The server's authority (DATA/tls/ca.pem); none = a public one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Keep an API token for a server; the token is read from standard input, so that no history has it."""
    if sys.stdin.isatty():
        talk("Paste the API token (blt_…) and press Enter:")
    token = sys.stdin.readline().strip()
    if not token.startswith("blt_"):
        raise Invalid("what was read from standard input is no API token; it begins with blt_")
    context = Context(url, token, str(ca.resolve()) if ca else "")
    me = Client(context).get("/auth/whoami")
    path = KEPT.expanduser()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        json.dump({"url": url, "ca_file": context.ca_file, "token": token}, f)
    emit({**me, "context": str(path)}, as_json, lambda: say(f"Signed in as {me['name']}; kept in {path}."))


@app.command()
def logout(as_json: Json = False) -> None:
    """Forget the token that `login` kept. The token itself goes on working until it is revoked or expires."""
    path = KEPT.expanduser()
    known = path.exists()
    path.unlink(missing_ok=True)
    text = f"Forgot {path}." if known else "Nothing was kept."
    emit({"forgotten": known, "context": str(path)}, as_json, lambda: say(text))


@app.command("login-link")
def login_link(
    email: Annotated[str, typer.Argument(help="Whose; without it, the first owner's.")] = "", as_json: Json = False
) -> None:
    """A one-time link to sign in to the console: for the first time, or after a lost password."""
    client = Client.from_context()
    person = _person(client, email)
    link = client.post(f"/people/{person['person_id']}/login-link")
    _show_link(client, link, as_json)


@app.command("break-glass")
def break_glass(as_json: Json = False) -> None:
    """Make the break-glass code anew: print it and lock it away. It stops things, also while the database is away."""
    made = Client.from_context().post("/break-glass")

    def human() -> None:
        say(made["code"])
        talk(
            "The line above is shown this once, and voids the code before. With it, also while the server's database\n"
            "is away: brakeline freeze --break-glass, or the page /emergency of the console."
        )

    emit(made, as_json, human)


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    permission: Annotated[list[str] | None, typer.Option(help="May be repeated; none = all that you have.")] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it works.")] = 90,
    as_json: Json = False,
) -> None:
    """Make a token. Its secret is shown once."""
    body = {"name": name, "permissions": permission or None, "ttl_s": days * 86400}
    made = Client.from_context().post("/tokens", body)

    def human() -> None:
        say(made["secret"])
        talk(f"{made['token_id']} works until {when(made['expires_ms'])}. The line above is shown this once.")

    emit(made, as_json, human)


@token_app.command("list")
def token_list(as_json: Json = False) -> None:
    """All tokens of the organisation, without their secrets."""
    page = Client.from_context().get("/tokens")
    rows = [(t["token_id"], t["name"], t["shown"], when(t["expires_ms"]), _state(t)) for t in page["items"]]
    emit(page, as_json, lambda: table(["id", "name", "begins with", "expires", "state"], rows, "No tokens."))


@token_app.command("revoke")
def token_revoke(
    token_id: str,
    keep_made: Annotated[bool, typer.Option("--keep-made", help="It is only replaced: what it made works on.")] = False,
    as_json: Json = False,
) -> None:
    """The token stops working at once, and every token that was made by it."""
    Client.from_context().delete(f"/tokens/{token_id}" + ("?keep_made=true" if keep_made else ""))
    told = f"{token_id} is revoked" + ("." if keep_made else ", and every token that was made by it.")
    emit({"token_id": token_id, "revoked": True}, as_json, lambda: say(told))


@people_app.command("list")
def people_list(as_json: Json = False) -> None:
    """Everybody of the organisation."""
    page = Client.from_context().get("/people")
    rows = [
        (p["person_id"], p["email"], p["name"], ", ".join(p["roles"]), "disabled" if p["disabled_ms"] else "active")
        for p in page["items"]
    ]
    emit(page, as_json, lambda: table(["id", "address", "name", "roles", "state"], rows, "Nobody."))


@people_app.command("add")
def people_add(
    email: str,
    role: Annotated[list[str], typer.Option(help="owner, operator, approver or viewer; may be repeated.")],
    name: str = "",
    as_json: Json = False,
) -> None:
    """Add somebody; prints the one-time link for the first sign-in."""
    client = Client.from_context()
    _show_link(client, client.post("/people", {"email": email, "name": name, "roles": role}), as_json)


@people_app.command("set-roles")
def people_set_roles(email: str, role: Annotated[list[str], typer.Option()], as_json: Json = False) -> None:
    """Replace somebody's roles. Where that adds something, a second person agrees first."""
    client = Client.from_context()
    person = client.put(f"/people/{_person(client, email)['person_id']}/roles", {"roles": role})
    emit_or_wait(person, as_json, lambda: say(f"{person['email']} is now: {', '.join(person['roles'])}."))


@people_app.command("disable")
def people_disable(email: str, as_json: Json = False) -> None:
    """End somebody's sessions and tokens for good."""
    client = Client.from_context()
    person = client.post(f"/people/{_person(client, email)['person_id']}/disable")
    emit(person, as_json, lambda: say(f"{person['email']} is disabled."))


def _person(client: Client, email: str) -> dict[str, Any]:
    """The person with this address or id; without one, the first owner."""
    for person in client.get("/people")["items"]:
        if email in {person["email"], person["person_id"]} or (not email and "owner" in person["roles"]):
            found: dict[str, Any] = person
            return found
    raise NotFound(f"nobody has the address {email!r}; see: brakeline auth people list")


def _show_link(client: Client, link: dict[str, Any], as_json: bool) -> None:
    url = client.url.rstrip("/") + link["login_path"]

    def human() -> None:
        say(url)
        talk(f"For {link['email']}, once, until {when(link['expires_ms'])}.")

    emit({**link, "url": url}, as_json, human)


def _state(token: dict[str, Any]) -> str:
    return "revoked " + when(token["revoked_ms"]) if token["revoked_ms"] else "works until it expires"
