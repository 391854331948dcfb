"""A commit that failed leaves the last durable record alone, whatever can be read back."""

from __future__ import annotations

import pytest
from tools.crashtest.simdisk import EIO, PowerLoss, SimDisk

from brakeline.launcher.model import Record
from brakeline.launcher.records import Records


def _prepared() -> SimDisk:
    disk = SimDisk()
    records = Records(disk)
    records.prepare()
    records.commit(Record(1, current="old"))
    disk.sync_dir("")
    return SimDisk.of(disk.image())


def test_the_slot_whose_sync_failed_is_the_next_to_be_written() -> None:
    disk = _prepared()
    records = Records(disk)
    disk.fail_at, disk.fail_with = disk.steps + 2, EIO  # its overwrite is read back, its sync fails
    with pytest.raises(OSError, match="Input/output"):
        records.commit(Record(2, current="new"))
    disk.fail_at = -1
    assert Records(disk).load()[0].current == "new", "read back from the page cache"
    disk.cut_at = disk.steps + 2  # the power goes before the sync of the next commit
    with pytest.raises(PowerLoss):
        records.commit(Record(2, current="newer"))
    found = {Records(SimDisk.of(image)).load()[0].current for image in disk.images()}
    assert "" not in found, "the last durable record was never touched"
    assert "old" in found


def test_a_start_makes_the_newest_record_durable() -> None:
    disk = _prepared()
    disk.fail_at, disk.fail_with = disk.steps + 2, EIO
    with pytest.raises(OSError, match="Input/output"):
        Records(disk).commit(Record(2, current="new"))
    disk.fail_at = -1
    Records(disk).prepare()  # of the next process: it cannot know what the one before failed to sync
    assert Records(SimDisk.of(disk.image())).load()[0].current == "new"
