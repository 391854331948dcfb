"""`brakeline sbom`: bills of materials of endpoints and groups, of images and appliances; what VEX files say."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from brakeline.cli.client import Client
from brakeline.cli.faults import CannotRead
from brakeline.cli.naming import Endpoint, endpoint_id
from brakeline.cli.output import Json, emit, noun, pairs, say, table, talk, when
from brakeline.core.errors import Invalid

app = noun("Bills of materials (SBOM) and VEX: export, import, list, show, forget, vex.")
vex = noun("What VEX files say: export, import, list, withdraw.")
app.add_typer(vex, name="vex")
Out = Annotated[Path | None, typer.Option("--out", "-o", help="File to be written; without it, standard output.")]
UPLOAD_S = 180.0


@app.command()
def export(
    endpoint: Annotated[
        str,
        typer.Argument(
            help="Id or host name of an endpoint; without it, the group that --query names.", callback=endpoint_id
        ),
    ] = "",
    query: Annotated[str, typer.Option(help="Filter of a group: os:debian tag:web.")] = "",
    form: Annotated[str, typer.Option("--format", help="cyclonedx (1.6), spdx (2.3) or spdx3 (3.0.1).")] = "cyclonedx",
    with_vex: Annotated[bool, typer.Option("--vex", help="With what stands open (not in spdx).")] = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Write the bill of materials of an endpoint, or of a group."""
    client = Client.from_context(UPLOAD_S)
    if endpoint:
        found = client.get(f"/endpoints/{quote(endpoint)}/sbom", format=form, vex=str(with_vex).lower())
    else:
        found = client.get("/sbom", q=query, format=form)
    _written(found, out, as_json)


@app.command("import")
def import_bill(
    file: Annotated[Path, typer.Argument(help="CycloneDX or SPDX, JSON.")],
    name: Annotated[str, typer.Option(help="What it describes; without it, as the bill says.")] = "",
    kind: Annotated[str, typer.Option(help="image, appliance, application or other.")] = "image",
    as_json: Json = False,
) -> None:
    """Take in the bill of an image or an appliance: it is assessed like an endpoint, and never changed."""
    asked = urlencode({"name": name, "kind": kind, "file": file.name})
    made = Client.from_context(UPLOAD_S).upload(f"/assets/import?{asked}", _read(file), "application/json")

    def human() -> None:
        say(f"{made['name']} is {made['asset_id']}: {made['components']} components, by {made['format']}.")
        for reason in made["left_out"]:
            talk(f"cannot be assessed: {reason}")
        talk(f"What stands open there: brakeline sbom show {made['asset_id']}")

    emit(made, as_json, human)


@app.command("list")
def list_assets(as_json: Json = False) -> None:
    """Everything whose bill was taken in."""
    found = Client.from_context().get("/assets")
    rows = [
        (a["asset_id"], a["name"], a["kind"], a["version"], a["components"], when(a["imported_ms"]), a["imported_by"])
        for a in found["items"]
    ]
    columns = ["id", "name", "kind", "version", "components", "imported", "by"]
    emit(found, as_json, lambda: table(columns, rows, "No bill was taken in: brakeline sbom import FILE"))


@app.command()
def show(asset: str, as_json: Json = False) -> None:
    """One asset: what stands open, what VEX says of it, what was not assessed."""
    found = Client.from_context().get(f"/assets/{quote(asset)}")

    def human() -> None:
        a = found["asset"]
        pairs({
            "name": a["name"], "kind": a["kind"], "version": a["version"] or "-",
            "bill": f"{a['file_name']}, {a['format']}",
            "imported": f"{when(a['imported_ms'])} by {a['imported_by']}", "components": a["components"],
            "open": found["open"], "not affected, says VEX": found["not_affected"],
            "not assessed": len(found["not_assessed"]),
        })  # fmt: skip
        say()
        table(["CVE", "package", "version", "fixed in", "VEX"], [_line(f) for f in found["findings"]],
              "Nothing stands open in what could be assessed.")  # fmt: skip
        for limit in found["limits"]:
            talk(limit)

    emit(found, as_json, human)


@app.command()
def forget(asset: str, as_json: Json = False) -> None:
    """Forget an asset."""
    Client.from_context().delete(f"/assets/{quote(asset)}")
    emit({"asset_id": asset, "state": "forgotten"}, as_json, lambda: say(f"{asset} is forgotten."))


@vex.command("export")
def export_vex(
    endpoint: Endpoint,
    form: Annotated[str, typer.Option("--format", help="openvex or spdx3 (3.0.1).")] = "openvex",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """What is known of the vulnerabilities of an endpoint, as OpenVEX or in SPDX 3."""
    _written(Client.from_context().get(f"/endpoints/{quote(endpoint)}/vex", format=form), out, as_json)


@vex.command("import")
def import_vex(
    file: Annotated[Path, typer.Argument(help="OpenVEX, CycloneDX or SPDX 3, JSON.")],
    reason: Annotated[str, typer.Option(help="Why it is to be believed; for the audit log, and shown with it.")],
    email: Annotated[str, typer.Option(help="Your address; it is asked for if it is not given.")] = "",
    as_json: Json = False,
) -> None:
    """Take in what a VEX file says, as yourself: your password is asked for; a token is not enough."""
    data = _read(file)
    session = Client.from_context(UPLOAD_S).signed_in(email or _asked("Your address: "), _password())
    try:
        asked = urlencode({"reason": reason, "file": file.name})
        made = session.upload(f"/vex/import?{asked}", data, "application/json")
    finally:
        session.post("/auth/logout")
    emit(made, as_json, lambda: say(f"{made['statements']} statements of {made['author'] or made['file_name']} stand."))


@vex.command("list")
def list_vex(as_json: Json = False) -> None:
    """VEX files that people have taken in."""
    found = Client.from_context().get("/vex")
    rows = [(d["sha256"][:12], d["file_name"], d["author"], d["statements"], when(d["taken_ms"]), d["taken_by"],
             f"withdrawn by {d['withdrawn_by']}" if d["withdrawn_ms"] else "stands", d["reason"])
            for d in found["items"]]  # fmt: skip
    columns = ["sha256", "file", "author", "statements", "taken in", "by", "state", "reason"]
    emit(found, as_json, lambda: table(columns, rows, "No VEX file was taken in."))


@vex.command()
def withdraw(sha256: Annotated[str, typer.Argument(help="Or its beginning.")], as_json: Json = False) -> None:
    """What the file says no longer stands."""
    client = Client.from_context()
    known = [d["sha256"] for d in client.get("/vex")["items"] if d["sha256"].startswith(sha256)]
    chosen = known[0] if len(known) == 1 else sha256
    client.delete(f"/vex/{quote(chosen)}")
    emit({"sha256": chosen, "state": "withdrawn"}, as_json, lambda: say(f"{chosen[:12]} is withdrawn."))


def _line(row: dict[str, Any]) -> tuple[object, ...]:
    f, said = row["finding"], row["said"]
    told = f"{said['status']} ({said['justification'] or said['detail']}): {said['source']}" if said else ""
    return f["cve"], f["package"], f["version"], f["fixed"] or "no fix", told


def _written(found: dict[str, Any], out: Path | None, as_json: bool) -> None:
    """The document itself on standard output, or in a file; then what was written is told."""
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as e:
        raise CannotRead(f"{out}: {e.strerror}") from None
    emit({"file": str(out), "bytes": len(text.encode())}, as_json, lambda: say(f"{out} is written."))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as e:
        raise CannotRead(f"{file}: {e.strerror}") from None


def _asked(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise Invalid("say who you are: --email ADDRESS")
    return input(prompt).strip()


def _password() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("Your password: ")
    return sys.stdin.readline().rstrip("\n")
