"""`brakeline drill`: a bad change on purpose, live on the server or in a simulated fleet of millions.

`run bad-release` (and whatever `faults` marks as live) is taken by simulated endpoints on the server, under its own
rollout engine, `run real` by real ones, which change nothing; `list`, `show` and `stop` are about these. `run` of any
other fault, and `replay` of a file of incidents, need no server: they ask what it would have cost under the planner and
the brake of this program.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from brakeline.cli import drill_live
from brakeline.cli.output import Json, emit, noun, table, talk
from brakeline.cli.plan_file import read_plan
from brakeline.core.errors import Invalid, NotFound
from brakeline.drills.model import ENDPOINTS as LIVE_ENDPOINTS
from brakeline.drills.model import FAULTS as LIVE
from brakeline.drills.model import REAL
from brakeline.rollout import plan_lint, plans
from brakeline.rollout.model import Policy
from brakeline.sim import batch, incidents, own, repair, replay
from brakeline.sim.cohorts import CHANGE
from brakeline.sim.replay import ENDPOINTS_MAX, ENDPOINTS_MIN, SEEDS_MAX, Request

FILE_BYTES_MAX = 4 * 1024 * 1024  # a file of incidents is read by people; no real one has 1 % of this
SIMULATED_ENDPOINTS = 8_500_000
app = noun("Drills: a bad change on purpose, live on the server or in a simulated fleet of millions.")
SomeEndpoints = Annotated[int | None, typer.Option(help="How many simulated endpoints; live 300, else 8.5 million.")]
Id = Annotated[str, typer.Argument(metavar="DRILL", help="Id of the drill (dr_…).")]
Incidents = Annotated[Path | None, typer.Argument(metavar="FILE", help="Incidents, as JSON.")]
ShapeFile = Annotated[Path | None, typer.Option("--shape", help="A fleet's shape, by `fleet shape --json`.")]
SomeSeeds = Annotated[int | None, typer.Option("--seeds", help="How many histories of each fault.")]
Seeds = Annotated[int, typer.Option(help="How many histories of each fault.")]
Plan = Annotated[Path | None, typer.Option(help="A plan of your own, YAML or JSON, instead of the careful one.")]


@app.command("replay")
def replay_(file: Incidents = None, endpoints: SomeEndpoints = None, seeds: SomeSeeds = None, plan: Plan = None,
            shape: ShapeFile = None,
            own_fleet: Annotated[bool, typer.Option("--own", help="On the server, under its fleet's shape.")] = False,
            as_json: Json = False) -> None:  # fmt: skip
    """Bad updates that really happened: how many endpoints each would have harmed here, and under other rules.

    With --shape: in a fleet of the shape that `fleet shape --json` printed. With --own: on the server, with the shape
    of its fleet and the incidents that it ships.
    """
    if own_fleet:
        if file is not None or shape is not None or endpoints is not None:
            raise Invalid("--own takes the server's incidents and its fleet's shape: give --plan and --seeds alone")
        answer = drill_live.replay_own(1 if seeds is None else seeds, read_plan(plan) if plan else None)
    else:
        if file is None:
            raise Invalid("which incidents? Give their FILE, or --own for those that the server ships")
        request = _shaped(shape, endpoints, 20 if seeds is None else seeds, plan)
        answer = replay.replay(incidents.parse(_text(file)), request, lambda name: talk(f"replaying {name}"))

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
def run(
    name: str,
    endpoints: SomeEndpoints = None,
    seeds: Seeds = 20,
    plan: Plan = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Not live: millions, without a server.")] = False,
    only_plan: Annotated[
        bool, typer.Option("--dry-run", help="Say what a live drill would do, and do nothing.")
    ] = False,
    fail: Annotated[int | None, typer.Option("--fail", help="real: so many report a failure; 0 = nobody.")] = None,
    filter_text: Annotated[str, typer.Option("--filter", help="real: who takes part. Empty = everybody.")] = "",
    as_json: Json = False,
) -> None:
    """One fault of `drill faults`: live ones on the server, to their end; others in a simulated fleet. `real`: the
    fleet's own endpoints report a failure by order; nothing is changed on them."""
    if name == REAL:
        if plan is not None or simulate or endpoints is not None:
            raise Invalid("a drill on real endpoints takes --fail and --filter, and its plan is the rehearsal's")
        (drill_live.real_plan if only_plan else drill_live.real_run)(filter_text, fail, as_json)
        return
    if fail is not None or filter_text:
        raise Invalid("--fail and --filter go with `drill run real`: simulated endpoints are all alike")
    if name in LIVE and not simulate:
        if plan is not None:
            raise Invalid("a live drill has its own policy; --plan goes with --simulate")
        (drill_live.plan if only_plan else drill_live.run)(name, endpoints or LIVE_ENDPOINTS, as_json)
        return
    _simulate(name, SIMULATED_ENDPOINTS if endpoints is None else endpoints, seeds, plan, as_json)


def _simulate(name: str, endpoints: int, seeds: int, plan: Path | None, as_json: bool) -> None:
    if name != "harmless" and name not in batch.FAULTS:
        raise NotFound(f"no fault {name[:60]!r}; `brakeline drill faults` has them", name=name[:60])
    request = _request(endpoints, seeds, plan)
    if name == "harmless":
        answer: dict[str, Any] = {"name": name, **replay.benign(request)}
        emit(answer, as_json, lambda: _say_benign(answer))
        return
    ends = replay.ends_of(batch.FAULTS[name], request, ours=True)
    answer = {
        "name": name,
        "harmed": replay.spread([e.harmed for e in ends]),
        "exposed": replay.spread([e.exposed for e in ends]),
        "ends": sorted({e.why for e in ends})[:10],
        "rules": replay.rules_on(batch.FAULTS[name], endpoints),
    }

    def human() -> None:
        table(["harmed (p95)", "exposed (p95)"], [(_both(answer["harmed"]), _both(answer["exposed"]))])
        for why in answer["ends"]:
            talk(why)
        table(["under the rule of", "harmed, alone", "harmed, with a human"],
              [(k, v["harmed"], v["harmed_with_human"]) for k, v in answer["rules"].items()])  # fmt: skip

    emit(answer, as_json, human)


@app.command("consent")
def consent(
    give: Annotated[bool, typer.Option("--give", help="Agree, for the whole organisation.")] = False,
    take_back: Annotated[bool, typer.Option("--take-back", help="No more of them; what runs ends.")] = False,
    as_json: Json = False,
) -> None:
    """Whether the organisation agrees to drills on its real endpoints, on which nothing is changed."""
    if give and take_back:
        raise Invalid("either --give or --take-back")
    drill_live.consent(give, take_back, as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Live drills of this organisation, newest first."""
    drill_live.list_live(as_json)


@app.command("show")
def show(drill: Id, as_json: Json = False) -> None:
    """The report of a live drill: what happened when, who was harmed, who was spared."""
    drill_live.show(drill, as_json)


@app.command("stop")
def stop(drill: Id, as_json: Json = False) -> None:
    """End a live drill before its time; its simulated endpoints are removed."""
    drill_live.stop(drill, as_json)


@app.command("faults")
def faults(as_json: Json = False) -> None:
    """The faults that `drill run` knows: live ones, and those of a simulated fleet."""
    live = [{"name": f.name, "live": True, "symptom": f.says, "share": 1 / f.every} for f in LIVE.values()]
    simulated = [
        {"name": n, "live": False, "symptom": str(f.symptom), "share": f.share} for n, f in batch.FAULTS.items()
    ]  # fmt: skip
    answer = {"items": [*live, *simulated]}
    rows = [(i["name"], "live" if i["live"] else "simulated", i["symptom"], i["share"]) for i in answer["items"]]
    emit(answer, as_json, lambda: table(["name", "runs", "symptom", "share of those that take it"], rows))


def _shaped(shape: Path | None, endpoints: int | None, seeds: int, plan: Path | None) -> Request:
    if shape is None:
        return _request(SIMULATED_ENDPOINTS if endpoints is None else endpoints, seeds, plan)
    if endpoints is not None:
        raise Invalid("a shape says how many endpoints there are: either --shape or --endpoints")
    try:
        found = own.parse(json.loads(_text(shape)))
    except ValueError as e:
        raise Invalid(f"{shape} is no JSON: {e}") from None
    for sentence in found.sentences:
        talk(sentence)
    asked = _request(found.endpoints, seeds, plan)
    return own.request(found, seeds, asked.policy)


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
