"""The table of signals that people read beside the brake's own lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brakeline.rollout import telling
from brakeline.rollout.evidence import SILENT
from brakeline.rollout.model import Arm, Line, Policy, Ring, State, Subject

POLICY = Policy((Ring("all", 60, share=1.0),))
READY_MS = 1_000_000_000
NOW_MS = READY_MS + 2000 * 1000  # the first checkpoint has passed


def subject(arm: Arm, **fields: Any) -> Subject:
    return replace(Subject("ep", arm, 0, 1, "eu", "server", 1, READY_MS, 1, heard=1), **fields)


def test_each_signal_counts_its_own_bad_ones_in_either_arm() -> None:
    subjects = [
        subject(Arm.TREATED), subject(Arm.TREATED, heard=0), subject(Arm.TREATED, resources=1),
        subject(Arm.TREATED, heard=0, asleep=1), subject(Arm.CONTROL, often=1), subject(Arm.CONTROL, crossed_ms=5),
        subject(Arm.CONTROL, ready_ms=NOW_MS),
    ]  # fmt: skip
    halt = Line("excess resources", State.HALT, "", {"signal": "resources", "log_e": 12.0, "bar": 10.4})
    rows = {r.signal: r for r in telling.table(POLICY, subjects, [halt], NOW_MS)}
    assert {(r.treated, r.controls) for r in rows.values()} == {(4, 1)}
    assert (rows[SILENT].bad_treated, rows[SILENT].bad_controls) == (1, 0)
    assert (rows["resources"].bad_treated, rows["resources"].evidence, rows["resources"].bar) == (1, 12.0, 10.4)
    assert (rows["starts"].bad_controls, rows["starts"].evidence) == (1, None)
    assert all(r.what for r in rows.values())
