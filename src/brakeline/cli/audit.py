"""`brakeline audit`: who did what, and whether the log is as it was written."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Exit, Json, emit, noun, say, table, talk, when

app = noun("Who did what: list and verify the chain.")


@app.command("list")
def list_entries(
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, newest first.")] = 50,
    cursor: Annotated[str, typer.Option(help="Go on where the page before ended.")] = "",
) -> None:
    """The newest entries of the audit log."""
    page = Client.from_context().get("/audit", limit=limit, cursor=cursor or None)

    def human() -> None:
        table(["#", "when", "who", "what", "object"], [_row(e) for e in page["items"]], "No entries.")
        if page["next_cursor"]:
            talk(f"There is more: brakeline audit list --cursor {page['next_cursor']}")

    emit(page, as_json, human)


@app.command()
def verify(as_json: Json = False) -> None:
    """Check every entry's hash and place in the chain. Exit code 1 when something was changed."""
    found = Client.from_context(timeout_s=300).get("/audit/verify")

    def human() -> None:
        if found["intact"]:
            say(f"The audit log is intact: {found['entries']} entries, chain ends in {found['end'][:16] or 'nothing'}.")
            talk("Keep that end somewhere else, to notice if the whole log were replaced one day.")
        else:
            say(f"The audit log was tampered with: {found['problem']}.")
            say(f"Entries 1 to {found['entries']} are as they were written.")
            talk("next: compare with a backup, and find out who can write to the database's files.")

    emit(found, as_json, human)
    if not found["intact"]:
        raise typer.Exit(Exit.FAILED)


def _row(entry: dict[str, Any]) -> tuple[object, ...]:
    return entry["sequence"], when(entry["at_ms"]), entry["actor_name"], entry["action"], entry["object_id"]
