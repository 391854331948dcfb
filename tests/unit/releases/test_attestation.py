"""Who vouches for what a release was built from: what counts, and what does not."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from brakeline.cli.__main__ import main
from brakeline.releases import attestation, keyfiles
from brakeline.releases.build import Subject, provenance
from brakeline.releases.faults import BadAttestation
from brakeline.trust.envelope import Signers

SHA = "ab" * 32
STATEMENT = provenance(Subject("agent", "1.4.0", "any", SHA), {"a.py": b"1", "b.py": b"2"})


@pytest.fixture
def people(tmp_path: Path) -> Signers:
    """Three holders, of whom two have to sign."""
    made = [keyfiles.make_file(tmp_path, name, None) for name in ("anna", "bert", "carla")]
    return Signers({m.key.keyid: bytes.fromhex(m.key.keyval["public"]) for m in made}, 2)


def signed(folder: Path, *names: str, text: str = STATEMENT) -> str:
    for name in names:
        text = attestation.sign(text, keyfiles.signer_in(folder / f"{name}.pem", lambda _: ""))
    return text


def test_enough_holders_vouch_for_one_file(tmp_path: Path, people: Signers) -> None:
    said = attestation.verify(signed(tmp_path, "carla", "anna"), SHA, people)
    assert (said.sha256, said.product, said.sources, said.role) == (SHA, "agent", 2, "targets")
    assert said.file == "brakeline-agent-1.4.0-any.tar"


def test_one_holder_alone_is_one_however_often_he_signs(tmp_path: Path, people: Signers) -> None:
    with pytest.raises(BadAttestation, match="fewer than the 2 signatures"):
        attestation.verify(signed(tmp_path, "anna", "anna"), SHA, people)


def test_nobody_and_strangers_do_not_count(tmp_path: Path, people: Signers) -> None:
    with pytest.raises(BadAttestation, match="nobody has signed"):
        attestation.verify(STATEMENT, SHA, people)
    keyfiles.make_file(tmp_path, "mallory", None)
    with pytest.raises(BadAttestation, match="fewer than"):
        attestation.verify(signed(tmp_path, "anna", "mallory"), SHA, people)


def test_another_file_is_not_what_it_speaks_of(tmp_path: Path, people: Signers) -> None:
    with pytest.raises(BadAttestation, match="it speaks of"):
        attestation.verify(signed(tmp_path, "anna", "bert"), "cd" * 32, people)


def test_what_was_changed_after_signing_does_not_hold(tmp_path: Path, people: Signers) -> None:
    plain = json.loads(signed(tmp_path, "anna", "bert"))
    other = base64.b64decode(plain["payload"]).replace(SHA.encode(), b"cd" * 32)
    plain["payload"] = base64.b64encode(other).decode()
    with pytest.raises(BadAttestation, match="fewer than"):
        attestation.verify(json.dumps(plain), "cd" * 32, people)


def test_holders_of_content_vouch_for_nothing_else(tmp_path: Path, people: Signers) -> None:
    """What a statement says of itself does not choose whose signatures count: what the file is does."""
    text = signed(tmp_path, "anna", "bert", text=provenance(Subject("content", "1.4.0", "any", SHA), {"a": b"1"}))
    assert attestation.verify(text, SHA, people, "content").product == "content"
    with pytest.raises(BadAttestation, match="it speaks of endpoint content, and this file is none"):
        attestation.verify(text, SHA, people)
    with pytest.raises(BadAttestation, match="it speaks of 'agent', and this file is endpoint content"):
        attestation.verify(signed(tmp_path, "anna", "bert"), SHA, people, "content")


SCREEN = STATEMENT.replace("brakeline-agent", "good.tar\\u001b[1Abrakeline-agent")
OTHERS = '{"payload": "", "payloadType": "x", "signatures": []}'
DAMAGED = (
    STATEMENT.replace("slsa.dev", "example.invalid"), STATEMENT.replace('"subject"', '"object"'),
    STATEMENT.replace(SHA, SHA[:12]),
)  # fmt: skip


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"payload": 7}', OTHERS, *DAMAGED, SCREEN])
def test_what_is_no_provenance_is_not_signed(tmp_path: Path, people: Signers, text: str) -> None:
    with pytest.raises(BadAttestation):
        signed(tmp_path, "anna", text=text)


def test_the_verb_refuses_another_file_and_keeps_what_others_have_signed(
    tmp_path: Path, people: Signers, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, bundle = tmp_path / "x.intoto.json", tmp_path / "x.tar"
    bare.write_text(STATEMENT)
    bundle.write_bytes(b"not what was built")
    words = ["release", "attest", str(bare), "--yes", "--key"]
    assert main([*words, str(tmp_path / "anna.pem"), "--bundle", str(bundle)]) != 0
    assert "not signed" in capsys.readouterr().err
    assert not (tmp_path / "x.intoto.dsse.json").exists()
    assert main([*words, str(tmp_path / "anna.pem")]) == 0
    again = ["release", "attest", str(tmp_path / "x.intoto.dsse.json"), "--yes", "--key", str(tmp_path / "bert.pem")]
    assert main(again) == 0
    assert attestation.verify((tmp_path / "x.intoto.dsse.json").read_text(), SHA, people).sha256 == SHA
    assert bare.read_text() == STATEMENT
