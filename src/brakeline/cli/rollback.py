"""`brakeline rollout rollback`: look at the way back from a halted update, then make it a rollout of its own.

Without `--yes` it shows the plan and changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, say, table, talk
from brakeline.cli.waiting import emit_or_wait

NAMED_MAX = 20


def rollback(
    rollout: Annotated[str, typer.Argument(metavar="ROLLOUT", help="Id of the halted rollout (ro_…).")],
    yes: Annotated[bool, typer.Option("--yes", help="Make it; without, only the plan is shown.")] = False,
    pace: Annotated[str, typer.Option(help="careful, fast or rehearsal.")] = "careful",
    start: Annotated[bool, typer.Option("--start", help="Start it at once.")] = False,
    as_json: Json = False,
) -> None:
    """Take a halted update back where endpoints have kept the way, the harmed ones first."""
    client = Client.from_context()
    plan = client.get(f"/rollouts/{rollout}/rollback", pace=pace)
    if not yes:
        emit(plan, as_json, lambda: _show(plan, pace))
        return
    count = len(plan["first"]) + len(plan["then"])
    body = {"expect_count": count, "pace": pace, "start": start}
    made = client.post(f"/rollouts/{rollout}/rollback", body)
    hint = "watch" if start else "start"
    emit_or_wait(made, as_json, lambda: say(f"{made['id']} drafted. Next: brakeline rollout {hint} {made['id']}"))


def _show(plan: dict[str, Any], pace: str) -> None:
    first, then, left_out = plan["first"], plan["then"], plan["left_out"]
    say(f"Take back {', '.join(plan['updates'])}, which {plan['title']} ({plan['rollout_id']}) has brought:")
    say(f"  {len(first)} endpoints have proven harm and a way back; they come first")
    say(f"  {len(then)} were exposed, show no harm, and have a way back")
    say(f"  {len(left_out)} have no way back and keep what they have")
    say(f"  {plan['unchanged']} were offered it and have nothing of it now")
    if plan["rings"]:
        say("  rings: " + ", ".join(f"{name} up to {upto}" for name, upto in plan["rings"]))
    rows = [(x["hostname"], "first", x["harm"]) for x in first[:NAMED_MAX]]
    rows += [(x["hostname"], "no way back", x["reason"]) for x in left_out[:NAMED_MAX]]
    if rows:
        say()
        table(["endpoint", "", "why"], rows)
    if first or then:
        talk(f"Make it: brakeline rollout rollback {plan['rollout_id']} --pace {pace} --yes")
    else:
        talk("Nobody has a way back: a fixed version, or people, must help there.")
