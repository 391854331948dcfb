"""Live drills of `brakeline drill`: begin one on the server, follow it to its end, read reports. Needs a server."""

from __future__ import annotations

import time
from typing import Any, Final

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Exit, emit, pairs, say, table, talk, when
from brakeline.core.errors import Conflict

POLL_S: Final = 1.0
MARK: Final = "[drill: simulated endpoints]"
REAL_MARK: Final = "[drill: real endpoints, nothing is changed]"


def plan(fault: str, endpoints: int, as_json: bool) -> None:
    """What it would do."""
    found = Client.from_context().post("/drills/plan", {"fault": fault, "endpoints": endpoints})

    def human() -> None:
        say(f"{MARK} {found['fault']}: {found['says']}.")
        say(f"{found['endpoints']} simulated endpoints check in every {found['check_in_s']} s.")
        say(f"First verdict {found['first_verdict_s']} s after an endpoint is ready; {found['longest_s']} s at most.")
        table(["ring", "up to", "controls", "halts at … silent"],
              [(r["name"], r["upto"], r["controls"], r["halts_at"] or "cannot") for r in found["rings"]])  # fmt: skip
        say("No real endpoint is asked or changed.")

    emit(found, as_json, human)


def run(fault: str, endpoints: int, as_json: bool) -> None:
    """Begin one and follow it: 0 when it ended as it should, 1 when the brake did not do its work."""
    client = Client.from_context()
    found = client.post("/drills", {"fault": fault, "endpoints": endpoints})
    drill_id = found["drill"]["id"]
    if not as_json:
        talk(f"{MARK} {drill_id}: {fault} on {endpoints} simulated endpoints. Ctrl-C ends the watching alone.")
    found = _follow(client, found, as_json)
    emit(found, as_json, lambda: _report(found))
    wanted = ("passed",) if fault == "good-release" else ("halted", "held")
    if found["drill"]["state"] not in wanted:
        raise typer.Exit(Exit.FAILED)


def _follow(client: Client, found: Any, as_json: bool) -> Any:
    """The drill once it is over; a line whenever something has changed."""
    said = ""
    while found["drill"]["state"] == "running":
        line = _line(found["drill"]["report"])
        if line != said and not as_json:
            say(line)
            said = line
        time.sleep(POLL_S)
        found = client.get(f"/drills/{found['drill']['id']}")
    return found


def list_live(as_json: bool) -> None:
    answer = Client.from_context().get("/drills")
    rows = [(d["id"], d["state"], d["fault"], d["endpoints"], when(d["asked_ms"]), d["asked_by"], d["why"])
            for d in answer["items"]]  # fmt: skip
    empty = "No drill yet. Begin one: brakeline drill run bad-release"
    emit(answer, as_json, lambda: table(["id", "state", "drill", "simulated", "when", "by", "came to"], rows, empty))


def show(drill_id: str, as_json: bool) -> None:
    found = Client.from_context().get(f"/drills/{drill_id}")
    emit(found, as_json, lambda: _report(found))


def stop(drill_id: str, as_json: bool) -> None:
    found = Client.from_context().post(f"/drills/{drill_id}/stop")
    emit(found, as_json, lambda: say(f"{drill_id}: {found['drill']['state']}: {found['drill']['why']}"))


def _line(report: dict[str, Any] | None) -> str:
    if report is None or not report["phase"]:
        return "making ready"
    why = report["why"].partition(": waiting for bake time")[0]
    return f"{report['phase']}  {report['offered']}/{report['endpoints']} offered, {report['harmed']} harmed  {why}"


def _report(found: dict[str, Any]) -> None:
    drill, report, real = found["drill"], found["drill"]["report"], bool(found["drill"]["rollout_id"])
    say(f"{REAL_MARK if real else MARK} {drill['id']}  {drill['fault']}  {drill['state']}: {drill['why']}")
    if report is None:
        say("No report was saved.")
        return
    pairs({
        "asked": f"{when(drill['asked_ms'])} by {drill['asked_by']}",
        "harmed": f"{report['harmed']} of {report['offered']} offered",
        "spared": f"{report['spared']} of {report['endpoints']} were never offered it",
        "evidence to halt": _span(found["evidence_to_halt_s"]),
        "halt to last told": f"{_span(found['halt_to_last_told_s'])}; {report['told']} of {report['to_tell']} living",
        "real endpoints": f"{report['real_endpoints']} took part; nothing was changed on any" if real
                          else f"{report['real_endpoints']} in this organisation; none was asked or changed",
    })  # fmt: skip
    say()
    table(["region", "ring", "state", "offered", "silent", "failed", "spared"],
          [(c["region"], c["ring"], c["state"], f"{c['offered']}/{c['planned']}", c["silent"], c["failed"],
            c["spared"]) for c in report["grid"]])  # fmt: skip
    say()
    for moment in report["moments"]:
        say(f"{when(moment['at_ms'])}  {moment['what']}")


def _span(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f} s"


# --- on real endpoints ------------------------------------------------------------------------------------------------


def real_plan(filter_text: str, fails: int | None, as_json: bool) -> None:
    """What a drill on real endpoints would do."""
    found = Client.from_context().post("/drills/real/plan", {"filter": filter_text, "fails": fails})
    emit(found, as_json, lambda: _real_plan(found))


def _real_plan(found: dict[str, Any]) -> None:
    for sentence in found["sentences"]:
        say(sentence)
    table(["ring", "up to", "controls", "halts at … silent"],
          [(r["name"], r["upto"], r["controls"], r["halts_at"] or "cannot") for r in found["rings"]])  # fmt: skip
    say(f"It ends after {found['longest_s']} s at most, whatever happens.")
    if not found["consent"]:
        talk("This organisation has not agreed to drills on its real endpoints: brakeline drill consent --give")


def real_run(filter_text: str, fails: int | None, as_json: bool) -> None:
    """Begin one on exactly the endpoints that its plan shows, and follow it to its end."""
    client = Client.from_context()
    planned = client.post("/drills/real/plan", {"filter": filter_text, "fails": fails})
    body = {"filter": filter_text, "fails": fails, "expect_count": planned["endpoints"]}
    found = client.post("/drills/real", body)
    if not as_json:
        _real_plan(planned)
        talk(f"{REAL_MARK} {found['drill']['id']}. Ctrl-C ends the watching alone.")
    found = _follow(client, found, as_json)
    emit(found, as_json, lambda: _report(found))
    if found["drill"]["state"] not in (("halted", "held") if planned["fails"] else ("passed",)):
        raise typer.Exit(Exit.FAILED)


def consent(give: bool, take_back: bool, as_json: bool) -> None:
    """Whether the organisation agrees to drills on its real endpoints; say yes, or take it back."""
    client, path = Client.from_context(), "/drills/real/consent"
    found = client.put(path) if give else client.delete(path) if take_back else client.get(path)
    given = (found or {}).get("consent")
    said = f"agreed by {given['given_by']}, {when(given['given_ms'])}" if given else "nobody has agreed"
    emit({"consent": given}, as_json, lambda: say(f"Drills on real endpoints: {said}."))


# --- incidents under the own shape and plan ---------------------------------------------------------------------------


def replay_own(seeds: int, plan: Any) -> dict[str, Any]:
    """What the server makes of its incidents under its fleet's shape; waits for the end."""
    client, said = Client.from_context(), ""
    found = client.post("/drills/own/replays", {"seeds": seeds, "plan": plan})
    for sentence in found["shape"]["sentences"]:
        talk(sentence)
    while found["state"] == "running":
        if found["note"] != said:
            talk(found["note"])
            said = found["note"]
        time.sleep(POLL_S)
        found = client.get("/drills/own/replays")
    if found["state"] != "done":
        raise Conflict(found["note"])
    answer: dict[str, Any] = found["answer"]
    return answer
