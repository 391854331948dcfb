"""`brakeline software`: own packages: check, sign, add, list, show, withdraw; content; what vendors have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from brakeline.cli.client import Client
from brakeline.cli.faults import BadUsage
from brakeline.cli.output import Json, emit, noun, pairs, say, table, talk, when
from brakeline.cli.software_author import authors, check, discover, read_file, sign
from brakeline.cli.software_catalogue import app as catalogue

app = noun("Own packages and scripts: check, sign, authors, add, list, show, withdraw, content, discover; catalogue.")
app.add_typer(catalogue, name="catalogue")
UPLOAD_S = 180.0
for verb in (check, sign, authors, discover):  # of those who write packages: no server is asked
    app.command()(verb)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="A signed package, as `software sign` has written it.")],
    payload: Annotated[Path | None, typer.Option(help="Its artifact, where that travels in content.")] = None,
    as_json: Json = False,
) -> None:
    """Take in a signed package. The same text with another signature adds that; a version never changes."""
    client = Client.from_context(UPLOAD_S)
    data = read_file(file)
    artifact = None if payload is None else read_file(payload)
    made = client.upload("/own-packages", data, "application/json")
    if artifact is not None:
        items = client.upload("/own-packages/payloads", artifact, "application/octet-stream")["items"]
        made = next((e for e in items if e["full_version"] == made["full_version"]), made)

    def human() -> None:
        say(f"{made['name']} {made['version']} is {made['full_version']}, signed by {len(made['signed_by'])}.")
        if not made["has_payload"]:
            talk(f"Its artifact is not here yet: brakeline software add {file} --payload {made['artifact']}")
        talk(f"What stands between it and endpoints: brakeline software show {made['name']}")

    emit(made, as_json, human)


@app.command("list")
def list_software(as_json: Json = False) -> None:
    """Every own package that was taken in, withdrawn versions too."""
    found = Client.from_context().get("/own-packages")
    rows = [
        (e["name"], e["full_version"], "script" if e["script_only"] else e["artifact"], e["platform"],
         len(e["signed_by"]), _state(e), when(e["added_ms"]), e["added_by"])
        for e in found["items"]
    ]  # fmt: skip
    columns = ["name", "version", "what", "for", "signatures", "state", "added", "by"]
    emit(found, as_json, lambda: table(columns, rows, "There are none: brakeline software add FILE"))


def _state(e: dict[str, Any]) -> str:
    if e["withdrawn_ms"]:
        return f"withdrawn: {e['withdrawn_reason']}"
    return "ready" if e["has_payload"] else "its artifact is not here yet"


@app.command()
def show(
    name: str,
    version: Annotated[str, typer.Argument(help="The author's or the full one; without it, the newest.")] = "",
    as_json: Json = False,
) -> None:
    """One package: every script of it, who has signed, and what stands between it and endpoints."""
    found = Client.from_context().get(f"/own-packages/{quote(name)}", version=version)
    e = found["entry"]

    def human() -> None:
        pairs({
            "name": e["name"], "version": e["full_version"], "title": e["title"], "vendor": e["vendor"],
            "for": e["platform"], "artifact": e["artifact"] or "none: it is a script",
            "from": e["artifact_url"] or "content", "added": f"{when(e['added_ms'])} by {e['added_by']}",
            "signed by": ", ".join(e["signed_by"]), "deployed as": f"{e['name']}:own",
        })  # fmt: skip
        for step, text in found["scripts"].items():
            say(f"\n--- {step}\n{text.rstrip()}")
        say(f"\n{found['standing']}")

    emit(found, as_json, human)


@app.command()
def withdraw(
    name: str,
    version: str,
    reason: Annotated[str, typer.Option(help="For whoever looks next.")],
    as_json: Json = False,
) -> None:
    """No further content and no new deployment has this version. What runs already, `rollout brake` stops."""
    made = Client.from_context().post(f"/own-packages/{quote(name)}/{quote(version)}/withdraw", {"reason": reason})

    def human() -> None:
        say(f"{name} {made['full_version']} is withdrawn.")
        talk("Rollouts that bring it already go on: brakeline rollout list, brakeline rollout brake ID")

    emit(made, as_json, human)


@app.command()
def content(
    folder: Annotated[Path, typer.Argument(help="A new folder, for `release build --product content --from FOLDER`.")],
    rules: Annotated[Path | None, typer.Option(help="rules.json to go with it; else the project's own.")] = None,
    as_json: Json = False,
) -> None:
    """Write the folder of the next content: the rules, the curated catalogue, and every package that is ready."""
    from brakeline.catalog.curated.model import CATALOGUE
    from brakeline.protocol.content import RULES
    from brakeline.protocol.software import PAYLOADS, read
    from brakeline.releases.contents import default_source, read_source

    if folder.exists() and any(folder.iterdir()):
        raise BadUsage(f"{folder} is not empty: what lies there would become content too")
    client = Client.from_context(UPLOAD_S)
    entries = client.get("/own-packages")["items"]
    files = {RULES: read_file(rules or default_source() / RULES), CATALOGUE: read_file(default_source() / CATALOGUE)}
    for e in (e for e in entries if e["has_payload"] and not e["withdrawn_ms"]):
        data = client.download(f"/own-packages/{quote(e['name'])}/{quote(e['version'])}/document")
        files[read(data).file] = data
        if e["artifact"] and not e["artifact_url"]:
            digest = e["artifact_sha256"]
            files[f"{PAYLOADS}{digest}"] = client.download(f"/own-packages/payloads/{digest}")
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    read_source(folder)  # what could not be published is said here, before anybody signs it
    left = {f"{e['name']} {e['version']}": _state(e) for e in entries if _state(e) != "ready"}
    told = {"folder": str(folder), "files": sorted(files), "left_out": left}

    def human() -> None:
        say("\n".join(sorted(files)))
        for what, why in left.items():
            talk(f"left out: {what}: {why}")
        talk(f"Next: brakeline release build VERSION --product content --sequence N --from {folder}")

    emit(told, as_json, human)
