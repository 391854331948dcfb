"""Windows' helper in wine, under the official CPython: its pipe, its own judgement, its transactions in jobs.

Packages of Windows Installer that are built here, wine's msiexec and registry. What Windows alone could show (the
SYSTEM account, access lists that are obeyed, the service manager's rights): docs/explanation/windows.md.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests import support_msi
from tests.contract.worlds_windows import Wine
from tests.support_windows_helper import NOW_MS, Helper, helper_on, number, offer_of, signed, until

from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.model import Bounds, Planned
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import Action, ActionKind, Transaction, UpdateRef

pytestmark = [pytest.mark.long, pytest.mark.timeout(420)]
HOLD = r"""
import ctypes, sys
handle = ctypes.WinDLL("kernel32").CreateMutexW(None, True, "Global\\_MSIExecute")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def world(tmp_path: Path) -> Wine:
    made = Wine(tmp_path)
    made.publish(Version("p", "1"))
    made.install("p")
    made.publish(Version("p", "2"))
    return made


@pytest.fixture
def helper(world: Wine) -> Iterator[Helper]:
    with helper_on(support_msi.box().machine) as made:
        made.list_programs(world.rows)
        made.start()
        yield made


def planned(world: Wine) -> Transaction:
    found = world.provider.plan((UpdateRef("p", "2.0.0"),), Bounds())
    assert isinstance(found, Planned), found
    return found.transaction


def test_an_order_is_carried_out_by_msiexec_once_and_forgotten_for_ever(helper: Helper, world: Wine) -> None:
    exact = planned(world)
    assert helper.ask(verb="status", transaction_id=f"tx_{number(1)}") == {"ok": True, "state": "unknown"}
    assert helper.apply(signed(offer_of(exact, 1)), exact) == {"ok": True, "transaction_id": f"tx_{number(1)}"}
    found = helper.result(1)
    assert (found["outcome"], found["code"], world.really_has("p")) == ("installed", "ok", "2"), helper.log(1)
    assert found["way_back"]["stored"] is True
    assert "msiexec.exe /i" in helper.log(1)
    until(lambda: not helper.pids(" transaction "), "the runner has ended")
    assert helper.ask(verb="forget", transaction_id=f"tx_{number(1)}") == {"ok": True}
    assert not list((helper.home / "helper/tx").iterdir())
    again = helper.apply(signed(offer_of(exact, 1)), exact)
    assert (again["ok"], again["code"]) == (False, "replayed")


def test_a_wrong_order_is_refused_by_the_helper_itself_and_changes_nothing(helper: Helper, world: Wine) -> None:
    exact = planned(world)
    other = Action(ActionKind.UPGRADE, "p", "x86", "1.0.0", "9.0.0")
    differs = Transaction((other,), transaction_digest((other,)))
    stranger = Ed25519PrivateKey.from_private_bytes(b"x" * 32)
    quote = Action(ActionKind.UPGRADE, 'p" /x', "x86", "1.0.0", "2.0.0")
    unsafe = Transaction((quote,), transaction_digest((quote,)))
    refused = {
        "forged": helper.apply(signed(offer_of(exact, 1), stranger), exact),
        "expired": helper.apply(signed(offer_of(exact, 2, expires_ms=NOW_MS - 1)), exact),
        "late": helper.apply(signed(offer_of(exact, 3)), exact, server_ms=NOW_MS + 600_000),
        "elsewhere": helper.apply(signed(offer_of(exact, 4, endpoint_id="ep_01JD0000000000000000000009")), exact),
        "differs": helper.apply(signed(offer_of(exact, 5)), differs),
        "unsafe": helper.apply(signed(offer_of(unsafe, 6)), unsafe),
    }
    assert {kind: answer["code"] for kind, answer in refused.items()} == {
        "forged": "bad_signature", "expired": "offer_expired", "late": "offer_expired", "elsewhere": "wrong_endpoint",
        "differs": "changed", "unsafe": "refused",
    }  # fmt: skip
    assert not list((helper.home / "helper/tx").iterdir())
    assert world.really_has("p") == "1"


def test_what_the_order_names_and_is_not_there_any_more_is_refused_and_told(helper: Helper, world: Wine) -> None:
    """A genuine order over a transaction that the endpoint's own state does not bear any more."""
    exact = planned(world)
    helper.list_programs(world.rows[:1])
    assert helper.apply(signed(offer_of(exact, 1)), exact)["ok"]
    found = helper.result(1)
    assert (found["outcome"], found["code"], world.really_has("p")) == ("refused", "changed", "1")
    assert "programs.json" in found["detail"]


def test_another_account_is_refused(world: Wine) -> None:
    with helper_on(support_msi.box().machine) as made:
        made.user = "NT AUTHORITY\\LocalService"
        made.prepare()
        made.start()
        answer = made.ask(verb="status", transaction_id=f"tx_{number(1)}")
    assert answer is not None
    assert (answer["ok"], answer["code"]) == (False, "forbidden")
    assert "S-1-5-21-0-0-0-1000" in answer["reason"]
    assert world.really_has("p") == "1"


def test_a_helper_killed_in_mid_transaction_finds_its_end(helper: Helper, world: Wine) -> None:
    """The transaction is a process of its own: it goes on, and the next helper hears of it."""
    exact = planned(world)
    holder = holding(helper)
    assert helper.apply(signed(offer_of(exact, 1)), exact)["ok"]
    until(lambda: "Waiting for Windows Installer" in helper.log(1), "it waits for whoever installs")
    helper.kill()
    assert helper.ask(verb="status", transaction_id=f"tx_{number(1)}") is None
    helper.start()
    busy = helper.apply(signed(offer_of(exact, 2)), exact)
    assert (busy["ok"], busy["code"]) == (False, "busy")
    holder.communicate(timeout=60)
    found = helper.result(1)
    assert (found["outcome"], world.really_has("p")) == ("installed", "2"), helper.log(1)
    assert (helper.home / f"helper/tx/tx_{number(1)}/starts").read_text() == "1"


def test_helper_and_runner_killed_before_the_first_installer_say_that_nothing_was_changed(
    helper: Helper, world: Wine
) -> None:
    exact = planned(world)
    holder = holding(helper)
    assert helper.apply(signed(offer_of(exact, 1)), exact)["ok"]
    until(lambda: "Waiting for Windows Installer" in helper.log(1), "it waits for whoever installs")
    helper.kill()
    helper.kill_runner()
    helper.start()
    found = helper.result(1)
    holder.communicate(timeout=60)
    assert (found["outcome"], found["code"], world.really_has("p")) == ("interrupted", "interrupted_unchanged", "1")


def test_helper_and_runner_killed_while_an_installer_runs_tell_what_the_registry_has(
    helper: Helper, world: Wine
) -> None:
    """Whatever moment that is: the outcome is what is really there."""
    exact = planned(world)
    assert helper.apply(signed(offer_of(exact, 1)), exact)["ok"]
    until(lambda: "msiexec.exe /i" in helper.log(1), "the installer is started")
    helper.kill()
    helper.kill_runner()
    helper.start()
    found = helper.result(1)
    there = world.really_has("p")
    assert found["outcome"] in ("installed", "interrupted"), found
    assert there == "2" if found["code"] in ("ok", "interrupted_done", "interrupted_repaired") else there != "2", found
    helper.apply(signed(offer_of(exact, 2)), exact)  # and nothing is left that would hold the next one up
    assert helper.result(2)["outcome"] in ("installed", "refused")


def test_the_service_manager_keeps_it(world: Wine) -> None:
    """Installed, started, asked for a transaction, stopped and removed by the verbs; the manager is wine's."""
    with helper_on(support_msi.box().machine) as made:
        made.list_programs(world.rows)
        assert "service install" in made.verb("service", "start", code=1)
        refused = made.verb("service", "install", "--helper-state", "C:\\helper", code=2)
        assert "would be closed to everybody but administrators" in refused
        assert "is installed" in made.verb("service", "install")
        assert "stopped" in made.verb("service", "status")
        assert "running" in made.verb("service", "start")
        until(lambda: made.ask(verb="status", transaction_id=f"tx_{number(1)}"), "the service answers")
        exact = planned(world)
        assert made.apply(signed(offer_of(exact, 1)), exact)["ok"]
        assert made.result(1)["outcome"] == "installed"
        assert "has this version's program" in made.verb("service", "install")
        assert "stopped" in made.verb("service", "stop")
        assert made.ask(verb="status", transaction_id=f"tx_{number(1)}") is None
        assert "is removed" in made.verb("service", "remove")
        assert "there is no service" in made.verb("service", "status", code=1)
        assert len(list((made.home / "helper/program").glob("agent-*.pyz"))) == 1
        assert list((made.home / "helper/tx").iterdir()), "what the helper has kept stays"
    assert world.really_has("p") == "2"


def holding(helper: Helper) -> subprocess.Popen[bytes]:
    """Somebody else's installation is going on, until its standard input ends."""
    made = helper._spawn(helper.machine.python("-I", "-c", HOLD))
    assert made.stdout is not None
    assert made.stdout.readline().strip() == b"held"
    return made
