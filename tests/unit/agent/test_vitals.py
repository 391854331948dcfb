"""How an agent learns how its machine works: how long the start took, what probes say, what root counts."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from brakeline.agent import journal, systemd_bus, taking
from brakeline.agent.harms import ASK_CHECK_INS, HarmsProbe
from brakeline.agent.model import Durable, Instant, Link, Preparation, Self, State
from brakeline.agent.probes import EVERY_S, Prober, Tried
from brakeline.agent.providers.model import Planned
from brakeline.agent.starting import BEGAN, CONTAINER, ENDED, StartProbe
from brakeline.protocol.messages import Candidate, LocalLimits, Mode, Settings, UpdateRef
from brakeline.protocol.probes import Probe
from brakeline.protocol.settings import WIDEST

S = 1_000_000
WEB, DB = "web http://127.0.0.1/", "db /bin/true"

# --- the start --------------------------------------------------------------------------------------------------------


def start(root: Path, marks: tuple[int, ...] | None, now_us: int = 0) -> int | None:
    def ask(names: tuple[str, ...]) -> tuple[int, ...] | None:
        assert names == (BEGAN, ENDED)
        return marks

    return StartProbe(root, ask, lambda: now_us).seconds()


def test_a_start_counts_from_the_kernel_s_first_moment_to_the_end(tmp_path: Path) -> None:
    assert start(tmp_path, (4 * S, 31 * S)) == 31
    assert start(tmp_path, None) is None


def test_in_a_container_the_clock_is_the_host_s(tmp_path: Path) -> None:
    (tmp_path / CONTAINER).parent.mkdir(parents=True)
    (tmp_path / CONTAINER).write_text("systemd-nspawn")
    assert start(tmp_path, (9000 * S, 9003 * S)) == 3
    assert start(tmp_path, (9000 * S, 0), 9500 * S) == 500


def test_a_start_that_does_not_end_is_told_as_it_grows_and_an_ended_one_is_asked_once(tmp_path: Path) -> None:
    assert start(tmp_path, (4 * S, 0), 400 * S) == 400
    asked: list[tuple[int, ...]] = [(4 * S, 31 * S)]
    probe = StartProbe(tmp_path, lambda _names: asked.pop(), lambda: 0)
    assert [probe.seconds(), probe.seconds()] == [31, 31]


def test_numbers_of_both_sizes_are_read_and_nothing_else() -> None:
    assert systemd_bus._unsigned(b"\x01u\0\0" + struct.pack("<I", 7)) == 7
    assert systemd_bus._unsigned(b"\x01t\0" + b"\0" * 5 + struct.pack("<Q", 1 << 40)) == 1 << 40
    with pytest.raises(ValueError, match="not a number"):
        systemd_bus._unsigned(b"\x01s\0\0\3\0\0\0abc\0")


# --- probes -----------------------------------------------------------------------------------------------------------


class Answers:
    """What each probe says now."""

    def __init__(self, **said: str) -> None:
        self.said, self.tried = said, 0

    def __call__(self, probe: Probe) -> str:
        self.tried += 1
        return self.said[probe.name]


def rounds(prober: Prober, texts: tuple[str, ...], *at_s: float) -> Tried:
    for s in at_s:
        found = prober.sample(texts, s)
        prober.settle()
    return found


def test_a_probe_has_failed_when_two_rounds_say_so_and_passes_at_once() -> None:
    says = Answers(web="", db="exit 2")
    prober = Prober(says)
    assert prober.sample((DB, WEB), 0) == Tried()  # nothing is waited for
    prober.settle()
    assert rounds(prober, (DB, WEB), 10) == Tried()  # it may only be starting, and nothing is told of a part
    assert rounds(prober, (DB, WEB), 20) == Tried(("web",), ("db: exit 2",))  # two rounds
    says.said["web"] = "HTTP 500"
    assert rounds(prober, (DB, WEB), 30, 40) == Tried(("web",), ("db: exit 2",))  # one failing round
    assert rounds(prober, (DB, WEB), 50) == Tried((), ("db: exit 2", "web: HTTP 500"))
    says.said["web"] = says.said["db"] = ""
    assert rounds(prober, (DB, WEB), 60, 70) == Tried(("db", "web"), ())


def test_a_service_that_is_asked_while_the_machine_starts_has_not_failed() -> None:
    says = Answers(web="connection refused")
    prober = Prober(says)
    assert rounds(prober, (WEB,), 0) == Tried()
    says.said["web"] = ""
    assert rounds(prober, (WEB,), 10) == Tried()  # of the round before, the first, which found it starting
    assert rounds(prober, (WEB,), 20) == Tried(("web",), ())


def test_one_bad_moment_between_good_ones_is_none() -> None:
    says = Answers(web="")
    prober = Prober(says)
    rounds(prober, (WEB,), 0)
    for s in (10, 30, 50):
        says.said["web"] = "HTTP 503"
        rounds(prober, (WEB,), s)
        says.said["web"] = ""
        assert rounds(prober, (WEB,), s + 10) == Tried(("web",), ())


def test_rounds_have_a_pace_and_other_probes_begin_anew() -> None:
    says = Answers(web="", db="")
    prober = Prober(says)
    rounds(prober, (WEB,), 0, 1, EVERY_S - 1)
    assert says.tried == 1
    assert rounds(prober, (DB,), EVERY_S) == Tried()
    assert rounds(prober, (DB,), 99) == Tried(("db",), ())
    assert rounds(prober, (), 199) == Tried()


def test_whatever_goes_wrong_in_a_try_is_a_reason() -> None:
    def broken(_probe: Probe) -> str:
        raise OSError("the cable is out")

    assert rounds(Prober(broken), (WEB,), 0, 10, 20) == Tried((), ("web: the cable is out",))


# --- settings ---------------------------------------------------------------------------------------------------------


def test_probes_that_root_does_not_allow_hold_up_no_other_setting() -> None:
    state = State(Self("ep_1", "00", "0.2", "boot", True, local=LocalLimits()), Durable())
    candidate = Candidate(
        "ro_1", 1, (UpdateRef("brakeline-settings", "1"),), settings=Settings(Mode.PATCH, probes=(WEB,))
    )
    assert isinstance(taking.answer(state, candidate), Planned)


def test_probes_that_make_no_sense_here_are_none_and_cannot_be_applied() -> None:
    assert taking.bounded(Settings(probes=(WEB,))).probes == (WEB,)
    assert taking.bounded(Settings(probes=("web gopher://1",))).probes == ()
    assert taking.bounded(Settings(probes=(WEB, DB))).probes != (WEB, DB)  # not in order: not as the cell digests it


# --- all together -----------------------------------------------------------------------------------------------------


def test_what_is_known_is_told_and_what_root_counts_at_the_pace_of_check_ins(tmp_path: Path) -> None:
    answers = [{"ok": True, "errors": n, "loud": [f"errors: a.service ({n})"], "named": []} for n in (9, 3)]
    durable = Durable(settings=Settings(check_in_interval_s=6))
    state = State(Self("ep_1", "00", "0.2", "boot", can_patch=True), durable, link=Link(ever=True),
                  preparations=(Preparation(Candidate("ro_1", 1, ())),))  # fmt: skip
    probe = HarmsProbe(tmp_path, lambda: answers.pop(), lambda: 0.0, tmp_path, start_s=lambda: 31)
    for s, errors in ((0, 3), (6 * ASK_CHECK_INS - 1, 3), (6 * ASK_CHECK_INS, 9)):
        told = probe.sample(state, Instant(s, 10**12 + s * 1000))
        assert told is not None
        assert (told.errors, told.boot_s, told.named[0]) == (errors, 31, f"errors: a.service ({errors})")
        assert (told.probes, told.probes_failed) == (None, ())


def test_only_what_root_allows_is_tried(tmp_path: Path) -> None:
    durable = Durable(settings=Settings(Mode.PATCH, probes=(DB, WEB)))
    me = Self("ep_1", "00", "0.2", "boot", True, local=LocalLimits(replace(WIDEST, probes=("http",))))
    probe = HarmsProbe(tmp_path, lambda: None, lambda: 0.0, tmp_path)
    says = probe._prober = Prober(Answers(web="", db=""))
    for s in (0, 60):
        told = probe.sample(State(me, durable, link=Link(ever=True)), Instant(s, 10**12 + s * 1000))
        says.settle()
    assert told is not None
    assert told.probes == ("web",)


def test_who_writes_most_errors_is_named() -> None:
    lines = [b'{"_SYSTEMD_UNIT":"app.service"}'] * 3 + [
        b'{"SYSLOG_IDENTIFIER":"kernel"}',
        b"[1]",
        b"\xff",
        b'{"_PID":1}',
    ]
    assert journal._named(lines) == ("errors: app.service (3)", "errors: kernel (1)")
