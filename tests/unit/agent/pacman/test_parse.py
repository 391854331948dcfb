"""What pacman prints and what its database holds, read from recorded output."""

from __future__ import annotations

import pytest

from brakeline.agent.providers.pacman import parse, records, refresh

CONFIGURATION = """[options]
RootDir = /
DBPath = /srv/db/
CacheDir = /srv/cache/
HookDir = /etc/pacman.d/hooks/
GPGDir = /etc/pacman.d/gnupg/
IgnorePkg = linux
IgnorePkg = glibc
IgnoreGroup = gnome
SigLevel = PackageNever
[core]
Usage = All
Server = http://127.0.0.1:1
[extra]
Usage = All
"""
UNTRUSTED = """:: Synchronizing package databases...
 test downloading...
warning: Public keyring not found; have you run 'pacman-key --init'?
error: test: signature from "test@example.invalid" is unknown trust
error: failed to synchronize all databases (invalid or corrupted database (PGP signature))
"""
UNREACHABLE = """:: Synchronizing package databases...
error: failed retrieving file 'test.db' from 127.0.0.1:1 : Failed to connect to 127.0.0.1 port 1: Connection refused
error: failed to synchronize all databases (failed to retrieve some files)
"""
SCRIPT = """:: Processing package changes...
upgrading p...
error: command failed to execute correctly
upgrading q...
"""
UNMET = """error: failed to prepare transaction (could not satisfy dependencies)
:: unable to satisfy dependency 'nowhere>=3' required by p
"""


def test_configuration() -> None:
    known = parse.parse_configuration(CONFIGURATION)
    assert (known.db_path, known.caches, known.repositories) == ("/srv/db/", ("/srv/cache/",), ("core", "extra"))
    assert (known.ignored, known.ignored_groups) == (("linux", "glibc"), ("gnome",))


def test_without_pacman_conf_the_defaults_of_pacman_hold() -> None:
    assert parse.parse_configuration("") == parse.Configuration()


def test_pending() -> None:
    text = "warning: p: ignoring package upgrade (1-1 => 2-1)\np 1-1 -> 2-1 [ignored]\nq 1:1-1 -> 1:2-1\n"
    assert parse.parse_pending(text) == (
        parse.Pending("p", "1-1", "2-1", ignored=True),
        parse.Pending("q", "1:1-1", "1:2-1", ignored=False),
    )


def test_simulation() -> None:
    found = parse.parse_simulation(":: x\nBL p 2-1 test 306 http://127.0.0.1:1/p-2-1-any.pkg.tar.gz\n")
    assert [(a.name, a.version, a.repository, a.download_bytes, a.file) for a in found.adds] == [
        ("p", "2-1", "test", 306, "p-2-1-any.pkg.tar.gz")
    ]
    assert found.errors == ()


def test_what_is_missing_is_said_first() -> None:
    found = parse.parse_simulation(UNMET)
    assert found.adds == ()
    assert found.errors[0] == "unable to satisfy dependency 'nowhere>=3' required by p"


def test_information_of_the_sync_databases() -> None:
    text = (
        "Repository      : test\nName            : new\nVersion         : 1-1\nArchitecture    : any\n"
        "Provides        : None\nConflicts With  : old  q<2\nReplaces        : old\nInstalled Size  : 1.50 KiB\n\n"
    )
    new = parse.parse_info(text)["new"]
    assert (new.architecture, new.conflicts, new.replaces, new.provides) == ("any", ("old", "q<2"), ("old",), ())
    assert new.installed_bytes == 1536


def test_kept_conffiles() -> None:
    text = "warning: /etc/p.conf installed as /etc/p.conf.pacnew\nwarning: /etc/q saved as /etc/q.pacsave\n"
    assert parse.kept_conffiles(text) == ("/etc/p.conf.pacnew", "/etc/q.pacsave")


@pytest.mark.parametrize(
    ("text", "code"),
    [(UNTRUSTED, "signature"), (UNREACHABLE, "no_network"), ("error: something new\n", "refresh_failed")],
)
def test_each_cause_of_a_failed_refresh(text: str, code: str) -> None:
    found = refresh.explain(text, 1)
    assert found is not None
    assert found.code == code
    assert found.reason.endswith(".")


def test_a_good_refresh_has_no_cause() -> None:
    assert refresh.explain(":: Synchronizing package databases...\n test downloading...\n", 0) is None


def test_ended_without_a_word_is_no_success() -> None:
    assert refresh.explain("", -9) is not None


def test_expired_key_is_told_by_the_keyring() -> None:
    owner = refresh.signer(UNTRUSTED)
    assert owner == "test@example.invalid"
    expired = "pub:e:255:22:AAAA:1577836800:1577923200::u:::sc::\nuid:e::::1577836800::HASH::test@example.invalid::\n"
    assert refresh.has_expired(expired, owner)
    assert not refresh.has_expired(expired.replace("pub:e", "pub:u"), owner)
    assert not refresh.has_expired("", owner)


def test_scriptlet_is_blamed_on_the_package_at_work() -> None:
    assert refresh.failed_script(SCRIPT).startswith("p: its scriptlet failed")
    assert refresh.failed_script("upgrading p...\n") == ""
    found = refresh.blame(SCRIPT, 0, timed_out=False, killed=(), limit_s=60)
    assert found.code == "maintainer_script_failed"


def test_time_out_names_what_was_ended() -> None:
    found = refresh.blame("", 0, timed_out=True, killed=("sleep", "sleep"), limit_s=6)
    assert (found.code, found.reason) == ("timeout", "Not finished after 6 s; ended were: sleep.")


def test_local_entry() -> None:
    desc = "%NAME%\nlib-x\n\n%VERSION%\n1:2-3\n\n%BASE%\nx\n\n%ARCH%\nx86_64\n\n%SIZE%\n4\n\n%REASON%\n1\n\n"
    p = records.installed_of("lib-x-1:2-3", desc)
    assert (p.name, p.version, p.source, p.architecture) == ("lib-x", "1:2-3", "x", "x86_64")
    assert (p.installed_bytes, p.explicit, p.sound, p.held) == (4, False, True, False)


def test_entry_without_desc_is_broken() -> None:
    p = records.installed_of("lib-x-1:2-3", None)
    assert (p.name, p.version, p.sound) == ("lib-x", "1:2-3", False)
    assert records.problems_of([p]) == ("lib-x: its database entry is incomplete (half-installed)",)


def test_two_entries_of_one_name_are_a_problem() -> None:
    both = [records.Installed("p", "any", v, "p") for v in ("1-1", "2-1")]
    assert records.problems_of(both) == ("p: it is in the local database twice",)


def test_backup_files() -> None:
    assert records.backups_of("%FILES%\netc/\n\n%BACKUP%\netc/p.conf\tabc\n\n") == {"/etc/p.conf": "abc"}
