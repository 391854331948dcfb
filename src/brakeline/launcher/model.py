"""The launcher's words: its durable `Record`, what may happen (`Event`), what it then does (`Command`). Pure.

Invariants: only the launcher writes the record; a commit overwrites the older of two slots and is synced before the
command that relies on it runs; times are monotonic seconds of one boot or signed time, never the wall clock.
Next: `decide` (the machine), `records` (the two slots), `shell`.
"""

from __future__ import annotations

from dataclasses import field

from brakeline.core.frozen import dataclass
from brakeline.trust.model import Floors

AGENT, CONTENT = "agent", "content"  # products that this launcher puts on probation, one release at a time
TRIES = 3  # executions of a release on probation before it is quarantined
REFUNDS_MAX = 2  # of these, executions given back because the host went down after READY


@dataclass(frozen=True, slots=True)
class Knobs:
    """Durations in seconds. `/etc/brakeline/launcher.json` may change them; `settings` bounds what it may say."""

    check_s: float = 10.0  # one look for a recall or a newer release
    check_every_s: float = 3600.0
    ready_s: float = 60.0
    probation_s: float = 600.0  # of monotonic uptime before HEALTHY is believed
    healthy_s: float = 7200.0  # a trial that is not healthy by then is reverted …
    healthy_unreachable_s: float = 86_400.0  # … or by then, while the launcher cannot reach the cell either
    survive_s: float = 600.0  # a host that dies later than this after a start is not blamed on the release
    guard_wait_s: float = 900.0  # for a verified answer, after an unclean death of the host
    guard_delays_s: tuple[float, ...] = (3600.0, 21_600.0, 86_400.0)  # of uptime, the last one repeating
    restart_s: tuple[float, ...] = (1.0, 10.0, 30.0, 60.0, 300.0)  # between crashes of the same release
    again_s: float = 3600.0  # a crash-looping release is tried again after the last known good has run so long
    lonely_check_s: float = 300.0  # nothing may run, or a look came to nothing: look again after this
    stop_s: float = 8.0  # between SIGTERM and SIGKILL
    tick_s: float = 1.0  # how often the time is looked at while nothing happens …
    calm_tick_s: float = 10.0  # … and while a confirmed release runs and nothing is due
    launcher_calm_s: float = 604_800.0  # of the agent's healthy uptime before a newer launcher is tried
    launcher_ready_s: float = 60.0  # a launcher on trial must have begun by then, its agent ten times later
    launcher_probation_s: float = 600.0  # of uptime, before a launcher on trial may confirm itself
    launcher_trial_s: float = 21_600.0  # … and gives up otherwise


@dataclass(frozen=True, slots=True)
class Attempt:
    """Ledger: how often a release was executed on probation, over all installs of it. Never reset."""

    release_id: str
    runs: int
    refunds: int = 0

    @property
    def counted(self) -> int:
        return self.runs - self.refunds


@dataclass(frozen=True, slots=True)
class Run:
    """The execution that is or was last going on."""

    release_id: str
    boot_id: str
    ready: bool = False
    survived: bool = False  # it ran for `survive_s`
    clean: bool = False  # it ended by itself or was ended by us; not with the host
    content: str = ""  # release_id of the content that it was given


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """How the newest trial ended; shown to the agent as `protocol.launcher_report.TrialReport`."""

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
    trial: str = ""  # of either product: content on probation is given to the confirmed agent
    trial_sequence: int = 0
    attempts: tuple[Attempt, ...] = ()
    quarantined: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()  # sticky: a recall is taken back by the offline keys only
    run: Run | None = None
    suspect: str = ""  # the host died soon after this release was started
    suspected: int = 0  # how often in a row
    served_s: float = 0.0  # uptime that the suspect has rested, over all boots
    vouched: str = ""  # it was suspected and has survived since: the next such death costs no delay
    floors: Floors = field(default_factory=Floors)
    last_trial: TrialEnd | None = None
    content: str = ""  # endpoint content that passed its probation last; "" = the agent's own defaults
    content_last_known_good: str = ""  # the one before
    trial_product: str = AGENT  # of `trial`

    def attempt(self, release_id: str) -> Attempt:
        """The ledger's line of a release."""
        return next((a for a in self.attempts if a.release_id == release_id), Attempt(release_id, 0))

    @property
    def kept(self) -> tuple[str, ...]:
        """Every release that this record needs on the disk."""
        ours = (self.current, self.last_known_good, self.content, self.content_last_known_good, self.trial)
        return tuple(dict.fromkeys(r for r in ours if r))


@dataclass(frozen=True, slots=True)
class Staged:
    """A release of another product than the agent: offered to this endpoint and complete in versions/."""

    product: str
    release_id: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Question:
    """What a look is asked, beside what stands on the disk."""

    damaged: tuple[str, ...] = ()  # releases of our own record that are to be fetched again
    launchers: bool = False  # newer launchers are looked for too: a stub is there to try them
    settled: tuple[str, ...] = ()  # launchers that need no staging: in use already, or failed here
    sequence: int = 0  # of the confirmed launcher
    until_s: float = 0.0  # monotonic time at which the look is cut off; 0 = not told
    way: str = ""  # by which the cell was reached last


@dataclass(frozen=True, slots=True)
class Found:
    """What one check came to, as the check's own process says it."""

    fresh: bool  # the cell has answered this very question
    floors: Floors
    recalled: tuple[str, ...] = ()
    pardoned: tuple[str, ...] = ()
    staged: str = ""  # release_id that is offered to this endpoint and complete in versions/
    sequence: int = 0
    problems: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()  # damaged releases whose files are whole again
    others: tuple[Staged, ...] = ()  # the newest of each further product
    unfinished: bool = False  # a download goes on with the next look, which should come soon
    way: str = ""  # by which the cell was reached last, now or before


# --- what may happen: `at` is monotonic seconds ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The launcher begins. `installed`: complete releases on the disk."""

    at: float
    boot_id: str
    installed: frozenset[str]
    problem: str = ""  # of the record: "state_lost: …"


@dataclass(frozen=True, slots=True)
class CheckEnded:
    """A look has ended; None = no answer in time, or none that could be believed. `problem`: it did not end by itself,
    and `found` is what it had verified by then."""

    at: float
    found: Found | None
    installed: frozenset[str]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The release could not be executed: its files are not what the manifest says, or the system refused."""

    at: float
    release_id: str
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Said:
    """The release has written a word into its pipe."""

    at: float
    word: str  # READY | HEALTHY


@dataclass(frozen=True, slots=True)
class Exited:
    """The release has ended. `status`: its exit code, or minus the signal."""

    at: float
    status: int
    tail: str = ""


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The release takes more than it may."""

    at: float
    what: str


@dataclass(frozen=True, slots=True)
class Tick:
    at: float


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """The record could not be made durable; the commands after it were not run."""

    at: float
    why: str


@dataclass(frozen=True, slots=True)
class StopAsked:
    at: float


Event = Started | CheckEnded | Refused | Said | Exited | OverBudget | Tick | CommitFailed | StopAsked


# --- what is then done -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Commit:
    """Make the record durable. `must`: the commands after it may not run without."""

    record: Record
    must: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """Look for recalls and newer releases. `damaged`: releases of our own record that are to be fetched again."""

    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Execute:
    """Hash every file of the release and of its content against their manifests, then run it."""

    release_id: str
    content: str = ""


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGTERM, and SIGKILL to everything it has started when it does not listen."""

    why: str


@dataclass(frozen=True, slots=True)
class CollectGarbage:
    keep: frozenset[str]


@dataclass(frozen=True, slots=True)
class Log:
    line: str


@dataclass(frozen=True, slots=True)
class Exit:
    pass


Command = Commit | Check | Execute | Kill | CollectGarbage | Log | Exit


# --- where it stands ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Starting:
    """Looking before anything is run."""

    began_s: float


@dataclass(frozen=True, slots=True)
class Guarding:
    """The host died soon after `suspect` was started: waiting for a verified answer."""

    suspect: str
    until_s: float


@dataclass(frozen=True, slots=True)
class Resting:
    """A release has crashed; it is started again then, after a look."""

    until_s: float


@dataclass(frozen=True, slots=True)
class Running:
    """A release is being executed."""

    release_id: str
    trial: bool
    since_s: float
    ready: bool = False
    healthy: bool = False  # it says so; believed after `probation_s`
    killed: str = ""  # why it was told to end
    content: str = ""  # what it was given; `trial`: one of the two is on probation

    def tries(self, record: Record) -> bool:
        """Whether it is the release on probation, or has it as content."""
        return self.trial and record.trial in (self.release_id, self.content)


@dataclass(frozen=True, slots=True)
class Alone:
    """Nothing on this disk may run. The launcher goes on looking and reporting."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Told to stop, and nothing runs any more."""


Phase = Starting | Guarding | Resting | Running | Alone | Ended


@dataclass(frozen=True, slots=True)
class State:
    """All that `decide` knows. `committed` is what the disk is known to hold."""

    record: Record
    knobs: Knobs = field(default_factory=Knobs)
    boot_id: str = ""
    phase: Phase = field(default_factory=lambda: Starting(0.0))
    committed: Record = field(default_factory=Record)
    installed: frozenset[str] = frozenset()
    damaged: frozenset[str] = frozenset()  # their manifest did not hold
    hash_again_s: float = 0.0  # when damage is believed no longer: the release is hashed again before it is executed
    looking: bool = False  # a check is under way
    check_due_s: float = 0.0
    fresh_s: float | None = None  # when the cell last gave a verified answer in this process
    way: str = ""  # by which the cell was reached last, "" = not in this process
    unheard: int = 0  # looks in a row in which the cell gave no verified answer
    crashes: int = 0  # of the same release in a row
    resting_release: str = ""  # crash-looping; not used before `rest_until_s` while it can be done without
    rest_until_s: float = 0.0
    bare_until_s: float = 0.0  # a release kept crashing with its content: until then all run without any
    served_at_s: float = 0.0  # up to when `record.served_s` counts
    stopping: bool = False
    problems: tuple[str, ...] = ()
    guard: str = ""  # what the host guard is doing, for people
