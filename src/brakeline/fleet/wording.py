"""A launcher's report in the words of a person, each with what to do next: for console and command line. Pure.

Codes are stable and come from endpoints of any age, so an unknown one is shown as it is and never hidden.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from brakeline.protocol.messages import LauncherReport, TrialReport

TRIALS: Final = {
    "ok": "it was confirmed",
    "exited": "it ended by itself",
    "killed": "it was ended by a signal",
    "not_ready": "it did not get ready in time",
    "not_healthy": "it did not become healthy in time",
    "unreachable": "no look for releases reached this server while it ran",
    "over_budget": "it took more than it may",
    "cut_off": "the host or the launcher ended while it was on probation",
    "recalled": "it was recalled while it was on probation",
    "manifest": "its files are not what its manifest says",
    "exec": "the system refused to execute it",
    "damaged": "its file was not what had been written",
    "disk": "the disk refused to write the try down",
    "late": "it did not get going in time",
    "ended": "it ended by itself",
    "stub": "the stub below it could not start it",
}  # fmt: skip
WAIT: Final = "Nothing: the last good release runs on, and the launcher looks again by itself."
_CELL: Final = "See that this server can be reached from there, by its port and address; the agent goes on meanwhile."
_CLOCK: Final = "Set the clock of that machine, or of this server; until then nothing new is installed, recalls hold."
_KEYS: Final = "Look at the keys (brakeline release status): their holders sign the next document, and it heals."
_DOCUMENT: Final = "Nothing was installed. If it stays: compare /etc/brakeline/root.json there with this server's root."
_AGAIN: Final = "Publish a newer release; this version is never tried there again."
_DISK: Final = (
    "Make room on the disk of the launcher (/var/lib/brakeline-launcher), or mend it; it tries again by itself."
)

# kind of a problem -> what it means, and what to do next
PROBLEMS: Final[dict[str, tuple[str, str]]] = {
    "check": ("A look for newer releases and recalls came to nothing", WAIT),
    "unreachable": ("The launcher cannot reach this server", _CELL),
    "clock_skew": ("Its clock and the signed time do not fit together", _CLOCK),
    "stale": ("It was shown old documents", _CLOCK),
    "expired": ("A document that it was shown has expired", _KEYS),
    "metadata_expired": ("A signed document has expired: nothing new is installed", _KEYS),
    "recall_expired": ("The list of recalls is old: it holds still, but may lack the newest", _KEYS),
    "rollback": ("It was shown documents older than those it knows", "If this server was restored from a backup: "
                 "let the holders sign newer documents. If not: somebody may be in between."),
    "version_jump": ("A number of a signed document is absurdly high, as a thief of an online key would make it",
                     "Exchange that key: docs/how-to/release-keys.md, A key of the cell."),
    "threshold": ("A document lacks signatures", _KEYS),
    "hash": ("A download was not what was signed, and was thrown away", WAIT),
    "download": ("A release is not fetched yet", "Nothing: the last good release runs on, and the next look goes on "
                 "where this one ended. If it does not get on: look at the line between that machine and this server."),
    "manifest": ("Files of a release on its disk are damaged", "Nothing: it is not run, and fetched again by itself. "
                 "If it comes back: look at that disk."),
    "exec": ("The system refused to execute a release", "Look whether python3 (3.11 or newer) is there and whether "
             "/var/lib/brakeline-launcher is mounted noexec."),
    "quarantined": ("A release that failed here before is offered again, and is not taken", _AGAIN),
    "recalled": ("A recalled release is offered, and is not taken", WAIT),
    "disk": ("The launcher cannot write", _DISK),
    "busy": ("Something newer waits until a trial here is over", WAIT),
    "no_space": ("The disk is full: nothing new is installed", _DISK),
    "state_lost": ("The launcher's record was lost; it began anew with what is on the disk", "Look at that disk. "
                   "It runs what was there; quarantines of that machine are forgotten."),
    "settings": ("A file of settings there cannot be used; the defaults count", "Mend the named file in "
                 "/etc/brakeline, or enrol the machine again."),
    "pinned": ("It is pinned to another release", "Remove the pin from the policy, or promote the pinned release."),
    "wrong_platform": ("The release is for another kind of machine", "Publish one for this platform."),
    "downgrade": ("It was offered an older release than it has run, and took none", _AGAIN),
}  # fmt: skip
_UNTRUSTED: Final = ("It was shown a document that it does not believe", _DOCUMENT)
_UNTRUSTED_KINDS: Final = frozenset(
    {"ahead", "malformed", "mismatch", "mix_and_match", "other_cell", "other_endpoint", "other_grant", "too_large",
     "too_long", "unknown_role", "unsafe_bundle", "unsafe_name", "unknown_field", "unsigned", "version", "widened",
     "wrong_product", "signature"}
)  # fmt: skip
_TRIAL_CODE: Final = re.compile(r"\btrial_([a-z_]+)\b:? ?")


@dataclass(frozen=True, slots=True)
class Said:
    """A problem of a launcher: in words, as it was told, and what to do next."""

    kind: str
    what: str
    told: str
    next: str


def problem(text: str) -> Said:
    """`metadata_expired: the root has expired …` in words."""
    kind, _, told = text.partition(":")
    kind = kind.strip()
    if kind in _UNTRUSTED_KINDS:
        what, following = _UNTRUSTED
    else:
        what, following = PROBLEMS.get(
            kind, ("The launcher says", "If it stays, look on that machine: brakeline-agent status")
        )
    return Said(kind, what, told.strip() or kind, following)


def trial_word(code: str) -> str:
    """Why a trial ended, in words; a code that is not known as it is."""
    return TRIALS.get(code, code.replace("_", " "))


def trial_sentence(t: TrialReport) -> str:
    """`reverted after 3 executions: it ended by itself`."""
    if t.outcome == "confirmed":
        return f"confirmed after {_times(t.runs)}"
    return f"{t.outcome} after {_times(t.runs)}: {trial_word(t.code)}"


def with_trials(text: str) -> str:
    """`text` with codes such as `trial_exited: …` put in words."""
    return _TRIAL_CODE.sub(lambda found: f"the trial failed, {trial_word(found[1])}: ", text)


def trial_note(text: str) -> str:
    """The same where a badge beside it says already that the trial failed."""
    return _TRIAL_CODE.sub(lambda found: f"{trial_word(found[1])}: ", text)


def executed(report: LauncherReport) -> str:
    """What a launcher executes now, and how far that is trusted."""
    if not report.running:
        return "nothing: no release on its disk may run, so that the launcher looks and reports alone"
    if report.running == report.trial:
        return f"{report.running}, on probation"
    if report.running == report.confirmed:
        return f"{report.running}, confirmed"
    return f"{report.running}, the last known good"


def _times(runs: int) -> str:
    return "1 execution" if runs == 1 else f"{runs} executions"
