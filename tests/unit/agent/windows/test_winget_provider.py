"""winget as a provider: real recordings of its tables (tests/data/windows), numbers in words, a winget in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brakeline.agent.limits import SCAN_RUN_S_MAX
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.model import Bounds, Order, Planned, Refused
from brakeline.agent.providers.windows import winget_cli, winget_exits, wua_provider
from brakeline.agent.providers.windows.box import Ended, NoAnswer
from brakeline.agent.providers.windows.fake_winget import FakeWinget
from brakeline.agent.providers.windows.winget_cli import Winget
from brakeline.agent.providers.windows.winget_provider import WingetProvider
from brakeline.core.clock import ManualClock
from brakeline.protocol.messages import Outcome, Transaction, TransactionResult, UpdateRef, UpdateState

DATA = Path(__file__).parents[3] / "data/windows"
AZD, GIT = "Microsoft.Azd", "Git.Git"


class Played(FakeWinget):
    """Answers with what was recorded, by the first words of the command line."""

    def __init__(self, **answers: Ended) -> None:
        super().__init__()
        self.answers = answers

    def run(self, line: str, timeout_s: float) -> Ended:
        self.lines.append(line)
        return self.answers[line.partition('" ')[2].split()[0]]


class Endpoint:
    def __init__(self, work: Path, box: FakeWinget) -> None:
        self.box, self.clock = box, ManualClock()
        self.provider = WingetProvider(
            self.clock, Machine(root=work), winget=Winget(box, "C:\\winget.exe"), pause=lambda s: self.clock.advance(s)
        )

    def plan(self, name: str, version: str, bounds: Bounds | None = None) -> Planned | Refused:
        return self.provider.plan((UpdateRef(f"{name}:winget", version),), bounds or Bounds())

    def planned(self, name: str = AZD, version: str = "2.0") -> Transaction:
        found = self.plan(name, version)
        assert isinstance(found, Planned), found
        return found.transaction

    def apply(self, transaction: Transaction, bounds: Bounds | None = None, **more: Any) -> TransactionResult:
        self.said: list[str] = []
        made = Order("tx_1", "of_1", "ro_1", 1, transaction, bounds or Bounds(), **more)
        return self.provider.apply(made, self.said.append)


def recorded(work: Path) -> Endpoint:
    table = Ended(0, (DATA / "winget-upgrade.txt").read_bytes())
    versions = Ended(0, (DATA / "winget-show-versions.txt").read_bytes())
    return Endpoint(work, Played(list=table, upgrade=table, pin=Ended(winget_no_package()), show=versions))


def winget_no_package() -> int:
    return -1978335212 & 0xFFFFFFFF  # as it was recorded


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    return Endpoint(tmp_path, FakeWinget({AZD: ["1.0", "1.5", "2.0"], GIT: ["1.0", "2.0"]}, {AZD: "1.0", GIT: "1.0"}))


def test_a_real_table_row_by_row(tmp_path: Path) -> None:
    waits = recorded(tmp_path).provider.available()
    assert len(waits) == 17
    told = {w.name: (w.installed, w.candidate, w.state) for w in waits}
    assert told["Microsoft.Azure.Az"] == ("16.2.0.41027", "16.3.0.41101", UpdateState.AVAILABLE)
    assert told["T3Tools.T3Code"] == ("0.0.34", "0.0.42", UpdateState.AVAILABLE)
    assert told["Microsoft.VisualStudio.2022.Professional"] == ("0", "17.14.41", UpdateState.KEPT_BACK)


def test_a_real_list_of_versions(tmp_path: Path) -> None:
    e = recorded(tmp_path)
    found = e.provider.winget.versions(GIT)
    assert not isinstance(found, Refused)
    assert (found[0], found[-1], len(found)) == ("2.55.0.3", "2.51.0", 12)
    refused = e.plan(AZD, "1.32.0")
    assert isinstance(refused, Refused)
    assert refused.code == "refused"


def test_the_exact_line_is_started_and_stands_in_the_log(endpoint: Endpoint) -> None:
    result = endpoint.apply(endpoint.planned())
    assert (result.outcome, endpoint.box.here[AZD]) == (Outcome.INSTALLED, "2.0")
    (line,) = [x for x in endpoint.box.lines if " --silent " in x]
    assert line.startswith(
        '"C:\\winget.exe" upgrade --id "Microsoft.Azd" --exact --version "2.0" --source winget --scope'
    )
    assert any(line in said for said in endpoint.said)
    assert result.way_back is not None
    assert (result.way_back.stored, "no older version" in result.way_back.reason) == (False, True)


def test_an_older_version_of_the_source_is_installed_exactly(endpoint: Endpoint) -> None:
    assert endpoint.apply(endpoint.planned(version="1.5")).outcome is Outcome.INSTALLED
    assert endpoint.box.here[AZD] == "1.5"


@pytest.mark.parametrize(
    ("code", "text", "kind", "part"),
    [(0x8A150011, "", "hash_mismatch", "digest"), (0x8A150068, "", "held", "pinned"),
     (0x8A150006, "Fehler bei der Installation. Exitcode: 1603", "failed", "ended with 1603"),
     (0x8A150006, "Installer failed with exit code: 1618", "locked", "ended with 1618"),
     (0x8A15FFFF, "no number here", "failed", "0x8A15FFFF"), (0xC0000005, "", "failed", "0xC0000005")],
)  # fmt: skip
def test_numbers_in_words(code: int, text: str, kind: str, part: str) -> None:
    told, restart = winget_exits.judged(code, text)
    assert told is not None
    assert (told.code, part in told.reason, restart) == (kind, True, False)


@pytest.mark.parametrize(("code", "text"), [(0x8A150109, ""), (0x8A150006, "Exitcode: 3010"), (0x8A15010B, "")])
def test_a_restart_that_is_due_is_no_failure(code: int, text: str) -> None:
    assert winget_exits.judged(code, text) == (None, True)


def test_success_without_effect_and_a_time_out(endpoint: Endpoint) -> None:
    made = endpoint.planned()
    endpoint.box.script = [Ended(0), Ended(137, timed_out=True), OSError(2, "gone")]
    for code in ("verify_failed", "timeout", "failed"):
        result = endpoint.apply(made)
        assert (result.outcome, result.code, result.changes) == (Outcome.FAILED, code, ())


def test_after_a_failure_nothing_more_is_started(endpoint: Endpoint) -> None:
    found = endpoint.provider.plan((UpdateRef(AZD, "2.0"), UpdateRef(GIT, "2.0")), Bounds())
    assert isinstance(found, Planned)
    endpoint.box.script = [Ended(0x8A150011)]
    result = endpoint.apply(found.transaction)
    assert (result.code, endpoint.box.here) == ("hash_mismatch", {AZD: "1.0", GIT: "1.0"})


def test_whoever_installs_is_waited_for_and_named(endpoint: Endpoint) -> None:
    made = endpoint.planned()
    endpoint.box.holders = ["Windows Installer"] * 1000
    result = endpoint.apply(made, Bounds(lock_wait_s=10))
    assert (result.outcome, result.code, "Windows Installer" in result.detail) == (
        Outcome.REFUSED, "lock_timeout", True,
    )  # fmt: skip


def test_no_source_is_never_nothing_newer(endpoint: Endpoint) -> None:
    made = endpoint.planned()
    endpoint.box.network = False
    answer = endpoint.provider.refresh()
    assert isinstance(answer, Refused)
    assert answer.code == "no_network"
    assert endpoint.apply(made).code == "network"


@pytest.mark.parametrize(
    "output",
    [b"\x84\x81 no table", b"-" * 5_000_000, b"Name  Id\n-----------\n\xff\xfe\x00", b"\n".join([b"x" * 300] * 10_000),
     "Name  Id  Version\n-----------------\nA  b  ".encode("utf-16")],
)  # fmt: skip
def test_output_that_is_no_table_is_told_and_never_nothing(output: bytes, tmp_path: Path) -> None:
    e = Endpoint(tmp_path, Played(list=Ended(0, output)))
    with pytest.raises(NoAnswer) as told:
        e.provider.survey()
    assert (len(str(told.value)) < 400, str(told.value).isprintable()) == (True, True)
    found = e.plan(AZD, "2.0")
    assert isinstance(found, Refused)
    assert found.code == "no_answer"


def test_a_sentence_may_say_that_nothing_is_newer_and_noise_may_not(tmp_path: Path) -> None:
    table = Ended(0, (DATA / "winget-upgrade.txt").read_bytes())
    sentence, noise = Ended(0, "Es sind keine Updates verfügbar.".encode()), Ended(0, b"\x84\x81 \xff")
    assert Endpoint(tmp_path, Played(list=table, upgrade=sentence, pin=sentence)).provider.available() == ()
    with pytest.raises(NoAnswer):
        Endpoint(tmp_path, Played(list=table, upgrade=noise, pin=sentence)).provider.available()


def test_what_cannot_be_asked_is_never_nothing(tmp_path: Path) -> None:
    for ended in (Ended(0x8A150001), Ended(0, timed_out=True), Ended(0x8A15004B)):
        with pytest.raises(NoAnswer):
            Endpoint(tmp_path, Played(list=ended)).provider.survey()


def test_a_look_at_everything_fits_into_the_time_of_a_scan(endpoint: Endpoint) -> None:
    endpoint.provider.survey()
    assert wua_provider.LOOK_S_MAX + len(endpoint.box.lines) * winget_cli.LOOK_S_MAX < SCAN_RUN_S_MAX


def test_two_programs_of_one_id_and_ids_that_were_cut_off_are_left(tmp_path: Path) -> None:
    table = (
        "Name      Id                 Version Available Source\n"
        "-----------------------------------------------------\n"
        "Azure CLI Microsoft.Azd      1.31    1.34      winget\n"
        "Azure CLI Microsoft.Azd      1.28    1.34      winget\n"
        "Long      Some.Very.Long.Na… 1.0     2.0       winget\n"
    )
    ended = Ended(0, table.encode())
    e = Endpoint(tmp_path, Played(list=ended, upgrade=ended, pin=Ended(winget_no_package())))
    packages, waits = e.provider.survey()
    assert [(p.name, p.version) for p in packages] == [(AZD, "1.31")]
    assert [(w.name, w.state) for w in waits] == [(AZD, UpdateState.KEPT_BACK)]


def test_quarantined_versions_are_in_no_plan(endpoint: Endpoint) -> None:
    found = endpoint.plan(AZD, "2.0", Bounds(without=(UpdateRef(AZD, "2.0"),)))
    assert isinstance(found, Refused)
    assert found.code == "quarantined"


def test_a_lost_run(endpoint: Endpoint) -> None:
    order = Order("tx_1", "of_1", "ro_1", 1, endpoint.planned())
    assert endpoint.provider.recover(order, [].append).code == "interrupted_unchanged"
    endpoint.box.script = [Ended(137, timed_out=True)]
    endpoint.provider.apply(order, [].append)
    assert endpoint.provider.recover(order, [].append).code == "interrupted_unchanged"
    endpoint.provider.apply(order, [].append)
    assert endpoint.provider.recover(order, [].append).code == "interrupted_complete"
