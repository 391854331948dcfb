"""Windows Update's answers. Built after the documented properties of `IUpdate`; *not run on the real system*.

The numbers of errors are those of the Windows Update Agent's documented list; the sentences are ours.
"""

from __future__ import annotations

import pytest

from brakeline.agent.providers.windows.exits import hresult, msi
from brakeline.agent.providers.windows.wua import SECURITY, Update, outcome, overtaken, read, waiting
from brakeline.protocol.messages import UpdateState

A, B, C = ("ca3bb521-0000-4e26-a563-2ad6e3108b9a", "07609d43-0000-4e77-856e-d1b316d1b8a8",
           "fbaa5360-0000-49d8-a3b6-0c4fc7ecaa19")  # fmt: skip


def found(id_: str, kb: str, **more: object) -> Update:
    made = read({
        "Identity": {"UpdateID": id_.upper(), "RevisionNumber": 201}, "Title": "累積更新", "KBArticleIDs": [kb],
        "Categories": [{"CategoryID": SECURITY.upper(), "Name": "セキュリティ更新"}], "Type": 1, "EulaAccepted": True,
        "MaxDownloadSize": 1000, **more,
    })  # fmt: skip
    assert made is not None
    return made


def test_an_update_as_it_waits() -> None:
    (told,) = waiting([found(A, "5000001")], "amd64")
    assert (told.name, told.candidate, told.security, told.state) == (
        "KB5000001",
        f"{A}.201",
        True,
        UpdateState.AVAILABLE,
    )
    assert read({"Title": "nameless"}) is None


@pytest.mark.parametrize(
    ("more", "state", "part"),
    [({"IsHidden": True}, UpdateState.HELD, "Hidden"), ({"EulaAccepted": False}, UpdateState.KEPT_BACK, "licence"),
     ({"InstallationBehavior": {"CanRequestUserInput": True}}, UpdateState.KEPT_BACK, "questions"),
     ({"Type": 2}, UpdateState.KEPT_BACK, "driver")],
)  # fmt: skip
def test_what_is_not_installed_says_why(more: dict[str, object], state: UpdateState, part: str) -> None:
    (told,) = waiting([found(A, "5000001", **more)], "amd64")
    assert (told.state, part in told.reason) == (state, True)


def test_security_is_what_the_category_s_identifier_says() -> None:
    named = found(
        A, "1", Categories=[{"CategoryID": "0" * 8, "Name": "Security Updates"}], Title="Security fix CVE-2026-1"
    )
    assert not named.security


def test_what_has_been_overtaken_comes_with_the_last_of_the_chain() -> None:
    old, middle, new = (
        found(A, "1"),
        found(B, "2", SupersededUpdateIDs=[A]),
        found(C, "3", SupersededUpdateIDs=[B.upper()]),
    )
    assert overtaken([old, middle, new]) == {A: C, B: C}
    assert [u.name for u in waiting([old, middle, new], "amd64")] == ["KB3"]
    assert overtaken([found(A, "1", SupersededUpdateIDs=[B]), found(B, "2", SupersededUpdateIDs=[A])]).keys() == {A, B}


def test_what_its_owner_has_hidden_overtakes_nothing() -> None:
    told = waiting([found(A, "1"), found(B, "2", SupersededUpdateIDs=[A], IsHidden=True)], "amd64")
    assert [(u.name, u.state) for u in told] == [("KB1", UpdateState.AVAILABLE), ("KB2", UpdateState.HELD)]


def test_installed_ones_do_not_wait() -> None:
    assert waiting([found(A, "1", IsInstalled=True)], "amd64") == ()


@pytest.mark.parametrize(
    ("number", "code"),
    [(0x8024402C, "network"), (-2145107924, "network"), (0x80070070, "no_space"), (0x80240009, "locked"),
     (0x80246002, "hash_mismatch"), (0x80073712, "unhealthy"), (0x80244FFF, "network"), (0x8024DFFF, "unhealthy"),
     (0x80240FFF, "failed"), (0x80004005, "failed")],
)  # fmt: skip
def test_errors_in_words(number: int, code: str) -> None:
    told = hresult(number)
    assert told is not None
    assert (told.code, f"(0x{number & 0xFFFFFFFF:08X})" in told.reason) == (code, True)


def test_success_is_no_error() -> None:
    assert hresult(0) is None
    assert hresult(0x00240005) is None


def test_exit_codes_of_windows_installer() -> None:
    assert (msi(0), msi(3010), msi(1641)) == ((None, False), (None, True), (None, True))
    told, restart = msi(1618)
    assert told is not None
    assert (told.code, "1618" in told.reason, restart) == ("locked", True, False)


def test_what_came_of_an_installation() -> None:
    assert outcome([("KB1", 2, 0), ("KB2", 2, 0x00240005)]) is None
    told = outcome([("KB1", 2, 0), ("KB2", 4, -2145116138), ("KB3", 5, 0)])
    assert told is not None
    assert (told.code, told.reason.startswith("KB2 and 1 more: ")) == ("failed", True)
    unclear = outcome([("KB1", 9, 0)])
    assert unclear is not None
    assert "in an unknown state" in unclear.reason
