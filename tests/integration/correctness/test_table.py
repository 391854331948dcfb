"""Every row of the table of correctness is right, on the real managers. The required set has a small sample of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.correctness.registry import Situation, situations
from tests.correctness.runner import PEERS, verdict

ALL = situations()
# where the manager's own command ends with 0 and not everything is well
WRONG = {"apt": "kept_back_run", "dnf": "post_fails", "zypper": "kept_back_run", "pacman": "script_fails"}


def marked(chosen: tuple[Situation, ...]) -> list[object]:
    """The quick ones belong to the required set, the others to `./dev test --all`."""
    return [pytest.param(s, id=s.id, marks=() if s.quick else pytest.mark.long) for s in chosen]


@pytest.mark.parametrize("situation", marked(ALL))
def test_row_is_right(situation: Situation, tmp_path: Path) -> None:
    row = situation.run(tmp_path)
    assert row.right, row
    assert row.manager == situation.manager
    assert row.truth
    assert row.ours


@pytest.mark.parametrize("manager", [pytest.param(m, marks=() if m == "dnf" else pytest.mark.long) for m in WRONG])
def test_a_peer_is_judged_by_the_manager_s_records(manager: str) -> None:
    """The command alone is right about a plain update, and wrong where it ends with 0 and not all is well."""
    chosen = {s.key: s for s in ALL if s.manager == manager}
    peer = PEERS[manager][0]
    plain = "whole_upgrade" if manager == "pacman" else "plain"
    assert verdict(chosen[plain], peer).word == "right"
    told = verdict(chosen[WRONG[manager]], peer)
    assert told.word == "wrong", told
