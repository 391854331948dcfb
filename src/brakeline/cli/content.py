"""`brakeline content`: advisory data that is live, and what waits because it would flip too many findings at once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk, when
from brakeline.cli.waiting import emit_or_wait

app = noun("Advisory data: what is live, what is held before it is.")
Sha = Annotated[str, typer.Option(help="SHA-256 of the content that you saw.")]


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
