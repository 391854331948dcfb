"""`brakeline unfreeze`: ask for a freeze to be lifted. A second person agrees: `brakeline approval`."""

from __future__ import annotations

from typing import Annotated

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, noun, say
from brakeline.cli.waiting import emit_or_wait

app = noun("Lift a freeze: needs a reason and a second person.")


@app.callback(invoke_without_command=True, no_args_is_help=False, subcommand_metavar="")
def unfreeze(
    reason: Annotated[str, typer.Option("--reason", help="Why it is over. Kept in the log.")],
    as_json: Json = False,
) -> None:
    """Ask for the freeze to be lifted; rollouts go on by evidence when a second person has agreed."""
    answer = Client.from_context().post("/freeze/lift", {"reason": reason})
    emit_or_wait(answer, as_json, lambda: say("Nothing is frozen any more; rollouts go on where they stood."))
