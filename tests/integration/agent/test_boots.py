"""A machine that starts again and again is left alone until it has stood: the helper's record of starts on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from brakeline.agent.boots import IN_A_ROW, KEPT, STOOD_S, Boots


def short(boots: Boots, *names: str) -> None:
    for name in names:
        boots.note(name, 5.0)


def test_three_short_starts_in_a_row_leave_it_alone_until_it_has_stood(tmp_path: Path) -> None:
    boots = Boots(tmp_path / "boots")
    short(boots, "a", "b")
    short(boots, "c")
    assert boots.loop("c", 700.0, ()) == "", "two before this one"
    short(boots, "d")
    assert "did not last an hour" in boots.loop("d", 700.0, ())
    assert boots.loop("d", STOOD_S, ()) == "", "it ends by itself"
    boots.note("d", STOOD_S)
    short(boots, "e")
    assert boots.loop("e", 700.0, ()) == ""


def test_starts_that_an_order_has_ended_count_for_nothing(tmp_path: Path) -> None:
    boots = Boots(tmp_path / "boots")
    short(boots, "a", "b", "c", "d")
    assert boots.loop("d", 700.0, ["b"]) == ""


def test_each_boot_has_one_line_and_a_written_one_is_not_written_again(tmp_path: Path) -> None:
    boots = Boots(tmp_path / "boots")
    short(boots, "a", "a")
    boots.note("a", STOOD_S)
    at = (tmp_path / "boots").stat().st_mtime_ns
    boots.note("a", 9 * STOOD_S)
    assert (tmp_path / "boots").read_text() == "stood a\n"
    assert (tmp_path / "boots").stat().st_mtime_ns == at
    short(boots, *(f"b{i}" for i in range(30)))
    assert len((tmp_path / "boots").read_text().splitlines()) == KEPT


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"begun", b"begun a b\n", b"began a\n"])
def test_a_record_that_cannot_be_read_leaves_it_alone_for_an_hour(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "boots").write_bytes(damage)
    boots = Boots(tmp_path / "boots")
    assert boots.loop("a", 700.0, ())
    short(boots, "a")
    assert len((tmp_path / "boots").read_text().splitlines()) == IN_A_ROW + 1
    assert boots.loop("a", 700.0, ())
    assert boots.loop("a", STOOD_S, ()) == ""
