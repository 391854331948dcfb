"""Own packages on Windows: what would be started, and what its number means. Recordings, not the real system."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ownpackages import artifact, package, script

from brakeline.agent.providers.windows.silent import command, judged
from brakeline.protocol.software import Script, read_package
from brakeline.protocol.software_rules import problem

MSI = '/i "%BRAKELINE_ARTIFACT%" /qn /norestart INSTALLDIR="C:\\Program Files\\App"'


def wrong(text: str) -> str:
    plain: dict[str, Any] = package(
        platforms=["windows"], artifact=artifact(b"x", "app.msi"),
        detection={"kind": "path", "path": "C:/Program Files (x86)/App"},
        install=script(text, interpreter="msiexec"), uninstall=None,
    )  # fmt: skip
    return problem(read_package(json.dumps(plain).encode()))


def test_words_with_spaces_stay_one_word() -> None:
    made = command(Script("msiexec", MSI), "C:\\ProgramData\\Brake line\\app.msi", "")
    assert made == [
        "msiexec.exe", "/i", "C:\\ProgramData\\Brake line\\app.msi", "/qn", "/norestart",
        "INSTALLDIR=C:\\Program Files\\App",
    ]  # fmt: skip
    assert command(Script("powershell", "x"), "", "C:\\x.ps1")[-3:] == ["Bypass", "-File", "C:\\x.ps1"]
    assert command(Script("cmd", "x"), "", "C:\\x.cmd") == ["cmd.exe", "/d", "/c", "C:\\x.cmd"]


@pytest.mark.parametrize(
    ("code", "kind", "restart"),
    [(0, "", False), (3010, "", True), (1641, "", True), (1603, "failed", False), (1618, "locked", False)],
)
def test_the_numbers_of_windows_installer(code: int, kind: str, restart: bool) -> None:
    trouble, due = judged(Script("msiexec", MSI), code)
    assert (trouble.code if trouble else "", due) == (kind, restart)


def test_an_installer_that_is_no_msi_says_its_own_numbers() -> None:
    assert judged(Script("powershell", "x", success=(0, 3010)), 3010) == (None, True)
    trouble, _ = judged(Script("cmd", "x"), 2)
    assert trouble is not None
    assert trouble.reason == "It ended with 2."


@pytest.mark.parametrize(
    ("text", "says"),
    [(MSI, ""), ("/i x.msi /norestart", "asks nothing"), ("/i x.msi /quiet", "never restarts the machine by itself")],
)
def test_msiexec_must_be_told_to_ask_nothing_and_to_restart_nothing(text: str, says: str) -> None:
    assert (says in wrong(text)) if says else wrong(text) == ""
