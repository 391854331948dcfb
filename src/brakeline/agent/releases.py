"""The agent's part in its own update: say whether it is ready, ask the launcher to look, tell what came of it. Pure.

The agent installs nothing. An offer of a release makes it end with LOOK; the launcher, which alone may write releases,
looks, verifies, and runs the new one on probation. What came of it stands in the launcher's report and is told by
whichever agent runs then: the new one once it is confirmed, the last known good one after a failure. Next: `sessions`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from brakeline.agent import sessions
from brakeline.agent.commands import AskLauncher, Command, Report, StoreFollow, TellLauncher
from brakeline.agent.events import LauncherSaid
from brakeline.agent.model import Instant, Session, SessionPhase, State
from brakeline.agent.providers.model import Planned, Refused
from brakeline.agent.sessions import Step
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Candidate,
    LauncherReport,
    Outcome,
    ReleaseRef,
    Transaction,
)

AGENT, CONTENT = "agent", "content"
LAUNCHER: Final = "launcher"  # tried by the stub, told of in fields of the report of its own
PACKAGES: Final = {  # how releases are named among updates
    AGENT: "brakeline-agent", CONTENT: "brakeline-content", LAUNCHER: "brakeline-launcher",
}  # fmt: skip
ASK_AGAIN_S: Final = 45.0  # of this process's life: then the launcher is asked once more, as often as ASKS_MAX
ASKS_MAX: Final = 3
TAKEN_LATE_MS: Final = 60_000  # after the offer's end: a launcher that has staged nothing by then will not
RECALL_AGAIN_S: Final = 300.0  # an agent that runs a recalled release asks for a look at most this often


def transaction_of(release: ReleaseRef, running: str) -> Transaction:
    """The update to a release in the words of a transaction, so that it is drawn, offered and shown like any other."""
    kind = ActionKind.UPGRADE if running else ActionKind.INSTALL
    actions = (Action(kind, PACKAGES[release.product], "all", running, release.release_id),)
    return Transaction(actions, transaction_digest(actions), release.length)


def answer(state: State, candidate: Candidate) -> Planned | Refused:
    """Whether this endpoint could take the release of a candidate now, in `protocol.messages.NotReady`'s words.

    What its launcher has taken by its own look, as after a boot, is on probation here already, or was given up before
    any agent could speak: ready, so that the cell counts it as treated and hears what comes of it.
    """
    release, report = candidate.release, state.launcher
    assert release is not None
    if report is None:
        return Refused("no_launcher", "no launcher runs the agent here; enrol this machine again to get one")
    taken = release.release_id in in_use(state) and release.release_id != held(release.product, report)
    if given_up(report, release.release_id):
        return Planned(transaction_of(release, held(release.product, report)))
    refused = _standing(state, release, report) or (None if taken else _passing(state, release, report))
    return refused or Planned(transaction_of(release, held(release.product, report)))


def given_up(report: LauncherReport, release_id: str) -> bool:
    """Whether the launcher's latest trial was of this release, and came to nothing."""
    return any(
        e is not None and e.release_id == release_id and e.outcome == "reverted"
        for e in (report.last_trial, report.launcher_last_trial)
    )


def held(product: str, report: LauncherReport) -> str:
    """The release of a product that is confirmed here, as far as the report tells."""
    if product != LAUNCHER:
        return report.content if product == CONTENT else report.confirmed
    return report.launcher_release if report.launcher_release != report.launcher_trial else ""


def _standing(state: State, release: ReleaseRef, report: LauncherReport) -> Refused | None:
    """Reasons that only another release or another order removes."""
    if held(release.product, report) == release.release_id:
        return Refused("nothing_to_do", f"{release.release_id} is in use here and is confirmed")
    if release.product not in PACKAGES:
        return Refused("refused", f"this endpoint takes no release of the product {release.product!r}")
    if release.product == LAUNCHER and not report.launcher_slot:
        return Refused("no_launcher", "no stub starts the launcher here; it is updated with its package")
    if release.release_id in (*report.quarantined, *report.launcher_failed):
        return Refused("refused", f"{release.release_id} has failed here before and is quarantined")
    if release.release_id in report.recalled:
        return Refused("refused", f"{release.release_id} was recalled")
    self_update, pin = followed(state.follow)
    if not self_update:
        return Refused("self_update_off", "a policy has switched self-update off for this endpoint")
    if pin and pin != release.release_id and release.product == AGENT:  # a pin names a release of the agent
        return Refused("pinned", f"a policy pins this endpoint to {pin}")
    return None


def _passing(state: State, release: ReleaseRef, report: LauncherReport) -> Refused | None:
    if report.launcher_trial:
        return Refused("busy", f"launcher {report.launcher_trial} is on trial here")
    if release.product == LAUNCHER and report.launcher_waits:
        return Refused("busy", report.launcher_waits)
    if report.trial:
        return Refused("busy", f"release {report.trial} is on probation here")
    if sessions.running(state):
        return Refused("busy", "a package transaction is going on here")
    if report.host_guard:
        return Refused("busy", f"the launcher guards the host: {report.host_guard}")
    return None


def followed(follow: str) -> tuple[bool, str]:
    """(self-update is on, pinned release) of a follow order. Only the launcher verifies it, and obeys it then."""
    try:
        signed = json.loads(follow)["signed"]
        return signed.get("self_update") is not False, str(signed.get("pin") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return True, ""


def words(state: State) -> Step:
    """READY once this process works; HEALTHY once the cell has taken its check-in and it could look at the machine.

    Where no look has ever worked, under no release, a failing one is no fault of this one.
    """
    able = state.scanned or not state.durable.inventory_sequence
    due = ("READY", "HEALTHY") if state.link.ever and able else ("READY",)
    missing = tuple(w for w in due if w not in state.words)
    return replace(state, words=state.words + missing), tuple(TellLauncher(w) for w in missing)


# --- orders about releases ----------------------------------------------------------------------------------------


def obey(state: State, recalled: tuple[str, ...], follow: str, at: Instant) -> Step:
    """What a reply says about releases as such: a new order for the launcher, and whether what runs was recalled."""
    commands: tuple[Command, ...] = ()
    if follow and follow != state.follow:
        state, commands = replace(state, follow=follow), (StoreFollow(follow),)
    launcher = state.launcher.launcher_release if state.launcher else ""
    ours = (state.me.release_id, state.me.content, launcher)
    running = next((r for r in ours if r and r in recalled), "")
    asked = state.durable.recall_asked == running and at.monotonic_s - state.began_s < RECALL_AGAIN_S
    if running and not asked and not sessions.running(state):
        state = replace(state, durable=replace(state.durable, recall_asked=running), stopping=True)
        commands += (Report(f"{running}, in use here, was recalled: asking the launcher to look"), AskLauncher())
    return state, commands


def ask(state: State, session: Session) -> Step:
    """Begin: end, so that the launcher looks before anything runs again. What its own look has taken is only watched:
    to end would cost one of its few executions on probation."""
    over = state.launcher is not None and given_up(state.launcher, session.release)
    if over or session.release in in_use(state):
        return sessions.put(state, replace(session, phase=SessionPhase.ASKED)), ()
    asked = replace(session, phase=SessionPhase.ASKED, asks=session.asks + 1)
    state = replace(sessions.put(state, asked), stopping=True)
    return state, (Report(f"{session.transaction_id}: asking the launcher for {session.release}"), AskLauncher())


def in_use(state: State) -> frozenset[str]:
    """Releases that run here or are on trial."""
    found = {state.me.release_id, state.me.content}
    if (report := state.launcher) is not None:
        found |= {report.running, report.running_content, report.trial, report.launcher_trial}
    return frozenset(found - {""})


# --- what came of it ----------------------------------------------------------------------------------------------


def heard(state: State, event: LauncherSaid) -> State:
    """The launcher has written a new report; the cell should hear of what matters in it."""
    old, new = state.launcher, event.report
    state = replace(state, launcher=new)
    return replace(state, news=state.news or _told(old) != _told(new))


def _told(report: LauncherReport | None) -> tuple[object, ...]:
    if report is None:
        return ()
    agent = (report.running, report.confirmed, report.trial, report.quarantined, report.recalled, report.last_trial)
    launcher = (report.launcher_release, report.launcher_trial, report.launcher_last_trial)
    return (*agent, report.running_content, report.content, *launcher, report.problems)


def under_way(state: State) -> tuple[Session, ...]:
    """Offers of a release for which the launcher was asked and that have come to no end."""
    return tuple(
        s for s in state.durable.sessions if s.release and s.phase in (SessionPhase.ASKED, SessionPhase.RUNNING)
    )


def judge(state: State, at: Instant) -> Step:
    """Look at each release that is under way: has the launcher come to an end with it?"""
    commands: tuple[Command, ...] = ()
    for session in under_way(state):
        state, more = _judge(state, session, at)
        commands += more
    return state, commands


def _judge(state: State, session: Session, at: Instant) -> Step:
    report = state.launcher
    if report is None:
        return state, ()
    release = session.release
    end = next((e for e in (report.last_trial, report.launcher_last_trial) if e and e.release_id == release), None)
    if release in (report.confirmed, report.content, held(LAUNCHER, report)):
        return sessions.end(state, session, Outcome.INSTALLED, "ok", f"{release} was confirmed after its probation", at)
    if release in (report.trial, report.running, report.running_content, report.launcher_trial):
        return sessions.put(state, replace(session, phase=SessionPhase.RUNNING)), ()
    if end is not None and end.outcome in ("reverted", "refused"):
        outcome = Outcome.FAILED if end.outcome == "reverted" else Outcome.REFUSED
        code = f"trial_{end.code}" if end.outcome == "reverted" else end.code
        text = f"{end.detail} (executed {end.runs} times)"
        return sessions.end(state, session, outcome, code, text, at, log_tail=end.log_tail)
    if release in report.recalled:
        return sessions.end(state, session, Outcome.REFUSED, "recalled", f"{release} was recalled", at)
    return _not_taken(state, session, report, at)


def _not_taken(state: State, session: Session, report: LauncherReport, at: Instant) -> Step:
    """The launcher has looked and taken nothing: ask again for a while, then say what it says."""
    if sessions.server_now_ms(state, at) >= session.expires_ms + TAKEN_LATE_MS:
        why = "; ".join(report.problems[:3]) or "it saw no lease for this endpoint"
        text = f"the launcher did not take {session.release}: {why}"
        return sessions.end(state, session, Outcome.EXPIRED, "not_taken", text, at)
    due = session.asks < ASKS_MAX and at.monotonic_s - state.began_s >= ASK_AGAIN_S * session.asks
    if due and not sessions.running(state) and not state.stopping:
        return ask(state, session)
    return state, ()
