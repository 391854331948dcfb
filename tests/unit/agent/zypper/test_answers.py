"""zypper's answers as zypper 1.14.42 gave them (tests/fixtures/zypper), and what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from brakeline.agent.providers.zypper import answers, pending
from brakeline.agent.providers.zypper.answers import Fixed, Lock, Patch, Summary, Waiting
from brakeline.agent.providers.zypper.rpmdb import Installed
from brakeline.protocol.messages import UpdateState

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures/zypper"
P = Waiting("p", "noarch", "1-1", "2-1", "test")


def recorded(name: str) -> str:
    return (FIXTURES / f"{name}.txt").read_text()


def state(name: str, package: str) -> tuple[UpdateState, str]:
    waits = Waiting(package, "noarch", "1-1", "2-1", "test")
    found = pending.decide(waits, "", answers.summary(recorded(name)), ())
    return found.state, found.reason


def test_what_waits_comes_with_its_repository() -> None:
    found = {w.name: w for w in answers.updates(recorded("list-updates"))}
    assert found["p"] == P
    assert "l" in found, "a locked package waits, too"


def test_patches_and_what_they_fix() -> None:
    found = answers.patches(recorded("list-patches"))
    assert found[0] == Patch("EX-2026-1", "security", "important", restart=True, interactive=True)
    assert (found[1].name, found[1].security, found[1].restart) == ("EX-2026-2", False, False)
    speaks = answers.fixed(recorded("patch-info"))
    assert speaks == (Fixed("EX-2026-1", "p", "2-1"), Fixed("EX-2026-2", "n", "2-1"))
    assert [p.name for p in pending.advised(P, found, speaks)] == ["EX-2026-1"]
    update = pending.decide(P, "", answers.summary(recorded("install-plain")), pending.advised(P, found, speaks))
    assert (update.security, update.suite) == (True, "test; EX-2026-1 (security, restart)")


def test_several_packages_of_one_patch_with_and_without_architecture() -> None:
    text = (
        "Name : SUSE-1\nConflicts   : [3]\n    python3.11.x86_64 &lt; 3.11.9-1\n    p.noarch &lt; 2-1\n    q &lt; 3-1\n"
    )
    assert [(f.name, f.version) for f in answers.fixed(text)] == [
        ("python3.11", "3.11.9-1"),
        ("p", "2-1"),
        ("q", "3-1"),
    ]


def test_plain_summary() -> None:
    found = answers.summary(recorded("install-plain"))
    assert (found.found, found.problems, found.errors, found.vendor_changes) == (True, (), (), ())
    (step,) = found.steps
    assert (step.kind, step.name, step.before, step.after) == ("to-upgrade", "p", "1-1", "2-1")
    assert found.download_bytes > 1000
    assert state("install-plain", "p") == (UpdateState.AVAILABLE, "")


@pytest.mark.parametrize(
    ("name", "package", "expected"),
    [
        (
            "install-unmet",
            "c",
            (UpdateState.KEPT_BACK, "Kept back: nothing provides nowhere >= 3 needed by c-2-1.noarch."),
        ),
        ("install-vendor", "v", (UpdateState.KEPT_BACK, "Kept back: it would change the vendor of v.")),
        ("install-new", "n", (UpdateState.NEEDS_NEW, "Needs new packages: fresh.")),
        ("install-conflict", "x", (UpdateState.NEEDS_REMOVAL, "Needs y to be removed.")),
        ("install-obsoletes", "o", (UpdateState.NEEDS_REMOVAL, "Needs oo to be removed.")),
    ],
)
def test_why_each_waits(name: str, package: str, expected: tuple[UpdateState, str]) -> None:
    assert state(name, package) == expected


def test_an_answer_that_was_cut_off_is_no_summary() -> None:
    whole = recorded("install-plain")
    assert not answers.summary(whole[: whole.index("<install-summary")]).found
    assert answers.summary("").steps == ()
    waits = pending.decide(P, "", Summary(False), ())
    assert (waits.state, waits.reason) == (
        UpdateState.KEPT_BACK,
        "Kept back: zypper would not install it and gives no reason.",
    )


def test_all_together_is_plain_only_if_nothing_else_comes_or_goes() -> None:
    new = Waiting("n", "noarch", "1-1", "2-1", "test")
    assert pending.is_plain(answers.summary(recorded("install-plain")), [P])
    assert not pending.is_plain(answers.summary(recorded("install-new")), [new])
    assert not pending.is_plain(answers.summary(recorded("install-plain")), [P, new])


def test_only_newer_than_what_rpm_has() -> None:
    found = answers.updates(recorded("list-updates"))
    there = (Installed("p", "noarch", "1-1"), Installed("n", "noarch", "2-1"))
    assert pending.newer(found, there) == (P,)


def test_versions_to_be_had() -> None:
    found = answers.candidates(recorded("search"))
    assert [(c.version, c.installed, c.repository) for c in found] == [("2-1", False, "test"), ("1-1", True, "test")]


def test_locks_as_addlock_writes_them() -> None:
    found = answers.locks(recorded("locks"))
    assert found == (Lock(("kernel-*",)), Lock(("l",)))
    assert answers.holding("kernel-default", found) == "kernel-*"
    assert answers.holding("ll", found) == ""
    assert answers.locks("type: patch\nsolvable_name: x\n") == ()


def test_regular_expressions_and_words_in_locks() -> None:
    found = answers.locks("match_type: regex\nsolvable_name: ^lib.*z$\n\nmatch_type: substring\nsolvable_name: ssl\n")
    assert [answers.holding(n, found) for n in ("libz", "openssl-3", "p")] == ["^lib.*z$", "ssl", ""]
    broken = answers.locks("match_type: regex\nsolvable_name: gtk+(\n")
    assert (answers.holding("gtk+(", broken), answers.holding("p", broken)) == ("gtk+(", "")


def test_errors_are_told() -> None:
    (first, *_) = answers.messages(recorded("download-no-network"), "error")
    assert first.startswith("Download (curl) error for")
