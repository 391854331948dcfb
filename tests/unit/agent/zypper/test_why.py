"""Causes in the words of zypper and rpm; what was not seen is never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from brakeline.agent.providers.zypper import answers, why
from brakeline.agent.providers.zypper.keys import expires_s
from brakeline.agent.providers.zypper.reboot import booted_s, kernel_reason
from brakeline.agent.providers.zypper.rpmdb import Installed

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures/zypper"


def blamed(text: str, rc: int = 1) -> why.Cause:
    return why.blame(text, rc, timed_out=False, killed=(), limit_s=5)


def test_download_without_network() -> None:
    words = answers.messages((FIXTURES / "download-no-network.txt").read_text(), "error")
    assert why.download_failure(words, 8, "p") == why.Cause(
        "network", "p could not be downloaded: it could not be reached."
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Repository 'up' is invalid. Signature verification failed for file 'repomd.xml'", "signature"),
        ("Repository 'up' metadata expired since 2026-11-20.", "expired"),
        ("System management is locked by the application with pid 5 (zypper).", "locked"),
        ("Digest verification failed for file 'primary.xml.gz'", "hash_mismatch"),
        ("File './repodata/repomd.xml' not found on medium 'http://x/'", "not_found"),
        ("write: No space left on device", "no_space"),
        ("something new", "refresh_failed"),
    ],
)
def test_refresh(words: str, code: str) -> None:
    assert why.refresh_failure((words,), 4).code == code


def test_rpm() -> None:
    script = "warning: %post(p-2-1.noarch) scriptlet failed, exit status 3\n"
    assert blamed(script, 0) == why.Cause("maintainer_script_failed", "p-2-1.noarch: %post failed exit status 3.")
    assert blamed("\tinstalling package p-2-1.noarch needs 11MB more space on the / filesystem\n").code == "no_space"
    assert blamed("error: Failed dependencies:\n\tnowhere is needed by p-2-1.noarch\n").code == "changed"
    assert blamed("", -9).code == "killed"
    assert blamed("", 2) == why.Cause("failed", "rpm ended with 2 and gave no reason.")
    ended = why.blame("", -15, timed_out=True, killed=("sh", "sleep"), limit_s=5)
    assert ended == why.Cause("timeout", "Not finished after 5 s; ended were: sh, sleep.")


def test_conffiles() -> None:
    text = "warning: /etc/a created as /etc/a.rpmnew\nwarning: /etc/b saved as /etc/b.rpmsave\n"
    assert why.conffiles(text) == why.Conffiles(("/etc/a",), ("/etc/b",))


def test_every_exit_code_of_the_manual_is_explained() -> None:
    assert set(why.EXITS) == {*range(9), *range(100, 108)}


def test_expiry_of_a_key() -> None:
    assert expires_s("pub:e:2048:1:F9B46A60A0026103:1577836800:1609372800::-:::scESC::\nuid:e::") == 1_609_372_800
    assert expires_s("pub:-:2048:1:F9B46A60A0026103:1577836800:::-:::scESC::\n") == 0
    assert expires_s("gpg: no valid OpenPGP data found.\n") == 0


def test_kernel() -> None:
    both = tuple(Installed("kernel-default", "x86_64", f"5.14.21-150500.55.{n}.1") for n in (49, 52))
    assert kernel_reason("5.14.21-150500.55.52-default", both) == ""
    assert kernel_reason("5.14.21-150500.55.49-default", both) == (
        "kernel-default 5.14.21-150500.55.52.1 installed, 5.14.21-150500.55.49-default running"
    )
    assert kernel_reason("6.1.0-40-amd64", both) == ""
    assert booted_s("cpu 1\nbtime 1700000000\n") == 1_700_000_000
    assert booted_s("") == 0
