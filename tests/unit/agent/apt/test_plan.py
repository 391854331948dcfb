"""Decisions about transactions: sameness is exact, bounds are kept, proof is by state; properties over many cases."""

from __future__ import annotations

import string
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from brakeline.agent.providers.apt import hook, plan
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.apt.repair import cut_off, needs_repair
from brakeline.agent.providers.model import Bounds
from brakeline.protocol.messages import Action, ActionKind, Transaction, UpdateRef

NAMES = st.text(string.ascii_lowercase, min_size=2, max_size=6)
VERSIONS = st.sampled_from(["1", "1.1", "2~rc1", "2", "1:0.5", "2-1+deb12u3"])
KINDS = st.sampled_from(list(ActionKind))


@st.composite
def actions(draw: st.DrawFn) -> Action:
    kind = draw(KINDS)
    before = "" if kind is ActionKind.INSTALL else draw(VERSIONS)
    after = "" if kind is ActionKind.REMOVE else draw(VERSIONS)
    return Action(kind, draw(NAMES), draw(st.sampled_from(["amd64", "all"])), before, after)


def unique(found: list[Action]) -> list[Action]:
    return list({(a.name, a.architecture): a for a in found}.values())


TRANSACTIONS = st.lists(actions(), min_size=1, max_size=6).map(unique)


@given(TRANSACTIONS, st.randoms())
def test_order_of_actions_does_not_matter(found: list[Action], random: object) -> None:
    shuffled = sorted(found, key=lambda a: hash((a.name, id(random))))
    assert plan.make_transaction(found) == plan.make_transaction(shuffled)
    assert plan.difference(plan.make_transaction(found), plan.make_transaction(shuffled)) == ""


@given(TRANSACTIONS, actions())
def test_one_action_more_or_less_is_a_difference(found: list[Action], more: Action) -> None:
    if (more.name, more.architecture) in {(a.name, a.architecture) for a in found}:
        return
    small, large = plan.make_transaction(found), plan.make_transaction([*found, more])
    assert f"{more.name} would also" in plan.difference(small, large) or len(found) > plan.NAMED_MAX
    assert plan.difference(large, small) != ""


@given(TRANSACTIONS, VERSIONS)
def test_another_version_is_a_difference(found: list[Action], version: str) -> None:
    changed = replace(found[0], after=found[0].after + version + "x")
    assert plan.difference(plan.make_transaction(found), plan.make_transaction([changed, *found[1:]])) != ""


@given(TRANSACTIONS)
def test_forged_digest_is_a_difference(found: list[Action]) -> None:
    good = plan.make_transaction(found)
    assert plan.difference(Transaction(good.actions, "0" * 64), good) != ""


@given(TRANSACTIONS)
def test_hook_agrees_with_what_staging_writes(found: list[Action]) -> None:
    """What apt's protocol says of a transaction equals the expected lines, and one more line never does."""
    expected = "\n".join("\t".join((a.name, a.architecture, a.before, a.after)) for a in found)
    lines = [protocol_line(a) for a in found]
    said = "VERSION 3\nAPT::Architecture=amd64\n\n" + "\n".join(lines) + "\n" + lines[0].rsplit(" ", 1)[0]
    said += " **CONFIGURE**\n"
    assert hook.judge(said, expected) == ([], [])
    extra, missing = hook.judge(said + "zzz-rider - - none < 1 all none /a.deb\n", expected)
    assert (extra, missing) == (["zzz-rider\tall\t\t1"], [])
    assert hook.judge("VERSION 3\n\n", expected)[1] != []


def protocol_line(a: Action) -> str:
    if a.kind is ActionKind.REMOVE:
        return f"{a.name} {a.before} {a.architecture} none > - - none **REMOVE**"
    old = f"{a.before} {a.architecture} none" if a.before else "- - none"
    return f"{a.name} {old} < {a.after} {a.architecture} none /var/cache/x.deb"


def test_hook_reads_what_apt_really_says() -> None:
    from tests.unit.agent.apt.test_parse import text

    extra, missing = hook.judge(text("hook-version-3"), "jq\tamd64\t1.6-2.1+deb12u2\t1.6-2.1+deb12u3\n")
    assert missing == []
    assert "unzip\tamd64\t6.0-28\t" in extra, "removals are seen"
    assert any(line.startswith("cron\tamd64\t\t") for line in extra), "new packages are seen"


def test_hook_refuses_another_protocol() -> None:
    for said in ("", "VERSION 2\n\n", "/var/cache/x.deb\n"):
        try:
            hook.judge(said, "")
        except ValueError:
            continue
        raise AssertionError(said)


def installed(*rows: tuple[str, str, str]) -> tuple[Installed, ...]:
    return tuple(Installed(n, "all", v, n, v, s) for n, v, s in rows)


def test_wanted_are_older_or_broken_ones() -> None:
    sound = (("old", "1", "ii"), ("same", "2", "ii"), ("newer", "3", "ii"))
    have = installed(*sound, ("broken", "2", "iF"), ("rc", "1", "rc"))
    asked = [UpdateRef(n, "2") for n in ("old", "same", "newer", "broken", "rc", "absent")]
    assert [(p.name, v) for p, v in plan.wanted(asked, have)] == [("old", "2"), ("broken", "2")]


def test_wanted_by_architecture() -> None:
    both = tuple(Installed("lib", a, "1", "lib", "1", "ii") for a in ("amd64", "i386"))
    assert len(plan.wanted([UpdateRef("lib", "2")], both)) == 2
    assert [p.architecture for p, _ in plan.wanted([UpdateRef("lib:i386", "2")], both)] == ["i386"]


def test_bounds() -> None:
    def refused(kind: ActionKind, bounds: Bounds, held: frozenset[str] = frozenset()) -> str:
        action = Action(kind, "x", "all", "1", "2")
        answer = plan.refuse_beyond(plan.make_transaction([action]), bounds, held)
        return answer.code if answer else ""

    assert refused(ActionKind.UPGRADE, Bounds()) == ""
    assert refused(ActionKind.UPGRADE, Bounds(), frozenset({"x:all"})) == "held"
    assert refused(ActionKind.REMOVE, Bounds()) == "refused"
    assert refused(ActionKind.REMOVE, Bounds(allow_removals=True)) == ""
    assert refused(ActionKind.DOWNGRADE, Bounds()) == "refused"
    assert refused(ActionKind.INSTALL, Bounds(allow_new_packages=False)) == "refused"


def test_proof_is_by_version_and_state() -> None:
    wanted = plan.make_transaction(
        [Action(ActionKind.UPGRADE, "a", "all", "1", "2"), Action(ActionKind.REMOVE, "b", "all", "1", "")]
    )
    assert plan.unproven(wanted, by_key(installed(("a", "2", "ii"), ("b", "1", "rc")))) == ()
    assert plan.unproven(wanted, by_key(installed(("a", "2", "iF"), ("b", "1", "ii")))) == (
        "a 2 is not wholly installed (iF)",
        "b should be gone, but 1 is there (ii)",
    )
    assert plan.unproven(wanted, {}) == ("a should be 2, but is not installed",)


def test_changes_are_what_dpkg_has_before_and_after() -> None:
    before = installed(("a", "1", "ii"), ("b", "1", "ii"))
    changes = changes_between(before, installed(("a", "1", "iHR"), ("c", "1", "ii")))
    assert [(c.name, c.before, c.after, c.state) for c in changes] == [
        ("a", "1", "1", "iHR"),
        ("b", "1", "", "un"),
        ("c", "", "1", "ii"),
    ]


def test_repair_is_for_interrupted_runs_not_for_failing_scripts() -> None:
    assert not needs_repair(installed(("a", "1", "ii")), False)
    assert needs_repair(installed(("a", "1", "ii")), True)
    assert needs_repair(installed(("a", "1", "iHR")), False)
    assert needs_repair(installed(("a", "1", "iU")), False)
    assert not needs_repair(installed(("a", "1", "iF"), ("b", "1", "iU")), False)


def test_a_script_that_was_cut_off_is_told_from_one_that_failed() -> None:
    now, before = installed(("a", "2", "iF"), ("b", "2", "ii")), installed(("a", "1", "ii"), ("b", "1", "ii"))
    assert [p.name for p in cut_off(now, before, "Setting up a (2) ...\n")] == ["a"]
    failed = "Setting up a (2) ...\ndpkg: error processing package a:amd64 (--configure):\n installed a package"
    assert cut_off(now, before, failed) == ()
    assert cut_off(now, installed(("a", "1", "iF")), "") == ()  # it was like that before: not this run's
    other = "dpkg: error processing package ab (--configure):\n"
    assert [p.name for p in cut_off(now, before, other)] == ["a"]
