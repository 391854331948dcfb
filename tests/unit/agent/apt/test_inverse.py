"""The way back, in the mind: exact, and only as long as nobody has changed the packages since."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.agent.providers.apt.dpkg import Installed, by_key
from brakeline.agent.providers.apt.inverse import arguments, inverse_of, joined, left_to_do, unlike
from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.model import Archive, Inverse, Refused
from brakeline.protocol.messages import Action, ActionKind, Transaction

UP = Action(ActionKind.UPGRADE, "job", "amd64", "1", "2")
NEW = Action(ActionKind.INSTALL, "lib", "all", "", "1")
GONE = Action(ActionKind.REMOVE, "old", "amd64", "3", "")
DONE = make_transaction([UP, NEW, GONE])
BACK = inverse_of(DONE)
KEPT = (Archive("job", "amd64", "1", "/b/job.deb", "aa"), Archive("old", "amd64", "3", "/b/old.deb", "bb"))
STORED = Inverse("tx_1", "ro_1", BACK, KEPT)


def have(*packages: tuple[str, str, str]) -> dict[str, Installed]:
    return by_key(tuple(Installed(name, arch, version, name, version, "ii") for name, arch, version in packages))


AFTER = (("job", "amd64", "2"), ("lib", "all", "1"))
BEFORE = (("job", "amd64", "1"), ("old", "amd64", "3"))


def test_the_inverse_puts_each_package_back() -> None:
    assert BACK.actions == (
        Action(ActionKind.DOWNGRADE, "job", "amd64", "2", "1"),
        Action(ActionKind.REMOVE, "lib", "all", "1", ""),
        Action(ActionKind.INSTALL, "old", "amd64", "", "3"),
    )
    assert inverse_of(BACK).actions == DONE.actions


def test_all_of_it_is_left_after_the_update_and_nothing_before() -> None:
    assert left_to_do(STORED, have(*AFTER)) == BACK
    nothing = left_to_do(STORED, have(*BEFORE))
    assert isinstance(nothing, Refused)
    assert nothing.code == "nothing_to_do"


def test_after_a_power_cut_only_the_rest_is_left() -> None:
    left = left_to_do(STORED, have(("job", "amd64", "1"), ("lib", "all", "1"), ("old", "amd64", "3")))
    assert isinstance(left, Transaction)
    assert [a.name for a in left.actions] == ["lib"]
    assert not unlike(STORED, left)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ((("job", "amd64", "3"), ("lib", "all", "1")), "job is 3 now, not 2"),
        ((("lib", "all", "1"),), "job is gone now, not 2"),
        ((*AFTER, ("old", "amd64", "4")), "old is 4 now, not gone"),
    ],
)
def test_what_was_changed_since_is_left_to_people(now: tuple[tuple[str, str, str], ...], words: str) -> None:
    refused = left_to_do(STORED, have(*now))
    assert isinstance(refused, Refused)
    assert (refused.code, words in refused.reason) == ("changed", True), refused


def test_apt_is_told_files_and_names_with_a_minus() -> None:
    assert arguments(BACK, KEPT) == ("/b/job.deb", "lib-", "/b/old.deb")


def test_a_second_try_goes_on_with_the_way_back_of_the_first() -> None:
    second = Inverse("tx_2", "ro_1", inverse_of(make_transaction([NEW])), ())
    first = replace(STORED, transaction=inverse_of(make_transaction([UP, NEW])), archives=KEPT[:1])
    whole = joined(second, first, "/c")
    assert [a.name for a in whole.transaction.actions] == ["job", "lib"]
    assert whole.archives == (replace(KEPT[0], path="/c/job.deb"),)
    assert whole.transaction_id == "tx_2"


def test_nothing_else_is_a_part_of_it() -> None:
    assert not unlike(STORED, BACK)
    assert unlike(STORED, make_transaction([]))
    assert unlike(STORED, make_transaction([Action(ActionKind.REMOVE, "job", "amd64", "2", "")]))
    assert unlike(STORED, DONE)
