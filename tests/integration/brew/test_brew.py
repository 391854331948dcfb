"""Homebrew's provider on a prefix of its own, with a stand-in for brew: *not run on the real system*."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from tests.aptroot import order
from tests.brewprefix import OWNER, PLACE, Endpoint, endpoint

from brakeline.agent import stamp
from brakeline.agent.providers.beside import Before
from brakeline.agent.providers.brew.prefix import Prefix
from brakeline.agent.providers.brew.provider import NONE
from brakeline.agent.providers.model import Bounds, Planned, Refreshed, Refused
from brakeline.protocol import codec
from brakeline.protocol.messages import ActionKind, Outcome, PendingUpdate, TransactionResult, UpdateRef, UpdateState

long = pytest.mark.long


@pytest.fixture
def box() -> Iterator[Endpoint]:
    with endpoint() as made:
        made.publish("wget", "1.24_1", needs=["openssl@3"])
        made.publish("openssl@3", "3.3.0")
        made.publish("firefox", "122.0", cask=True)
        made.install("wget", "openssl@3", "firefox")
        yield made


def newer(box: Endpoint, name: str, version: str, **more: object) -> None:
    box.publish(name, version, **more)
    assert isinstance(answer := box.provider.refresh(), Refreshed), answer


def pending(box: Endpoint) -> dict[str, PendingUpdate]:
    return {u.name: u for u in box.provider.available()}


def planned(box: Endpoint, *asked: tuple[str, str]) -> Planned:
    answer = box.provider.plan(tuple(UpdateRef(n, v) for n, v in asked), Bounds())
    assert isinstance(answer, Planned), answer
    return answer


def apply(box: Endpoint, plan: Planned, bounds: Bounds | None = None) -> TransactionResult:
    return box.provider.apply(order(plan.transaction, bounds or Bounds()), lambda _: None)


def test_formula_and_cask_as_the_owner_and_never_as_root(box: Endpoint) -> None:
    newer(box, "wget", "1.25", needs=["openssl@3"])
    newer(box, "firefox", "123.0", cask=True)
    here = {p.name: (p.version, p.architecture, p.origin) for p in box.provider.inventory()}
    assert here["wget"] == ("1.24_1", "brew", "homebrew/core")
    assert here["firefox"] == ("122.0", "brew-cask", "homebrew/cask")
    plan = planned(box, ("wget:brew", "1.25"), ("firefox:brew-cask", "123.0"))
    assert plan.way_back.startswith("no way back")
    result = apply(box, plan)
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result.detail
    assert (box.has("wget"), box.has("firefox"), box.has("openssl@3")) == ("1.25", "123.0", "3.3.0")
    assert result.way_back is not None
    assert (result.way_back.stored, result.way_back.code) == (False, "gone")
    made = (box.prefix / "Cellar/wget/1.25").stat()
    assert made.st_uid == OWNER  # brew itself refuses root: it ends at once


def test_the_version_of_a_cask_is_what_brew_recorded_last_however_it_is_spelled(box: Endpoint) -> None:
    """9.10 comes after 9.9, and the directory of a version that could not be taken away says nothing."""
    room = box.prefix / "Caskroom/firefox"
    for version, when in (("9.9", "20261101100000.100"), ("9.10", "20261102100000.100"), ("9.8", "20260102100000.100")):
        (room / version).mkdir()
        (room / ".metadata" / version / when / "Casks").mkdir(parents=True)
    shutil.rmtree(room / ".metadata/122.0")

    def version() -> str:
        return next(p.version for p in box.provider.inventory() if p.name == "firefox")

    assert version() == "9.10"
    shutil.rmtree(room / ".metadata")  # a cask from before there were records
    for place, made in (("9.8", 3), ("9.9", 1), ("9.10", 2), ("122.0", 0)):
        os.utime(room / place, ns=(made, made))
    assert version() == "9.8"


def test_a_prefix_that_went_is_not_several(box: Endpoint) -> None:
    (box.prefix / "bin/brew").unlink()
    answer = box.provider.refresh()
    assert isinstance(answer, Refused)
    assert (answer.code, answer.reason) == ("refused", NONE)
    assert NONE in box.provider.health().problems


def test_whatever_its_owner_does_is_seen_by_the_stamp(box: Endpoint) -> None:
    """A cask that is upgraded changes its own directory alone, and a scan is made only where the stamp is another."""
    boot = box.root / "proc/sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("11111111-1111-4111-8111-111111111111")
    newer(box, "firefox", "123.0", cask=True)
    newer(box, "wget", "1.25", needs=["openssl@3"])
    for flag, name in (("--cask", "firefox"), ("--formula", "wget")):
        before = stamp.take("x", box.root).slow
        assert stamp.take("x", box.root).slow == before
        assert Prefix(box.provider.runner, PLACE).run("upgrade", flag, name, timeout_s=60).rc == 0
        assert stamp.take("x", box.root).slow != before, name


@long
def test_outdated_dependency_comes_along_and_is_in_the_plan(box: Endpoint) -> None:
    box.publish("openssl@3", "3.4.0")
    newer(box, "wget", "1.25", needs=["openssl@3"])
    plan = planned(box, ("wget:brew", "1.25"))
    assert [(a.kind, a.name, a.after) for a in plan.transaction.actions] == [
        (ActionKind.UPGRADE, "openssl@3", "3.4.0"), (ActionKind.UPGRADE, "wget", "1.25"),
    ]  # fmt: skip
    assert (apply(box, plan).code, box.has("openssl@3")) == ("ok", "3.4.0")


@long
def test_pinned_dependency_keeps_the_update_back(box: Endpoint) -> None:
    box.publish("openssl@3", "3.4.0")
    newer(box, "wget", "1.25", needs=["openssl@3"])
    box.pin("openssl@3")
    assert (pending(box)["openssl@3"].state, pending(box)["wget"].state) == (UpdateState.HELD, UpdateState.KEPT_BACK)
    assert "openssl@3" in pending(box)["wget"].reason
    refused = box.provider.plan((UpdateRef("wget:brew", "1.25"),), Bounds())
    assert isinstance(refused, Refused)
    assert refused.code == "held"


@long
def test_version_that_moved_on_is_a_changed_situation(box: Endpoint) -> None:
    newer(box, "wget", "1.25", needs=["openssl@3"])
    plan = planned(box, ("wget:brew", "1.25"))
    newer(box, "wget", "1.26", needs=["openssl@3"])
    result = apply(box, plan)
    assert (result.outcome, result.code, box.has("wget")) == (Outcome.REFUSED, "changed", "1.24_1")


@long
def test_bottle_that_does_not_fit_its_digest_changes_nothing(box: Endpoint) -> None:
    newer(box, "wget", "1.25", needs=["openssl@3"], tampered=True)
    result = apply(box, planned(box, ("wget:brew", "1.25")))
    assert (result.outcome, result.code, box.has("wget")) == (Outcome.REFUSED, "hash_mismatch", "1.24_1")


@long
def test_another_brew_at_work_is_waited_for_and_told(box: Endpoint) -> None:
    newer(box, "wget", "1.25", needs=["openssl@3"])
    plan = planned(box, ("wget:brew", "1.25"))
    box.flag("lock")
    result = apply(box, plan, Bounds(lock_wait_s=1))
    assert (result.outcome, result.code, box.has("wget")) == (Outcome.REFUSED, "lock_timeout", "1.24_1"), result.detail
    box.flag("lock", on=False)
    assert apply(box, plan).code == "ok"


@long
def test_formula_that_cannot_be_poured_is_told(box: Endpoint) -> None:
    newer(box, "wget", "1.25", needs=["openssl@3"], breaks=True)
    result = apply(box, planned(box, ("wget:brew", "1.25")))
    assert (result.outcome, result.code, result.changes) == (Outcome.FAILED, "brew_failed", ()), result.detail
    assert "could not be poured" in result.detail


@long
def test_what_brew_changes_beyond_the_order_is_a_failure(box: Endpoint) -> None:
    box.publish("jq", "1.6")
    box.install("jq")
    box.publish("jq", "1.7")
    newer(box, "wget", "1.25", needs=["openssl@3"], also=["jq"])
    result = apply(box, planned(box, ("wget:brew", "1.25")))
    assert (result.outcome, result.code) == (Outcome.FAILED, "verify_failed")
    assert "jq" in result.detail


@long
def test_prefix_of_root_is_not_touched(box: Endpoint) -> None:
    newer(box, "wget", "1.25", needs=["openssl@3"])
    plan = planned(box, ("wget:brew", "1.25"))
    os.chown(box.prefix / "bin/brew", 0, 0)
    asked = len(box.said_to_brew())
    answer = box.provider.refresh()
    assert isinstance(answer, Refused)
    assert "belongs to root" in answer.reason
    assert (apply(box, plan).code, box.has("wget")) == ("refused", "1.24_1")
    assert "belongs to root" in box.provider.health().problems[0]
    assert len(box.said_to_brew()) == asked


def test_prefix_that_turns_into_somebody_else_s_is_run_as_nobody(box: Endpoint) -> None:
    """Its owner may put anything in the place of `bin/brew`, also after it was looked at."""
    prefix = Prefix(box.provider.runner, PLACE)
    assert prefix.run("outdated", timeout_s=60).rc == 0
    brew = box.prefix / "bin/brew"
    mine = brew.read_bytes()
    for whose in (0, OWNER + 1):
        other = box.root / f"of-{whose}"
        other.write_bytes(mine)
        other.chmod(0o755)
        os.chown(other, whose, whose)
        brew.unlink()
        brew.symlink_to(other)
        asked = box.said_to_brew()
        assert prefix.run("update", timeout_s=60).rc == -1
        assert (prefix.unfit() != "", box.said_to_brew()) == (True, asked)


def test_names_that_no_formula_can_have_take_nothing_from_the_rest(box: Endpoint) -> None:
    """Whoever owns the prefix names what lies in it; an inventory that cannot be sent would hide the whole endpoint."""
    for odd in (b"Cellar/\xff\xfe", b"Cellar/--HEAD", b"Cellar/a\nb", b"Caskroom/\xff/1", b"Caskroom/firefox/\xff"):
        os.makedirs(os.fsencode(box.prefix) + b"/" + odd)
    (box.prefix / "opt/wget").unlink()
    os.symlink(b"../Cellar/wget/1.24\xff", os.fsencode(box.prefix) + b"/opt/wget")
    here = {p.name: (p.version, p.state) for p in box.provider.inventory()}
    assert here == {"wget": ("1.24_1", "iHR"), "openssl@3": ("3.3.0", "ii"), "firefox": ("122.0", "ii")}
    assert codec.encode(box.provider.inventory())


def test_lost_run_that_did_the_first_of_two_is_finished(box: Endpoint) -> None:
    box.publish("jq", "1.6")
    box.install("jq")
    box.publish("jq", "1.7")
    newer(box, "wget", "1.25", needs=["openssl@3"])
    plan = planned(box, ("wget:brew", "1.25"), ("jq:brew", "1.7"))
    place = box.root / "var/lib/brakeline-helper/tx" / order(plan.transaction).transaction_id
    place.mkdir(parents=True)
    (place / "before.json").write_bytes(codec.encode(Before(box.provider.installed())))
    assert Prefix(box.provider.runner, PLACE).run("upgrade", "--formula", "jq", timeout_s=60).rc == 0
    result = box.provider.recover(order(plan.transaction), lambda _: None)
    assert (result.code, box.has("jq"), box.has("wget")) == ("interrupted_repaired", "1.7", "1.25"), result.detail


@long
@pytest.mark.parametrize("needs", [["openssl@3", "zlib"], []])
def test_what_would_come_along_now_and_was_not_ordered_changes_nothing(box: Endpoint, needs: list[str]) -> None:
    box.publish("pcre2", "10.1")
    newer(box, "wget", "1.25", needs=["openssl@3", "pcre2"])
    plan = planned(box, ("wget:brew", "1.25"))
    assert [a.name for a in plan.transaction.actions] == ["pcre2", "wget"]
    box.publish("zlib", "1.3")
    newer(box, "wget", "1.25", needs=needs)
    result = apply(box, plan)
    assert (result.outcome, result.code, box.has("wget")) == (Outcome.REFUSED, "changed", "1.24_1"), result.detail
    assert "pcre2" in result.detail


@long
def test_two_prefixes_are_told_and_neither_is_changed(box: Endpoint) -> None:
    other = box.root / "opt/homebrew"
    (other / "bin").mkdir(parents=True)
    (other / "Cellar").mkdir()
    (other / "bin/brew").touch()
    answer = box.provider.plan((UpdateRef("wget:brew", "1.25"),), Bounds())
    assert isinstance(answer, Refused)
    assert "Several Homebrew prefixes" in answer.reason
    assert box.provider.health().problems
    assert PLACE != "/opt/homebrew"


@long
def test_keg_that_is_there_only_half_is_told(box: Endpoint) -> None:
    (box.prefix / "Cellar/wget/1.24_1/INSTALL_RECEIPT.json").unlink()
    assert [(p.name, p.state) for p in box.provider.inventory() if p.state != "ii"] == [("wget", "iHR")]
    assert "needs reinstallation" in box.provider.health().problems[0]
