"""`brakeline pool`: judge changes together with other organisations, of this installation or of others.

`join` takes a second person, because what was told stays told; so does `partner`. `leave` and `part` are one command
each. Between installations people carry sheets: `export` here, `import` there. A pool can stop, never open.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk, when
from brakeline.cli.waiting import emit_or_wait
from brakeline.core.errors import Invalid

Name = Annotated[str, typer.Argument(help="What you call the partner.")]
app = noun("Evidence of several organisations together: six sums a signal, no endpoint's data.")


@app.command()
def show(as_json: Json = False) -> None:
    """Whether this organisation shares its evidence, and what it is compared with."""
    answer = Client.from_context().get("/pool")

    def human() -> None:
        if not answer["given_ms"]:
            say("This organisation shares nothing, and nobody else's evidence stops its rollouts.")
            talk("To share and to be warned by others: brakeline pool join")
            return
        say(f"Shares since {when(answer['given_ms'])} ({answer['given_by']}).")
        rows = [(r["id"], r["title"], r["state"], r["others"], r["alone"]) for r in answer["rollouts"]]
        table(["rollout", "title", "state", "other organisations", "alone because"], rows)
        told = [(p["name"], p["public_key"][:16] + "…", when(p["taken_ms"] or None)) for p in answer["partners"]]
        if told:
            table(["partner elsewhere", "key", "newest sheet taken in"], told)
        talk(f"Partners in other installations pin the key {answer['key']}")

    emit(answer, as_json, human)


@app.command()
def join(as_json: Json = False) -> None:
    """Share this organisation's evidence, and let that of others stop its rollouts of the same change."""
    answer = Client.from_context().put("/pool/consent", {})
    done = {"shares": True} | (answer or {})
    emit_or_wait(done, as_json, lambda: say("Shared from now on. `brakeline pool show` says with how many."))


@app.command()
def leave(as_json: Json = False) -> None:
    """Neither share nor listen any more. What was told stays told; what is halted stays halted."""
    Client.from_context().delete("/pool/consent")
    emit({"shares": False}, as_json, lambda: say("Nothing is shared any more, and nobody else's evidence counts."))


@app.command()
def export(
    file: Annotated[str, typer.Argument(help="Where to write it; - = standard output.")] = "-",
    for_: Annotated[str, typer.Option("--for", help="A partner: in all the words that its version knows.")] = "",
    as_json: Json = False,
) -> None:
    """A signed sheet of what this organisation tells, for partners in other installations."""
    made = Client.from_context().get("/pool/sheet", **({"partner": for_} if for_ else {}))
    sheet = json.dumps({"payload": made["payload"], "signature": made["signature"]})
    if made["left_out"]:
        why = f"the version of {for_} does not know them" if for_ else "not every version knows them; see --for"
        talk(f"Left out, because {why}: {', '.join(made['left_out'])}.")
    if file == "-":
        say(sheet)
        return
    Path(file).write_text(sheet + "\n")
    emit({"file": file}, as_json, lambda: say(f"{file}: give it to your partners; they `brakeline pool import` it."))


@app.command()
def partner(
    name: Name,
    key: Annotated[str, typer.Option("--key", help="What `brakeline pool show` prints there.")],
    as_json: Json = False,
) -> None:
    """Let the sheets of an organisation in another installation stop this one's rollouts of the same change."""
    answer = Client.from_context().post("/pool/partners", {"name": name, "key": key})
    done = {"partner": name} | (answer or {})
    emit_or_wait(done, as_json, lambda: say(f"{name}: its sheets are believed from now on."))


@app.command()
def part(name: Name, as_json: Json = False) -> None:
    """Believe a partner no more; what it told counts no more either."""
    Client.from_context().delete(f"/pool/partners/{name}")
    emit({"parted": name}, as_json, lambda: say(f"{name}: what it tells counts no more."))


@app.command("import")
def import_(
    name: Name,
    file: Annotated[str, typer.Argument(help="A partner's sheet; - = standard input.")] = "-",
    as_json: Json = False,
) -> None:
    """Take in a partner's newest sheet instead of the one before."""
    try:
        text = typer.get_text_stream("stdin").read() if file == "-" else Path(file).read_text()
        sheet = json.loads(text)
    except (OSError, ValueError) as e:
        raise Invalid(f"{file} is no sheet; `brakeline pool export` at the partner makes one: {e}") from None
    taken = Client.from_context().put(f"/pool/partners/{name}/sheet", sheet)

    def human() -> None:
        say(f"{name}: {taken['rows']} sums taken in.")
        if taken["left_out"]:
            unknown = ", ".join(f"{n} of {signal}" for signal, n in sorted(taken["left_out"].items()))
            talk(f"Left out, because this version does not know them: {unknown}. Update it to hear those too.")

    emit(taken, as_json, human)
