"""What the launcher tells the agent about itself and about the release on trial. Pure.

`protocol.launcher_report.LauncherReport` as canonical JSON in report.json: evidence from one that is not on trial.
"""

from __future__ import annotations

from brakeline.launcher.model import Running, State, TrialEnd
from brakeline.launcher.selector import Update
from brakeline.launcher.settings import Settings
from brakeline.protocol.codec import encode
from brakeline.protocol.launcher_report import LauncherReport, TrialReport

VERSION = "0.1.0"
PROBLEMS_MAX = 12


def report_text(state: State, settings: Settings, update: Update) -> str:
    """The report of this state."""
    record, floors, own = state.record, state.record.floors, update.selector
    return encode(
        LauncherReport(
            version=VERSION,
            running=state.phase.release_id if isinstance(state.phase, Running) else "",
            confirmed=record.current,
            last_known_good=record.last_known_good,
            running_content=state.phase.content if isinstance(state.phase, Running) else "",
            content=record.content,
            content_last_known_good=record.content_last_known_good,
            trial=record.trial,
            quarantined=record.quarantined,
            recalled=tuple(r for r in record.recalled if r in state.installed or r in own.failed),
            last_trial=_told(record.last_trial),
            host_guard=state.guard,
            problems=(*settings.problems, *state.problems)[:PROBLEMS_MAX],
            trust_versions=(floors.root, floors.timestamp, floors.snapshot, floors.targets, floors.recall),
            follow_generation=floors.follow,
            launcher_slot=(update.me.slot or "factory") if update.me else "",
            launcher_release=update.me.release_id if update.me else "",
            launcher_trial=own.release(own.trial),
            launcher_last_trial=_told(own.last_trial),
            launcher_failed=own.failed,
            launcher_waits=update.waits,
            way=state.way,
        )
    ).decode()


def _told(end: TrialEnd | None) -> TrialReport | None:
    if end is None:
        return None
    return TrialReport(end.release_id, end.outcome, end.code, end.detail[:300], end.runs, end.detail[-1024:])
