"""How an endpoint does its work since ready: a flood of errors, a slow start, a probe that fails; what is not told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from brakeline.fleet import harms as told
from brakeline.fleet.model import Presence
from brakeline.protocol.messages import Harms
from brakeline.rollout import evidence, harms, telling, vitals
from brakeline.rollout.evidence import Counts
from brakeline.rollout.model import Arm, Policy, Progress, Ring, Subject
from brakeline.rollout.signals import BLOCKS, ERRORS, STARTS
from brakeline.rollout.situation import with_presence
from brakeline.rollout.store.arms import SubjectRow

WELL = Harms(refused=0, ports=(22,), errors=5, boot_s=40, probes=("db", "web"))
POLICY = Policy((Ring("all", 60, share=1.0),))
READY_MS = 1_000_000_000


def now(**fields: Any) -> Harms:
    return replace(WELL, **fields)


@pytest.mark.parametrize(
    ("before", "after", "bad"),
    [(5, 64, False), (5, 65, True), (0, 60, True), (30, 119, False), (30, 120, True), (5000, 5000, False),
     (400, 3, False), (None, 900, False), (5, None, False)],
)  # fmt: skip
def test_a_flood_is_sixty_errors_more_and_four_times_as_many(before: int | None, after: int | None, bad: bool) -> None:
    assert vitals.flooded(now(errors=before), now(errors=after)) is bad


@pytest.mark.parametrize(
    ("before", "after", "bad"),
    [(40, 99, False), (40, 100, True), (300, 449, False), (300, 450, True), (40, 40, False), (90, 20, False),
     (None, 900, False), (40, None, False), (0, 70, False)],
)  # fmt: skip
def test_a_slow_start_is_a_minute_more_and_half_as_long_again(before: int | None, after: int | None, bad: bool) -> None:
    assert vitals.slow_start(now(boot_s=before), now(boot_s=after)) is bad


def test_a_probe_counts_if_it_passed_at_ready_and_says_that_it_fails() -> None:
    assert vitals.probes_failing(WELL, now(probes=("db",), probes_failed=("web: HTTP 500",))) == ("web: HTTP 500",)
    assert vitals.probes_failing(WELL, now(probes=("db",))) == ()  # taken out of the policy
    assert vitals.probes_failing(WELL, now(probes=None)) == ()
    assert vitals.probes_failing(now(probes=("db",)), now(probes_failed=("web: HTTP 500",))) == ()
    assert vitals.probes_failing(now(probes=None), now(probes_failed=("web: HTTP 500",))) == ()


def test_who_tells_nothing_is_not_bad() -> None:
    loud = Harms(errors=5000, boot_s=9000, probes=(), probes_failed=("web: HTTP 500",))
    for before, after in ((None, loud), (Harms(), loud), (loud, None), (WELL, Harms())):
        assert not vitals.ails(before, after)
        assert not vitals.slow_start(before, after)
        assert vitals.in_words(before, after) == ()


# --- a check-in becomes evidence --------------------------------------------------------------------------------------


def row(at_ready: Harms | None = WELL, **fields: Any) -> SubjectRow:
    s = Subject("ep_1", Arm.TREATED, 0, 1, "eu", "server", 1, READY_MS, 1, progress=Progress.INSTALLED)
    return SubjectRow(replace(s, **fields), frozenset(), READY_MS + 1000, None, at_ready)


def after(at_ready: Harms | None, harms_now: Harms | None, boot: str = "a") -> Subject:
    p = Presence(READY_MS + 1_799_000, boot, harms=harms_now)
    return with_presence(POLICY, row(at_ready, last_boot="a"), p, p.last_check_in_ms)


def test_each_counts_at_its_checkpoint_under_its_own_signal_and_by_name() -> None:
    flood = after(WELL, now(errors=412, named=("errors: app.service (400)", "gone: /usr/bin/x")))
    assert (flood.errors, flood.unhealthy, flood.often, flood.blocks) == (1, 0, 0, 0)
    assert flood.harms == ("errors: app.service (400)",)
    failing = after(WELL, now(probes=("db",), probes_failed=("web: HTTP 500",)))
    assert (failing.errors, failing.unhealthy, failing.harms) == (0, 1, ("probe web (HTTP 500) failed",))
    slow = after(WELL, now(boot_s=140), boot="b")
    assert (slow.often, slow.starts, slow.harms) == (1, 1, ("start took 140 s instead of 40 s",))
    assert after(WELL, now(errors=412)).harms == ("errors: 412 in ten minutes",)


def test_a_failing_probe_and_a_flood_are_no_proof_that_the_change_did_well() -> None:
    assert after(WELL, WELL).proven_ms
    for ill in (now(errors=412), now(probes=("db",), probes_failed=("web: no answer",))):
        s = after(WELL, ill)
        assert (s.proven_ms, s.unhealthy_now) == (0, True)
    assert after(WELL, now(boot_s=900)).proven_ms  # judged between the arms: it does not pass by itself


def test_an_error_that_was_there_at_ready_is_nobodys_harm() -> None:
    noisy = now(errors=900, probes=("db",), probes_failed=("web: HTTP 500",), boot_s=600)
    s = after(noisy, noisy)
    assert (s.errors, s.unhealthy, s.often, s.harms, bool(s.proven_ms)) == (0, 0, 0, (), True)


# --- comparisons ------------------------------------------------------------------------------------------------------


def member(arm: Arm, tells: int, **fields: Any) -> Subject:
    return replace(Subject("ep", arm, 0, 1, "eu", "server", 1, READY_MS, 1, heard=1, tells=tells), **fields)


def test_who_has_no_journal_is_in_no_question_of_errors() -> None:
    assert harms.tells(Harms(errors=0), dry_runs=False) == harms.ERROR_BIT
    tellers = [member(Arm.TREATED, 8, errors=1), member(Arm.CONTROL, 8), member(Arm.CONTROL, 8)]
    others = [member(Arm.TREATED, 0), member(Arm.CONTROL, 0)]
    assert evidence.compared([*tellers, *others], 0, 0)[(ERRORS, "all")] == Counts(2, 3, 1, 0, 1)
    assert (ERRORS, "all") not in evidence.compared(others, 0, 0)


def test_the_page_names_what_most_have_in_common() -> None:
    subjects = [
        member(Arm.TREATED, 15, errors=1, blocks=1, harms=("errors: app.service (400)", "refused: sh")),
        member(Arm.TREATED, 15, errors=1, often=1,
               harms=("errors: app.service (900)", "start took 140 s instead of 40 s")),
        member(Arm.TREATED, 15, unhealthy=1, harms=("probe web (HTTP 500) failed",)), member(Arm.CONTROL, 15),
    ]  # fmt: skip
    by = {r.signal: r for r in telling.table(POLICY, subjects, [], READY_MS + 1_800_000)}
    assert by[ERRORS].which == ("errors: app.service (2)",)
    assert (by[ERRORS].bad_treated, by[ERRORS].told) == (2, 4)
    assert by[BLOCKS].which == ("refused: sh (1)",)
    assert by[STARTS].which == ("start took 140 s instead of 40 s (1)",)
    assert by["unhealthy"].which == ("probe web (HTTP 500) failed (1)",)


# --- what comes over the wire -----------------------------------------------------------------------------------------


def test_what_cannot_be_is_not_told_and_the_rest_comes_back_from_storage() -> None:
    wild = Harms(errors=-1, boot_s=1 << 50, probes=("web", "No!", *(f"p{i}" for i in range(20))),
                 probes_failed=("x\ty: z", "db: a;b\n" + "c" * 200, "db"))  # fmt: skip
    kept = told.bounded(wild)
    assert kept is not None
    assert (kept.errors, kept.boot_s, kept.probes) == (None, None, ("web", *(f"p{i}" for i in range(6))))
    assert kept.probes_failed == ("db: ab" + "c" * 78, "db")
    for one in (kept, WELL, Harms(errors=0), Harms(probes=()), Harms(boot_s=3, named=("gone: /usr/bin/x",)),
                now(probes=(), probes_failed=("web: HTTP 500", "db"), named=("a", "b"))):  # fmt: skip
        assert told.read(told.text(one)) == one
    assert told.text(Harms(refused=1)) == "1 - - - -\t-"  # as before, for who tells nothing of these
    assert told.read("1 - - - - 5\t-") is None
