"""Enrolled anew, the state is given to the agent's user by root: that folder, and nothing that its links point to."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from tests.support import require

from brakeline.agent.enrol import hand_over
from brakeline.agent.files import below, leads_away


def test_links_that_the_agent_has_laid_are_not_followed(tmp_path: Path) -> None:
    """Whoever has taken over the agent must not own `/etc/shadow` after the next enrolment."""
    require(os.getuid() == 0, "root: gives files to somebody else")
    daemon = pwd.getpwnam("daemon").pw_uid
    state, outside = tmp_path / "state", tmp_path / "etc"
    for folder in (state / "spool", outside):
        folder.mkdir(parents=True)
    for file in (state / "state.json", state / "spool/one", outside / "shadow"):
        file.write_text("x")
    (state / "file").symlink_to(outside / "shadow")
    (state / "spool/folder").symlink_to(outside)
    hand_over(state, "daemon")
    assert {p.lstat().st_uid for p in (state, *state.rglob("*"))} == {daemon}
    assert {p.stat().st_uid for p in (outside, outside / "shadow")} == {0}
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_further_name_of_somebody_else_s_file_is_not_given_away(tmp_path: Path) -> None:
    """Hard links lead out of the folder too, and no open with "no links" notices them."""
    require(os.getuid() == 0, "root: gives files to somebody else")
    state, shadow = tmp_path / "state", tmp_path / "shadow"
    state.mkdir()
    shadow.write_text("x")
    (state / "spool").hardlink_to(shadow)
    (state / "key").write_text("x")
    hand_over(state, "daemon")
    assert shadow.stat().st_uid == 0
    assert (state / "key").stat().st_uid == pwd.getpwnam("daemon").pw_uid


def test_a_link_leads_away_and_a_folder_does_not(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    assert not leads_away(tmp_path / "folder")
    assert leads_away(tmp_path / "link")


def test_what_lies_below_a_folder_is_found_through_no_link(tmp_path: Path) -> None:
    """So it is gone through on Windows, where only each path by itself can be given to somebody."""
    state, outside = tmp_path / "state", tmp_path / "etc"
    for folder in (state / "spool", outside):
        folder.mkdir(parents=True)
    for file in (state / "spool/one", outside / "shadow"):
        file.write_text("x")
    (state / "file").symlink_to(outside / "shadow")
    (state / "spool/folder").symlink_to(outside)
    assert sorted(below(state)) == [state / "spool", state / "spool/one"]
