"""Content on probation: the same rules as for releases, with the confirmed agent beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.launcher.test_decide import GOOD, NEW, OLD, Rig

from brakeline.launcher import records
from brakeline.launcher.decide import decide
from brakeline.launcher.model import (
    CONTENT,
    Check,
    CollectGarbage,
    Command,
    CommitFailed,
    Execute,
    Exited,
    Found,
    Guarding,
    Kill,
    Record,
    Refused,
    Run,
    Running,
    Said,
    Staged,
    Started,
    Tick,
)
from brakeline.trust.model import Floors

RULES, BETTER = "1.0.0-111111111111", "2.0.0-222222222222"
ALL = frozenset({OLD, GOOD, NEW, RULES, BETTER})
BASE = Record(current=GOOD, last_known_good=OLD, content=RULES, floors=Floors(sequence=1, content_sequence=1))
OFFER = (Staged(CONTENT, BETTER, 2),)


def begin(record: Record = BASE, boot_id: str = "b1") -> Rig:
    return Rig(record, ALL, boot_id)


def runs(commands: tuple[Command, ...]) -> list[tuple[str, str]]:
    return [(c.release_id, c.content) for c in commands if isinstance(c, Execute)]


def said(rig: Rig, at: float) -> None:
    """It is well, and the cell was heard while it ran."""
    for word in ("READY", "HEALTHY"):
        rig.send(Said(at, word))
    rig.look(at + 0.5)


def switched(rig: Rig, at: float) -> tuple[Command, ...]:
    """The content that is offered takes the place of what runs."""
    rig.look(at, others=OFFER)
    rig.send(Tick(at + 1))
    assert rig.state.phase.killed  # type: ignore[union-attr]
    rig.send(Exited(at + 2, -15))
    return rig.look(at + 3, others=OFFER)


def test_content_on_probation_is_given_to_the_confirmed_agent_and_counted_first() -> None:
    rig = begin()
    assert runs(rig.look(1.0)) == [(GOOD, RULES)]
    commands = switched(rig, 10.0)
    assert runs(commands) == [(GOOD, BETTER)]
    assert rig.state.committed.attempt(BETTER).runs == 1
    assert rig.state.committed.attempt(GOOD).runs == 0


def test_good_content_is_confirmed_and_the_one_before_stays() -> None:
    rig = begin()
    rig.look(1.0, others=OFFER)
    said(rig, 2.0)
    commands = rig.send(Tick(602.0))
    record = rig.state.record
    assert (record.content, record.content_last_known_good, record.trial) == (BETTER, RULES, "")
    assert (record.current, record.last_known_good) == (GOOD, OLD)
    assert (record.floors.sequence, record.floors.content_sequence) == (1, 2)
    (garbage,) = [c for c in commands if isinstance(c, CollectGarbage)]
    assert garbage.keep == {GOOD, OLD, RULES, BETTER}
    assert any(isinstance(c, Check) for c in rig.send(Tick(603.0))), "what waited is looked for at once"


def test_content_that_makes_the_agent_crash_is_reverted_after_three_executions() -> None:
    rig = begin()
    at, commands = 1.0, rig.look(1.0, others=OFFER)
    for _ in range(3):
        assert runs(commands) == [(GOOD, BETTER)]
        rig.send(Exited(at + 1, 1, "rules.json is nonsense"))
        at += 100
        rig.send(Tick(at))
        commands = rig.look(at, others=OFFER)
    assert runs(commands) == [(GOOD, RULES)], "the agent is fine, and goes on with the content before"
    record = rig.state.record
    assert (record.quarantined, record.trial, record.current, record.content) == ((BETTER,), "", GOOD, RULES)
    assert record.last_trial is not None
    assert (record.last_trial.release_id, record.last_trial.outcome, record.last_trial.runs) == (BETTER, "reverted", 3)
    assert record.attempt(GOOD).runs == 0


def test_agent_and_content_in_one_look_are_tried_one_after_the_other() -> None:
    rig = begin()
    commands = rig.look(1.0, staged=NEW, sequence=2, others=OFFER)
    assert runs(commands) == [(NEW, RULES)]
    said(rig, 2.0)
    rig.send(Tick(602.0))
    assert rig.state.record.current == NEW
    assert runs(switched(rig, 610.0)) == [(NEW, BETTER)]


def test_an_agent_that_is_offered_meanwhile_goes_first_and_content_comes_again() -> None:
    rig = begin()
    rig.look(1.0, others=OFFER)
    rig.look(5.0, staged=NEW, sequence=2, others=OFFER)
    assert (rig.state.record.trial, rig.state.record.quarantined) == (NEW, ())
    rig.send(Tick(6.0))
    rig.send(Exited(7.0, -15))
    assert runs(rig.look(8.0, staged=NEW, sequence=2, others=OFFER)) == [(NEW, RULES)]


def test_a_recalled_content_leaves_at_once() -> None:
    rig = begin(replace(BASE, content_last_known_good=""))
    rig.look(1.0)
    assert any(isinstance(c, Kill) for c in rig.look(5.0, recalled=(RULES,)))
    rig.send(Exited(6.0, -15))
    assert runs(rig.look(7.0, recalled=(RULES,))) == [(GOOD, "")], "the agent has rules of its own"


def test_recalled_content_falls_back_to_the_last_known_good_one() -> None:
    rig = begin(replace(BASE, content=BETTER, content_last_known_good=RULES))
    assert runs(rig.look(1.0, recalled=(BETTER,))) == [(GOOD, RULES)]


def test_recalled_on_probation_it_is_on_probation_no_more() -> None:
    rig = begin()
    rig.look(1.0, others=OFFER)
    rig.look(5.0, recalled=(BETTER,))
    rig.send(Exited(6.0, -15))
    assert runs(rig.look(7.0, recalled=(BETTER,))) == [(GOOD, RULES)]
    assert rig.state.record.trial == ""


def test_damaged_content_is_not_used_and_fetched_again() -> None:
    rig = begin()
    rig.look(1.0)
    commands = rig.send(Refused(1.0, RULES, "manifest", "rules.json is not what the manifest says"))
    (check,) = [c for c in commands if isinstance(c, Check)]
    assert check.damaged == (RULES,)
    assert runs(rig.no_answer(2.0)) == [(GOOD, "")]
    assert any(isinstance(c, Kill) for c in rig.look(9.0, mended=(RULES,))), "whole again: back to it"
    rig.send(Exited(10.0, -15))
    assert runs(rig.look(11.0)) == [(GOOD, RULES)]


def test_a_confirmed_pair_that_keeps_crashing_runs_without_content_for_an_hour() -> None:
    rig = begin(replace(BASE, last_known_good=""))
    at, commands = 1.0, rig.look(1.0)
    for _ in range(3):
        assert runs(commands) == [(GOOD, RULES)]
        rig.send(Exited(at + 1, 1))
        at += 100
        rig.send(Tick(at))
        commands = rig.look(at)
    assert runs(commands) == [(GOOD, "")]
    said(rig, at + 1)
    rig.send(Tick(at + 3601))
    assert rig.state.phase.killed.startswith("switch back")  # type: ignore[union-attr]


def test_a_host_that_dies_with_content_on_probation_blames_the_content() -> None:
    record = replace(BASE, trial=BETTER, trial_product=CONTENT, trial_sequence=2, run=Run(GOOD, "b1", content=BETTER))
    rig = begin(record, boot_id="b2")
    assert isinstance(rig.state.phase, Guarding)
    assert rig.state.record.suspect == BETTER
    assert runs(rig.look(1.0)) == [(GOOD, RULES)], "the agent does not have to rest"


def test_a_host_that_dies_with_a_confirmed_pair_goes_back_to_what_was_good() -> None:
    rig = begin(replace(BASE, run=Run(GOOD, "b1", content=RULES)), boot_id="b2")
    assert runs(rig.look(1.0)) == [(OLD, "")]


def test_a_confirmation_that_is_not_durable_does_not_count() -> None:
    rig = begin()
    rig.look(1.0, others=OFFER)
    said(rig, 2.0)
    before = rig.state.committed
    rig.send(Tick(602.0))
    rig.state = replace(rig.state, committed=before)
    rig.send(CommitFailed(602.0, "no space"))
    assert (rig.state.record.content, rig.state.record.trial) == (RULES, BETTER)
    assert isinstance(rig.state.phase, Running)
    assert rig.state.phase.trial


def test_content_that_cannot_be_counted_is_not_given() -> None:
    rig = begin()
    before = rig.state.committed
    rig.look(1.0, others=OFFER)
    rig.state = replace(rig.state, committed=before)
    assert runs(rig.send(CommitFailed(1.0, "no space"))) == [(GOOD, RULES)]


@pytest.mark.parametrize("record", [Record(), Record(trial=NEW)])
def test_without_a_confirmed_agent_content_waits(record: Record) -> None:
    rig = begin(record)
    rig.look(1.0, others=OFFER)
    assert rig.state.record.trial != BETTER


def test_other_products_are_none_of_its_business() -> None:
    rig = begin()
    rig.look(1.0, others=(Staged("launcher", "9.0.0-999999999999", 9), Staged("browser", "9.0.0-888888888888", 9)))
    assert rig.state.record.trial == ""


def test_old_records_without_content_are_read_and_unknown_fields_of_newer_ones_ignored() -> None:
    import hashlib
    import json

    run = {"release_id": GOOD, "boot_id": "b", "ready": True, "survived": True, "clean": True, "mood": "fine"}
    old = {"generation": 7, "current": GOOD, "floors": {"root": 1, "sequence": 4}, "run": run}
    body = json.dumps(old).encode()
    record = records.decode(hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n")
    assert record is not None
    assert (record.current, record.content, record.floors.sequence, record.run) == (
        GOOD, "", 4, Run(GOOD, "b", ready=True, survived=True, clean=True),
    )  # fmt: skip
    assert records.decode(records.encode(BASE)) == BASE


def test_it_starts_as_ever_where_no_content_was_ever_offered() -> None:
    rig = Rig(Record(current=GOOD))
    assert runs(rig.look(1.0)) == [(GOOD, "")]
    state, commands = decide(rig.state, Started(0.0, "b", ALL))
    assert state.record.content == ""
    assert commands
    assert Found(True, Floors()).others == ()
