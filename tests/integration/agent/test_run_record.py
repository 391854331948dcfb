"""Run logs with real processes and files: lines come while a command runs, nothing of it can hold a command up."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine, Ran
from brakeline.agent.run_entries import RUN, entry_of
from brakeline.agent.run_lines import BURST_LINES
from brakeline.agent.run_record import RunRecord
from brakeline.agent.run_spool import RunSpool
from brakeline.agent.transactions import RUN_ANSWER_BYTES, Transactions
from brakeline.core.limits import RUN_BYTES_MAX, RUN_PART_BYTES_MAX
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import RunEntry, RunKind, RunPart

TX, OFFER = "tx_01JD0000000000000000000001", "of_01JD0000000000000000000001"
LONG_S = 60.0  # a net, far above what a busy machine needs


def wait_until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG_S
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def entries(path: Path) -> list[RunEntry]:
    return [e for line in path.read_bytes().splitlines() if (e := entry_of(line)) is not None]


def texts(path: Path) -> list[str]:
    return [e.text for e in entries(path) if e.kind == RunKind.OUTPUT]


def test_lines_are_there_while_the_command_runs(tmp_path: Path) -> None:
    path, go = tmp_path / RUN, tmp_path / "go"
    machine = Machine(record=RunRecord(path, SystemClock()))
    script = f"echo first; printf half; while ! test -e {go}; do sleep 0.05; done; echo ' a line'; exit 7"
    ended: list[Ran] = []
    running = threading.Thread(target=lambda: ended.append(machine.job("sh", "-c", script, timeout_s=LONG_S)))
    running.start()
    try:
        wait_until(lambda: path.exists() and texts(path) == ["first"])
        assert ended == []
    finally:
        go.touch()
        running.join()
    assert texts(path) == ["first", "half a line"]
    assert ended[0].rc == 7
    first, last = entries(path)[0], entries(path)[-1]
    assert first.argv == ("sh", "-c", script)
    assert (last.kind, last.command, last.rc) == (RunKind.EXIT, 1, 7)
    assert [e.n for e in entries(path)] == [1, 2, 3, 4]


def test_a_query_is_a_command_without_its_answer(tmp_path: Path) -> None:
    path = tmp_path / RUN
    machine = Machine(record=RunRecord(path, SystemClock()))
    assert machine.query("echo", "the answer").text == "the answer\n"
    assert [(e.kind, e.argv, e.rc) for e in entries(path)] == [
        ("command", ("echo", "the answer"), None), ("exit", (), 0),
    ]  # fmt: skip


def test_a_daemon_that_keeps_its_output_open_holds_nobody_up(tmp_path: Path) -> None:
    path, pid = tmp_path / RUN, tmp_path / "pid"
    machine = Machine(record=RunRecord(path, SystemClock()))
    script = f"(trap '' HUP; echo started; exec sleep 600) & echo $! > {pid}; exit 0"
    ran = machine.job("setsid", "--wait", "sh", "-c", script, timeout_s=LONG_S)
    try:
        assert ran.rc == 0
        assert entries(path)[-1].kind == RunKind.EXIT
    finally:
        with suppress(ProcessLookupError):  # the guard may have ended what the command left behind
            os.kill(int(pid.read_text()), 9)


def test_a_disk_that_refuses_the_log_changes_nothing(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    record = RunRecord(gone / RUN, SystemClock())
    shutil.rmtree(gone)
    machine = Machine(record=record)
    assert machine.job("sh", "-c", "echo one; exit 3", timeout_s=LONG_S).rc == 3
    assert machine.query("true").rc == 0
    gone.mkdir()
    record.said("there is room again")
    dropped, said = entries(gone / RUN)
    assert (dropped.kind, dropped.lines) == (RunKind.DROPPED, 5)
    assert said.text == "there is room again"


def test_a_flood_is_bounded_counted_and_does_not_slow_the_command(tmp_path: Path) -> None:
    path = tmp_path / RUN
    record = RunRecord(path, SystemClock())
    ran = Machine(record=record).job("sh", "-c", "yes 'a line of a flood' | head -n 300000", timeout_s=LONG_S)
    record.settle()
    assert ran.rc == 0
    found = entries(path)
    kept = len(texts(path))
    assert path.stat().st_size <= RUN_BYTES_MAX
    assert BURST_LINES <= kept < 100_000
    assert kept + sum(e.lines for e in found) >= 300_000, "what is not here is counted"
    assert next(e for e in found if e.kind == RunKind.EXIT).rc == 0, "the end of a command is always here"


def test_who_comes_after_a_power_cut_goes_on_behind_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / RUN
    RunRecord(path, SystemClock()).began(("apt-get",))
    with open(path, "ab") as f:
        f.write(b'{"at_ms":1,"kind":"output","n":2,"te')
    again = RunRecord(path, SystemClock())
    again.said("Started again: the earlier run was lost.")
    assert again.began(("dpkg", "--audit")) == 2
    assert [(e.n, e.kind, e.command) for e in entries(path)] == [
        (1, "command", 1), (2, "said", 0), (3, "command", 2),
    ]  # fmt: skip


# --- on its way ----------------------------------------------------------------------------------------------------


class NoStarter:
    def start(self, transaction_id: str) -> None: ...
    def alive(self, transaction_id: str) -> bool:
        return True


class Way:
    """Root's directory, the agent's, and a cell that takes every part once."""

    def __init__(self, tmp_path: Path) -> None:
        self.transactions = Transactions(tmp_path / "root", NoStarter())
        self.directory = tmp_path / "root" / "tx" / TX
        self.directory.mkdir()
        self.record = RunRecord(self.directory / RUN, SystemClock())
        self.runs = tmp_path / "runs"
        self.got: list[RunEntry] = []
        self.ended = False

    def send(self, spool: RunSpool, *, running: bool) -> bool:
        """One upload; whether it was the last."""
        body, whole = spool.part(TX, OFFER, len(self.got) + 1, 1, running=running)
        assert len(body) <= RUN_PART_BYTES_MAX
        part = decode(RunPart, body)
        self.got += [e for e in part.entries if e.n == len(self.got) + 1 or e.n > len(self.got)]
        self.ended |= part.ended
        return whole and not running


def test_a_log_arrives_whole_whatever_dies_on_the_way(tmp_path: Path) -> None:
    way = Way(tmp_path)
    for i in range(50):
        way.record.printed(1, [f"line {i} {'x' * 100}"])
        spool = RunSpool(way.runs)  # as after kill -9 of the agent, each time
        spool.take(TX, OFFER, way.transactions.run, ended=False)
        if i % 7 == 0:
            way.send(spool, running=True)
        if i % 11 == 0:
            with open(way.runs / TX, "ab") as f:
                f.write(b'{"torn')
    way.record.said("installed")
    last = RunSpool(way.runs)
    last.take(TX, OFFER, way.transactions.run, ended=True)
    shutil.rmtree(way.directory)  # the helper forgets it when the result is acknowledged
    assert RunSpool(way.runs).pending() == ((TX, OFFER),)
    while not way.send(last, running=False):
        pass
    assert [e.n for e in way.got] == list(range(1, 52))
    assert (way.got[-1].text, way.ended) == ("installed", True)
    last.forget(TX)
    assert list(way.runs.iterdir()) == []


def test_a_large_log_goes_in_parts_and_its_end_is_not_left_behind(tmp_path: Path) -> None:
    way = Way(tmp_path)
    for i in range(900):
        way.record.printed(1, [f"{i} " + "y" * 900])
    assert (way.directory / RUN).stat().st_size > 2 * RUN_ANSWER_BYTES
    spool = RunSpool(way.runs)
    spool.take(TX, OFFER, way.transactions.run, ended=True)
    uploads = 1
    while not way.send(spool, running=False):
        uploads += 1
    assert (len(way.got), uploads > 10) == (900, True)


def test_whatever_place_a_caller_asks_from_it_gets_what_there_is(tmp_path: Path) -> None:
    way = Way(tmp_path)
    way.record.said("installed")
    whole = (way.directory / RUN).read_text()
    for begin, text, following in ((-5, whole, len(whole)), (len(whole), "", len(whole)), (2**80, "", 2**80)):
        assert way.transactions.run(TX, begin) == (text, following)


def test_logs_that_nobody_takes_are_bounded_and_their_ends_are_still_told(tmp_path: Path) -> None:
    spool = RunSpool(tmp_path / "runs")
    line = '{"at_ms":1,"command":1,"kind":"output","n":1,"text":"' + "z" * 900 + '"}\n'
    names = [f"tx_01JD00000000000000000000{i:02}" for i in range(12)]
    for name in names:
        spool.take(name, OFFER, lambda _, begin: (line * 1000, begin + 1) if not begin else ("", begin), ended=True)
    size = sum(p.stat().st_size for p in (tmp_path / "runs").iterdir())
    assert size <= 8 * 1024 * 1024 + 12 * 64
    assert [name for name, _ in spool.pending()] == names
    part = decode(RunPart, spool.part(names[0], OFFER, 1, 1, running=False)[0])
    assert (part.entries, part.ended) == ((), True)
