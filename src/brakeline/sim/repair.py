"""Which victims need hands: somebody who goes to the endpoint, because nothing of ours reaches or heals it.

A rule over three facts: the symptom, whose change it was (a release of our own runs under the launcher, a vendor's
update does not), and whether it shows only at a restart. Each rule has its reason in one sentence; where we are not
sure it counts hands. A release of our own is code, settings or content of a user-mode agent: "silent" then means that
the agent, or the host with it, dies while it runs. Hands are not counted for pressing a power button: a host that is
down is taken to boot again. `rule_text` prints all rules; no I/O. Next: `incidents` for the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.sim.incidents import AtReboot, Fault, Incident, Symptom


@dataclass(frozen=True, slots=True)
class Repair:
    """Whether a victim needs hands, and why."""

    hands: bool
    reason: str


def _heals(reason: str) -> Repair:
    return Repair(False, reason)


def _hands(reason: str) -> Repair:
    return Repair(True, reason)


FINE: Final = _heals("the endpoint is well, only its reports are missing")
BACK: Final = _heals("the launcher goes back to the last known good release and says so")

OURS: Final = {
    Symptom.SILENT: _heals(
        "the launcher looks before it runs a release, and after a host's death it waits for an answer: recalled by then"
    ),
    Symptom.REBOOT_LOOP: _heals("after a host's death soon after a start, the launcher runs no suspect before a look"),
    Symptom.NETWORK_LOST: _heals(
        "on probation nobody hears HEALTHY and it is reverted; once confirmed, the look at the next start comes before "
        "the release runs and finds the recall"
    ),
    Symptom.UPDATE_PATH_BROKEN: _heals("the launcher looks by itself each hour, by a path that no release touches"),
    Symptom.CRASH_REVERTS: BACK,
    Symptom.CPU_SATURATED: _heals("the launcher has its own time, ends a recalled release and runs the one before"),
    Symptom.MEMORY_CREEP: _heals("limits end the release, not the host, and a recall ends it for good"),
    Symptom.SERVICE_FAILED: _heals("the recall brings the release before, and the agent is there to start the service"),
    Symptom.ACTION_STORM: _hands("a recall stops it, but brings back nothing of what was deleted or locked away"),
    Symptom.BLOCKS: _heals("the recall brings the release before, which lets pass what this one refused"),
    Symptom.DELETES: _hands("the recall stops it, but brings back nothing of what was deleted"),
    Symptom.TAKES_NOTHING: _heals("the launcher looks by itself each hour, and starts the agent anew with the release"),
    Symptom.PATCH_FAILURE: _heals("the last good release is there, and puts on what the new one could not"),
    Symptom.JOURNAL_ERRORS: _heals("the recall brings the release before, which does not complain"),
    Symptom.PROBE_FAILS: _heals("the recall brings the release before, with which the probe passed"),
    Symptom.TELEMETRY_OUTAGE: FINE,
}
VENDORS: Final = {
    Symptom.SILENT: _hands("the operating system is down, and neither launcher nor agent runs without it"),
    Symptom.REBOOT_LOOP: _hands("it may be up too briefly to take another transaction"),
    Symptom.NETWORK_LOST: _hands("no fix can be fetched, and no launcher goes back behind a vendor's update"),
    Symptom.UPDATE_PATH_BROKEN: _hands("it reports, but the transaction that would heal it is what no longer works"),
    Symptom.CRASH_REVERTS: _heals("the launcher runs and reports, so another release reaches it"),
    Symptom.CPU_SATURATED: _heals("it is slow but reached: the corrected update takes the same way"),
    Symptom.MEMORY_CREEP: _heals("a restart gives it time, and the corrected update takes the same way"),
    Symptom.SERVICE_FAILED: _heals("the agent is reached: the corrected update takes the same way"),
    Symptom.ACTION_STORM: _hands("the corrected update stops it, but brings back nothing of what was deleted"),
    Symptom.BLOCKS: _heals("the agent is reached: the corrected update takes the same way"),
    Symptom.DELETES: _hands("the corrected update stops it, but brings back nothing of what was deleted"),
    Symptom.TAKES_NOTHING: _hands(
        "it answers, but its agent or package manager hangs and takes no corrected update either"
    ),
    Symptom.PATCH_FAILURE: _heals("the package manager reports and works: the corrected update takes the same way"),
    Symptom.JOURNAL_ERRORS: _heals("the agent is reached: the corrected update takes the same way"),
    Symptom.PROBE_FAILS: _heals("the agent is reached: the corrected update takes the same way"),
    Symptom.TELEMETRY_OUTAGE: FINE,
}
BEFORE_LAUNCHER: Final = _hands(
    "what shows only at a restart may sit in what starts before the launcher: the helper of a release is root"
)
# Ours, and only at a restart: these take the place of the rules above.
OURS_AT_REBOOT: Final = {
    Symptom.SILENT: BEFORE_LAUNCHER,
    Symptom.REBOOT_LOOP: BEFORE_LAUNCHER,
    Symptom.NETWORK_LOST: BEFORE_LAUNCHER,
}


def repair(fault: Fault, ours: bool) -> Repair:
    """What a victim of this fault needs; `ours`: it came with a release of our own."""
    if not ours:
        return VENDORS[fault.symptom]
    late = OURS_AT_REBOOT.get(fault.symptom) if isinstance(fault.onset, AtReboot) else None
    return late or OURS[fault.symptom]


def hand_repairs(incident: Incident, harmed: float) -> float:
    """How many of so many harmed endpoints somebody has to go to."""
    return harmed if repair(incident.fault, incident.ours).hands else 0.0


def rule_text() -> str:
    """All rules, one a line, as a table that people read."""
    lines = ["| symptom | whose change | shows | hands | because |", "|---|---|---|---|---|"]
    for whose, shows, table in (
        ("ours", "while it runs", OURS),
        ("ours", "only at a restart", OURS_AT_REBOOT),
        ("a vendor's", "at any time", VENDORS),
    ):
        lines += [f"| {s} | {whose} | {shows} | {'yes' if r.hands else '0'} | {r.reason} |" for s, r in table.items()]
    return "\n".join(lines)
