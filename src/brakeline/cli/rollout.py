"""`brakeline rollout`: list, show, endpoints, new, start, watch, pause, brake, rollback, restart, resume, withdraw,
explain, lint, power, forecast.

`brake` takes the id alone and never asks. `watch` prints a line whenever something changed (also when piped) and ends
with exit code 6 when the rollout is halted or withdrawn, 7 when waiting took too long. Of endpoints people read the
host names; `--json` has the ids.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Exit, Json, emit, noun, pairs, say, table, talk, when
from brakeline.cli.restart import restart
from brakeline.cli.rollback import rollback
from brakeline.cli.waiting import emit_or_wait
from brakeline.core.errors import Invalid
from brakeline.rollout.wording import of_release, reason

app = noun("Rollouts: a change goes ring by ring, and stops by itself when it does harm.")
app.command()(rollback)
app.command()(restart)
Id = Annotated[str, typer.Argument(metavar="ROLLOUT", help="Id of the rollout (ro_…).")]
Why = Annotated[str, typer.Option("--reason", help="Kept in the log.")]
GLYPH = {"ok": "✓", "wait": "○", "hold": "?", "halt": "✕", "unknown": "?"}
POLL_S = 1.0
SPARED_SHOWN = 20
STOPPED = ("halted", "withdrawn")
SPARING = ("holding", *STOPPED)


@app.command("list")
def list_(
    state: Annotated[list[str] | None, typer.Option(help="rolling, holding, halted, …; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    after: Annotated[str | None, typer.Option(help="Continue after this id.")] = None,
    as_json: Json = False,
) -> None:
    """Rollouts, newest first."""
    answer = Client.from_context().get("/rollouts", state=state, limit=limit, after=after)

    def human() -> None:
        table(
            ["id", "state", "title", "exposed", "proven", "failed", "why"],
            [(r["id"], r["state"], r["title"], f"{r['exposed']}/{r['targets']}", r["proven"], r["failed"], r["why"])
             for r in answer["items"]],
            "No rollouts yet. Make one: brakeline deployment preview",
        )  # fmt: skip
        if answer["next"]:
            talk(f"More: --after {answer['next']}")

    emit(answer, as_json, human)


@app.command()
def show(rollout: Id, as_json: Json = False) -> None:
    """One rollout: rings by region, arms, why, log, who is spared."""
    view = Client.from_context().get(f"/rollouts/{rollout}", examples=None if as_json else True)
    emit(view, as_json, lambda: _show(view))


@app.command()
def endpoints(
    rollout: Id,
    region: Annotated[str, typer.Option(help="Only of this region.")] = "",
    ring: Annotated[str, typer.Option(help="Only those treated in the ring of this name.")] = "",
    only: Annotated[str, typer.Option("--only", help="treated, spared, or bad: treated, and failed or silent.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 100,
    after: Annotated[str, typer.Option(help="Continue after this endpoint id.")] = "",
    as_json: Json = False,
) -> None:
    """Its endpoints by host name, with what came of each."""
    answer = Client.from_context().get(
        f"/rollouts/{rollout}/endpoints", region=region, ring=ring, show=only, limit=limit, after=after
    )

    def human() -> None:
        table(
            ["endpoint", "region", "ring", "arm", "state", "note"],
            [(m["hostname"], m["region"], m["ring"], m["arm"], m["state"], m["note"]) for m in answer["items"]],
            "No endpoint here.",
        )
        if answer["next"]:
            talk(f"More: --after {answer['next']}")

    emit(answer, as_json, human)


def _show(view: dict[str, Any]) -> None:
    pairs({
        "rollout": f"{view['title']} ({view['id']}), generation {view['generation']}",
        "state": _state(view),
        _what(view): ", ".join(view["updates"]) + (f" (of {view['undoes']})" if view["undoes"] else ""),
        "exposed": f"{view['exposed']} of {view['targets']}: {view['proven']} proven, {view['failed']} failed, "
                   f"{view['silent']} silent; {view['spared_total']} keep their versions",
        "bad": _bad(view["now"]),
    })  # fmt: skip
    say()
    table(
        ["region", "ring", "state", "offered", "installed", "proven", "failed", "silent", "spared"],
        [(c["region"], c["ring"], c["state"], f"{c['offered']}/{c['planned']}", c["installed"], c["proven"],
          c["failed"], c["silent"], c["spared"]) for c in view["grid"]],
    )  # fmt: skip
    say()
    _lines(view["lines"], _names(view), release=bool(view["release"]))
    for sentence in view["statistics"]:
        say(f"  {of_release(sentence) if view['release'] else sentence}")
    if view["state"] in SPARING and view["spared"]:
        say(_spared(view))


def _what(view: dict[str, Any]) -> str:
    if view.get("drill"):
        return "drill, nothing is changed"
    if view.get("restart"):
        return "restarts, planned at"
    return "release" if view["release"] else "takes back" if view["undoes"] else "updates"


def _bad(now: dict[str, Any]) -> str:
    text = f"treated {now['x_t']}/{now['n_t']}, control {now['x_c']}/{now['n_c']}"
    if not now["n_t"] or not now["n_c"]:
        return f"{text}; nothing to compare with"
    band = f"95 % band {100 * now['low']:+.1f} to {100 * now['high']:+.1f}"
    return f"{text}; excess {100 * now['excess']:+.1f} points ({band})"


def _spared(view: dict[str, Any]) -> str:
    """By name where these can be read; of many a few, and how many more."""
    shown = sorted(view["spared"])[:SPARED_SHOWN]
    more = view["spared_total"] - len(shown)
    return "spared, they keep their versions: " + ", ".join(shown) + (f" and {more:,} more" if more else "")


def _names(view: dict[str, Any]) -> dict[str, str]:
    return {m["endpoint_id"]: m["hostname"] for m in view["members"]}


def _reason(view: dict[str, Any]) -> str:
    return reason(view["why"], _names(view), release=bool(view["release"]))


def _state(view: dict[str, Any]) -> str:
    """The state with its reason; a reason that begins with the state ("withdrawn by …") says both."""
    why = _reason(view)
    return why if why.startswith(view["state"]) else f"{view['state']}: {why}"


def _lines(lines: list[dict[str, Any]], names: dict[str, str], *, release: bool = False) -> None:
    for line in lines:
        say(f"{GLYPH[line['state']]} {line['gate']}: {reason(line['text'], names, release=release)}")


@app.command()
def new(
    title: Annotated[str, typer.Option(help="For people's eyes.")],
    update: Annotated[list[str], typer.Option("--update", help="package=version; repeatable.")],
    endpoint: Annotated[list[str], typer.Option("--endpoint", help="Endpoint id; repeatable.")],
    pace: Annotated[str, typer.Option(help="careful, fast, emergency or rehearsal.")] = "careful",
    start: Annotated[bool, typer.Option("--start", help="Start it at once.")] = False,
    as_json: Json = False,
) -> None:
    """Draft a rollout of exact versions. Usually `brakeline deployment create` makes it for you."""
    pins = [_pin(text) for text in update]
    client = Client.from_context()
    made = client.post("/rollouts", {"title": title, "updates": pins, "endpoints": endpoint, "pace": pace})
    if start:
        made |= {k: v for k, v in client.post(f"/rollouts/{made['id']}/start").items() if k == "approval"}
    hint = "watch" if start else "start"
    emit_or_wait(made, as_json, lambda: say(f"{made['id']} drafted. Next: brakeline rollout {hint} {made['id']}"))


def _pin(text: str) -> dict[str, str]:
    name, _, version = text.partition("=")
    if not name or not version:
        raise Invalid(f"--update takes package=version, not {text!r}")
    return {"name": name, "version": version}


def _act(rollout: str, verb: str, reason: str, as_json: bool) -> None:
    view = Client.from_context().post(f"/rollouts/{rollout}/{verb}", {"reason": reason})
    emit_or_wait(view, as_json, lambda: say(f"{view['id']}: {_state(view)}"))


@app.command()
def start(
    rollout: Id,
    wait: Annotated[bool, typer.Option("--wait", help="Then watch it to its end.")] = False,
    as_json: Json = False,
) -> None:
    """From draft to its first ring."""
    _act(rollout, "start", "", as_json)
    if wait:
        watch(rollout)


@app.command()
def pause(rollout: Id, reason: Why = "", as_json: Json = False) -> None:
    """Offer nothing new until somebody resumes."""
    _act(rollout, "pause", reason, as_json)


@app.command()
def resume(rollout: Id, reason: Why, as_json: Json = False) -> None:
    """Go on, with a reason; who is not proven is set aside by name. After a halt a second person agrees first."""
    _act(rollout, "resume", reason, as_json)


@app.command()
def withdraw(rollout: Id, reason: Why, as_json: Json = False) -> None:
    """End it for good."""
    _act(rollout, "withdraw", reason, as_json)


@app.command()
def brake(
    rollout: Id,
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="By the printed code, read from standard input.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Stop it, now. Never asks; pressing twice does no harm."""
    client = Client.from_context()
    ack = (client.by_code(sys.stdin.readline().strip()) if break_glass else client).post(f"/rollouts/{rollout}/brake")
    emit(ack, as_json, lambda: say(f"{ack['id']}: {ack['state']} at {when(ack['at_ms'])}"))


@app.command()
def explain(rollout: Id, as_json: Json = False) -> None:
    """Why it goes on, waits or stands still: every gate and what it says."""
    client = Client.from_context()
    lines = client.get(f"/rollouts/{rollout}/why")

    def human() -> None:
        view = client.get(f"/rollouts/{rollout}", examples=True)
        _lines(lines, _names(view), release=bool(view["release"]))
        say("")
        heads = ["signal", "treated", "controls", "evidence", "halts at", "bad means"]
        table(heads, [_signal(row) for row in view["signals"]], "No signals yet.")
        if view["decided"]:
            say("")
            say(view["decided"])

    emit(lines, as_json, human)


def _signal(row: dict[str, Any]) -> tuple[str, ...]:
    asked = row["evidence"] is not None
    return (
        row["signal"], f"{row['bad_treated']} of {row['treated']}", f"{row['bad_controls']} of {row['controls']}",
        f"{row['evidence']:.1f}" if asked else "-", f"{row['bar']:.1f}" if asked else "-",
        "; ".join(filter(None, (row["what"], _most(row), _tellers(row)))),
    )  # fmt: skip


def _most(row: dict[str, Any]) -> str:
    return f"most of all {', '.join(row['which'])}" if row["which"] else ""


def _tellers(row: dict[str, Any]) -> str:
    """Who tells a signal at all, where not everybody does."""
    both = row["treated"] + row["controls"]
    return f"told by {row['told']} of {both}" if 0 <= row["told"] < both else ""


@app.command()
def lint(rollout: Id, as_json: Json = False) -> None:
    """What an independent look at the next step finds wrong."""
    findings = Client.from_context().get(f"/rollouts/{rollout}/lint")
    rows = [(f["severity"], f["rule"], f["text"]) for f in findings]
    emit(findings, as_json, lambda: table(["severity", "rule", "text"], rows, "No findings."))
    if any(f["severity"] == "error" for f in findings):
        raise typer.Exit(Exit.FAILED)


@app.command()
def power(
    size: Annotated[int, typer.Argument(min=1, help="Endpoints in the fleet.")],
    pace: Annotated[str, typer.Option(help="careful, fast, emergency or rehearsal.")] = "careful",
    as_json: Json = False,
) -> None:
    """What the statistics can and cannot see in a fleet of this size. Needs no server."""
    from brakeline.protocol.codec import to_plain
    from brakeline.rollout.model import Change, Pin
    from brakeline.rollout.power import power as compute
    from brakeline.rollout.presets import policy_for

    seen = compute(policy_for(size, pace), Change((Pin("any", "1"),)), size)

    def human() -> None:
        rows = [(r.name, r.treated, r.controls, r.halts_at or "cannot") for r in seen.rings]
        table(["ring", "treated", "controls", "halts at … silent"], rows)
        for sentence in seen.sentences:
            say(sentence)

    emit(to_plain(seen), as_json, human)


@app.command()
def forecast(
    size: Annotated[int, typer.Argument(min=1, max=20_000_000, help="Endpoints in the fleet.")],
    pace: Annotated[str, typer.Option(help="careful, fast or rehearsal.")] = "careful",
    regions: Annotated[int, typer.Option(min=1, max=1_000, help="In how many regions they are.")] = 1,
    start: Annotated[datetime | None, typer.Option(help="When it is started, UTC: says what a weekend adds.")] = None,
    as_json: Json = False,
) -> None:
    """When each ring opens at the earliest, and the smallest harm that halts it there. Needs no server."""
    from brakeline.protocol.codec import to_plain
    from brakeline.rollout.forecast import forecast as compute
    from brakeline.rollout.forecast import over_weekend
    from brakeline.rollout.model import Change, Pin
    from brakeline.rollout.presets import policy_for

    policy = policy_for(size, pace)
    seen = compute(policy, Change((Pin("any", "1"),)), size, regions)
    starts_ms = round(start.replace(tzinfo=UTC).timestamp() * 1000) if start is not None else None
    weekend = over_weekend(seen, starts_ms, policy.enrolled) if starts_ms is not None else None

    def human() -> None:
        rows = [
            (r.name, f"{r.upto:,}", f"{r.opens_s / 3600:,.1f} h", f"{r.done_s / 3600:,.1f} h",
             "proof decides" if r.smallest is None else f"{r.halts_at:,} silent ({100 * r.smallest:.2g} %)")
            for r in seen.rings
        ]  # fmt: skip
        table(["ring", "up to", "opens after", "done after", "halts at"], rows)
        say(f"Done after {seen.finish_s / 86_400:.1f} days at the earliest; noise among the controls makes it coarser.")
        if weekend is not None:
            say(weekend.says(f"{datetime.fromtimestamp(weekend.ends_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"))

    plain = to_plain(seen) | {"weekend": to_plain(weekend) if weekend is not None else None}
    emit(plain, as_json, human)


@app.command()
def watch(
    rollout: Id,
    timeout: Annotated[float, typer.Option(help="Seconds; 0 = for ever.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Follow it to its end. Ends with 0 when completed, 6 when halted or withdrawn, 7 when time ran out."""
    client, started, said, told = Client.from_context(), time.monotonic(), "", False
    while True:
        view = client.get(f"/rollouts/{rollout}", examples=True)
        line = f"{view['state']}  {view['exposed']}/{view['targets']} exposed, {view['proven']} proven, " \
               f"{view['failed']} failed, {view['silent']} silent  {_stable(view)}"  # fmt: skip
        if line != said and not as_json:
            say(line)
            said = line
        if view["state"] == "holding" and not told and not as_json:
            talk(_held(view))
            told = True
        over = view["state"] in ("completed", *STOPPED)
        late = bool(timeout) and time.monotonic() - started > timeout
        if over or late:
            break
        time.sleep(POLL_S)
    emit(view, as_json, lambda: None)
    if view["state"] in STOPPED:
        if view["spared"]:
            talk(_spared(view))
        raise typer.Exit(Exit.BRAKED)
    if not over:
        raise typer.Exit(Exit.TIMEOUT)


def _stable(view: dict[str, Any]) -> str:
    """The reason without its countdown, so that a waiting rollout prints one line and not one a second."""
    why = _reason(view)
    return why.partition(": waiting for bake time")[0] + (", baking" if ": waiting for bake time" in why else "")


def _held(view: dict[str, Any]) -> str:
    spared = f"{_spared(view)}\n" if view["spared"] else ""
    return (
        f"{spared}It holds; a person may end it (brakeline rollout withdraw {view['id']} --reason …) or let it go on "
        "(resume). Watching on; Ctrl-C ends the watch alone."
    )
