"""Names, versions and answers of flatpak, read. Recorded from flatpak 1.14.10 and OSTree 2022.7 of Debian 12."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.agent.providers.apt.inverse import inverse_of
from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.flatpak.apply import in_turn
from brakeline.agent.providers.flatpak.refs import (
    Ref,
    amount,
    head,
    info,
    is_of,
    listing,
    made_s,
    masked,
    older,
    parse_ref,
    version_of,
    why,
)
from brakeline.protocol.messages import Action, ActionKind

COMMIT = "be271811abf5dc3e6e842295a066c04b94c1f29d7b179de11ab05330cc8dd62c"
REF = "app/org.test.App/x86_64/stable"
# After its answer this flatpak ends itself where the remote has no store data: what it has said before counts.
INFO = """
        ID: org.test.App
       Ref: app/org.test.App/x86_64/stable
      Arch: x86_64
    Branch: stable
Collection:
  Download: 198 bytes
 Installed: 1.5\u00a0kB
   Runtime: org.test.Platform/x86_64/1
       Sdk: -

    Commit: be271811abf5dc3e6e842295a066c04b94c1f29d7b179de11ab05330cc8dd62c
    Parent: 500bb76633e039c91d16bfe3f453eb82f90443b80c023c927a0904e75fb47ffc
   Subject: Export org.test.App
      Date: 2026-11-26 19:32:27 +0000
**
flatpak:ERROR:app/flatpak-main.c:865:flatpak_run: assertion failed: (!success || error == NULL)
"""
METADATA = "[Application]\nname=org.test.App\nruntime=org.test.Platform/x86_64/1\ncommand=run\n"
REMOTE_LS = "app/org.test.App/x86_64/stable\tbe271811abf5\nruntime/org.test.Platform/x86_64/1\t1da5e75c3b56\n"
AWAY = "error: Unable to load summary from remote test: While fetching http://127.0.0.1:1/x: [7] Couldn't connect"


def test_refs() -> None:
    ref = parse_ref(REF)
    assert ref == Ref("app", "org.test.App", "x86_64", "stable")
    assert (str(ref), ref.label) == (REF, "flatpak-x86_64-stable")
    for bad in ("app/../x86_64/stable", "app/org/x86_64/stable", "app/-o.t/x86_64/stable", "locale/a.b/x/y", ""):
        assert parse_ref(bad) is None


def test_an_offer_of_a_remote() -> None:
    found = head(REF, "test", info(INFO), METADATA)
    assert found is not None
    assert (found.commit, found.version) == (COMMIT, f"20261126193227.{COMMIT[:32]}")
    assert (found.runtime, found.installed_bytes, found.download_bytes) == (
        "runtime/org.test.Platform/x86_64/1",
        1500,
        198,
    )
    assert is_of(found.version, COMMIT)
    assert not is_of(found.version, "f" * 64)
    assert head(REF, "test", info("nothing of use"), METADATA) is None


def test_a_listing_and_no_listing() -> None:
    assert listing(REMOTE_LS)[REF] == "be271811abf5"
    assert listing(AWAY) == {}


def test_versions_sort_as_they_were_made() -> None:
    early, late = version_of("f" * 64, "20261126193227"), version_of("0" * 64, "20261126193228")
    assert older(early, late)
    assert not older(late, early)
    assert early < late


@pytest.mark.parametrize(
    ("pattern", "held"),
    [("org.test.App", True), ("org.test.*", True), ("org.test.App//stable", True), ("org.test.App//beta", False),
     ("org.test.App/aarch64", False), ("app/org.test.App", True), ("runtime/org.test.App", False), ("org.test", False)],
)  # fmt: skip
def test_masks(pattern: str, held: bool) -> None:
    assert masked(Ref("app", "org.test.App", "x86_64", "stable"), ["other.x", pattern]) is held


def variant(body: bytes, seconds: int) -> bytes:
    """A commit object as OSTree writes it: members, then the ends of five of them, the last one first."""
    parts = [b"", b"", b"", b"subject\0", body]
    data, ends = b"", []
    for part in parts:
        data += part
        ends.append(len(data))
    data += b"\0" * (-len(data) % 8) + seconds.to_bytes(8, "big") + b"r" * 32
    ends.append(len(data))
    data += b"m" * 32
    width = next(w for w in (1, 2, 4) if len(data) + 6 * w <= 256**w - 1)
    return data + b"".join(e.to_bytes(width, "little") for e in reversed(ends))


@given(st.binary(max_size=70_000), st.integers(0, 2**40))
def test_the_time_in_a_commit_object(body: bytes, seconds: int) -> None:
    assert made_s(variant(body, seconds)) == seconds


@given(st.binary(max_size=64))
def test_no_bytes_are_too_strange(data: bytes) -> None:
    assert made_s(data) >= 0


def test_why() -> None:
    assert why(AWAY).code == "network"
    assert why("error: Server returned HTTP 404").code == "lists_stale"
    assert why("error: min-free-space-size 500MB would be exceeded").code == "no_space"
    assert why("error: GPG verification enabled, but no signatures found").code == "signature"
    assert why("Nothing to do.").code == "flatpak_failed"


def test_amounts() -> None:
    assert [amount(t) for t in ("1.5 kB", "198 bytes", "2.0\xa0MB", "", "many")] == [1500, 198, 2_000_000, 0, 0]


def test_a_runtime_comes_before_what_needs_it_and_goes_after_it() -> None:
    """Whatever their names are: "org.a.Platform" sorts before "org.b.App"."""
    runtime = Action(ActionKind.INSTALL, "org.a.Platform", "flatpak-x86_64-2", "", "2")
    app = Action(ActionKind.UPGRADE, "org.b.App", "flatpak-x86_64-stable", "1", "2")
    made = make_transaction([runtime, app])
    assert [a.name for a in in_turn(made)] == ["org.a.Platform", "org.b.App"]
    back = in_turn(inverse_of(made))
    assert [(a.kind, a.name) for a in back] == [
        (ActionKind.DOWNGRADE, "org.b.App"), (ActionKind.REMOVE, "org.a.Platform"),
    ]  # fmt: skip
