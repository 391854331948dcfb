"""`brakeline pool`: judge changes together with other organisations of this installation that consent too.

`join` takes a second person, because what was told stays told; `leave` is one command. A pool can stop, never open.
"""

from __future__ import annotations

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk, when
from brakeline.cli.waiting import emit_or_wait

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
