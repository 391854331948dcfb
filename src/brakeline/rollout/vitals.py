"""How an endpoint does its work since it was ready: errors in its journal, how it starts, people's own probes. Pure.

A service that answers every request with an error, or tries the same thing again and again, has neither failed nor
closed its port. Each rule compares an endpoint with itself at ready, by the same rule in both arms, like `harms`: who
did not tell a number at ready, or tells it no more, is not bad by that, and what happens by chance the controls show.
What joins a question that is asked anyway costs nothing of alpha: a probe that fails is *unhealthy*, a slow start is
among *starts*; errors are a question of their own. Next: `situation` asks, `telling` says it in words.
"""

from __future__ import annotations

from typing import Final

from brakeline.protocol.messages import Harms

# Errors of ten minutes. Sixty are one each ten seconds: what a service that retries in vain leaves behind, whose start
# limit (systemd: five starts in ten seconds) it stays below. A restart of services that goes well leaves a few.
ERRORS_MORE: Final = 60
ERRORS_TIMES: Final = 4  # and so much of what there was: a machine that always complains must complain much more
# A start. A unit that hangs is given up after 90 s (systemd: DefaultTimeoutStartSec); starts of one machine differ by
# a few seconds, of a large one that looks through its disks by some ten.
SLOWER_S: Final = 60
SLOWER_TIMES: Final = 1.5
NAMES_MAX: Final = 5
ERRORS_OF: Final = "errors: "  # how an agent names who writes most of them
SLOW: Final = "start took "
PROBE: Final = "probe "


def flooded(before: Harms | None, now: Harms | None) -> bool:
    """Whether its journal takes far more errors than it did."""
    if before is None or now is None or before.errors is None or now.errors is None:
        return False
    return now.errors - before.errors >= ERRORS_MORE and now.errors >= ERRORS_TIMES * before.errors


def slow_start(before: Harms | None, now: Harms | None) -> bool:
    """Whether it started, since ready, far more slowly than the time before. Who did not start again tells the same."""
    if before is None or now is None or not before.boot_s or now.boot_s is None:
        return False
    return now.boot_s - before.boot_s >= SLOWER_S and now.boot_s >= SLOWER_TIMES * before.boot_s


def probes_failing(before: Harms | None, now: Harms | None) -> tuple[str, ...]:
    """Those that passed at ready and fail now, with why: "web: HTTP 500". One that is tried no more has not failed."""
    if before is None or now is None or not before.probes:
        return ()
    return tuple(told for told in now.probes_failed if told.partition(":")[0] in before.probes)


def ails(before: Harms | None, now: Harms | None) -> bool:
    """Whether it is no proof that a change did well: of an endpoint that took it this is asked in every ring. Both pass
    by themselves when what is wrong does; a slow start does not, and is judged between the arms alone."""
    return flooded(before, now) or bool(probes_failing(before, now))


def in_words(before: Harms | None, now: Harms | None) -> tuple[str, ...]:
    """Each kind once, with names, for the people of this cell."""
    if before is None or now is None:
        return ()
    found = [f"{PROBE}{_because(told)} failed" for told in probes_failing(before, now)[:NAMES_MAX]]
    if flooded(before, now):
        loud = [n for n in now.named if n.startswith(ERRORS_OF)][:NAMES_MAX]
        found += loud or [f"{ERRORS_OF}{now.errors} in ten minutes"]
    if slow_start(before, now):
        found.append(f"{SLOW}{now.boot_s} s instead of {before.boot_s} s")
    return tuple(found)


def _because(told: str) -> str:
    name, _, why = told.partition(": ")
    return f"{name} ({why})" if why else name
