"""`brakeline rollout restart`: look at who has a restart due, then make it a rollout.

Without `--yes` it shows the plan and changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, say, talk
from brakeline.cli.waiting import emit_or_wait

NAMED_MAX = 20


def restart(
    filter_text: Annotated[str, typer.Option("--filter", help="Which endpoints, as in `endpoint list`.")] = "",
    any_: Annotated[bool, typer.Option("--any", help="Also those that have no restart due.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Make it; without, only the plan is shown.")] = False,
    pace: Annotated[str, typer.Option(help="careful, fast or rehearsal.")] = "careful",
    title: Annotated[str, typer.Option(help="What people read in lists.")] = "",
    start: Annotated[bool, typer.Option("--start", help="Start it at once.")] = False,
    warn: Annotated[int, typer.Option(metavar="MIN", help="Warn people who are logged in so long before.")] = 0,
    deferrals: Annotated[int, typer.Option(metavar="N", help="How often they may put it off.")] = 0,
    defer: Annotated[int, typer.Option(metavar="MIN", help="By so much each time.")] = 0,
    deadline: Annotated[int, typer.Option(metavar="H", help="Nobody is overruled earlier, if root allows it.")] = 0,
    as_json: Json = False,
) -> None:
    """Restart machines ring by ring, where their own root and settings allow it."""
    client = Client.from_context()
    asked = {"warn_min": warn, "deferrals": deferrals, "defer_min": defer, "deadline_h": deadline}
    terms = {name: n for name, n in asked.items() if n}
    plan = client.get("/restarts", filter=filter_text, any=any_, pace=pace, **terms)
    if not yes:
        emit(plan, as_json, lambda: _show(plan))
        return
    body = {"expect_count": len(plan["endpoints"]), "filter": filter_text, "any": any_, "pace": pace, "title": title,
            "start": start, **terms}  # fmt: skip
    made = client.post("/restarts", body)
    hint = "watch" if start else "start"
    emit_or_wait(made, as_json, lambda: say(f"{made['id']} drafted. Next: brakeline rollout {hint} {made['id']}"))


def _show(plan: dict[str, Any]) -> None:
    names = [name for _, name in plan["endpoints"]]
    due = "match" if plan["any"] else "have a restart due"
    say(f"{len(names)} endpoints {due}" + (f": {', '.join(names[:NAMED_MAX])}" if names else ""))
    if len(names) > NAMED_MAX:
        say(f"  and {len(names) - NAMED_MAX} more (--json has them all)")
    if plan["rings"]:
        say("rings: " + ", ".join(f"{name} up to {upto}" for name, upto in plan["rings"]))
        say("Each follows in its own maintenance window, and only where its root allows restarts by order.")
        say(f"People there: {plan['people']}.")
        talk("Make it: the same with --yes")
