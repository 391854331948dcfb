"""`brakeline budget`: how many endpoints may be changed, over all rollouts together.

`set` takes a number of endpoints or a percentage. Lowering is one command; raising needs a reason, which is kept.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, table, talk, when
from brakeline.cli.waiting import emit_or_wait
from brakeline.core.errors import Invalid

PER = {"hour": "per hour", "at_once": "at once"}
app = noun("How many endpoints may be changed per hour or at once, over all rollouts together.")
Of = Annotated[
    str, typer.Option("--group", help="tag:db, region:eu, class:server, os:debian; tag:site-* = each alone.")
]
AtOnce = Annotated[bool, typer.Option("--at-once", help="Count who is in change, not offers of an hour.")]
Why = Annotated[str, typer.Option("--reason", help="Kept in the audit log; needed where more may be changed.")]


@app.command()
def show(as_json: Json = False) -> None:
    """Every budget in force and what is spent of it."""
    answer = Client.from_context().get("/budgets")

    def human() -> None:
        rows = [
            (s["group"] or "(the fleet)", PER[b["per"]], b["limit"], f"{s['used']}/{s['cap']}", s["size"],
             when(s["next_ms"] or None), _by(b))
            for b in answer["items"] for s in b["scopes"]
        ]  # fmt: skip
        table(["group", "counted", "limit", "used", "endpoints", "room again", "set by"], rows)
        talk("Every offer of every rollout spends from them: updates, releases, content, whatever is run now.")

    emit(answer, as_json, human)


def _by(b: dict[str, Any]) -> str:
    return "(rule of every organisation)" if b["standard"] else f"{b['set_by']}, {when(b['set_ms'])}"


@app.command()
def plan(
    limit: Annotated[str, typer.Argument(help="A number of endpoints, or a percentage such as 10%.")],
    group: Of = "",
    at_once: AtOnce = False,
    at_least: Annotated[int | None, typer.Option(help="With a percentage: never fewer than so many.")] = None,
    as_json: Json = False,
) -> None:
    """What setting a budget would do, group by group. Changes nothing."""
    answer = Client.from_context().get("/budgets/plan", group=group, per=_per(at_once), **_numbers(limit, at_least))

    def human() -> None:
        rows = [(s["group"] or "(the fleet)", s["size"], "none" if s["before"] is None else s["before"], s["after"])
                for s in answer["scopes"]]  # fmt: skip
        table(["group", "endpoints", f"{PER[answer['per']]} now", "then"], rows)
        talk(f"Rollouts that go on now and spend from it: {answer['rollouts']}")
        if answer["widens"]:
            talk("It lets more be changed than before: it will want a --reason and a second person.")

    emit(answer, as_json, human)


@app.command("set")
def set_(
    limit: Annotated[str, typer.Argument(help="A number of endpoints, or a percentage such as 10%.")],
    group: Of = "",
    at_once: AtOnce = False,
    at_least: Annotated[int | None, typer.Option(help="With a percentage: never fewer than so many.")] = None,
    reason: Why = "",
    as_json: Json = False,
) -> None:
    """Set a budget, for the whole fleet or a group. It holds from the next offer on."""
    body = {"group": group, "per": _per(at_once), "reason": reason} | _numbers(limit, at_least)
    made = Client.from_context().put("/budgets", body)

    def human() -> None:
        for s in made["scopes"]:
            say(
                f"{s['group'] or 'the fleet'}: {s['used']} of {s['cap']} {PER[made['per']]} used, {s['size']} endpoints"
            )

    emit_or_wait(made, as_json, human)


def _numbers(limit: str, at_least: int | None) -> dict[str, float | int | None]:
    text = limit.strip()
    try:
        if text.endswith("%"):
            return {"percent": float(text[:-1]), "endpoints": at_least}
        if at_least is None:
            return {"endpoints": int(text), "percent": None}
    except ValueError:
        pass
    raise Invalid(f"a budget is a number of endpoints (50) or a percentage (10%, with --at-least 50), not {limit!r}")


@app.command()
def remove(group: Of = "", at_once: AtOnce = False, reason: Why = "", as_json: Json = False) -> None:
    """Remove a budget; without --group the fleet's goes back to the rule of every organisation."""
    query = urlencode({"group": group, "per": _per(at_once), "reason": reason})
    answer = Client.from_context().delete(f"/budgets?{query}")
    gone = {"removed": group, "per": _per(at_once)} | (answer or {})
    emit_or_wait(gone, as_json, lambda: say(f"{group or 'the fleet'}: removed."))


def _per(at_once: bool) -> str:
    return "at_once" if at_once else "hour"
