"""`brakeline drill`: what a bad change would have cost a simulated fleet under the planner and brake of this program.

Works without a server. `replay` reads a file of incidents, `run` takes a fault by its name, `list` names them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from brakeline.cli.output import Json, emit, noun, table, talk
from brakeline.cli.plan_file import read_plan
from brakeline.core.errors import Invalid, NotFound
from brakeline.rollout import plan_lint, plans
from brakeline.rollout.model import Policy
from brakeline.sim import batch, incidents, repair, replay
from brakeline.sim.cohorts import CHANGE
from brakeline.sim.replay import ENDPOINTS_MAX, ENDPOINTS_MIN, SEEDS_MAX, Request

FILE_BYTES_MAX = 4 * 1024 * 1024  # a file of incidents is read by people; no real one has 1 % of this
app = noun("Drills: what a bad change would have cost under the planner and the brake of this program.")
Endpoints = Annotated[int, typer.Option(help="How many endpoints the simulated fleet has.")]
Seeds = Annotated[int, typer.Option(help="How many histories of each fault.")]
Plan = Annotated[Path | None, typer.Option(help="A plan of your own, YAML or JSON, instead of the careful one.")]


@app.command("replay")
def replay_(file: Path, endpoints: Endpoints = 8_500_000, seeds: Seeds = 20, plan: Plan = None,
            as_json: Json = False) -> None:  # fmt: skip
    """Bad updates that really happened: how many endpoints each would have harmed here, and under other rules."""
    found = incidents.parse(_text(file))
    answer = replay.replay(found, _request(endpoints, seeds, plan), lambda name: talk(f"replaying {name}"))

    def human() -> None:
        rows = [
            (i["id"], i["outcome"], _both(i["harmed"]), _both(i["exposed"]), _both(i["hours_to_halt"]),
             i["hand_repairs"], i["rules"]["naive"]["harmed"], i["rules"]["hawkbit"]["harmed"],
             i["rules"]["fixed_rings"]["harmed"])
            for i in answer["incidents"]
        ]  # fmt: skip
        head = ["incident", "ends", "harmed (p95)", "exposed", "hours to halt", "hands"]
        table([*head, "naive", "hawkBit", "fixed rings"], rows)
        _say_benign(answer["benign"])
        talk(repair.rule_text())

    emit(answer, as_json, human)


@app.command("run")
def run(name: str, endpoints: Endpoints = 8_500_000, seeds: Seeds = 20, plan: Plan = None,
        as_json: Json = False) -> None:  # fmt: skip
    """One fault of `drill list`, or "harmless", in a simulated fleet."""
    if name != "harmless" and name not in batch.ROWS:
        raise NotFound(f"no fault {name[:60]!r}; `brakeline drill list` has them", name=name[:60])
    request = _request(endpoints, seeds, plan)
    if name == "harmless":
        answer: dict[str, Any] = {"name": name, **replay.benign(request)}
        emit(answer, as_json, lambda: _say_benign(answer))
        return
    ends = replay.ends_of(batch.ROWS[name], request, ours=True)
    answer = {
        "name": name,
        "harmed": replay.spread([e.harmed for e in ends]),
        "exposed": replay.spread([e.exposed for e in ends]),
        "ends": sorted({e.why for e in ends})[:10],
        "rules": replay.rules_on(batch.ROWS[name], endpoints),
    }

    def human() -> None:
        table(["harmed (p95)", "exposed (p95)"], [(_both(answer["harmed"]), _both(answer["exposed"]))])
        for why in answer["ends"]:
            talk(why)
        table(["under the rule of", "harmed, alone", "harmed, with a human"],
              [(k, v["harmed"], v["harmed_with_human"]) for k, v in answer["rules"].items()])  # fmt: skip

    emit(answer, as_json, human)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """The faults that `drill run` knows."""
    answer = {"items": [{"name": name, "symptom": str(f.symptom), "share": f.share} for name, f in batch.ROWS.items()]}
    emit(answer, as_json, lambda: table(["name", "symptom", "share of the fleet"],
                                        [(i["name"], i["symptom"], i["share"]) for i in answer["items"]]))  # fmt: skip


def _request(endpoints: int, seeds: int, plan: Path | None) -> Request:
    if not ENDPOINTS_MIN <= endpoints <= ENDPOINTS_MAX:
        raise Invalid(f"{endpoints} endpoints cannot be simulated: {ENDPOINTS_MIN:,} to {ENDPOINTS_MAX:,}")
    if not 1 <= seeds <= SEEDS_MAX:
        raise Invalid(f"{seeds} seeds: 1 to {SEEDS_MAX:,}; a history of millions takes a few seconds")
    return Request(endpoints, seeds, _policy(plan, endpoints) if plan else None)


def _policy(plan: Path, endpoints: int) -> Policy:
    """The plan of a file, refused where it could not work for so many."""
    policy = plans.parse(read_plan(plan))
    if wrong := plan_lint.problems(policy, CHANGE, endpoints):
        raise Invalid(f"{plan}: {'; '.join(f.text for f in wrong)}")
    return policy


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise Invalid(f"{file} has more than {FILE_BYTES_MAX} bytes; that is no file of incidents")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise Invalid(f"{file} cannot be read: {e}") from None


def _both(spread: dict[str, float] | None) -> str:
    return f"{spread['median']:,.4g} ({spread['p95']:,.4g})" if spread else "-"


def _say_benign(b: dict[str, Any]) -> None:
    days = b["days_to_complete"]
    took = f"done in {days['median']:.1f} days (95 %: {days['p95']:.1f})" if days else "none was completed"
    talk(f"A harmless change: {b['false_halts']} of {b['runs']} halted falsely; {took}.")
