"""What the launcher says of itself: `report.json` on the endpoint, and in a check-in as the agent has read it.

Apart from `messages`, which offers it too: the launcher needs these words alone, and whatever a process loads costs it
time at its start and memory afterwards. Additive, like every message.
"""

from __future__ import annotations

from brakeline.core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class TrialReport:
    """How the newest trial of a release ended, told by the launcher, never by the release itself."""

    release_id: str
    outcome: str  # confirmed | reverted | refused
    code: str  # ok, exited, killed, not_ready, not_healthy, over_budget, manifest, recalled, quarantined, no_space, …
    detail: str  # one or two sentences for people
    runs: int = 0  # how often it was executed
    log_tail: str = ""  # the last of what it wrote, at most 1 KiB


@dataclass(frozen=True, slots=True)
class LauncherReport:
    """`report.json` on the endpoint: what the launcher last wrote down about itself, who is not on trial."""

    version: str = ""
    running: str = ""  # release_id that is executed now
    confirmed: str = ""  # release_id that passed its probation last
    last_known_good: str = ""  # what would be run if `confirmed` fails
    trial: str = ""  # release_id on probation, of the agent or of its content, "" = none
    quarantined: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()  # of those on this disk
    last_trial: TrialReport | None = None
    host_guard: str = ""  # why the launcher waits after an unclean death of the host; "" = it does not
    problems: tuple[str, ...] = ()  # "metadata_expired: …", "clock_skew: …", "state_lost: …"
    trust_versions: tuple[int, ...] = ()  # root, timestamp, snapshot, targets, recall: what the launcher has verified
    follow_generation: int = 0
    running_content: str = ""  # release_id of the content that `running` was given, "" = its own defaults
    content: str = ""  # release_id of the content that passed its probation last
    content_last_known_good: str = ""  # what would be given if `content` fails
    launcher_slot: str = ""  # a | b | factory: where the launcher itself lies; "" = no stub starts it: no updates of it
    launcher_release: str = ""  # release_id of the launcher itself; "" = the one that came with its package
    launcher_trial: str = ""  # release_id of a launcher that is on trial, "" = none
    launcher_last_trial: TrialReport | None = None
    launcher_failed: tuple[str, ...] = ()  # releases of the launcher that are not tried here again
    launcher_waits: str = ""  # why no newer launcher would be tried now; "" = one would be
    way: str = ""  # by which its last contact with the cell went: directly, by the proxy HOST:PORT; "" = none yet
