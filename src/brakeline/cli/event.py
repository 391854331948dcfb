"""`brakeline event`: what happened, for other programs: receivers, what they did not take, the stream."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk, when

app = noun("Events: receivers (webhooks, syslog), what they did not take, the stream.")
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Such as rollout.brake or rollout.*; several times.")]


@app.command()
def sinks(as_json: Json = False) -> None:
    """Receivers, how far each is behind, and what is wrong with it."""
    answer = Client.from_context().get("/event-sinks")

    def human() -> None:
        table(
            ["id", "name", "address", "kinds", "behind", "dead", "worked last", "problem"],
            [(s["id"], s["name"], s["address"], " ".join(s["kinds"]) or "everything", s["behind"], s["dead"],
              when(s["worked_ms"] or None) or "never",
              f"{s['problem']} (try {s['tries']}, again {when(s['next_ms'])})" if s["problem"] else "")
             for s in answer["items"]],
            "Nobody is told anything.",
        )  # fmt: skip

    emit(answer, as_json, human)


@app.command()
def add(
    name: str,
    address: Annotated[str, typer.Argument(help="https://…, syslog+tls://HOST:PORT or syslog+tcp://HOST:PORT")],
    kinds: Kinds = None,
    as_json: Json = False,
) -> None:
    """Tell a receiver what happens from now on. The key that signs a webhook is shown this once."""
    made = Client.from_context().post("/event-sinks", {"name": name, "address": address, "kinds": kinds or []})

    def human() -> None:
        say(f"{made['id']}: {made['name']} is told {', '.join(made['kinds']) or 'everything'} from now on.")
        if made["key"]:
            say(f"key: {made['key']}")
            talk("Shown this once. Brakeline-Signature is v1= and HMAC-SHA256 by it over TIMESTAMP.BODY.")
        talk(f"Try it: brakeline event test {made['id']}")

    emit(made, as_json, human)


@app.command()
def remove(sink: str, as_json: Json = False) -> None:
    """It is told nothing more; its dead letters go with it."""
    Client.from_context().delete(f"/event-sinks/{sink}")
    emit({"id": sink, "removed": True}, as_json, lambda: say(f"{sink}: removed."))


@app.command("test")
def try_sink(sink: str, as_json: Json = False) -> None:
    """Let an event happen that only says that it is a test; `sinks` says whether it came."""
    made = Client.from_context().post(f"/event-sinks/{sink}/test")
    emit(made, as_json, lambda: say("Asked. It goes to every receiver that is told sink.test."))


@app.command()
def dead(sink: str, limit: Annotated[int, typer.Option(min=1, max=500)] = 100, as_json: Json = False) -> None:
    """What a receiver did not take after many tries."""
    answer = Client.from_context().get(f"/event-sinks/{sink}/dead", limit=limit)

    def human() -> None:
        table(
            ["number", "what", "about", "given up", "tries", "why"],
            [(d["sequence"], *_what(d["event"]), when(d["at_ms"]), d["tries"], d["problem"]) for d in answer["items"]],
            "None.",
        )
        if answer["items"]:
            talk(f"Send them again: brakeline event replay {sink}")

    emit(answer, as_json, human)


@app.command()
def replay(sink: str, as_json: Json = False) -> None:
    """Deliver a receiver's dead letters now, oldest first, until it refuses one again."""
    made = Client.from_context(120.0).post(f"/event-sinks/{sink}/replay")

    def human() -> None:
        say(f"{made['delivered']} delivered." + (f" Then: {made['problem']}." if made["problem"] else ""))

    emit(made, as_json, human)


@app.command("list")
def list_events(
    after: Annotated[int, typer.Option(min=0, help="Behind this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 100,
    kinds: Kinds = None,
    as_json: Json = False,
) -> None:
    """What happened behind a number, oldest first; kept for 30 days."""
    answer = Client.from_context().get("/events", after=after, limit=limit, kind=kinds or None)

    def human() -> None:
        table(
            ["number", "at", "what", "about", "data"],
            [(e["sequence"], e["at"], e["kind"], e["subject"], json.dumps(e["data"], ensure_ascii=False)[:100])
             for e in answer["items"]],
            "Nothing.",
        )  # fmt: skip
        talk(f"Go on: --after {answer['next']}. As it happens: GET /api/v1/events/stream (server-sent events).")

    emit(answer, as_json, human)


def _what(event: dict[str, Any] | None) -> tuple[str, str]:
    return (event["kind"], event["subject"]) if event else ("not kept any more", "")
