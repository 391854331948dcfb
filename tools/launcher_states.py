"""The launcher's states and what leads from one to another, in words: one table, and the document made from it.

`decide` does not read this; tests/sim/test_launcher_sim.py compares the table with what its histories really reach,
both ways. The document is docs/reference/launcher-states.md: `python -m tools.launcher_states --rewrite`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from brakeline.launcher.model import Phase, Running

DOCUMENT: Final = Path("docs/reference/launcher-states.md")


def state_name(phase: Phase) -> str:
    """`Running` is three states to readers: on trial, confirmed, told to end."""
    if not isinstance(phase, Running):
        return type(phase).__name__
    return "Ending" if phase.killed else "Trial" if phase.trial else "Running"


STATES: Final = {
    "Starting": "the first look is under way; nothing runs",
    "Guarding": "the host died soon after a release was started: a verified answer is waited for, 15 minutes at most",
    "Trial": "a release on probation is being executed, or the confirmed one with content on probation",
    "Running": "a confirmed release is being executed, with confirmed content or without any",
    "Ending": "a release was told to end and has not ended yet",
    "Resting": "nothing runs until a wait is over and a look has ended",
    "Alone": "no release on this disk may run; it looks every five minutes and reports",
    "Ended": "told to stop, and nothing runs any more",
}

# (state, event, next state): why. Whatever is not here leaves the state as it is.
TRANSITIONS: Final[dict[tuple[str, str, str], str]] = {
    ("Starting", "Started", "Guarding"): "the host died soon after a release was started: it is suspected",
    (
        "Starting",
        "CheckEnded",
        "Trial",
    ): "a release on probation may run: the execution is counted on disk, then it begins",
    (
        "Starting",
        "CheckEnded",
        "Running",
    ): "the confirmed release runs, or the last known good one; with or without an answer",
    (
        "Starting",
        "CheckEnded",
        "Alone",
    ): "all that is installed is recalled, quarantined or damaged, or nothing is installed",
    ("Starting", "StopAsked", "Ended"): "told to stop before anything ran",
    ("Guarding", "CheckEnded", "Trial"): "a verified answer, and a release that is not suspected is on probation",
    ("Guarding", "CheckEnded", "Running"): "a verified answer, and another release than the suspected one may run",
    (
        "Guarding",
        "CheckEnded",
        "Resting",
    ): "a verified answer, but only the suspected release is here: it rests 1 h, 6 h, 24 h",
    (
        "Guarding",
        "CheckEnded",
        "Alone",
    ): "a verified answer: all that is here is recalled, and the delay is served already",
    ("Guarding", "Tick", "Trial"): "no answer in 15 minutes, and a release that is not suspected is on probation",
    ("Guarding", "Tick", "Running"): "no answer in 15 minutes: another release than the suspected one runs",
    ("Guarding", "Tick", "Resting"): "no answer in 15 minutes, and only the suspected release is here: it rests",
    ("Guarding", "StopAsked", "Ended"): "told to stop while nothing ran",
    (
        "Trial",
        "Said",
        "Running",
    ): "HEALTHY, after ten minutes of uptime and a look that reached the cell: confirmed",
    (
        "Trial",
        "Tick",
        "Running",
    ): "ten minutes of uptime, HEALTHY, and a look that reached the cell: confirmed",
    ("Trial", "Tick", "Ending"): "no READY in 60 s, not healthy in time, or a newer release is to be tried",
    ("Trial", "CheckEnded", "Ending"): "it is recalled",
    ("Trial", "OverBudget", "Ending"): "it takes more than it may",
    ("Trial", "StopAsked", "Ending"): "told to stop",
    ("Trial", "Exited", "Resting"): "it has ended; after three such executions it is quarantined",
    ("Trial", "Refused", "Resting"): "its files are not what the manifest says, or the system refuses to execute it",
    (
        "Trial",
        "CommitFailed",
        "Running",
    ): "the execution could not be counted on disk: the confirmed release runs instead",
    (
        "Trial",
        "CommitFailed",
        "Resting",
    ): "the execution could not be counted on disk, and the confirmed release has to rest",
    ("Trial", "CommitFailed", "Alone"): "the execution could not be counted on disk, and nothing else may run",
    ("Running", "Tick", "Ending"): "a release or content is to be tried, or the confirmed one again after its rest",
    ("Running", "CheckEnded", "Ending"): "it or its content is recalled, or files of what should run are whole again",
    ("Running", "OverBudget", "Ending"): "it takes more than it may",
    ("Running", "StopAsked", "Ending"): "told to stop",
    ("Running", "Exited", "Resting"): "it has ended: crashed, or asks for a look (75), or is not enrolled (2, 5)",
    ("Running", "Refused", "Resting"): "its files are not what the manifest says, or the system refuses to execute it",
    (
        "Running",
        "CommitFailed",
        "Trial",
    ): "the confirmation could not be written: the release stays on probation, confirmed at the next try",
    ("Ending", "Exited", "Resting"): "it has ended; what comes next is chosen after a look",
    ("Ending", "Exited", "Ended"): "it has ended, and the launcher was told to stop",
    ("Ending", "CommitFailed", "Running"): "the disk takes no record, so the trial could not begin: what runs goes on",
    ("Resting", "CheckEnded", "Trial"): "the wait is over and a look has ended: a release on probation runs",
    (
        "Resting",
        "CheckEnded",
        "Running",
    ): "the wait is over and a look has ended: the confirmed release runs, or the last known good one",
    ("Resting", "CheckEnded", "Alone"): "a look has ended: nothing may run any more",
    ("Resting", "StopAsked", "Ended"): "told to stop while nothing ran",
    ("Alone", "CheckEnded", "Trial"): "a newer release is offered and here: it is tried",
    ("Alone", "CheckEnded", "Running"): "a release is whole again, or its recall was taken back",
    ("Alone", "StopAsked", "Ended"): "told to stop while nothing ran",
}


def document() -> str:
    """The reference page: diagram, states, transitions."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for begin, event, end in TRANSITIONS:
        arrows.setdefault((begin, end), []).append(event)
    lines = ["    [*] --> Starting"]
    lines += [f"    {begin} --> {end}: {', '.join(events)}" for (begin, end), events in arrows.items()]
    return "\n".join((
        "# The states of the launcher",
        "",
        "Made from `tools/launcher_states.py` by `python -m tools.launcher_states --rewrite`;",
        "a test compares the table with what hundreds of random histories of the real `decide` reach, both ways. What",
        "an event is: `src/brakeline/launcher/model.py`. An event that is not listed for a state leaves that state as",
        "it is. No state waits for a person.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        *lines,
        "    Ended --> [*]",
        "```",
        "",
        "| state | meaning |",
        "|---|---|",
        *(f"| {name} | {meaning} |" for name, meaning in STATES.items()),
        "",
        "| in | event | then | why |",
        "|---|---|---|---|",
        *(f"| {begin} | {event} | {end} | {why} |" for (begin, event, end), why in TRANSITIONS.items()),
        "",
    ))  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:] != ["--rewrite"]:
        sys.exit("say --rewrite")
    DOCUMENT.write_text(document(), encoding="utf-8")
