"""One transaction on a real root file system: exactly as ordered, or refused with nothing changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.aptrepo import Built, Repository
from tests.aptroot import WORK_DIR, Clone, order
from tests.integration.apt.steps import prepare

from brakeline.agent import scan
from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.protocol.messages import ActionKind, Candidate, Conffiles, Outcome, PackageChange, UpdateRef

CANDIDATE = Candidate("ro_1", 1, (UpdateRef("app", "2"),))


def test_does_what_was_ordered_and_reports_what_dpkg_has(endpoint: Clone, repository: Repository) -> None:
    newer = (Built("one", "2", depends="two (= 2), three"), Built("two", "2"), Built("three", "1"))
    prepare(endpoint, repository, *newer, first=(Built("one", "1", depends="two"), Built("two", "1")))
    endpoint.sh("apt-mark auto two")
    transaction = endpoint.plan(("one", "2"))
    assert [(a.kind, a.name, a.before, a.after) for a in transaction.actions] == [
        (ActionKind.UPGRADE, "one", "1", "2"),
        (ActionKind.INSTALL, "three", "", "1"),
        (ActionKind.UPGRADE, "two", "1", "2"),
    ]
    result = endpoint.apply(transaction)
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result
    assert result.changes == (
        PackageChange("one", "all", "1", "2", "ii"),
        PackageChange("three", "all", "", "1", "ii"),
        PackageChange("two", "all", "1", "2", "ii"),
    )
    assert [endpoint.version(n) for n in ("one", "two", "three")] == ["ii 2", "ii 2", "ii 1"]
    assert endpoint.provider.verify(transaction) == ()
    assert endpoint.sh("apt-mark showauto one two three").split() == ["three", "two"], "marks stay as they were"
    assert "Setting up one (2)" in result.log_tail
    again = endpoint.apply(transaction, number=2)
    assert (again.outcome, again.code) == (Outcome.REFUSED, "nothing_to_do")


def test_refuses_when_the_repository_has_moved_on(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("moved", "2"), first=(Built("moved", "1"),))
    transaction = endpoint.plan(("moved", "2"))
    repository.publish(Built("extra", "1"), Built("moved", "3", depends="extra"))
    repository.withdraw("moved", "2")
    endpoint.sh("apt-get -q -eany update")
    result = endpoint.apply(transaction)
    assert (result.outcome, result.code) == (Outcome.REFUSED, "changed")
    assert endpoint.version("moved") == "ii 1"
    assert endpoint.refusal(("moved", "2")).reason == ("moved 2 cannot be had any more; the repositories now have 3.")
    assert endpoint.refusal(("moved", "4")).code == "lists_stale"


def test_refuses_when_the_same_version_now_needs_more(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("same", "2"), first=(Built("same", "1"),))
    transaction = endpoint.plan(("same", "2"))
    repository.withdraw("same", "2")
    repository.publish(Built("same", "2", depends="surprise"), Built("surprise", "1"))
    endpoint.sh("apt-get -q -eany update")
    result = endpoint.apply(transaction)
    assert (result.outcome, result.code) == (Outcome.REFUSED, "changed")
    assert "surprise would also be installed (1)" in result.detail
    assert (endpoint.version("same"), endpoint.version("surprise")) == ("ii 1", "")


def test_hook_stops_apt_when_its_list_differs_under_the_lock(endpoint: Clone, repository: Repository) -> None:
    """The simulation agrees, then apt is bent between it and dpkg: only the hook can see that."""
    newer = (Built("hooked", "2"), Built("rider", "1"))
    prepare(endpoint, repository, *newer, first=(Built("hooked", "1"),))
    transaction = endpoint.plan(("hooked", "2"))
    endpoint.sh(
        "dpkg-divert --rename --add /usr/bin/apt-get >/dev/null; cat > /usr/bin/apt-get <<'X'\n#!/bin/sh\n"
        'case "$*" in *--no-download*) exec /usr/bin/apt-get.distrib "$@" --download rider;; esac\n'
        'exec /usr/bin/apt-get.distrib "$@"\nX\nchmod 755 /usr/bin/apt-get'
    )
    result = endpoint.apply(transaction)
    assert (result.outcome, result.code) == (Outcome.REFUSED, "changed"), result
    assert "not ordered: install rider 1" in result.detail
    assert (endpoint.version("hooked"), endpoint.version("rider")) == ("ii 1", "")


def test_removal_needs_to_be_allowed(endpoint: Clone, repository: Repository) -> None:
    first = (Built("winner", "1"), Built("loser", "1"))
    prepare(endpoint, repository, Built("winner", "2", conflicts="loser"), first=first)
    assert endpoint.refusal(("winner", "2")).reason == "It would remove loser, and the policy allows no removals."
    allowed = Bounds(allow_removals=True)
    transaction = endpoint.plan(("winner", "2"), bounds=allowed)
    assert endpoint.apply(transaction).code == "refused", "the order's own bounds count, not the plan's"
    result = endpoint.apply(transaction, allowed, number=2)
    assert result.outcome is Outcome.INSTALLED
    assert PackageChange("loser", "all", "1", "", "un") in result.changes


def test_new_packages_need_to_be_allowed(endpoint: Clone, repository: Repository) -> None:
    newer = (Built("wants", "2", depends="brandnew"), Built("brandnew", "1"))
    prepare(endpoint, repository, *newer, first=(Built("wants", "1"),))
    refused = endpoint.refusal(("wants", "2"), bounds=Bounds(allow_new_packages=False))
    assert refused.reason == "It needs new packages (brandnew), and the policy allows none."


def test_held_dependency_is_never_changed(endpoint: Clone, repository: Repository) -> None:
    newer = (Built("top", "2", depends="base (>= 2)"), Built("base", "2"))
    prepare(endpoint, repository, *newer, first=(Built("top", "1"), Built("base", "1")))
    endpoint.sh("apt-mark hold base")
    assert endpoint.refusal(("top", "2")).code in ("held", "refused")
    assert "base" in endpoint.refusal(("top", "2")).reason


def test_way_back_is_known_before_the_start(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("stays", "2"), first=(Built("stays", "1"), Built("gone", "1")))
    repository.publish(Built("gone", "2"))
    repository.withdraw("gone", "1")
    endpoint.sh("apt-get -q -eany update; apt-get clean")
    planned = endpoint.provider.plan((UpdateRef("stays", "2"), UpdateRef("gone", "2")), Bounds())
    assert isinstance(planned, Planned)
    assert (planned.rollback, planned.no_way_back) == (("stays",), ("gone",))


@pytest.mark.parametrize(
    ("policy", "content", "kept"), [("keep", "local\n", ("/etc/app.conf",)), ("replace", "two\n", ())]
)
def test_conffile_never_prompts(
    endpoint: Clone, repository: Repository, policy: str, content: str, kept: tuple[str, ...]
) -> None:
    first = Built("app", "1", files={"/etc/app.conf": "one\n"}, conffiles=("/etc/app.conf",))
    second = Built("app", "2", files={"/etc/app.conf": "two\n"}, conffiles=("/etc/app.conf",))
    prepare(endpoint, repository, second, first=(first,))
    endpoint.sh("echo local > /etc/app.conf")
    # a file of the endpoint says the opposite of the policy: the policy wins
    opposite = {"keep": "force-confnew", "replace": "force-confold"}[policy]
    endpoint.sh(f"echo {opposite} > /etc/dpkg/dpkg.cfg.d/local")
    bounds = Bounds(conffile_policy=policy)
    result = endpoint.apply(endpoint.plan(("app", "2"), bounds=bounds), bounds)
    assert (result.outcome, result.conffiles_kept) == (Outcome.INSTALLED, kept), result
    assert endpoint.sh("cat /etc/app.conf") == content


def test_a_changed_conffile_is_known_before_anything_begins(endpoint: Clone, repository: Repository) -> None:
    files = {"/etc/app.conf": "one\n", "/etc/quiet.conf": "one\n"}
    first = Built("app", "1", files=files, conffiles=tuple(files))
    second = Built("app", "2", files=dict.fromkeys(files, "two\n"), conffiles=tuple(files))
    prepare(endpoint, repository, second, first=(first,))
    planned = endpoint.plan(("app", "2"))
    assert endpoint.provider.changed_conffiles(planned) == ()
    assert not isinstance(
        scan.plan(endpoint.provider, CANDIDATE, allow_removals=False, conffiles=Conffiles.HOLD), Refused
    )
    endpoint.sh("echo local > /etc/app.conf")
    assert endpoint.provider.changed_conffiles(planned) == ("/etc/app.conf",)
    held = scan.plan(endpoint.provider, CANDIDATE, allow_removals=False, conffiles=Conffiles.HOLD)
    assert isinstance(held, Refused)
    assert held.code == "conffiles"
    assert held.reason.startswith("changed on this endpoint: /etc/app.conf;")
    assert not isinstance(
        scan.plan(endpoint.provider, CANDIDATE, allow_removals=False, conffiles=Conffiles.KEEP), Refused
    )


def test_a_bound_on_downloads_is_apt_s_own(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("real", "2"), first=(Built("real", "1"),))
    assert endpoint.apply(endpoint.plan(("real", "2")), Bounds(download_kib_s=4000)).outcome is Outcome.INSTALLED
    told = endpoint.sh(f"cd {WORK_DIR}; for f in */apt.conf; do APT_CONFIG=$f apt-config dump Acquire; done")
    assert 'Acquire::http::Dl-Limit "4000";' in told
    assert 'Acquire::https::Dl-Limit "4000";' in told


def test_an_unknown_conffile_policy_is_refused(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("real", "2"), first=(Built("real", "1"),))
    result = endpoint.apply(endpoint.plan(("real", "2")), Bounds(conffile_policy="ask"))
    assert (result.outcome, endpoint.version("real")) == (Outcome.REFUSED, "ii 1")


def test_a_forged_digest_is_refused(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("real", "2"), first=(Built("real", "1"),))
    forged = replace(endpoint.plan(("real", "2")), digest="0" * 64)
    result = endpoint.provider.apply(order(forged), endpoint.said.append)
    assert (result.outcome, result.detail) == (Outcome.REFUSED, "The order's digest does not fit its actions.")
