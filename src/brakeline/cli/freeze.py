"""`brakeline freeze`: stop everything of the organisation, now. Never asks; pressing twice does no harm.

With `--break-glass` the printed code speaks instead of the token: it is read from standard input, so that no history
has it, and works while the server's database is away. What it stops: docs/how-to/freeze.md. Lifting: `unfreeze`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, talk, when

app = noun("Stop everything, now: no rollout, release or retry starts anything new on any endpoint.")


@app.callback(invoke_without_command=True, no_args_is_help=False, subcommand_metavar="")
def freeze(
    reason: Annotated[str, typer.Option("--reason", help="Shown to everybody; may come with a second press.")] = "",
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="By the printed code, read from standard input.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Stop everything of the organisation, now. Never asks; pressing twice does no harm."""
    client = Client.from_context()
    if break_glass:
        if sys.stdin.isatty():
            talk("Type the break-glass code and press Enter:")
        client = client.by_code(sys.stdin.readline().strip())
    ack = client.post("/freeze", {"reason": reason})

    def human() -> None:
        why = ack["reason"] or "no reason was given"
        say(f"Everything is frozen by {ack['by']} since {when(ack['since_ms'])}: {why}")
        if ack["state"] == "pressed":
            say("The server's database is away: it holds all the same, and is written down when that is back.")

    emit(ack, as_json, human)
