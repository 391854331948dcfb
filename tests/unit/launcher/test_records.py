"""The record survives torn writes, always fits its slot, and is rebuilt from the disk when both slots are lost."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support_trust import bundle

from brakeline.launcher import install, records, selector
from brakeline.launcher.disk import RealDisk
from brakeline.launcher.model import Attempt, Knobs, Record, Run, TrialEnd
from brakeline.launcher.records import SLOT_BYTES, SLOTS, Records
from brakeline.launcher.slots import Me
from brakeline.trust.errors import Distrust
from brakeline.trust.model import Floors, Offered

IDS = st.from_regex(r"[0-9]\.[0-9]{1,3}\.[0-9]-[0-9a-f]{12}", fullmatch=True)


@given(
    st.builds(
        Record, generation=st.integers(0, 1 << 40), current=IDS, trial=IDS, quarantined=st.lists(IDS).map(tuple),
        recalled=st.lists(IDS, max_size=200).map(tuple), run=st.none() | st.builds(Run, IDS, st.text(max_size=60)),
        attempts=st.lists(st.builds(Attempt, IDS, st.integers(0, 9)), max_size=30).map(tuple),
        last_trial=st.none() | st.builds(TrialEnd, IDS, st.just("reverted"), st.just("exited"), st.text(), st.just(3)),
        floors=st.builds(Floors, root=st.integers(0, 99), time_ms=st.integers(0, 1 << 50)),
    )
)  # fmt: skip
def test_a_record_comes_back_and_fits(record: Record) -> None:
    slot = records.encode(record)
    assert len(slot) == SLOT_BYTES
    back = records.decode(slot)
    assert back is not None
    assert (back.current, back.trial, back.run, back.floors) == (
        record.current,
        record.trial,
        record.run,
        record.floors,
    )
    assert back.recalled == record.recalled[-records.RELEASES_MAX :]


@pytest.mark.parametrize("text", ["\u20ac" * 400, '"' * 400, "\x00" * 400, "\\" * 2000])
def test_no_text_of_a_release_makes_the_record_too_large(text: str) -> None:
    many = tuple(f"1{'0' * 25}.{n}-aaaaaaaaaaaa" for n in range(60))
    end = TrialEnd(many[0], "reverted", "exited", text, 3)
    full = Record(1 << 40, many[0], many[1], many[2], quarantined=many, recalled=many, last_trial=end,
                  attempts=tuple(Attempt(r, 3) for r in many))  # fmt: skip
    back = records.decode(records.encode(full))
    assert back is not None
    assert (back.current, back.trial, back.quarantined[-1], back.recalled[-1]) == (many[0], many[2], many[-1], many[-1])


@pytest.mark.parametrize("torn_at", range(0, 1200, 97))
def test_a_torn_commit_leaves_the_one_before(tmp_path: Path, torn_at: int) -> None:
    kept = Records(RealDisk(tmp_path))
    kept.prepare()
    kept.commit(Record(1, current="1.0.0-aaaaaaaaaaaa"))
    kept.commit(Record(2, current="1.0.0-bbbbbbbbbbbb"))
    older = tmp_path / SLOTS[0]
    slot = records.encode(Record(3, current="1.0.0-cccccccccccc", recalled=("1.0.0-bbbbbbbbbbbb",) * 20))
    older.write_bytes(slot[:torn_at] + older.read_bytes()[torn_at:])
    assert kept.load()[0].generation in (2, 3)
    assert kept.load()[1] == ""


def test_both_lost(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path)
    for version, sequence in (("1.0.0", 1), ("2.0.0", 2)):
        data = bundle(version, {"agent.pyz": b"x"}, sequence)
        install.install(disk, data, offered(version, data, sequence), "any")
    assert "state_lost" in Records(disk).load()[1]
    rebuilt = install.rebuild(disk)
    assert rebuilt.current.startswith("1.0.0")  # nobody knows whether the newest had passed its probation
    assert rebuilt.last_known_good.startswith("2.0.0")


def offered(version: str, data: bytes, sequence: int = 1) -> Offered:
    return Offered("agent", version, sequence, "p", hashlib.sha256(data).hexdigest(), len(data), "", 0, 0)


UNSAFE = ("../evil", "/etc/passwd", "MANIFEST", ".hidden", "a/../../b", "x/" * 30 + "x")


@pytest.mark.parametrize("name", UNSAFE)
def test_a_bundle_cannot_climb_out(tmp_path: Path, name: str) -> None:
    data = bundle("1.0.0", {name: b"x"})
    with pytest.raises(Distrust) as e:
        install.install(RealDisk(tmp_path), data, offered("1.0.0", data), "any")
    assert e.value.reason == "unsafe_name"
    assert not (tmp_path / "versions").exists()


def test_bad_bundles_are_refused_with_a_reason(tmp_path: Path) -> None:
    good = bundle("1.0.0", {"agent.pyz": b"x"})
    windows = bundle("1.0.0", {"agent.pyz": b"x"}, platform="windows-x86_64")
    for data, said, code in (
        (good, offered("1.0.0", good + b"x"), "hash"),
        (good, offered("1.0.1", good), "mismatch"),
        (b"garbage" * 100, offered("1.0.0", b"garbage" * 100), "malformed"),
        (windows, offered("1.0.0", windows), "wrong_platform"),
    ):
        with pytest.raises(Distrust) as e:
            install.install(RealDisk(tmp_path), data, said, "any")
        assert e.value.reason == code


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path)
    data = bundle("1.0.0", {"agent.pyz": b"good"})
    said = offered("1.0.0", data)
    install.install(disk, data, said, "any")
    assert install.verify(disk, said.release_id) == ""
    (tmp_path / "versions" / said.release_id / "agent.pyz").write_bytes(b"evil")
    assert "agent.pyz" in install.verify(disk, said.release_id)


class Refusing(RealDisk):
    """A disk whose next sync is refused, though what was written stands."""

    refuse = False

    def sync(self, path: str) -> None:
        if self.refuse:
            self.refuse = False
            raise OSError(5, "Input/output error", path)
        super().sync(path)


def test_after_a_commit_that_failed_the_next_one_counts(tmp_path: Path) -> None:
    """What failed may stand on the disk all the same; two records of one generation would leave it to chance."""
    disk = Refusing(tmp_path)
    kept = Records(disk)
    kept.prepare()
    for generation in (1, 2):
        kept.commit(Record(generation=generation, current="1.0.0-aaaaaaaaaaaa"))
        disk.refuse = True
        with pytest.raises(OSError, match="Input/output"):
            kept.commit(Record(generation=generation + 1, current="1.0.0-bbbbbbbbbbbb"))
        kept.commit(Record(generation=generation + 1, current="1.0.0-cccccccccccc"))
        assert kept.load()[0].current == "1.0.0-cccccccccccc"


def test_after_a_selector_that_failed_the_next_one_counts(tmp_path: Path) -> None:
    disk = Refusing(tmp_path)
    selector.prepare(disk)
    update = selector.Update(disk, Knobs(), lambda _: None, Me(), lambda _: None)
    update.begin(1.0)
    assert update.state is not None
    for words in ("once", "twice"):
        disk.refuse = True
        with pytest.raises(OSError, match="Input/output"):
            update._commit(replace(update.state, selector=replace(update.selector, calm="refused")))
        update._commit(replace(update.state, selector=replace(update.selector, calm=words)))
        assert selector.load(disk).calm == words
