"""The way back from an update: stored before it begins, exact, and gone for real, on a real root file system."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.aptrepo import Built, Repository
from tests.aptroot import Clone, order
from tests.integration.apt.steps import prepare

from brakeline.agent.providers.apt.keep import DIRECTORY, Keeper
from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.apt.undo import BOUNDS
from brakeline.agent.providers.model import Bounds, Inverse, Order, Refused
from brakeline.agent.transaction import read_result, write_order
from brakeline.protocol.messages import Action, ActionKind, Outcome, TransactionResult, UpdateRef, WayBack


def stored(endpoint: Clone, *, look: bool = True) -> Inverse:
    found = endpoint.provider.undo("ro_1", look=look)
    assert isinstance(found, Inverse), found
    return found


def back(endpoint: Clone, number: int = 2) -> Order:
    inverse = stored(endpoint)
    whole = Keeper(endpoint.machine).of_rollout("ro_1")
    return replace(order(inverse.transaction, BOUNDS, number), inverse=whole)


@pytest.mark.long
def test_nightly_upgrades_of_the_endpoints_own_do_not_bring_it_back(endpoint: Clone, repository: Repository) -> None:
    """A rolled-back update once installed itself again. An order of the cell may; apt by itself may not."""
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    endpoint.apply(endpoint.plan(("job", "2")))
    wanted = replace(back(endpoint), taken_back=(UpdateRef("job", "2"),))
    assert endpoint.provider.apply(wanted, endpoint.said.append).outcome is Outcome.INSTALLED
    endpoint.sh("apt-get -qy upgrade; apt-get -qy dist-upgrade; apt-get -qy install job")
    assert endpoint.version("job") == "ii 1"
    assert endpoint.provider.available() == ()
    repository.publish(Built("job", "3"))
    endpoint.sh("apt-get -q -eany update")
    assert [u.candidate for u in endpoint.provider.available()] == ["3"], "a newer version is not concerned"
    again = endpoint.apply(endpoint.plan(("job", "2")), number=7)
    assert (again.outcome, endpoint.version("job")) == (Outcome.INSTALLED, "ii 2")
    assert not endpoint.machine.path("/etc/apt/preferences.d/brakeline-taken-back").exists()


def test_the_way_back_of_an_interrupted_first_try_is_kept_in_the_second(
    endpoint: Clone, repository: Repository
) -> None:
    first = (Built("job", "1"), Built("later", "1"))
    prepare(endpoint, repository, Built("job", "2"), Built("later", "2"), first=first)
    endpoint.apply(endpoint.plan(("job", "2")), number=1)  # as far as the first try came
    assert endpoint.apply(endpoint.plan(("later", "2")), number=3).way_back == WayBack(True, 2)
    repository.withdraw("job", "1")
    endpoint.sh("apt-get -q -eany update; apt-get clean; rm -r /var/lib/brakeline-helper/back/tx_1")
    assert undone(endpoint, 4).outcome is Outcome.INSTALLED
    assert (endpoint.version("job"), endpoint.version("later")) == ("ii 1", "ii 1")


def undone(endpoint: Clone, number: int = 2) -> TransactionResult:
    return endpoint.provider.apply(back(endpoint, number), endpoint.said.append)


def test_a_bad_update_goes_back_for_real_with_what_it_brought(endpoint: Clone, repository: Repository) -> None:
    bad = Built("job", "2", depends="helper-lib", scripts={"postinst": "exit 1"})
    prepare(endpoint, repository, bad, Built("helper-lib", "1"), first=(Built("job", "1"),))
    done = endpoint.apply(endpoint.plan(("job", "2")))
    assert (done.outcome, endpoint.version("job")) == (Outcome.FAILED, "iF 2")
    assert done.way_back == WayBack(True, 2)
    assert done.way_back.told == "way back: yes (2 packages)"
    repository.withdraw("job", "1")  # nobody but the endpoint itself has the former version now
    endpoint.sh("apt-get -q -eany update; apt-get clean")
    result = undone(endpoint)
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), (result, endpoint.said)
    assert (endpoint.version("job"), endpoint.version("helper-lib")) == ("ii 1", "")
    assert endpoint.sh("dpkg --audit") == ""
    assert endpoint.provider.undo("ro_1", look=True) == Refused(
        "nothing_to_do", "Every package is as it was before that update."
    )


def test_a_repository_that_lists_the_former_version_and_is_away_does_not_matter(
    endpoint: Clone, repository: Repository
) -> None:
    """apt takes a version that is listed from its repository, even when it is told a file with the same one."""
    prepare(endpoint, repository, Built("job", "1:2"), first=(Built("job", "1:1"),))
    assert endpoint.apply(endpoint.plan(("job", "1:2"))).way_back == WayBack(True, 1)
    endpoint.sh("apt-get clean")
    repository.stop()
    result = undone(endpoint)
    assert (result.outcome, endpoint.version("job")) == (Outcome.INSTALLED, "ii 1:1"), result


def test_without_the_former_archive_there_is_no_way_back_and_it_is_said(
    endpoint: Clone, repository: Repository
) -> None:
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    repository.withdraw("job", "1")
    endpoint.sh("apt-get -q -eany update; apt-get clean")
    done = endpoint.apply(endpoint.plan(("job", "2")))
    assert (done.outcome, endpoint.version("job")) == (Outcome.INSTALLED, "ii 2")
    assert done.way_back is not None
    assert (done.way_back.stored, done.way_back.code) == (False, "gone")
    assert done.way_back.told == "no way back: job 1 cannot be had any more from this endpoint's repositories."
    assert endpoint.provider.undo("ro_1", look=True) == Refused(
        "no_way_back", "No way back from that rollout is stored on this endpoint."
    )


def test_an_archive_in_the_cache_that_nobody_vouched_for_is_not_believed(
    endpoint: Clone, repository: Repository
) -> None:
    """Root's cache is full of files; only what a configured repository has signed is put back."""
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    repository.withdraw("job", "1")
    endpoint.sh("apt-get -q -eany update; test -e /var/cache/apt/archives/job_1_all.deb")
    done = endpoint.apply(endpoint.plan(("job", "2")))
    assert done.way_back is not None
    assert (done.way_back.stored, done.way_back.code) == (False, "unknown_origin")


def test_what_was_installed_from_here_may_be_dropped_by_the_repository(endpoint: Clone, repository: Repository) -> None:
    """Version 2 came through us: its hash is known for ever, and the cache still has it."""
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    assert endpoint.apply(endpoint.plan(("job", "2"))).outcome is Outcome.INSTALLED
    repository.withdraw("job", "2")
    repository.publish(Built("job", "3"))
    endpoint.sh("apt-get -q -eany update")
    done = endpoint.apply(endpoint.plan(("job", "3")), number=3)
    assert done.way_back == WayBack(True, 1)
    endpoint.machine.path("/var/cache/apt/archives/job_2_all.deb").write_bytes(b"somebody else's")
    result = undone(endpoint, 4)
    assert (result.outcome, endpoint.version("job")) == (Outcome.INSTALLED, "ii 2"), result


def test_a_kept_archive_that_was_changed_is_not_used(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    endpoint.apply(endpoint.plan(("job", "2")))
    order_before = back(endpoint)
    endpoint.machine.path(f"{DIRECTORY}/tx_1/job_1_all.deb").write_bytes(b"!<arch>\nnot what was kept")
    found = endpoint.provider.undo("ro_1", look=False)
    assert found == Refused("no_way_back", "The kept archive of job 1 is damaged or gone.")
    result = endpoint.provider.apply(order_before, endpoint.said.append)
    assert (result.outcome, result.code, endpoint.version("job")) == (Outcome.REFUSED, "no_way_back", "ii 2")


def test_an_order_that_is_no_part_of_the_stored_way_back_is_refused(endpoint: Clone, repository: Repository) -> None:
    other = Built("other", "1")
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"), other))
    endpoint.apply(endpoint.plan(("job", "2")))
    action = Action(ActionKind.REMOVE, "other", "all", "1", "")
    forged = replace(back(endpoint), transaction=make_transaction([action]))
    result = endpoint.provider.apply(forged, endpoint.said.append)
    assert (result.outcome, result.code) == (Outcome.REFUSED, "refused")
    assert endpoint.version("other") == "ii 1"


def test_what_somebody_changed_since_is_left_to_people(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    endpoint.apply(endpoint.plan(("job", "2")))
    repository.publish(Built("job", "3"))
    endpoint.sh("apt-get -q -eany update; apt-get -qy install job")
    found = endpoint.provider.undo("ro_1", look=True)
    assert found == Refused("changed", "job is 3 now, not 2: changed since.")


def test_a_package_that_needs_the_new_version_stands_in_the_way(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    endpoint.apply(endpoint.plan(("job", "2")))
    repository.publish(Built("needy", "1", depends="job (>= 2)"))
    endpoint.sh("apt-get -q -eany update; apt-get -qy install needy")
    found = endpoint.provider.undo("ro_1", look=True)
    assert isinstance(found, Refused)
    assert found.code == "refused", found


def test_the_store_is_bounded_and_forgets_the_oldest(endpoint: Clone, repository: Repository) -> None:
    big = {"/usr/share/job/data": b"x" * 3_000_000}
    prepare(endpoint, repository, first=(Built("job", "1", files=big),))
    keeper = Keeper(endpoint.machine, bytes_max=7_000_000)
    known = []
    for number in (2, 3, 4):
        repository.publish(Built("job", str(number), files=big))
        endpoint.sh("apt-get -q -eany update")
        wanted = order(endpoint.plan(("job", str(number))), number=number)
        vouched = endpoint.provider.planner.records(wanted.transaction)
        known.append(keeper.keep(wanted, frozenset(), number, endpoint.said.append, 60.0, vouched))
        endpoint.sh(f"apt-get -qy install job={number}")
    assert known == [WayBack(True, 1)] * 3
    assert [bool(keeper.of_transaction(f"tx_{n}")) for n in (2, 3, 4)] == [False, True, True]
    small = replace(keeper, bytes_max=1_000_000)
    repository.publish(Built("job", "5", files=big))
    endpoint.sh("apt-get -q -eany update")
    last = small.keep(order(endpoint.plan(("job", "5")), number=5), frozenset(), 5, endpoint.said.append, 60.0, {})
    assert (last.stored, last.code) == (False, "too_large")


KILL = """if [ "$1" = upgrade ] && [ ! -e /tmp/once ]; then
touch /tmp/once; kill -9 $(pgrep -f agent.transactio[n]) $(pgrep -x apt-get) $PPID; fi"""
STATE = "/var/lib/brakeline-helper"


def run(endpoint: Clone, wanted: Order) -> TransactionResult | None:
    """The runner's program with this order, started (again)."""
    if not (endpoint.machine.path(STATE) / "tx" / wanted.transaction_id / "order.json").exists():
        write_order(endpoint.machine.path(STATE), wanted)
    code = f"from brakeline.agent.transaction import main; import sys; sys.exit(main(['{wanted.transaction_id}']))"
    endpoint.agent("-c", code)
    return read_result(endpoint.machine.path(STATE), wanted.transaction_id)


def test_everything_killed_in_the_middle_of_the_way_back_is_healed_and_finished(
    endpoint: Clone, repository: Repository
) -> None:
    """As a power cut, with the former versions nowhere but in the endpoint's own store; two orders and it is done."""
    first = (Built("job", "1", scripts={"preinst": KILL}), Built("later", "1", depends="job"))
    prepare(endpoint, repository, Built("job", "2"), Built("later", "2", depends="job"), first=first)
    done = endpoint.apply(endpoint.plan(("job", "2"), ("later", "2")))
    assert done.way_back == WayBack(True, 2)
    for name in ("job", "later"):
        repository.withdraw(name, "1")
    endpoint.sh("apt-get -q -eany update; apt-get clean")
    one = back(endpoint)
    assert run(endpoint, one) is None
    assert endpoint.version("job").startswith("iHR")
    result = run(endpoint, one)
    assert result is not None
    assert result.outcome is Outcome.INTERRUPTED, result
    assert result.code in ("interrupted_repaired", "interrupted_partial")
    assert (endpoint.version("job"), endpoint.sh("dpkg --audit")) == ("ii 1", "")
    if result.code == "interrupted_partial":  # the cell offers it again, for what is left
        again = run(endpoint, back(endpoint, 3))
        assert again is not None
        assert again.outcome is Outcome.INSTALLED, again
    assert (endpoint.version("job"), endpoint.version("later")) == ("ii 1", "ii 1")


def test_a_power_cut_before_dpkg_leaves_the_way_back_and_nothing_else(endpoint: Clone, repository: Repository) -> None:
    """The store's directory appears whole or not at all: what lies half-made beside it is forgotten."""
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    torn = endpoint.machine.path(f"{DIRECTORY}/new")
    torn.mkdir(parents=True)
    (torn / "job_1_all.deb").write_bytes(b"half")
    assert endpoint.provider.undo("ro_1", look=False) == Refused(
        "no_way_back", "No way back from that rollout is stored on this endpoint."
    )
    assert endpoint.apply(endpoint.plan(("job", "2"))).way_back == WayBack(True, 1)
    assert not torn.exists()
    assert undone(endpoint).outcome is Outcome.INSTALLED


def test_a_quarantined_version_is_in_no_plan_not_even_as_a_dependency(endpoint: Clone, repository: Repository) -> None:
    library = Built("job-lib", "2")
    prepare(endpoint, repository, Built("job", "2", depends="job-lib (>= 2)"), library,
            first=(Built("job", "1"), Built("job-lib", "1")))  # fmt: skip
    without = Bounds(without=(UpdateRef("job-lib", "2"),))
    assert endpoint.refusal(("job", "2"), bounds=without) == Refused(
        "quarantined", "It would install job-lib 2, which is quarantined."
    )
    assert endpoint.plan(("job", "2")).actions
