"""Every row of the table of correctness is right, on the real managers. The required set has a small sample of each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.correctness.registry import MANAGERS, Situation, situations
from tests.correctness.runner import PEERS, verdict
from tests.support import require

ALL = situations()


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


@pytest.mark.parametrize("manager", [pytest.param(m, marks=() if m == "dnf" else pytest.mark.long) for m in MANAGERS])
def test_a_peer_is_judged_by_the_manager_s_records(manager: str) -> None:
    """The command alone is right about a plain update, and wrong where it ends with 0 and a script has failed."""
    require(shutil.which("dnf"), "dnf")
    plain = {"apt": "plain", "dnf": "plain", "zypper": "plain", "pacman": "whole_upgrade", "pip": ""}[manager]
    wrong = {"apt": "kept_back_run", "dnf": "post_fails", "zypper": "kept_back_run", "pacman": "script_fails"}.get(
        manager
    )
    chosen = {s.key: s for s in ALL if s.manager == manager}
    for peer in PEERS[manager][:1]:
        assert verdict(chosen[plain], peer).word == "right"
        told = verdict(chosen[str(wrong)], peer)
        assert told.word == "wrong", told
