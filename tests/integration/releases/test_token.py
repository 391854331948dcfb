"""Keys on a real PKCS#11 token (SoftHSM): made there, never seen, sign what endpoints believe."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import require
from tests.support_trust import NOW_MS, Repository

from brakeline.cli.__main__ import main
from brakeline.releases import ceremony, ceremony_files, keyfiles
from brakeline.releases.faults import KeyUnusable
from brakeline.releases.keys import Keyring
from brakeline.trust import metadata

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "4711-0815"
pytestmark = pytest.mark.long


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh token called "anna"; its URI without the object."""
    require(MODULE.exists(), f"{MODULE} (package softhsm2)")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    made = ["softhsm2-util", "--init-token", "--free", "--label", "anna", "--so-pin", "0000", "--pin", PIN]
    subprocess.run(made, check=True, capture_output=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRAKELINE_RELEASE_PIN", PIN)
    return f"pkcs11:token=anna;object={{}}?module-path={MODULE}"


def test_a_root_held_by_a_token(token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = Repository()
    present = replace(repo.documents(), roots=tuple(repo.roots), leases=(), time="")
    assert main(["release", "keygen", "anna", "--uri", token.format("root")]) == 0
    assert main(["release", "keygen", "anna", "--uri", token.format("other")]) == 2, "no key is written over"
    assert main(["release", "keygen", "twice", "--uri", token.format("root")]) == 2, "no key of the token either"
    assert not (tmp_path / "twice.uri").exists()
    holder = keyfiles.read_public(tmp_path / "anna.pub")
    made = ceremony.rotation(present, {"root": (holder,)}, {}, "", NOW_MS)
    ceremony_files.write(tmp_path / "ceremony", ceremony.sign(made, ("root",), repo.keys["root"]))
    assert main(["release", "sign", "ceremony", "--yes", "--key", "anna.uri"]) == 0
    assert "root: 1 of 1 signatures of the holders of the new root (anna)" in capsys.readouterr().out
    text = ceremony_files.read(tmp_path / "ceremony").proposed["root"]
    assert metadata.successor(metadata.pinned(repo.roots[0]), text).version == 2
    assert PIN not in "".join(p.read_text(errors="replace") for p in tmp_path.glob("*.*") if p.is_file())


def test_a_wrong_pin_a_lost_token_and_another_key_are_said(token: str, tmp_path: Path) -> None:
    made = keyfiles.make_on_token(tmp_path, "anna", token.format("root"), lambda _: PIN)
    signer = keyfiles.signer_in(tmp_path / "anna.uri", lambda _: "9999")
    with pytest.raises(KeyUnusable, match="refuses"):
        signer.sign(b"x")
    for uri, says in (
        (token.format("nobody"), "0 private keys"),
        (token.format("root").replace("token=anna", "token=bert"), "0 tokens"),
    ):
        with pytest.raises(KeyUnusable, match=says):
            keyfiles.name_elsewhere(tmp_path, "bert", uri, made.key.keyval["public"], lambda _: PIN)
    with pytest.raises(KeyUnusable, match="not the one that was meant"):
        keyfiles.name_elsewhere(tmp_path, "bert", token.format("root"), "ab" * 32, lambda _: PIN)


def test_a_server_signs_with_a_token_by_itself(token: str, tmp_path: Path) -> None:
    made = keyfiles.make_on_token(tmp_path, "timestamp-2", token.format("timestamp"), lambda _: PIN)
    ring = Keyring(tmp_path)
    ring.scan()
    assert (ring.problems, len(ring.enough([made.key.keyid], 1))) == ((), 1)
    assert ring.where(made.key.keyid) == "pkcs11, reachable from this server (timestamp-2.uri)"
