"""What the launcher of one endpoint says, for `brakeline endpoint show`: facts, problems and what to do, last trial."""

from __future__ import annotations

from typing import Any

from brakeline.cli.output import pairs, say
from brakeline.fleet.wording import executed, problem, trial_sentence
from brakeline.protocol.codec import from_plain
from brakeline.protocol.messages import LauncherReport


def show_launcher(plain: dict[str, Any] | None, self_update: dict[str, Any]) -> None:
    """The section, also where there is nothing to show."""
    say("agent and launcher")
    if plain is None:
        pairs({"  launcher": "none runs this agent: it takes no releases. Enrol this machine again to get one."})
        return
    report: LauncherReport = from_plain(LauncherReport, plain)
    pairs({f"  {name}": text for name, text in _facts(report, self_update).items()})
    for text in report.problems:
        said = problem(text)
        say(f"  ! {said.what}: {said.told}")
        say(f"    next: {said.next}")
    if report.last_trial is not None and report.last_trial.outcome != "confirmed":
        say(f"  its log ends: {report.last_trial.log_tail.strip()[-300:] or '(nothing was written)'}")


def _own(r: LauncherReport) -> str:
    """The launcher itself, and whether a newer one would be tried."""
    if not r.launcher_slot:
        return f"{r.version or 'unknown'}; no stub starts it: it comes with its package"
    waits = f"; a newer one waits: {r.launcher_waits}" if r.launcher_waits else ""
    trial = f"; {r.launcher_trial} is on trial" if r.launcher_trial else ""
    return f"{r.version or 'unknown'}, {r.launcher_release or 'of its package'} in {r.launcher_slot}{trial}{waits}"


def _facts(r: LauncherReport, self_update: dict[str, Any]) -> dict[str, str]:
    last = r.last_trial
    pin = f", pinned to {self_update['pin']}" if self_update["pin"] else ""
    return {
        "launcher": _own(r), "runs": executed(r), "confirmed": r.confirmed or "none yet",
        "last known good": r.last_known_good or "none yet", "on probation": r.trial or "none",
        "quarantined": ", ".join(r.quarantined) or "none",
        "content": f"{r.running_content or 'none: its own defaults'}; confirmed: {r.content or 'none yet'}",
        "recalled here": ", ".join(r.recalled) or "none",
        "host guard": r.host_guard or "quiet",
        "last contact": r.way or "none yet, or not told",
        "last trial": f"{last.release_id} {trial_sentence(last)}" if last else "none yet",
        "self-update": f"{'on' if self_update['on'] else 'off'}{pin}: {self_update['why']}",
        "channel": self_update["channel_why"],
    }  # fmt: skip
