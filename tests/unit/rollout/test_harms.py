"""What counts as done to an endpoint: refusals, deletions, closed ports, failed transactions; and what is not told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from brakeline.fleet import harms as told
from brakeline.fleet.model import Presence
from brakeline.protocol.messages import Harms
from brakeline.rollout import evidence, harms, telling
from brakeline.rollout.evidence import TOLD_BY_SOME, UNHEALTHY, Counts
from brakeline.rollout.model import Arm, Line, Policy, Progress, Ring, State, Subject
from brakeline.rollout.signals import BLOCKS, DELETIONS, ERRORS, PATCHES
from brakeline.rollout.situation import with_presence
from brakeline.rollout.store.arms import SubjectRow

WELL = Harms(refused=40, quarantined=2, files_gone=1, units_masked=5, accounts_closed=0, ports=(22, 443))
POLICY = Policy((Ring("all", 60, share=1.0),))
READY_MS = 1_000_000_000


def now(**fields: Any) -> Harms:
    return replace(WELL, **fields)


@pytest.mark.parametrize(
    ("after", "blocked", "deleted"),
    [
        (now(), False, False),
        (now(refused=49), False, False),
        (now(refused=50), True, False),
        (now(refused=3), False, False),  # it began anew
        (now(quarantined=3), True, False),
        (now(files_gone=2), False, True),
        (now(units_masked=7), False, False),
        (now(units_masked=8), False, True),
        (now(accounts_closed=2), False, False),
        (now(accounts_closed=3), False, True),
        (now(refused=None, quarantined=None, files_gone=None), False, False),
    ],
)
def test_what_was_so_at_ready_does_not_count_and_what_came_since_does(
    after: Harms, blocked: bool, deleted: bool
) -> None:
    assert (harms.blocked(WELL, after), harms.deleted(WELL, after)) == (blocked, deleted)


def test_not_told_is_not_zero() -> None:
    loud = Harms(refused=1000, files_gone=9, ports=())
    for before, after in ((None, loud), (Harms(), loud), (loud, None)):
        assert not harms.blocked(before, after)
        assert not harms.deleted(before, after)
        assert harms.ports_closed(before, after) == ()
    assert harms.tells(None, dry_runs=False) == 0
    assert harms.tells(Harms(ports=(22,)), dry_runs=True) == harms.PATCH_BIT
    assert harms.tells(Harms(refused=0), dry_runs=False) == harms.BLOCK_BIT
    assert harms.tells(Harms(units_masked=0), dry_runs=False) == harms.DELETION_BIT
    bits = {PATCHES: harms.PATCH_BIT, BLOCKS: harms.BLOCK_BIT, DELETIONS: harms.DELETION_BIT, ERRORS: harms.ERROR_BIT}
    assert bits == {signal: 1 << k for k, signal in enumerate(TOLD_BY_SOME)}


def test_a_port_is_missed_only_if_it_was_there() -> None:
    assert harms.ports_closed(WELL, now(ports=(22, 80))) == (443,)
    assert harms.ports_closed(WELL, now(ports=None)) == ()


# --- a check-in becomes evidence --------------------------------------------------------------------------------------


def row(arm: Arm = Arm.TREATED, at_ready: Harms | None = WELL, **fields: Any) -> SubjectRow:
    s = Subject("ep_1", arm, 0, 1, "eu", "server", 1, READY_MS, 1)
    return SubjectRow(replace(s, **fields), frozenset({"old.service"}), 0, None, at_ready)


def seen(harms_now: Harms | None = WELL, failed: tuple[str, ...] = ()) -> Presence:
    return Presence(READY_MS + 1_799_000, "a", failed_services=failed, harms=harms_now)


def after(r: SubjectRow, p: Presence, **how: Any) -> Subject:
    return with_presence(POLICY, r, p, p.last_check_in_ms, **how)


def test_each_harm_counts_at_its_checkpoint_under_its_own_signal() -> None:
    s = after(row(), seen(now(refused=99, files_gone=4, ports=(22,), named=("gone: /usr/bin/curl",))))
    assert (s.blocks, s.deletions, s.unhealthy, s.patches, s.tells) == (1, 1, 1, 0, 7)
    assert not s.unhealthy_now  # a port that somebody closed keeps nobody from being proven
    assert s.harms == ("port 443 closed", "gone: /usr/bin/curl")
    ill = after(row(), seen(failed=("old.service", "nginx.service")))
    assert (ill.unhealthy, ill.harms) == (1, ("nginx.service failed",))
    assert after(row(), seen(now(refused=60))).harms == ("20 accesses refused",)


@pytest.mark.parametrize(
    ("arm", "progress", "detail", "dry_run", "fails"),
    [
        (Arm.TREATED, Progress.FAILED, "maintainer_script_failed: x", "", True),
        (Arm.TREATED, Progress.FAILED, "no_space: the disk was full in the middle", "", True),
        (Arm.TREATED, Progress.INTERRUPTED, "runner_died: x", "", True),
        (Arm.TREATED, Progress.INTERRUPTED, "killed: the power went", "", False),
        (Arm.TREATED, Progress.REFUSED, "no_space: nothing was changed", "", True),
        (Arm.TREATED, Progress.REFUSED, "lock_timeout: somebody else is at work", "", False),
        (Arm.TREATED, Progress.REFUSED, "network: the mirror is away", "", False),
        (Arm.TREATED, Progress.INSTALLED, "ok: ", "", False),
        (Arm.TREATED, Progress.STARTED, "", "no_space", False),
        (Arm.CONTROL, Progress.NONE, "", "no_space", True),
        (Arm.CONTROL, Progress.NONE, "", "locked", False),
        (Arm.CONTROL, Progress.NONE, "", "lists_stale", False),
        (Arm.CONTROL, Progress.NONE, "", "nothing_to_do", False),
        (Arm.CONTROL, Progress.NONE, "", "", False),
    ],
)
def test_a_transaction_that_fails_is_compared_with_a_dry_run_that_fails(
    arm: Arm, progress: Progress, detail: str, dry_run: str, fails: bool
) -> None:
    found = after(row(arm, progress=progress, detail=detail), seen(), dry_run=dry_run)
    assert found.patches == int(fails)
    ours = after(row(arm, progress=progress, detail=detail), seen(), dry_run=dry_run, release_id="0.2.0-aaaaaaaaaaaa")
    assert (ours.patches, ours.tells & harms.PATCH_BIT) == (0, 0)  # nobody tries a release in the mind
    drilled = after(row(arm, progress=progress, detail=detail), seen(), dry_run=dry_run, drill=True)
    assert (drilled.patches, drilled.tells & harms.PATCH_BIT) == (0, 0)  # nor a drill


# --- comparisons ------------------------------------------------------------------------------------------------------


def member(arm: Arm, tells: int, **fields: Any) -> Subject:
    return replace(Subject("ep", arm, 0, 1, "eu", "server", 1, READY_MS, 1, heard=1, tells=tells), **fields)


def test_who_tells_nothing_is_at_no_risk_and_in_no_question_of_its_own() -> None:
    silent = [member(Arm.TREATED, 0) for _ in range(3)] + [member(Arm.CONTROL, 0) for _ in range(9)]
    found = evidence.compared(silent, 0, 0)
    assert (UNHEALTHY, "all") in found
    assert not any(signal in TOLD_BY_SOME for signal, _ in found)
    telling_ones = [member(Arm.TREATED, 2, blocks=1), member(Arm.CONTROL, 2), member(Arm.CONTROL, 6)]
    found = evidence.compared([*silent, *telling_ones], 0, 0)
    assert found[(BLOCKS, "all")] == Counts(4, 11, 1, 0, 1)
    assert (DELETIONS, "all") not in found  # no treated one tells it


# --- for people -------------------------------------------------------------------------------------------------------


def test_the_signal_that_halts_is_told_in_words_with_what_most_have_in_common() -> None:
    gone = ("port 443 closed", "gone: /usr/bin/curl")
    subjects = [
        member(Arm.TREATED, 7, deletions=1, unhealthy=1, harms=gone),
        member(Arm.TREATED, 7, deletions=1, harms=gone[1:]),
        member(Arm.TREATED, 1, patches=1, detail="maintainer_script_failed: x"), member(Arm.CONTROL, 7),
    ]  # fmt: skip
    halt = Line("excess deletions", State.HALT, "", {"signal": DELETIONS, "log_e": 12.0, "bar": 11.0})
    rows = telling.table(POLICY, subjects, [halt], READY_MS + 1_800_000)
    by = {r.signal: r for r in rows}
    assert (by[DELETIONS].which, by[DELETIONS].told) == (("gone: /usr/bin/curl (2)",), 3)
    assert by[UNHEALTHY].which == ("port 443 closed (1)",)
    assert by[PATCHES].which == ("maintainer_script_failed (1)",)
    assert telling.decided(rows, [halt]) == (
        "decided by deletions: a file of another package went away, or three units were masked, or three accounts "
        "closed, on 2 of 3 treated and on 0 of 1 controls; most of all gone: /usr/bin/curl (2)"
    )
    assert telling.decided(rows, [replace(halt, state=State.OK)]) == ""


# --- what comes over the wire -----------------------------------------------------------------------------------------


def test_what_cannot_be_is_not_told_and_the_rest_comes_back_from_storage() -> None:
    wild = Harms(-1, 1 << 50, 3, None, 0, (0, 22, 22, 70_000), ("a\nb\t|c", "x" * 500, *("y",) * 20))
    kept = told.bounded(wild)
    assert kept is not None
    assert (kept.refused, kept.quarantined, kept.files_gone, kept.units_masked) == (None, None, 3, None)
    assert (kept.ports, kept.named[0], len(kept.named[1]), len(kept.named)) == ((22,), "ab|c", 120, 12)
    assert told.read(told.text(kept)) == kept
    for one in (Harms(), Harms(ports=()), Harms(0, 0, 0, 0, 0, (22, 443), ("gone: /usr/bin/[", "refused: a b"))):
        assert told.read(told.text(one)) == one
    assert (told.bounded(None), told.text(None), told.read(""), told.read("1 2")) == (None, "", None, None)
