"""The launcher's words: its durable `Record`, what may happen (`Event`), what it then does (`Command`). Pure.

Invariants: only the launcher writes the record; a commit overwrites the older of two slots and is synced before the
command that relies on it runs; times are monotonic seconds of one boot or signed time, never the wall clock.
Next: `decide` (the machine), `records` (the two slots), `__main__` (the shell).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from brakeline.trust.model import Assessment, Floors

TRIES = 3  # executions of a release on probation before it is quarantined


@dataclass(frozen=True, slots=True)
class Attempt:
    """Ledger: how often a release was executed on probation, over all installs of it. Never reset."""

    release_id: str
    runs: int
    refunds: int = 0  # of these, given back because the host went down meanwhile; at most two


@dataclass(frozen=True, slots=True)
class Run:
    """The execution that is or was last going on. `clean`: it ended, or was ended by us; not by the host's death."""

    release_id: str
    boot_id: str
    started_s: float  # monotonic, within `boot_id`
    clean: bool = False


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """How the newest trial ended; shown to the agent as `protocol.messages.TrialReport`."""

    release_id: str
    outcome: str  # confirmed | reverted | refused
    code: str
    detail: str
    runs: int


@dataclass(frozen=True, slots=True)
class Record:
    """All that survives. Encoded it fits one slot of 4 KiB; lists are bounded, the newest stay."""

    generation: int = 0
    current: str = ""  # release_id that passed its probation last; "" = nothing is installed yet
    last_known_good: str = ""  # the one before
    trial: str = ""
    tries: int = 0  # executions that the trial has left
    attempts: tuple[Attempt, ...] = ()
    quarantined: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()  # sticky: a recall is taken back by the offline keys only
    run: Run | None = None
    guard_waits: int = 0  # how many delays the host guard has imposed since the last clean run of ten minutes
    floors: Floors = field(default_factory=Floors)
    last_trial: TrialEnd | None = None
    trial_good_s: float = 0.0  # uptime that the trial has spent unable to reach a server that nobody could reach


@dataclass(frozen=True, slots=True)
class Installed:
    """What is on the disk, complete and verified at start."""

    releases: tuple[str, ...]  # release_ids
    sequences: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What one check came to: the assessment, and whether the offered release is complete in versions/."""

    assessment: Assessment
    staged: str = ""  # release_id that was downloaded, verified and installed into versions/; "" = none
    refused: str = ""  # why what was offered was not staged: "no_space: …", "hash: …"; "" = no refusal
