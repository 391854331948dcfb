"""A first release is put in place by whoever installs a machine; what is confirmed there is left alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.support_trust import bundle

from brakeline.launcher import install
from brakeline.launcher.__main__ import main
from brakeline.launcher.disk import RealDisk
from brakeline.launcher.model import Record
from brakeline.launcher.records import Records
from brakeline.launcher.supervise import lock
from brakeline.trust.errors import Distrust

FIRST = bundle("1.0.0", {"agent.pyz": b"first"})
SECOND = bundle("2.0.0", {"agent.pyz": b"second"}, sequence=2)


@pytest.fixture
def disk(tmp_path: Path) -> RealDisk:
    return RealDisk(tmp_path)


def test_on_an_empty_machine_it_becomes_what_is_confirmed(disk: RealDisk) -> None:
    record = install.adopt(disk, FIRST, Record(), "any")
    assert record.current.startswith("1.0.0-")
    assert install.verify(disk, record.current) == ""


def test_what_is_confirmed_and_whole_stays(disk: RealDisk) -> None:
    record = install.adopt(disk, FIRST, Record(), "any")
    assert install.adopt(disk, SECOND, record, "any") == record


def test_where_nothing_is_whole_any_more_it_repairs(disk: RealDisk) -> None:
    record = install.adopt(disk, FIRST, Record(), "any")
    (disk.root / "versions" / record.current / "agent.pyz").write_bytes(b"damaged")
    mended = install.adopt(disk, SECOND, dataclasses.replace(record, quarantined=("0.9.0-" + "a" * 12,)), "any")
    assert mended.current.startswith("2.0.0-")
    assert mended.quarantined, "the ledger stays"


def test_what_was_recalled_or_is_no_agent_is_not_adopted(disk: RealDisk) -> None:
    record = install.adopt(disk, FIRST, Record(), "any")
    other = RealDisk(disk.root / "other")
    other.root.mkdir()
    with pytest.raises(Distrust, match="recalled"):
        install.adopt(other, FIRST, Record(recalled=(record.current,)), "any")
    with pytest.raises(Distrust, match="launcher"):
        install.adopt(other, bundle("1.0.0", {"agent.pyz": b"x"}, product="launcher"), Record(), "any")
    with pytest.raises(Distrust, match="unpacked"):
        install.adopt(other, b"no tar at all" * 99, Record(), "any")


def test_the_verb_says_what_is_wrong_and_keeps_its_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "seed.tar").write_bytes(FIRST)
    places = ["--root", str(tmp_path / "root"), "--etc", str(tmp_path), "--home", str(tmp_path)]
    assert main(["adopt", *places, str(tmp_path / "seed.tar")]) == 0
    adopted, problem = Records(RealDisk(tmp_path / "root")).load()
    assert (capsys.readouterr().out.strip(), problem) == (adopted.current, "")
    assert main(["adopt", *places, str(tmp_path / "nothing.tar")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert Records(RealDisk(tmp_path / "root")).load() == (adopted, "")


def test_a_second_launcher_is_kept_out(tmp_path: Path) -> None:
    assert lock(tmp_path / "lock") is not None
    assert lock(tmp_path / "lock") is None
