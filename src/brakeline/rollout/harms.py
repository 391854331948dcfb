"""What was done to an endpoint since it was ready: refusals, deletions, closed ports, failed transactions. Pure.

A security product that blocks or deletes too much, or an update that cannot be put on, leaves an endpoint that answers
every check-in. Each rule compares an endpoint with itself at ready, by the same rule in both arms; what happens by
chance is left to the controls. *Not told* is not *zero*: who did not tell a number at ready is in no comparison of it
(`tells`), and who stops telling one is not bad by that. A treated endpoint whose transaction fails is compared with
controls whose dry run of the same transaction fails; what a dry run cannot foresee may be as frequent as the provider's
ordinary failures (`alpha.MARGINS`). Next: `situation` asks, `evidence` counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from brakeline.protocol.messages import Harms
from brakeline.rollout import vitals
from brakeline.rollout.model import Arm, Progress, Subject

REFUSED: Final = 10  # accesses refused since ready: a profile that meets its programs once a day stays below
QUARANTINED: Final = 1  # file more in a scanner's quarantine
FILES: Final = 1  # file of a package that nobody changed meanwhile is gone
MASKED: Final = 3  # units masked: removing one package masks its own
CLOSED: Final = 3  # accounts that may not log in any more
NAMES_MAX: Final = 5  # examples by name

# Why a transaction cannot be done, seen by a dry run as well as by the real one. Whatever else keeps an endpoint from
# starting (locks, lists, network, windows, budgets) is nobody's harm, and only one of the arms would meet it.
CANNOT: Final = frozenset({"no_space", "unhealthy"})
NO_END: Final = "runner_died"  # three starts without a result; any other interruption may be a power cut, of one arm
PATCH_BIT, BLOCK_BIT, DELETION_BIT, ERROR_BIT = 1, 2, 4, 8  # of `Subject.tells`: the order of `evidence.TOLD_BY_SOME`


def tells(at_ready: Harms | None, *, dry_runs: bool) -> int:
    """Which of the signals that not everybody tells this endpoint told at ready. `dry_runs`: controls try the change in
    their minds, which they do with updates and not with releases or settings of ours, or drills."""
    found = PATCH_BIT if dry_runs else 0
    if at_ready is None:
        return found
    blocks = (at_ready.refused, at_ready.quarantined)
    deletions = (at_ready.files_gone, at_ready.units_masked, at_ready.accounts_closed)
    found |= BLOCK_BIT if any(x is not None for x in blocks) else 0
    found |= DELETION_BIT if any(x is not None for x in deletions) else 0
    return found | (ERROR_BIT if at_ready.errors is not None else 0)


def patch_fails(s: Subject, dry_run: str) -> bool:
    """Whether the transaction failed, or (controls) would fail now. `dry_run`: the code that its plan gave last."""
    if s.arm is Arm.CONTROL:
        return dry_run in CANNOT
    code = s.detail.partition(":")[0]
    if s.progress is Progress.INTERRUPTED:
        return code == NO_END
    return s.progress is Progress.FAILED or (s.progress is Progress.REFUSED and code in CANNOT)


def blocked(before: Harms | None, now: Harms | None) -> bool:
    """Whether something on the endpoint is refused, or locked away, that was not."""
    if before is None or now is None:
        return False
    return _more(before.refused, now.refused) >= REFUSED or _more(before.quarantined, now.quarantined) >= QUARANTINED


def deleted(before: Harms | None, now: Harms | None) -> bool:
    """Whether files, units or accounts went away that nobody's package change explains."""
    if before is None or now is None:
        return False
    return (
        _more(before.files_gone, now.files_gone) >= FILES
        or _more(before.units_masked, now.units_masked) >= MASKED
        or _more(before.accounts_closed, now.accounts_closed) >= CLOSED
    )


def ports_closed(before: Harms | None, now: Harms | None) -> tuple[int, ...]:
    """Ports that were listened on at ready and are not now."""
    if before is None or now is None or before.ports is None or now.ports is None:
        return ()
    return tuple(p for p in before.ports if p not in now.ports)


def in_words(before: Harms | None, now: Harms | None, failed_services: Iterable[str]) -> tuple[str, ...]:
    """Each kind once, with names, for the people of this cell; `failed_services`: those that had not failed before."""
    found = [f"{name} failed" for name in sorted(failed_services)[:NAMES_MAX]]
    if before is None or now is None:
        return tuple(found)
    found += [f"port {p} closed" for p in ports_closed(before, now)[:NAMES_MAX]]
    fresh = [n for n in now.named if n not in before.named and not n.startswith(vitals.ERRORS_OF)][:NAMES_MAX]
    if blocked(before, now) or deleted(before, now):
        found += fresh or [_counted(before, now)]
    return (*found, *vitals.in_words(before, now))


def _counted(before: Harms, now: Harms) -> str:
    counts = {
        "accesses refused": _more(before.refused, now.refused),
        "files in quarantine": _more(before.quarantined, now.quarantined),
        "files gone": _more(before.files_gone, now.files_gone),
        "units masked": _more(before.units_masked, now.units_masked),
        "accounts closed": _more(before.accounts_closed, now.accounts_closed),
    }
    return ", ".join(f"{n} {what}" for what, n in counts.items() if n > 0)


def _more(before: int | None, now: int | None) -> int:
    """How much more; a number that one of the two does not tell, or that began anew, is no more."""
    return 0 if before is None or now is None else max(0, now - before)
