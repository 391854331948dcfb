"""`brakeline release`: builds, publishes, promotes and forbids releases of our own agent, launcher and content.

Publishing makes nobody run anything: `promote` makes a rollout of it, under the brake. Withdraw: nobody else gets it.
Recall: nobody runs it any more. What the holders of offline keys do stands in `release_keys`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brakeline.cli import release_package
from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, pairs, say, table, talk, when
from brakeline.cli.plan_file import read_plan
from brakeline.cli.release_attest import attest, attested
from brakeline.cli.release_keys import adopt, import_signed, keygen, read_bundle, rotate, save, sign, stage
from brakeline.cli.waiting import emit_or_wait
from brakeline.core.errors import Invalid
from brakeline.protocol.channels import EARLY, STABLE

if TYPE_CHECKING:
    from brakeline.trust.model import Documents

app = noun("Releases of the agent, the launcher and endpoint content.")
UPLOAD_S = 120.0
PRODUCTS = ("agent", "launcher", "content")
Reason = Annotated[str, typer.Option(help="Why. Kept in the audit log.")]
Channel = Annotated[str, typer.Option(help="stable: every endpoint; early: those alone that follow it.")]
app.command("package")(release_package.package)

for verb in (keygen, stage, rotate, sign, attest, save):  # of those who hold keys
    app.command()(verb)
app.command("import")(import_signed)


@app.command()
def build(
    version: Annotated[str, typer.Argument(help="What the release calls itself, such as 1.4.0.")],
    sequence: Annotated[int, typer.Option(help="Rises with every release of a product; decides what is newer.")],
    product: Annotated[str, typer.Option(help="agent, launcher or content")] = "agent",
    source: Annotated[
        Path | None, typer.Option("--from", help="For content: the folder with rules.json; else the project's own.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory for the three files.")] = Path(),
    as_json: Json = False,
) -> None:
    """Build a release of this very source: bundle, bill of materials, provenance. The same source, the same bytes."""
    from brakeline.releases.build import build_release

    if source is not None and product != "content":
        raise Invalid("--from is for content: programs are built of this very source")
    made = build_release(product, version, sequence, package=source)
    stem = f"brakeline-{product}-{made.release_id}"
    files = {f"{stem}.tar": made.bundle, f"{stem}.cdx.json": made.sbom.encode(),
             f"{stem}.intoto.json": made.provenance.encode()}  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)
    told = {"id": made.release_id, "sha256": made.sha256, "files": [str(out / name) for name in files]}
    emit(told, as_json, lambda: say("\n".join((made.release_id, *told["files"]))))


@app.command()
def publish(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `release build` has made.")],
    notes: Annotated[str, typer.Option(help="One sentence for those who promote it.")] = "",
    targets: Annotated[
        Path | None, typer.Option(help="Signed targets (content) that list it; for offline keys.")
    ] = None,
    official: Annotated[Path | None, typer.Option(help="The project's documents: adopt an official bundle.")] = None,
    project_root: Annotated[Path | None, typer.Option(help="With --official: the project's root.")] = None,
    as_json: Json = False,
) -> None:
    """Sign and publish a bundle. Nobody runs it until it is promoted."""
    from urllib.parse import urlencode

    data = read_bundle(bundle)
    adopt(data, official, project_root)
    client = Client.from_context(UPLOAD_S)
    if targets is not None:
        from brakeline.releases.ceremony_files import read_text

        role = "content" if targets.name == "content.json" else "targets"
        client.post("/releases/metadata", {role: read_text(targets)})
    made = client.upload("/releases?" + urlencode({"notes": notes}), data, "application/x-tar")
    emit(made, as_json, lambda: _published(made))


def _published(made: dict[str, Any]) -> None:
    say(made["id"])
    talk(f"Nobody runs it yet: brakeline release promote {made['id']} --start")


@app.command()
def promote(
    release: str,
    pace: Annotated[str, typer.Option(help="careful, fast, emergency or rehearsal")] = "careful",
    policy: Annotated[Path | None, typer.Option(help="A policy of your own as JSON, instead of --pace.")] = None,
    expect: Annotated[int | None, typer.Option(help="Refuse unless so many endpoints are concerned.")] = None,
    start: Annotated[bool, typer.Option("--start", help="Start it at once; else it is a draft.")] = False,
    channel: Channel = STABLE,
    as_json: Json = False,
) -> None:
    """Roll a published release out to every endpoint, or to those that follow early, ring by ring, under the brake."""
    body = {"pace": pace, "expect_count": expect, "start": start, "policy": read_plan(policy) if policy else None,
            "channel": channel}  # fmt: skip
    made = Client.from_context(UPLOAD_S).post(f"/releases/{release}/promote", body)
    emit_or_wait(made, as_json, lambda: say(made["id"]))
    if not as_json:
        talk(f"Watch it: brakeline rollout watch {made['id']}")


@app.command("list")
def list_releases(as_json: Json = False) -> None:
    """Every release, newest first."""
    answer = Client.from_context().get("/releases")
    rows = [(r["id"], r["product"], r["sequence"], r["state"], when(r["published_ms"]), r["published_by"],
             r["recalled_reason"] or r["withdrawn_reason"] or r["notes"]) for r in answer["items"]]  # fmt: skip
    columns = ["release", "product", "sequence", "state", "published", "by", "notes"]
    emit(answer, as_json, lambda: table(columns, rows, "None is published."))


@app.command()
def show(release: str, as_json: Json = False) -> None:
    """One release: what it is, its rollouts, on how many endpoints it runs, which trials failed and why."""
    client = Client.from_context()
    found = {
        "release": client.get(f"/releases/{release}"),
        "rollouts": client.get("/rollouts", release=release)["items"],
        "standing": _standing(client.get("/fleet/releases"), release),
        "trials": client.get(f"/fleet/releases/{release}/trials"),
    }
    emit(found, as_json, lambda: _show(found))


def _standing(standings: dict[str, Any], release: str) -> dict[str, Any]:
    none = dict.fromkeys(("running", "confirmed", "probation", "quarantined", "recalled"), 0)
    found = next((x for x in standings["items"] if x["release_id"] == release), {"release_id": release, **none})
    return found | {key: standings[key] for key in ("with_launcher", "without_launcher")}


def _show(found: dict[str, Any]) -> None:
    r, s = found["release"], found["standing"]
    reason = r["recalled_reason"] or r["withdrawn_reason"]
    asked = f"asked for by {r['pardon_asked_by']}: a second person agrees" if r["pardon_asked_ms"] else "-"
    pairs({
        "release": f"{r['product']} {r['version']} ({r['id']}), sequence {r['sequence']}, platform {r['platform']}",
        "state": f"{r['state']}: {reason}" if reason else r["state"], "pardon": asked,
        "sha256": r["sha256"], "length": f"{r['length']} bytes", "notes": r["notes"] or "-",
        "published": f"{when(r['published_ms'])} by {r['published_by']}",
        "endpoints": f"{s['running']} run it, {s['confirmed']} have it confirmed, {s['probation']} on probation, "
                     f"{s['quarantined']} quarantined it; {s['without_launcher']} have no launcher",
    })  # fmt: skip
    say()
    rows = [(x["id"], x["channel"], x["state"], f"{x['exposed']}/{x['targets']}", x["why"]) for x in found["rollouts"]]
    table(["rollout", "channel", "state", "exposed", "why"], rows, f"Not promoted: brakeline release plan {r['id']}")
    say()
    trials = [(t["hostname"], t["outcome"], t["code"], t["runs"], t["detail"]) for t in found["trials"]["items"]]
    table(["endpoint", "trial", "code", "executed", "detail"], trials, "No launcher reports a failed trial of it.")


@app.command()
def plan(
    release: str, pace: Annotated[str, typer.Option(help="careful, fast, emergency or rehearsal")] = "careful",
    channel: Channel = STABLE, as_json: Json = False,
) -> None:  # fmt: skip
    """What promoting it would do: endpoints, rings, what the brake can see. Changes nothing."""
    answer = Client.from_context().get(f"/releases/{release}/promotion", pace=pace, channel=channel)

    def human() -> None:
        say(f"{answer['title']} to {answer['endpoints']} endpoints; {answer['without_launcher']} have no launcher yet")
        table(["ring", "up to", "bake h"], [(r["name"], r["upto"], f"{r['bake_s'] / 3600:g}") for r in answer["rings"]])
        for sentence in answer["statistics"]:
            say(f"  {sentence}")
        if not answer["endpoints"]:
            say("No policy says who follows early." if channel == EARLY else "Enrol an endpoint first.")
            return
        to = f" --channel {channel}" if channel != STABLE else ""
        talk(f"Do it: brakeline release promote {release} --pace {pace}{to} --expect {answer['endpoints']} --start")

    emit(answer, as_json, human)


@app.command()
def status(as_json: Json = False) -> None:
    """Where the keys are, what expires, what people have to do."""
    answer = Client.from_context().get("/releases/status")

    def human() -> None:
        pairs({"root": f"{answer['kind']} root, version {answer['root_version']}", "keys": answer["headline"]})
        rows = [(k["role"], k["threshold"], "; ".join(k["where"]), when(k["expires_ms"])) for k in answer["keys"]]
        table(["role", "threshold", "where", "expires"], rows)
        for warning in answer["warnings"]:
            talk(warning)
        if answer["useless_keys"]:
            talk(f"No role needs these key files any more; destroy them: {', '.join(answer['useless_keys'])}")

    emit(answer, as_json, human)


@app.command()
def withdraw(release: str, reason: Reason, as_json: Json = False) -> None:
    """Offer it to nobody any more; whoever runs it goes on."""
    _act("withdraw", release, reason, as_json)


@app.command()
def recall(release: str, reason: Reason, as_json: Json = False) -> None:
    """Forbid it everywhere, now: endpoints go back to their last known good."""
    _act("recall", release, reason, as_json)


@app.command()
def pardon(release: str, reason: Reason, as_json: Json = False) -> None:
    """Ask for a recall to be taken back; a second person agrees first."""
    _act("pardon", release, reason, as_json)


def _act(verb: str, release: str, reason: str, as_json: bool) -> None:
    answer = Client.from_context().post(f"/releases/{release}/{verb}", {"reason": reason})
    emit_or_wait(answer, as_json, lambda: say(f"{answer['id']}: {answer['state']}"))


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    root: Annotated[Path | None, typer.Option(help="The root to trust; without it, this server's.")] = None,
    provenance: Annotated[
        Path | None, typer.Option(help="The .intoto.dsse.json beside it: who vouches for what it was built from?")
    ] = None,
    as_json: Json = False,
) -> None:
    """Whether the signed documents of this server list exactly this bundle, by the verifier that endpoints use.

    With --provenance also whether enough holders have vouched for its sources; of a .deb or .rpm, that alone.
    """
    import hashlib

    from brakeline.releases.model import CONTENT
    from brakeline.trust.model import Documents

    client = Client.from_context()
    pinned = root.read_text() if root else client.get("/releases/root")["root"]
    plain = client.get("/releases/documents")
    given = Documents(tuple(plain["roots"]), *(plain[k] for k in ("timestamp", "snapshot", "targets", "content")))
    data = bundle.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    told = next(filter(None, (_signed_as(pinned, given, product, digest, len(data)) for product in PRODUCTS)), None)
    if told is None and provenance is not None and bundle.suffix in (".deb", ".rpm"):  # listed by a repository of these
        told = {"id": bundle.name, "path": f"SHA-256 {digest[:12]}…"}
    if told is None:
        what = f"{bundle.name} ({digest[:12]}…)"
        raise Invalid(f"{what} is not listed by the signed targets: it is no release of this server")
    lines = [f"{told['id']}: signed as {told['path']}"] if "product" in told else []
    if provenance is not None:
        role = CONTENT if told.get("product") == CONTENT else "targets"
        told["provenance"] = attested(provenance, digest, pinned, given, role)
        lines.append(f"{told['id']}: {told['provenance']['words']}; enough holders vouch for it")
    emit(told, as_json, lambda: say("\n".join(lines)))


def _signed_as(pinned: str, given: Documents, product: str, sha256: str, length: int) -> dict[str, Any] | None:
    from brakeline.trust.assess import assess
    from brakeline.trust.model import ClockReading, Documents, Floors, Who

    seen = assess(pinned, Documents(), given, Who("", "", "", product=product), ClockReading(0), Floors())
    found = next((o for o in seen.known if o.sha256 == sha256 and o.length == length), None)
    if found is None:
        return None
    return {"id": found.release_id, "product": product, "sequence": found.sequence, "path": found.path}
