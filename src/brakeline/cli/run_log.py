"""Runs and changes for `brakeline deployment` and `brakeline endpoint`: log (live), stop, retry, runs, history.

`log --follow` prints lines as they come and ends with the run; Ctrl-C ends the looking alone. Exit code 1 after a run
that did not install what it should.
"""

from __future__ import annotations

import shlex
import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from brakeline.cli.client import Client
from brakeline.cli.naming import Endpoint
from brakeline.cli.output import Exit, Json, emit, say, table, talk, when
from brakeline.core.errors import Invalid

POLL_S: Final = 1.0
GOOD: Final = ("", "installed")
Rollout = Annotated[str, typer.Argument(help="ro_… or the deployment, dp_…")]
Run = Annotated[str, typer.Option("--run", help="tx_…; without it the newest.")]


def log(
    endpoint_id: Endpoint, run: Run = "",
    follow: Annotated[bool, typer.Option("--follow", help="Until it ends.")] = False,
    commands: Annotated[bool, typer.Option("--commands", help="Only which commands ran.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """What a package transaction prints on one endpoint, with each command, its duration and its exit code."""
    client = Client.from_context()
    path = f"/endpoints/{endpoint_id}/runs/{run or 'latest'}"
    seen = client.get(path)
    if as_json or commands or not follow:
        emit(seen, as_json, lambda: _commands(seen) if commands else _whole(seen))
        return
    _head(seen)
    path = f"/endpoints/{endpoint_id}/runs/{seen['run']['transaction_id']}"  # also when another one begins meanwhile
    _lines(seen["entries"])
    while seen["state"] != "ended":
        time.sleep(POLL_S)
        seen = client.get(path, begin=seen["following"])
        _lines(seen["entries"])
    _tail(seen)
    if seen["outcome"]["outcome"] not in GOOD:
        raise typer.Exit(Exit.FAILED)


def _head(seen: dict[str, Any]) -> None:
    run, outcome = seen["run"], seen["outcome"]
    talk(f"{run['transaction_id']} of {outcome['title'] or run['rollout_id']}, began {when(run['began_ms'])}")


def _whole(seen: dict[str, Any]) -> None:
    _head(seen)
    _lines(seen["entries"])
    _tail(seen)


def _lines(entries: list[dict[str, Any]]) -> None:
    for e in entries:
        at = datetime.fromtimestamp(e["at_ms"] / 1000, UTC).strftime("%H:%M:%S")
        say(f"{at} {_text(e)}")
    sys.stdout.flush()


def _text(e: dict[str, Any]) -> str:
    match e["kind"]:
        case "command":
            return f"$ {shlex.join(e['argv'])}"
        case "exit":
            note = f", {e['text']}" if e["text"] else ""
            return f"= exit code {e['rc']} after {e['took_ms'] / 1000:.2f} s{note}"
        case "dropped":
            return f"! {e['lines']} lines are not here: {e['text']}"
        case "said":
            return f"# {e['text']}"
        case _:
            return f"  {e['text']}"


def _tail(seen: dict[str, Any]) -> None:
    outcome = seen["outcome"]
    if seen["note"]:
        talk(seen["note"])
    if outcome["outcome"]:
        talk(f"{outcome['outcome']} ({outcome['code']}): {outcome['detail']}")
    elif seen["state"] != "ended":
        talk(f"It is {seen['state']}; --follow shows what comes.")


def _commands(seen: dict[str, Any]) -> None:
    rows = [
        (c["number"], when(c["at_ms"]), "" if c["rc"] is None else f"{c['took_ms'] / 1000:.2f} s",
         "runs" if c["rc"] is None else c["rc"], c["lines"] or "", shlex.join(c["argv"])) for c in seen["commands"]
    ]  # fmt: skip
    table(["no.", "started", "took", "exit", "lines", "command"], rows, "No command yet.")


def stop(
    rollout: Rollout, endpoint_id: Endpoint, reason: Annotated[str, typer.Option(help="For the audit log.")] = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Withdraw what has not begun on one endpoint. A running transaction is never torn; the answer says so."""
    _act(rollout, endpoint_id, "stop", reason, as_json)


def retry(
    rollout: Rollout, endpoint_id: Endpoint,
    reason: Annotated[str, typer.Option(help="Why it should go better now; kept in the audit log.")],
    as_json: Json = False,
) -> None:  # fmt: skip
    """One more offer for an endpoint where it failed, was refused or was stopped."""
    _act(rollout, endpoint_id, "retry", reason, as_json)


def _act(rollout: str, endpoint_id: str, verb: str, reason: str, as_json: bool) -> None:
    client = Client.from_context()
    if not rollout.startswith("ro_"):
        rollout = client.get(f"/deployments/{rollout}")["deployment"]["rollout_id"]
    answer = client.post(f"/rollouts/{rollout}/endpoints/{endpoint_id}/{verb}", {"reason": reason})
    emit(answer, as_json, lambda: say(f"{endpoint_id}: {answer['state']}. {answer['text']}"))


def runs(endpoint_id: Endpoint, as_json: Json = False) -> None:
    """Package transactions of one endpoint, newest first."""
    found = Client.from_context().get(f"/endpoints/{endpoint_id}/runs")
    rows = [
        (v["run"]["transaction_id"], v["outcome"]["outcome"] or v["state"], v["outcome"]["title"] or
         v["run"]["rollout_id"], when(v["run"]["began_ms"]), v["note"]) for v in found["items"]
    ]  # fmt: skip
    emit(found, as_json, lambda: table(["run", "state", "rollout", "began", "note"], rows, "No run is kept."))


def history(
    endpoint_id: Endpoint,
    since: Annotated[str, typer.Option(help="2026-11-01 or 2026-11-01T08:00, UTC; else from the beginning.")] = "",
    until: Annotated[str, typer.Option(help="The same; a day counts to its end. Without it until now.")] = "",
    diff: Annotated[bool, typer.Option("--diff", help="Only how these two moments differ.")] = False,
    form: Annotated[str, typer.Option("--format", help="csv or ndjson, to stdout.")] = "",
    as_json: Json = False,
) -> None:
    """What changed of one endpoint's software: installed, removed, another version; by whom."""
    since_ms, until_ms = _moment(since), _moment(until, end=True)
    asked: dict[str, Any] = {"since_ms": since_ms, "until_ms": until_ms, "net": str(diff).lower()}
    client = Client.from_context()
    path = f"/endpoints/{endpoint_id}/changes"
    if form:
        if form not in ("csv", "ndjson"):
            raise Invalid(f"--format is csv or ndjson, not {form[:20]!r}; --json gives one document")
        sys.stdout.write(client.download(path, **asked, format=form).decode())
        return
    found = client.get(path, **asked)

    def human() -> None:
        rows = [(when(c["at_ms"]), c["kind"], c["name"], c["before"] or "-", c["after"] or "-", c["architecture"],
                 c["author"]["title"] or c["author"]["rollout_id"]) for c in found["changes"]]  # fmt: skip
        table(["shown at", "what", "package", "before", "after", "architecture", "by"], rows, "Nothing changed.")
        for line in found["told"]:
            talk(line)

    emit(found, as_json, human)


def _moment(text: str, *, end: bool = False) -> int:
    """Unix milliseconds; 0 of "". A day without a time is its beginning, or its end."""
    if not text:
        return 0
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"a moment is written like 2026-11-26 or 2026-11-26T08:00, not {text[:30]!r}") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1000) + (86_400_000 if end and len(text) == 10 else 0)
