"""`brakeline cell`: the cells that this one conducts, and the conductor that this one believes.

At the conductor: add (prints a join token, once), list, drain, isolate NAME, restore. In a cell: join TOKEN, isolate
(without a name: itself). What narrows is one command; every other needs a reason, which is kept.
"""

from __future__ import annotations

from typing import Annotated

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk, when
from brakeline.cli.waiting import emit_or_wait

app = noun("Cells: whole control planes that a conductor leads a change through; only counts pass between them.")
Why = Annotated[str, typer.Option("--reason", help="Kept in the audit log.")]
Name = Annotated[str, typer.Argument(help="The cell's name.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Cells that this one conducts, and who conducts this one."""
    answer = Client.from_context().get("/cells")

    def human() -> None:
        rows = [
            (c["name"], c["region"], c["state"], when(c["heard_ms"] or None), f"{c['skew_ms'] / 1000:+.1f} s",
             c["version"], c["doubt"])
            for c in answer["cells"]
        ]  # fmt: skip
        table(["cell", "region", "state", "heard", "clock", "version", "not believed because"], rows)
        link = answer["link"]
        if link is None:
            talk("This cell has no conductor: `brakeline cell join TOKEN` with a token of `cell add` there.")
        else:
            state = "isolated" if link["isolated"] else f"answered {when(link['answered_ms'] or None)}"
            lane = f"generation {link['generation']}{', also in the fast lane' if link['fast_lane'] else ''}"
            talk(f"Conducted by {link['conductor']} as {link['name']} ({lane}): {state}. "
                 f"{link['trouble']}".strip())  # fmt: skip
        if answer["superseded"]:
            say(f"{answer['superseded'].capitalize()}.")

    emit(answer, as_json, human)


@app.command()
def add(
    name: Name,
    region: Annotated[str, typer.Option("--region", help="The region in which it stands.")],
    url: Annotated[str, typer.Option("--url", help="Where that cell reaches this server; else as you do.")] = "",
    generation: Annotated[int, typer.Option("--generation", help="Above that of a lost conductor; 0 = as known.")] = 0,
    as_json: Json = False,
) -> None:
    """Invite a cell: prints its join token, good once and for a day."""
    body = {"name": name, "region": region, "url": url, "generation": generation}
    made = Client.from_context().post("/cells", body)

    def human() -> None:
        say(made["token"])
        talk(f"In {name}: brakeline cell join TOKEN. The token is shown once.")

    emit(made, as_json, human)


@app.command()
def join(
    token: Annotated[str, typer.Argument(help="What `cell add` printed.")],
    fast: Annotated[bool, typer.Option("--fast-lane", help="It may lead here in the fast lane, too.")] = False,
    as_json: Json = False,
) -> None:
    """Let the conductor that made this token lead here. Its own brake, budgets and windows hold all the same."""
    made = Client.from_context().post("/cells/join", {"token": token, "fast_lane": fast})
    emit_or_wait(made, as_json, lambda: say(f"This cell is {made['name']} to {made['conductor']} from now on."))


@app.command()
def key(as_json: Json = False) -> None:
    """The public key of whoever conducts this cell, else of this cell as a conductor, as `release rotate --key
    conductor=FILE.pub` takes it: where the root names it, no release is offered here without its grant."""
    answer = Client.from_context().get("/cells")
    link = answer["link"]
    found, name = (link["key"], "conductor") if link is not None else (answer["key"], "this-cell")
    emit({"key": found, "name": name}, as_json, lambda: say(f"ed25519 {found} {name}"))


@app.command()
def drain(name: Name, reason: Why = "", as_json: Json = False) -> None:
    """Take a cell out: it gets no grants, and no ring waits for it."""
    Client.from_context().post(f"/cells/{name}/drain", {"reason": reason})
    emit({"drained": name}, as_json, lambda: say(f"{name}: drained. It holds; the others go on without it."))


@app.command()
def isolate(
    name: Annotated[str, typer.Argument(help="A cell that this one conducts; none = this one.")] = "",
    reason: Why = "",
    as_json: Json = False,
) -> None:
    """Believe nothing more that comes from there. Only a new join token ends it."""
    path = f"/cells/{name}/isolate" if name else "/cells/isolate"
    Client.from_context().post(path, {"reason": reason})
    whom = name or "this cell"
    emit({"isolated": whom}, as_json, lambda: say(f"{whom}: isolated. What is led there holds."))


@app.command()
def restore(name: Name, reason: Why = "", as_json: Json = False) -> None:
    """Let a drained or doubted cell take part again."""
    answer = Client.from_context().post(f"/cells/{name}/restore", {"reason": reason})
    emit_or_wait({"restored": name} | (answer or {}), as_json, lambda: say(f"{name}: takes part again."))
