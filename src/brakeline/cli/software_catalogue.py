"""`brakeline software catalogue`: search the curated catalogue, show a product, make a draft of one to be signed."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from brakeline.catalog.curated.adopting import ROLES
from brakeline.cli.client import Client
from brakeline.cli.faults import BadUsage
from brakeline.cli.output import Json, emit, noun, pairs, say, table, talk, when
from brakeline.cli.software_author import read_file

app = noun("Products that people know: list, show, adopt. Adopting makes a draft; authors read and sign it.")
ADOPT_S = 600.0
FILE_BYTES_MAX = 512 * 1024 * 1024


@app.command("list")
def list_products(
    search: Annotated[list[str] | None, typer.Argument(help="Words that all have to be said of it.")] = None,
    as_json: Json = False,
) -> None:
    """Products of the curated catalogue."""
    found = Client.from_context().get("/catalogue", search=" ".join(search or ()))
    rows = [
        (p["name"], p["title"], p["vendor"], p["platform"], p["vouched_by"], p["adopted"] or "–", p["taken_in"] or "–")
        for p in found["items"]
    ]

    def human() -> None:
        columns = ["name", "title", "vendor", "for", "vouched for by", "drafted", "taken in"]
        table(columns, rows, "There is none of these words. An own package can be written for anything.")
        talk(f"Edition {found['edition']}, {found['origin']}. More of one: brakeline software catalogue show NAME")

    emit(found, as_json, human)


@app.command()
def show(name: str, as_json: Json = False) -> None:
    """One product: how it is seen, who vouches for it, what it would run, and which files to fetch from the vendor."""
    found = Client.from_context().get(f"/catalogue/{quote(name)}")
    row = found["row"]

    def human() -> None:
        pairs({
            "name": row["name"], "title": row["title"], "vendor": row["vendor"], "about": row["about"],
            "licence": row["licence"], "for": f"{row['platform']}, {', '.join(row['architectures'])}",
            "seen by": found["detection"], "vouched for by": found["vouching"],
            "keys": ", ".join(found["keys"]) or "none", "note": found["note"] or "–",
        })  # fmt: skip
        for step, text in found["scripts"].items():
            say(f"\n--- {step}\n{text.rstrip()}")
        say(f"\nFetch, then: {_line(row, found['files'])}")
        for role, address in found["files"].items():
            say(f"  {role}: {address}")
        for a in found["adoptions"][:5]:
            who = f"drafted {when(a['adopted_ms'])} by {a['adopted_by']}"
            talk(f"{who}: {a['version']} ({a['architecture']}). {a['vouched']}")

    emit(found, as_json, human)


def _line(row: dict[str, Any], files: dict[str, str]) -> str:
    words = " ".join(f"{role}=FILE" for role in files)
    return f"brakeline software catalogue adopt {row['name']} {words} --architecture {row['architectures'][0]}"


@app.command()
def adopt(
    name: str,
    files: Annotated[
        list[str], typer.Argument(help="ROLE=FILE, as `show` names them; artifact=FILE where you have it.")
    ],
    architecture: Annotated[str, typer.Option(help="As `show` names it.")],
    version: Annotated[str, typer.Option(help="Exactly this one; else the newest that the vendor names.")] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where the draft goes; else it is printed.")] = None,
    as_json: Json = False,
) -> None:
    """Have the server look at the vendor's files, and get a draft with version, artifact and hash. Signs nothing."""
    body = _packed(files)
    words = urlencode({"architecture": architecture, "version": version})
    made = Client.from_context(ADOPT_S).upload(f"/catalogue/{quote(name)}/adopt?{words}", body, "application/x-tar")
    if out is not None:
        out.write_text(made["package"], encoding="utf-8")

    def human() -> None:
        if out is None:
            say(made["package"].rstrip())
        talk(f"{made['product']} {made['version']} for {made['architecture']}. {made['vouched']}")
        for left in made["left"]:
            talk(f"left to you: {left}")
        where = out or "FILE"
        talk(f"Read it, then: brakeline software check {where}; brakeline software sign {where} --key KEY.pem")

    emit(made, as_json, human)


def _packed(files: list[str]) -> bytes:
    """The vendor's files in one tar, each called by its role."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for said in files:
            role, equals, path = said.partition("=")
            if not equals or role not in ROLES:
                raise BadUsage(f"{said[:80]!r} is no ROLE=FILE; roles are {', '.join(ROLES)}")
            data = read_file(Path(path), FILE_BYTES_MAX)
            entry = tarfile.TarInfo(role)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return target.getvalue()
