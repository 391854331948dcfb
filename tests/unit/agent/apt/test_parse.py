"""Readers of dpkg's and apt's output against recordings of the real tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from brakeline.agent.providers.apt import dpkg, parse
from brakeline.agent.providers.apt.blame import blame
from brakeline.agent.providers.apt.refresh import expired_sentence, explain, parse_release_file

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "apt"


def text(name: str) -> str:
    return (FIXTURES / f"{name}.txt").read_text()


def test_installed_packages_with_source() -> None:
    found = {p.name: p for p in dpkg.parse_show(text("dpkg-query"))}
    assert len(found) == text("dpkg-query").count("\n")
    bash = found["bash"]
    assert (bash.version, bash.source_version, bash.state, bash.sound) == ("5.2.15-2+b13", "5.2.15-2", "ii", True)
    assert (found["bsdutils"].source, found["bsdutils"].source_version) == ("util-linux", "2.38.1-5+deb12u3")


@pytest.mark.parametrize(
    ("state", "sound", "present", "held", "reinstall"),
    [
        ("ii", True, True, False, False),
        ("hi", True, True, True, False),
        ("rc", True, False, False, False),
        ("iF", False, True, False, False),
        ("iU", False, True, False, False),
        ("iW", False, True, False, False),
        ("it", False, True, False, False),
        ("iHR", False, True, False, True),
        ("rHR", False, True, False, True),
    ],
)
def test_states(state: str, sound: bool, present: bool, held: bool, reinstall: bool) -> None:
    p = dpkg.Installed("x", "all", "1", "x", "1", state)
    assert (p.sound, p.present, p.held, p.needs_reinstall) == (sound, present, held, reinstall)


def test_broken_states_are_told_once() -> None:
    broken = dpkg.Installed("torn", "all", "1", "torn", "1", "iHR")
    found = dpkg.problems_of([broken])
    assert found == ("torn: half-installed (iHR), needs reinstallation",)
    assert dpkg.audit_problems(text("dpkg-audit-half-installed"), found) == ()
    assert dpkg.audit_problems(text("dpkg-audit-failed"), ()) == ("bad: are only half configured",)


def test_log_tells_conffiles() -> None:
    facts = dpkg.parse_log(text("dpkg-log"))
    assert (facts.conffiles_kept, facts.touched) == (("/etc/app.conf",), ("app:all",))


def test_simulation() -> None:
    found = parse.parse_simulation(text("simulate-install"))
    assert [(i.name, i.architecture, i.before, i.after, i.sources) for i in found.installs] == [
        ("jq", "amd64", "1.6-2.1+deb12u2", "1.6-2.1+deb12u3", "Debian-Security:12/oldstable-security"),
        ("libjq1", "amd64", "1.6-2.1+deb12u2", "1.6-2.1+deb12u3", "Debian-Security:12/oldstable-security"),
    ]
    assert len(parse.parse_simulation(text("simulate-upgrade")).installs) == 33
    assert parse.parse_simulation(text("simulate-removal")).removals == (("loser", "1"),)


def test_simulation_without_a_source_and_of_a_new_package() -> None:
    found = parse.parse_simulation("Inst a (1 [all])\nInst b:i386 [1] (2 L:1/s, M:2/t [i386]) [c:amd64 ]\nPurg c [3]\n")
    assert [(i.name, i.architecture, i.before, i.after, i.sources) for i in found.installs] == [
        ("a", "all", "", "1", ""),
        ("b", "i386", "1", "2", "L:1/s, M:2/t"),
    ]
    assert found.removals == (("c", "3"),)


def test_simulation_that_fails_says_why() -> None:
    missing = parse.parse_simulation(text("simulate-missing-version"))
    assert (missing.installs, missing.errors) == ((), ("Version '9' for 'jq' was not found",))
    assert parse.parse_simulation(text("simulate-unmet")).unmet == (
        "stuck : Depends: nowhere (>= 3) but it is not installable",
    )


def test_policy_and_releases() -> None:
    policies, releases = parse.parse_policy(text("policy")), parse.parse_releases(text("releases"))
    jq = policies["jq"]
    assert (jq.installed, jq.candidate) == ("1.6-2.1+deb12u2", "1.6-2.1+deb12u3")
    (newer,) = jq.newer()
    assert [releases[f].security for f in newer.sources] == [True]
    assert parse.suite_text(newer.sources, releases) == "Debian-Security:12/oldstable-security"
    assert policies["bash"].newer() == ()
    libc = policies["libc6"]
    assert libc.newer() == (), "the security suite's older version is not newer"


def test_policy_of_phased_and_held() -> None:
    found = parse.parse_policy(text("policy-phased"))
    assert found["slow"].newer()[0].phased_percent == 0
    assert [e.version for e in found["held"].newer()] == ["2"]


def test_security_version_that_a_later_one_supersedes_still_counts() -> None:
    """Installed 1, security has 2, a point release has 3: going to 3 closes what 2 closed."""
    table = "p:\n  Installed: 1\n  Candidate: 3\n  Version table:\n     3 500\n        500 main\n"
    table += "     2 500\n        500 sec\n"
    policy = parse.parse_policy(table + " *** 1 100\n        100 /var/lib/dpkg/status\n")["p"]
    assert [(e.version, e.sources) for e in policy.newer()] == [("3", ("main",)), ("2", ("sec",))]


@pytest.mark.parametrize("suite", ["jammy-security", "focal-infra-security", "bookworm-security"])
def test_security_suites_of_other_vendors(suite: str) -> None:
    assert parse.Release(label="Ubuntu", archive=suite).security


@pytest.mark.parametrize("suite", ["jammy-updates", "stable", "security-tools"])
def test_other_suites(suite: str) -> None:
    assert not parse.Release(label="Ubuntu", archive=suite).security


def test_records() -> None:
    jq, unzip = parse.parse_records(text("show"))
    assert (jq["size"], jq["installed-size"], unzip["package"]) == ("64432", "111", "unzip")


@pytest.mark.parametrize(
    ("recording", "code"),
    [
        ("update-hash-mismatch", "hash_mismatch"),
        ("update-expired", "expired"),
        ("update-expired-key", "expired"),
        ("update-not-yet-valid", "clock"),
        ("update-changed", "changed"),
        ("update-unsigned", "signature"),
        ("update-not-found", "not_found"),
        ("update-no-network", "no_network"),
        ("update-no-name", "no_network"),
        ("update-no-name-without-eany", "no_network"),
        ("update-sources", "sources"),
    ],
)
def test_each_cause_of_a_failed_refresh(recording: str, code: str) -> None:
    failure = explain(text(recording), 0)  # the exit code is not what decides
    assert failure is not None
    assert failure.code == code
    assert failure.reason.endswith(".")


def test_good_refresh_and_one_without_words() -> None:
    assert explain(text("update-good"), 0) is None
    failure = explain("", 9)
    assert failure is not None
    assert failure.code == "refresh_failed"


def test_release_file_past_its_date() -> None:
    release = parse_release_file(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nLabel: Debian-Security\n"
        "Date: Sat, 21 Nov 2026 00:53:02 UTC\nValid-Until: Sat, 28 Nov 2026 00:53:02 UTC\nSHA256:\n Label: no\n"
    )
    day = 86_400_000
    assert release.valid_until_ms - release.date_ms == 7 * day
    assert expired_sentence((release,), release.valid_until_ms - 1) == ""
    late = expired_sentence((release,), release.valid_until_ms + 2 * day)
    assert late == "The lists of Debian-Security expired 2.0 days ago: newer updates may be missing."


@pytest.mark.parametrize("value", ["", "Date: nonsense\n", "Date: \nValid-Until: x\n", "\0"])
def test_release_file_without_dates(value: str) -> None:
    release = parse_release_file(value)
    assert (release.date_ms, release.valid_until_ms) == (0, 0)


def test_blame() -> None:
    failed = blame(text("run-script-failed"), 100, timed_out=False, killed=(), limit_s=60)
    assert failed.code == "maintainer_script_failed"
    assert failed.reason == (
        "bad: installed bad package post-installation script subprocess returned error exit status 7."
    )
    assert blame(text("run-dpkg-killed"), 100, timed_out=False, killed=(), limit_s=60).code == "killed"
    assert blame("", -9, timed_out=False, killed=(), limit_s=60).code == "killed"
    hung = blame("", 100, timed_out=True, killed=("sleep",), limit_s=60)
    assert hung.reason == "Not finished after 60 s; ended were: sleep."
