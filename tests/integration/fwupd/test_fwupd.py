"""The real fwupd on a machine of its own, with its test device; cabinets, lists and authority are the test's own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.aptroot import SOURCE, eventually, order
from tests.fwupdroot import LABELS, MODULE, NAMES, WEBCAM, Endpoint, endpoint
from tests.integration.npm.test_npm import kill_all
from tests.pipindex import without_proxies

from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.fwupd.lists import NO_SOURCE
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.protocol.messages import Outcome, PendingUpdate, TransactionResult, UpdateRef, UpdateState

BACK = Bounds(allow_downgrades=True)
long = pytest.mark.long


@pytest.fixture
def box() -> Iterator[Endpoint]:
    with without_proxies(), endpoint() as made:
        yield made


def ready(box: Endpoint, *versions: str) -> None:
    for version in ("1.2.2", *versions):
        box.publish("p", version)
    box.refreshed()


def pending(box: Endpoint, name: str = "p") -> PendingUpdate:
    return next(u for u in box.provider.available() if u.architecture == LABELS[name])


def apply(box: Endpoint, plan: Planned, number: int = 1, bounds: Bounds | None = None) -> TransactionResult:
    return box.provider.apply(order(plan.transaction, bounds or Bounds(), number), box.said.append)


def back(box: Endpoint, number: int = 9) -> TransactionResult:
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    return box.provider.apply(replace(order(left.transaction, BACK, number), inverse=left), box.said.append)


def test_inventory_update_and_what_waits_for_the_restart(box: Endpoint) -> None:
    """The whole way of one update that waits for a restart: never told as running before it does."""
    box.publish("p", "1.2.2")
    box.publish("p", "1.2.3", closes="CVE-2026-12345")
    box.refreshed()
    here = {p.architecture: p for p in box.provider.inventory()}
    webcam = here[LABELS["p"]]
    assert (webcam.name, webcam.version, webcam.origin, webcam.ecosystem) == (NAMES["p"], "1.2.2", "example", "fwupd")
    assert (pending(box).candidate, pending(box).security, pending(box).state) == ("1.2.3", True, UpdateState.AVAILABLE)
    box.start(NeedsReboot="true")
    result = apply(box, box.planned("1.2.3"))
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result.detail
    assert "1.2.3 takes effect with the next restart" in result.detail
    assert result.way_back is not None
    assert result.way_back.stored
    assert box.has() == "1.2.2"  # what fwupd itself says is running
    assert [p.version for p in box.provider.inventory() if p.architecture == LABELS["p"]] == ["1.2.2"]
    assert (pending(box).state, "takes effect with the next restart" in pending(box).reason) == (
        UpdateState.KEPT_BACK, True,
    )  # fmt: skip
    need = box.provider.reboot_need()
    assert (need.required, need.reasons) == (
        True, ("firmware of Integrated-Webcam: 1.2.3 written, 1.2.2 running",),
    )  # fmt: skip
    assert box.refusal("1.2.3").code == "nothing_to_do"
    done = back(box)  # the test device does not take it while it waits; whatever fwupd answers, the state is told
    assert (done.outcome, done.changes, box.device().staged) == (Outcome.REFUSED, (), "1.2.3"), done.detail


@long
def test_way_back_is_the_kept_cabinet_and_needs_no_network(box: Endpoint) -> None:
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    assert (plan.rollback, plan.no_way_back) == ((NAMES["p"],), ())
    assert apply(box, plan).code == "ok"
    assert (box.has(), box.provider.verify(plan.transaction), pending_of_all(box)) == ("1.2.3", (), [])
    box.cut_network()
    box.sh("fwupdmgr disable-remote example --json")
    done = back(box)
    assert (done.code, box.has()) == ("ok", "1.2.2"), done.detail
    assert box.provider.undo("ro_1", look=True) == Refused(
        "nothing_to_do", "Every package is as it was before that update."
    )


def pending_of_all(box: Endpoint) -> list[str]:
    return [u.name for u in box.provider.available()]


@long
def test_kept_cabinet_that_was_damaged_is_no_way_back(box: Endpoint) -> None:
    ready(box, "1.2.3")
    assert apply(box, box.planned("1.2.3")).code == "ok"
    kept = next(box.machine.path("/var/lib/brakeline-helper/back-fwupd").rglob("*.cab"))
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    done = back(box)
    assert (done.outcome, done.code, box.has()) == (Outcome.REFUSED, "no_way_back", "1.2.3")


@long
def test_former_version_that_no_remote_has_is_no_way_back_and_said_beforehand(box: Endpoint) -> None:
    box.publish("p", "1.2.3")
    box.refreshed()
    plan = box.planned("1.2.3")
    assert plan.way_back.startswith("no way back")
    result = apply(box, plan)
    assert (result.code, result.way_back and result.way_back.code, box.has()) == ("ok", "gone", "1.2.3")


@long
def test_no_network_is_never_nothing_newer(box: Endpoint) -> None:
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    box.cut_network()
    answer = box.provider.refresh()
    assert isinstance(answer, Refused)
    assert answer.code == "no_network"
    assert (pending(box).candidate, box.provider.health().lists_problem) == ("1.2.3", answer.reason)
    result = apply(box, plan)
    assert (result.outcome, result.code, box.has()) == (Outcome.REFUSED, "network", "1.2.2"), result.detail


@long
def test_without_a_remote_nothing_is_up_to_date(box: Endpoint) -> None:
    """The owner has switched off the public service, as many do."""
    box.remote(enabled=False)
    box.start()
    assert box.provider.refresh() == Refused("no_source", NO_SOURCE)
    health = box.provider.health()
    assert (health.lists_problem, health.lists_refreshed_ms, box.provider.available()) == (NO_SOURCE, 0, ())


@long
def test_release_that_is_not_approved_is_held_until_it_is(box: Endpoint) -> None:
    ready(box, "1.2.3")
    box.remote(approval=True)
    box.start()
    box.refreshed()
    assert (pending(box).state, "approved firmware" in pending(box).reason) == (UpdateState.HELD, True)
    assert box.refusal("1.2.3").code == "held"
    checksum = box.rows["p-1.2.3.cab"]["container"]
    box.sh(f"fwupdmgr set-approved-firmware {checksum}")
    assert pending(box).state is UpdateState.AVAILABLE
    assert (apply(box, box.planned("1.2.3")).code, box.has()) == ("ok", "1.2.3")


@long
def test_held_by_its_owner(box: Endpoint) -> None:
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    box.machine.path("/etc/brakeline/fwupd.hold").write_text(f"{NAMES['p']}  # the dock of the front desk\n")
    assert (pending(box).state, box.refusal("1.2.3").code) == (UpdateState.HELD, "held")
    assert (apply(box, plan).code, box.has()) == ("held", "1.2.2")


@long
def test_inhibited_system_takes_no_update_and_says_why(box: Endpoint) -> None:
    """`fwupdmgr inhibit` stands for all conditions of a device: battery, mains, lid are told the same way."""
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    inhibit = threading.Thread(target=box.machine.query, args=("fwupdmgr", "inhibit", "repair", "6000", "--json"))
    inhibit.start()
    eventually(lambda: box.device().problems, "the inhibition stands")
    assert (pending_of_all(box), box.refusal("1.2.3").code) == ([NAMES["p"]], "unhealthy")
    assert (pending(box).state, "inhibited" in pending(box).reason) == (UpdateState.HELD, True)
    result = apply(box, plan)
    assert (result.outcome, result.code, box.has()) == (Outcome.REFUSED, "unhealthy", "1.2.2"), result.detail
    inhibit.join()
    assert apply(box, box.planned("1.2.3"), 2).code == "ok"


@long
def test_cabinet_that_does_not_fit_its_checksum_changes_nothing(box: Endpoint) -> None:
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    cabinet = box.served / "p-1.2.3.cab"
    cabinet.write_bytes(cabinet.read_bytes() + b"evil")
    result = apply(box, plan)
    assert (result.outcome, result.code, box.has()) == (Outcome.REFUSED, "hash_mismatch", "1.2.2"), result.detail


@long
def test_answer_without_end_is_cut_off_and_changes_nothing(box: Endpoint) -> None:
    """The list gives the size of the firmware: what is far longer is fetched neither as a whole nor kept in part."""
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    os.truncate(box.served / "p-1.2.3.cab", 300 << 20)
    result = box.provider.apply(order(plan.transaction), [].append)
    assert (result.outcome, result.code, box.has()) == (Outcome.REFUSED, "hash_mismatch", "1.2.2"), result.detail
    assert "more than 16 MiB" in result.detail
    left = [p for p in box.machine.path("/var/lib/brakeline-helper").rglob("*.cab") if p.stat().st_size]
    assert left == []


@long
@pytest.mark.parametrize("signer", ["", "other"])
def test_cabinet_that_nobody_trusted_has_signed_changes_nothing(box: Endpoint, signer: str) -> None:
    box.authority("other")
    box.publish("p", "1.2.2")
    box.publish("p", "1.2.3", signer=signer)
    box.refreshed()
    result = apply(box, box.planned("1.2.3"))
    assert (result.outcome, result.code, box.has()) == (Outcome.REFUSED, "signature", "1.2.2"), result.detail


@long
def test_list_of_somebody_else_is_not_believed(box: Endpoint) -> None:
    ready(box)
    box.authority("other")
    box.publish("p", "1.2.3")
    box.list_again(signer="other")
    answer = box.provider.refresh()
    assert isinstance(answer, Refused)
    assert (answer.code, pending_of_all(box)) == ("signature", []), answer


@long
def test_version_that_comes_with_another_cabinet_is_not_the_one_that_was_seen(box: Endpoint) -> None:
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    box.publish("p", "1.2.3", closes="CVE-2026-1")  # the vendor makes it again
    box.refreshed()
    assert (box.refusal("1.2.3").code, "another cabinet" in box.refusal("1.2.3").reason) == ("refused", True)
    result = apply(box, plan)
    assert (result.outcome, result.code, box.has()) == (Outcome.REFUSED, "changed", "1.2.2"), result.detail


@long
def test_list_that_moved_on_is_a_changed_situation(box: Endpoint) -> None:
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    del box.rows["p-1.2.3.cab"]
    box.publish("p", "1.2.4")
    box.refreshed()
    assert (box.refusal("1.2.3").code, apply(box, plan).code, box.has()) == ("lists_stale", "changed", "1.2.2")


@long
def test_quarantined_versions_are_in_no_plan(box: Endpoint) -> None:
    ready(box, "1.2.3")
    refused = box.refusal("1.2.3", bounds=Bounds(without=(UpdateRef(NAMES["p"], "1.2.3"),)))
    assert (refused.code, "1.2.3" in refused.reason) == ("quarantined", True)


@long
def test_too_little_space_is_known_before_anything_is_changed(box: Endpoint) -> None:
    ready(box, "1.2.3")
    result = apply(box, box.planned("1.2.3"), bounds=Bounds(disk_reserve_bytes=1 << 40))
    assert (result.outcome, result.code, box.has()) == (Outcome.REFUSED, "no_space", "1.2.2")


@long
def test_disk_that_fills_up_while_fetching_is_told_and_done_when_space_is_back(box: Endpoint) -> None:
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    box.sh(
        "mkdir -p /var/lib/brakeline-helper/tx; mount -t tmpfs -o size=4k,mode=700 tmpfs /var/lib/brakeline-helper/tx"
    )
    unchecked = Bounds(disk_reserve_bytes=-(1 << 40))  # the space goes after it was looked for
    full = apply(box, plan, bounds=unchecked)
    assert (full.outcome, full.changes, box.has()) == (Outcome.REFUSED, (), "1.2.2"), full.detail
    assert full.code == "no_space", full.detail
    box.sh("umount /var/lib/brakeline-helper/tx")
    assert (apply(box, plan, 2).code, box.has()) == ("ok", "1.2.3")


@long
def test_device_that_cannot_be_written_is_told_with_its_reason(box: Endpoint) -> None:
    ready(box, "1.2.3")
    box.start(WriteSupported="false")
    result = apply(box, box.planned("1.2.3"))
    assert (result.outcome, result.code, result.changes) == (Outcome.FAILED, "write_failed", ()), result.detail
    assert "not in supported mode" in result.detail
    assert "its last update failed" in box.provider.health().problems[0]
    box.start()
    assert (apply(box, box.planned("1.2.3"), 2).code, box.has()) == ("ok", "1.2.3")


@long
def test_written_by_success_but_not_there_is_a_failure(box: Endpoint) -> None:
    """fwupd ends with 0, and the device has another version than the release says."""
    box.publish("p", "1.2.2")
    box.publish("p", "1.2.4", really="1.2.9")
    box.refreshed()
    result = apply(box, box.planned("1.2.4"))
    assert (result.outcome, result.code, box.has()) == (Outcome.FAILED, "verify_failed", "1.2.9"), result.detail


@long
def test_slow_write_is_waited_for_and_never_cut_off(box: Endpoint) -> None:
    """Our client is ended at its time; the daemon writes on, and the result is what came of it."""
    ready(box, "1.2.3")
    box.start(WriteDelay="6000")
    plan = box.planned("1.2.3")
    result = apply(box, plan, bounds=Bounds(run_s_max=3))
    assert (result.outcome, result.code, box.has()) == (Outcome.INSTALLED, "ok", "1.2.3"), result.detail
    assert any("never cut off" in line for line in box.said), box.said


@long
def test_everything_of_ours_killed_in_mid_write_is_examined_and_complete(box: Endpoint) -> None:
    ready(box, "1.2.3")
    box.start(WriteDelay="6000")
    plan = box.planned("1.2.3")
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        box.provider.apply(order(plan.transaction), [].append)
        os._exit(0)
    eventually(lambda: "local-install" in box.machine.query("ps", "-eo", "args=").text, "the client is at work")
    kill_all(child)
    result = box.provider.recover(order(plan.transaction), [].append)
    assert result.outcome is Outcome.INTERRUPTED
    expected = ("interrupted_complete", "1.2.3") if box.has() == "1.2.3" else ("interrupted_unchanged", "1.2.2")
    assert (result.code, box.has()) == expected, result.detail


@long
def test_power_cut_in_mid_write_is_told_and_not_written_again_by_itself(box: Endpoint) -> None:
    ready(box, "1.2.3")
    box.start(WriteDelay="60000")
    plan = box.planned("1.2.3")
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        box.provider.apply(order(plan.transaction), [].append)
        os._exit(0)
    eventually(lambda: "local-install" in box.machine.query("ps", "-eo", "args=").text, "the client is at work")
    kill_all(child)
    box.stop_daemon()
    box.start()
    result = box.provider.recover(order(plan.transaction), [].append)
    assert (result.outcome, result.code, box.has()) == (Outcome.INTERRUPTED, "interrupted_unchanged", "1.2.2")
    assert (apply(box, box.planned("1.2.3"), 2).code, box.has()) == ("ok", "1.2.3")


@long
def test_who_is_written_for_somebody_else_is_waited_for(box: Endpoint) -> None:
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    box.publish("q", "2")
    box.start(WriteDelay="8000")
    somebody = threading.Thread(
        target=box.machine.query,
        args=("fwupdmgr", "local-install", "/srv/firmware/p-1.2.3.cab", WEBCAM, "--json", "--assume-yes"),
    )
    somebody.start()
    eventually(lambda: "local-install" in box.machine.query("ps", "-eo", "args=").text, "somebody is at work")
    result = apply(box, plan)
    somebody.join()
    assert (result.code, box.has()) in [("nothing_to_do", "1.2.3"), ("ok", "1.2.3")], result.detail


@long
def test_remote_that_hangs_is_given_up_with_everything_that_asks_it(box: Endpoint) -> None:
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    box.hangs.set()
    result = apply(box, plan, bounds=Bounds(run_s_max=4))
    box.hangs.clear()
    assert (result.outcome, result.code, box.has()) == (Outcome.REFUSED, "network", "1.2.2"), result.detail
    assert "fwupdmgr download" not in box.machine.query("ps", "-eo", "args=").text


@long
def test_daemon_that_cannot_be_started_is_no_machine_without_devices(box: Endpoint) -> None:
    ready(box, "1.2.3")
    plan = box.planned("1.2.3")
    box.lose_daemon()
    result = apply(box, plan)
    assert (result.outcome, result.code) == (Outcome.REFUSED, "fwupd_failed")
    assert "could not be asked" in result.health.problems[0]
    for answer in (box.provider.refresh(), box.refusal("1.2.3"), box.provider.undo("ro_1", look=True)):
        assert isinstance(answer, Refused)
        assert answer.code in ("fwupd_failed", "no_way_back")
    assert box.provider.verify(plan.transaction) != ()
    with pytest.raises(Exception, match="could not be asked"):
        box.provider.survey()


@long
def test_daemon_that_is_lost_in_mid_write_is_never_nothing_changed(box: Endpoint) -> None:
    ready(box, "1.2.3")
    box.start(WriteDelay="60000")
    plan, results = box.planned("1.2.3"), list[TransactionResult]()
    at_work = threading.Thread(target=lambda: results.append(apply(box, plan)))
    at_work.start()
    eventually(lambda: "local-install" in box.machine.query("ps", "-eo", "args=").text, "the client is at work")
    box.lose_daemon()
    at_work.join()
    assert (results[0].outcome, results[0].code) == (Outcome.FAILED, "fwupd_failed"), results[0].detail
    assert "what the devices have is not known" in results[0].detail


@long
def test_reading_and_planning_need_no_privilege(box: Endpoint) -> None:
    """As the agent does: what fwupd tells others than root is enough."""
    ready(box, "1.2.3")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    as_agent = replace(box.provider, runner=replace(box.machine, prefix=(*box.machine.prefix, *nobody)))
    assert as_agent.survey() == box.provider.survey()
    asked = (UpdateRef(f"{NAMES['p']}:{LABELS['p']}", "1.2.3"),)
    assert as_agent.plan(asked, Bounds()) == box.provider.plan(asked, Bounds())
    assert as_agent.reboot_need() == box.provider.reboot_need()


@long
def test_two_devices_in_one_transaction(box: Endpoint) -> None:
    ready(box, "1.2.3")
    box.publish("q", "2")
    box.refreshed()
    asked = tuple(UpdateRef(f"{NAMES[n]}:{LABELS[n]}", v) for n, v in (("p", "1.2.3"), ("q", "2")))
    plan = box.provider.plan(asked, Bounds())
    assert isinstance(plan, Planned)
    assert isinstance(box.provider.refresh(), Refreshed)
    result = apply(box, plan)
    assert (result.code, box.has(), box.has("q")) == ("ok", "1.2.3", "2"), result.detail
    assert {c.name for c in result.changes} == set(NAMES.values())
    assert MODULE != WEBCAM


@long
def test_second_order_of_a_rollout_keeps_the_way_back_from_the_first(box: Endpoint) -> None:
    """As an endpoint gets one where only a part was written: what was written has no other way back."""
    ready(box, "1.2.3")
    box.publish("q", "1")
    box.publish("q", "2")
    box.refreshed()
    for number, (name, version) in enumerate((("p", "1.2.3"), ("q", "2")), 1):
        plan = box.provider.plan((UpdateRef(f"{NAMES[name]}:{LABELS[name]}", version),), Bounds())
        assert isinstance(plan, Planned), plan
        result = apply(box, plan, number)
        assert result.way_back is not None
        assert (result.code, result.way_back.packages) == ("ok", number), result.way_back.reason
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    assert {a.architecture: a.after for a in left.transaction.actions} == {LABELS["p"]: "1.2.2", LABELS["q"]: "1"}
    webcam = tuple(a for a in left.transaction.actions if a.architecture == LABELS["p"])
    mine = make_transaction(webcam)  # the test's module writes no older version
    done = box.provider.apply(replace(order(mine, BACK, 9), inverse=left), box.said.append)
    assert (done.code, box.has()) == ("ok", "1.2.2"), done.detail


LOOK = """
from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.detect import managers
found = managers(SystemClock())
packages, updates = found.survey()
print([m.ecosystem for m in found.managers], [(u.name, u.candidate) for u in updates if ":fwupd-" in u.name])
print(found.health().problems, found.reboot_need().reasons)
"""


@long
def test_agent_of_the_machine_finds_it_beside_the_system_s_manager(box: Endpoint) -> None:
    """Wired as on an endpoint: the agent's own composition, in a Python of the machine's."""
    ready(box, "1.2.3")
    box.start(NeedsReboot="true")
    assert apply(box, box.planned("1.2.3")).code == "ok"
    words = ("env", f"PYTHONPATH={SOURCE}", "PYTHONDONTWRITEBYTECODE=1", "/usr/bin/python3", "-c", LOOK)
    ran = box.machine.query(*words, timeout_s=240)
    assert ran.rc == 0, ran.text
    assert "'fwupd'" in ran.text.splitlines()[-2], ran.text
    assert f"('{NAMES['p']}:{LABELS['p']}', '1.2.3')" in ran.text, ran.text
    assert "firmware of Integrated-Webcam: 1.2.3 written, 1.2.2 running" in ran.text.splitlines()[-1], ran.text
