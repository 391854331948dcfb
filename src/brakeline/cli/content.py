"""`brakeline content`: advisory data that is live and how old it is, import and fetch, what waits before it is live."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from brakeline.advisories.changelogs import lines
from brakeline.cli import changelog_files
from brakeline.cli.client import Client
from brakeline.cli.faults import CannotRead
from brakeline.cli.output import Json, emit, noun, say, table, talk, when
from brakeline.cli.waiting import emit_or_wait

app = noun("Advisory data: what is live, what is held before it is.")
Sha = Annotated[str, typer.Option(help="SHA-256 of the content that you saw.")]
Day = Annotated[str, typer.Option(help="Of a file that does not say its own: debian-tracker, alpine-…, arch-security.")]
FEEDS = (
    "epss, cisa-kev, cvss or cvss-NAME (cvss-2025), end-of-life, rustsec, osv-ECOSYSTEM (osv-pypi), or of a vendor: "
    "csaf-redhat, csaf-suse, csaf-opensuse, csaf-microsoft, ubuntu-usn, msrc, apple-macos, arch-security, "
    "debian-dsa, debian-dla, changelogs-debian-12 (made by: brakeline content changelogs)."
)
SHOWN = 10
UPLOAD_S = 180.0  # a year of CVSS vectors is read in a minute on a slow machine


@app.command()
def status(as_json: Json = False) -> None:
    """How old each feed is, where it comes from, and whether that is too old."""
    answer = Client.from_context().get("/content/status")

    def human() -> None:
        table(
            ["feed", "version", "rows", "from", "how old", "problem"],
            [(f["feed"], f["version"], f["rows"], f["address"] or f["origin"], f["says"], f["problem"])
             for f in answer["feeds"]],
            "No feed is loaded.",
        )  # fmt: skip
        for feed in answer["feeds"]:
            if feed["limits"]:
                talk(f"{feed['feed']}: {feed['limits']}")

    emit(answer, as_json, human)


@app.command("import")
def import_feed(
    feed: Annotated[str, typer.Argument(help=FEEDS)],
    file: Annotated[
        Path, typer.Argument(help="As it is published: CSV, JSON, lines or zip; also .gz or .zst; or a bundle.")
    ],
    day: Day = "",
    as_json: Json = False,
) -> None:
    """Take a file of a feed, as on a machine without internet; an older or broken one changes nothing."""
    data = _read(file)
    made = Client.from_context(UPLOAD_S).upload(f"/content/{feed}/import{_of(day)}", data, "application/octet-stream")
    emit(made, as_json, lambda: _imported(made))


def _of(day: str) -> str:
    return f"?{urlencode({'day': day})}" if day else ""


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as e:
        raise CannotRead(f"{file}: {e.strerror}") from None


@app.command()
def bundle(
    feed: Annotated[str, typer.Argument(help="rustsec, osv-ECOSYSTEM, or one of a vendor.")],
    file: Annotated[Path, typer.Argument(help="To be written; it is packed with gzip.")],
    as_json: Json = False,
) -> None:
    """Write a feed's live rows to a file that another server imports, as on a machine without internet."""
    said = Client.from_context(UPLOAD_S).get(f"/content/{feed}/bundle")
    data = gzip.compress(json.dumps(said, separators=(",", ":")).encode(), mtime=0)
    try:
        file.write_bytes(data)
    except OSError as e:
        raise CannotRead(f"{file}: {e.strerror}") from None
    made = {"feed": feed, "file": str(file), "issued": said["issued"], "rows": len(said["rows"]),
            "rows_sha256": said["sha256"], "file_sha256": hashlib.sha256(data).hexdigest()}  # fmt: skip
    emit(made, as_json, lambda: _bundled(made))


def _bundled(made: dict[str, Any]) -> None:
    say(f"{made['feed']}: {made['rows']} rows of {made['issued']} in {made['file']}.")
    talk(f"It is hashed, not signed. Compare after carrying it: sha256sum says {made['file_sha256']}")
    talk(f"There: brakeline content diff {made['feed']} FILE, then: brakeline content import {made['feed']} FILE")


@app.command()
def diff(
    feed: Annotated[str, typer.Argument(help="rustsec, osv-ECOSYSTEM, or one of a vendor.")],
    file: Annotated[Path, typer.Argument(help="A file or a bundle of the feed.")],
    day: Day = "",
    as_json: Json = False,
) -> None:
    """What a file would change, before it is imported; nothing is changed."""
    made = Client.from_context(UPLOAD_S).upload(
        f"/content/{feed}/diff{_of(day)}", _read(file), "application/octet-stream"
    )

    def human() -> None:
        say(f"{feed}: adds {made['added']} advisories, takes away {made['removed']}, changes {made['changed']}; "
            f"{made['same']} stay as they are.")  # fmt: skip
        for kind, ids in made["samples"].items():
            if ids:
                talk(f"  {kind}: {', '.join(ids)}{' …' if len(ids) < made[kind] else ''}")

    emit(made, as_json, human)


@app.command()
def changelogs(
    paths: Annotated[list[Path], typer.Argument(help="Packages (.deb, .debian.tar.xz), changelogs, or directories.")],
    out: Annotated[Path, typer.Option(help="File to write; import it as changelogs-debian-12.")],
    as_json: Json = False,
) -> None:
    """What changelogs say was fixed, as a file to import: where no other feed can be had, any apt mirror suffices."""
    made, skipped = changelog_files.derive(paths)
    try:
        out.write_text("".join(f"{line}\n" for line in lines(made)), encoding="utf-8")
    except OSError as e:
        raise CannotRead(f"{out}: {e.strerror}") from None
    said = {"file": str(out), "rows": len(made), "sources": len({row.source for row in made}),
            "skipped": [{"file": str(path), "reason": why} for path, why in skipped]}  # fmt: skip

    def human() -> None:
        say(f"{said['rows']} fixes of {said['sources']} sources in {out}.")
        talk(f"Next: brakeline content import changelogs-debian-12 {out}   # or the release that these packages are of")
        for path, why in skipped[:SHOWN]:
            talk(f"  skipped: {path}: {why}")
        if len(skipped) > SHOWN:
            talk(f"  and {len(skipped) - SHOWN} more were skipped")

    emit(said, as_json, human)


@app.command()
def windows(
    product: Annotated[
        str, typer.Argument(help="As Microsoft names it: Windows 10 Version 22H2 for x64-based Systems.")
    ],
    build: Annotated[str, typer.Option(help="As winver tells it: 10.0.19045.4170.")] = "",
    kb: Annotated[
        list[str] | None, typer.Option(help="An installed update (KB5035845); as often as there are.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What stands open for a Windows of this build with these updates; an update closes what it takes the place of."""
    body = {"product": product, "build": build, "kbs": kb or []}
    made = Client.from_context().post("/content/windows/check", body)

    def human() -> None:
        table(
            ["open", "why"], [(v["cve"], v["because"]) for v in made["open"]],
            f"Nothing that is loaded stands open; {len(made['closed'])} are closed.",
        )  # fmt: skip
        if made["open"]:
            talk(f"{len(made['open'])} stand open, {len(made['closed'])} are closed.")
        for why in made["left_out"]:
            talk(f"  not judged: {why}")

    emit(made, as_json, human)


@app.command()
def fetch(
    feed: Annotated[str, typer.Argument(help="One with an address: brakeline content status.")], as_json: Json = False
) -> None:
    """Ask the feed's address now (settings epss_url, kev_url, cvss_url, feed_urls); every six hours it is anyway."""
    made = Client.from_context(UPLOAD_S).post(f"/content/{feed}/fetch")
    emit(made, as_json, lambda: _imported(made))


def _imported(made: dict[str, Any]) -> None:
    if made["outcome"] == "held":
        say(f"{made['feed']}: not live yet. {made['problem']}")
        talk("What it would change, and who decides: brakeline content list")
        return
    issued = made["issued"] or "at no known time"
    say(f"{made['feed']}: {made['version']} is live, {made['rows']} rows, issued {issued}.")


@app.command("list")
def list_content(as_json: Json = False) -> None:
    """Feeds with their age, content that is held and why, and the bounds."""
    answer = Client.from_context().get("/content")

    def human() -> None:
        table(
            ["feed", "version", "newest entry", "loaded", "problem"],
            [(f["feed"], f["version"], f["content_day"], when(f["loaded_ms"]), f["problem"]) for f in answer["feeds"]],
            "No feed is loaded.",
        )
        for held in answer["held"]:
            _held(held)
        bound = answer["bound"]
        talk(
            f"Held is what takes away over {bound['losses']:.0%} of all findings or adds over {bound['additions']:.0%}."
        )

    emit(answer, as_json, human)


def _held(held: dict[str, Any]) -> None:
    say(f"held: {held['feed']} {held['version']}, since {when(held['held_ms'])}: {held['reason']}")
    named = held["flips"]["named"]
    if named:
        some = ", ".join(f"{n['cve']} on {n['endpoints']}" for n in named[:5])
        say(f"  provisional, known to be exploited, and not live yet: {some}")
    if held["decision"]:
        say(f"  {held['decision']} by {held['decided_by']}")
    else:
        say(f"  brakeline content accept {held['feed']} --sha256 {held['sha256']}")


@app.command()
def accept(feed: str, sha256: Sha, as_json: Json = False) -> None:
    """Let held content be live; content that takes findings away needs a second person."""
    made = Client.from_context().post(f"/content/{feed}/accept", {"sha256": sha256})
    emit_or_wait(made, as_json, lambda: say(f"{feed}: accepted."))


@app.command()
def refuse(
    feed: str, sha256: Sha, reason: Annotated[str, typer.Option(help="Why, for whoever looks next.")],
    as_json: Json = False,
) -> None:  # fmt: skip
    """Keep the last good content until newer comes."""
    Client.from_context().post(f"/content/{feed}/refuse", {"sha256": sha256, "reason": reason})
    emit({"feed": feed, "refused": True}, as_json, lambda: say(f"{feed}: refused; the last good content stays."))


@app.command()
def bound(
    losses: Annotated[float, typer.Option(help="Share of findings that content may take away at once.")],
    additions: Annotated[float, typer.Option(help="Share that it may add.")],
    as_json: Json = False,
) -> None:
    """Set the bounds (0.01 to 0.5); to raise one takes a second person."""
    made = Client.from_context().put("/content/bound", {"losses": losses, "additions": additions})
    emit_or_wait(made, as_json, lambda: say(f"losses {losses:.0%}, additions {additions:.0%}"))
