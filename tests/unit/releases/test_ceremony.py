"""Keys and ceremonies: what is refused, and that words and counts tell the truth. No server is needed for any of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_trust import DAY_MS, NOW_MS, Repository, bundle

from brakeline.cli.__main__ import main
from brakeline.core.errors import Invalid
from brakeline.releases import ceremony, ceremony_files, keyfiles
from brakeline.releases.adoption import official
from brakeline.releases.ceremony import Ceremony
from brakeline.releases.decide import Wanted
from brakeline.releases.faults import BadMetadata, CeremonyBroken, KeyUnusable
from brakeline.releases.keyfiles import Public
from brakeline.trust import metadata
from brakeline.trust.model import Documents

PASSPHRASE = "correct horse battery staple"


def asked(_: str) -> str:
    return PASSPHRASE


@pytest.fixture
def repo() -> Repository:
    return Repository()


@pytest.fixture
def present(repo: Repository) -> Documents:
    served = repo.documents()
    return replace(served, roots=tuple(repo.roots), leases=(), time="")


@pytest.fixture
def people(tmp_path: Path) -> dict[str, Public]:
    return {name: keyfiles.make_file(tmp_path, name, PASSPHRASE) for name in ("anna", "bert", "carla")}


def all_three(people: dict[str, Public], *roles: str) -> dict[str, tuple[Public, ...]]:
    return {role: tuple(people.values()) for role in roles}


def signed(made: Ceremony, folder: Path, *names: str) -> Ceremony:
    for name in names:
        signer = keyfiles.signer_in(folder / f"{name}.pem", asked)
        made = ceremony.sign(made, ceremony.documents_for(made, signer.public_key.keyid), signer)
    return made


# --- key files -----------------------------------------------------------------------------------------------------


def test_a_key_file_is_its_owner_s_alone_encrypted_and_never_written_over(tmp_path: Path) -> None:
    made = keyfiles.make_file(tmp_path, "anna", PASSPHRASE)
    private = tmp_path / "anna.pem"
    assert private.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in private.read_bytes()
    assert keyfiles.read_public(tmp_path / "anna.pub") == made
    assert keyfiles.signer_in(private, asked).public_key.keyid == made.key.keyid
    before = private.read_bytes()
    with pytest.raises(KeyUnusable, match="never written over"):
        keyfiles.make_file(tmp_path, "anna", PASSPHRASE)
    assert private.read_bytes() == before
    plain = keyfiles.make_file(tmp_path, "cell-2", None)
    assert keyfiles.signer_in(tmp_path / "cell-2.pem", _nobody).public_key.keyid == plain.key.keyid


def _nobody(what: str) -> str:
    raise AssertionError(f"{what} was asked for")


def test_a_key_that_others_can_read_or_with_a_wrong_passphrase_does_not_sign(tmp_path: Path) -> None:
    keyfiles.make_file(tmp_path, "anna", PASSPHRASE)
    with pytest.raises(KeyUnusable, match=r"anna.pem cannot be decrypted: the passphrase"):
        keyfiles.signer_in(tmp_path / "anna.pem", lambda _: "not this one, surely")
    (tmp_path / "anna.pem").chmod(0o644)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        keyfiles.signer_in(tmp_path / "anna.pem", asked)


@pytest.mark.parametrize("name", ["", "..", "Anna", "a/b", "a b", "a" * 41, "-x"])
def test_names_that_would_be_no_file_of_ours(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyUnusable, match="no name for a key"):
        keyfiles.make_file(tmp_path, name, None)


def test_no_key_below_version_control_and_no_weak_passphrase(tmp_path: Path) -> None:
    (tmp_path / "project/.git").mkdir(parents=True)
    (tmp_path / "project/deep").mkdir()
    with pytest.raises(KeyUnusable, match="version control"):
        keyfiles.make_file(tmp_path / "project/deep", "anna", PASSPHRASE)
    with pytest.raises(KeyUnusable, match="12 characters"):
        keyfiles.make_file(tmp_path, "anna", "short")
    with pytest.raises(KeyUnusable, match="no directory"):
        keyfiles.make_file(tmp_path / "nowhere", "anna", PASSPHRASE)
    assert [p.name for p in tmp_path.iterdir()] == ["project"]


@pytest.mark.parametrize("text", ["", "ed25519 00", "rsa 00 anna", "ed25519 zz anna", "ed25519 " + "0" * 64 + " ../x"])
def test_what_is_no_public_key(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.pub").write_text(text)
    with pytest.raises(KeyUnusable):
        keyfiles.read_public(tmp_path / "x.pub")


def test_a_key_service_that_is_not_there_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    for uri, says in (
        ("hv:anna/1", "hvac"),
        ("nonsense:x", "nonsense"),
        ("pkcs11:token=t;object=o?module-path=/no/such.so", "refuses|No such|cannot"),
        ("pkcs11:token=t", "is not pkcs11"),
    ):
        with pytest.raises(KeyUnusable, match=says):
            keyfiles.name_elsewhere(tmp_path, "anna", uri, "ab" * 32, asked)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_takes_no_secret_as_an_argument_and_asks_nobody_who_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRAKELINE_RELEASE_PASSPHRASE", raising=False)
    assert main(["release", "keygen", "anna"]) == 2
    assert "set BRAKELINE_RELEASE_PASSPHRASE" in capsys.readouterr().err
    assert main(["release", "keygen", "anna", "--passphrase", "x"]) == 2
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("BRAKELINE_RELEASE_PASSPHRASE", PASSPHRASE)
    assert main(["release", "keygen", "anna", "--json"]) == 0
    assert PASSPHRASE not in "".join(capsys.readouterr())


# --- ceremonies ----------------------------------------------------------------------------------------------------


def test_the_next_root_counts_with_signatures_of_the_old_and_of_the_new_holders(
    repo: Repository, present: Documents, people: dict[str, Public], tmp_path: Path
) -> None:
    thresholds = {"root": 2, "targets": 2}
    made = ceremony.rotation(present, all_three(people, "root", "targets"), thresholds, "installation", NOW_MS)
    assert set(made.proposed) == {"root", "targets"}
    assert "root: 2 of anna, bert, carla (until now 1 of" in "\n".join(ceremony.words(made, "root"))
    old = metadata.pinned(present.roots[-1])
    half = signed(made, tmp_path, "anna", "bert")
    assert not ceremony.complete(half), "the present root has not vouched for it"
    asked_still = [ceremony.need_words(half, n) for n in ceremony.needs(half, "root") if not n.met]
    assert asked_still[0].startswith("root: 0 of 1 signatures of the holders of the present root; still asked")
    whole = ceremony.sign(half, ("root",), repo.keys["root"])
    assert ceremony.complete(whole)
    assert metadata.successor(old, whole.proposed["root"]).kind == "installation"


def test_copies_that_were_signed_apart_are_joined_and_others_are_not(
    repo: Repository, present: Documents, people: dict[str, Public], tmp_path: Path
) -> None:
    made = ceremony.rotation(present, all_three(people, "targets"), {"targets": 2}, "", NOW_MS)
    joined = ceremony.merged(signed(made, tmp_path, "anna"), signed(made, tmp_path, "carla"))
    assert [len(n.signed) for n in ceremony.needs(joined, "targets")] == [2]
    later = ceremony.rotation(present, all_three(people, "targets"), {"targets": 2}, "", NOW_MS + DAY_MS)
    with pytest.raises(BadMetadata, match="different things"):
        ceremony.merged(made, later)
    with pytest.raises(CeremonyBroken, match="different ceremonies"):
        ceremony.merged(made, replace(made, present=replace(present, content="")))


def test_a_key_without_a_place_signs_nothing_and_a_second_signature_counts_once(
    present: Documents, people: dict[str, Public], tmp_path: Path
) -> None:
    made = ceremony.rotation(present, all_three(people, "targets"), {"targets": 2}, "", NOW_MS)
    stranger = keyfiles.make_file(tmp_path, "stranger", None)
    with pytest.raises(KeyUnusable, match=r"nothing to sign here; asked for are .*anna.*bert.*carla"):
        ceremony.documents_for(made, stranger.key.keyid)
    twice = signed(made, tmp_path, "anna", "anna")
    assert [len(n.signed) for n in ceremony.needs(twice, "targets")] == [1]


def test_what_could_never_be_signed_is_refused_at_once(present: Documents, people: dict[str, Public]) -> None:
    one = {"targets": (people["anna"],)}
    for keys, thresholds, says in (
        (one, {"targets": 2}, "2 of 1 keys"),
        ({"targets": (people["anna"], people["anna"])}, {"targets": 2}, "2 of 1 keys"),
        ({}, {"targets": 0}, "0 of 1 keys"),
        ({"targest": (people["anna"],)}, {}, "no role of this root"),
    ):
        with pytest.raises(Invalid, match=says):
            ceremony.rotation(present, keys, thresholds, "", NOW_MS)


def test_whoever_signs_reads_what_changes(repo: Repository, present: Documents) -> None:
    before = ceremony.listing_of(present.targets)
    release = bundle("2.0.0", {"agent.pyz": b"two"}, 2)
    repo.publish("2.0.0", release, 2)
    after = ceremony.listing_of(repo.documents().targets)
    assert ceremony.listing(present, {"targets": before, "content": Wanted({}, {})}, NOW_MS).proposed == {}
    made = ceremony.listing(present, {"targets": Wanted(after.files, {"1.0.0-" + "0" * 12: 7})}, NOW_MS)
    head, adds, pardons = ceremony.words(made, "targets")
    assert head.endswith("valid until 2027-02-21")
    assert "adds agent/2.0.0/any/bundle.tar: agent 2.0.0 for any, sequence 2" in adds
    assert "pardons 1.0.0-000000000000, which was recalled" in pardons
    text = made.proposed["targets"].replace("2.0.0", "2.0.1")
    forged = Ceremony(present, {"targets": text})
    assert any("2.0.1" in line for line in ceremony.words(forged, "targets")), "words come from what is signed"


def test_a_directory_that_was_tampered_with_is_not_signed(
    repo: Repository, present: Documents, people: dict[str, Public], tmp_path: Path
) -> None:
    repo.publish("2.0.0", bundle("2.0.0", {"agent.pyz": b"two"}, 2), 2)
    present = replace(present, targets=repo.documents().targets)
    made = ceremony.rotation(present, all_three(people, "root"), {"root": 2}, "", NOW_MS)
    folder = tmp_path / "ceremony"
    ceremony_files.write(folder, made)
    assert ceremony_files.read(folder) == replace(made, present=replace(present, leases=()))
    with pytest.raises(CeremonyBroken, match="not empty"):
        ceremony_files.write(folder, made)
    stranger = Repository()
    for name, text, says in (
        ("root.json", made.proposed["root"].replace('"version":2', '"version":7'), "cannot follow"),
        ("root.json", "{", "not JSON"),
        ("root.json", made.proposed["root"].replace('"_type":"root"', '"_type":"timestamp"'), "calls itself"),
        ("present.json", (folder / "present.json").read_text().replace("agent/2.0.0", "agent/2.0.1"), "signatures"),
        ("present.json", "[]", "no signed documents"),
        ("present.json", json.dumps({"roots": [present.roots[0], stranger.roots[0]]}), "cannot follow"),
        ("present.json", "[" * 100_000, "no JSON"),
    ):
        good = (folder / name).read_text()
        (folder / name).write_text(text)
        with pytest.raises(CeremonyBroken, match=says):
            ceremony_files.read(folder)
        (folder / name).write_text(good)
    (folder / "root.json").write_text(" " * (1 << 20) + "x")
    with pytest.raises(CeremonyBroken, match="larger than"):
        ceremony_files.read(folder)


def test_a_lost_present_root_leads_nowhere(present: Documents) -> None:
    """Whoever hands over a directory cannot make holders sign for another chain: it is followed from its first root."""
    with pytest.raises(CeremonyBroken):
        ceremony.check(Ceremony(replace(present, roots=()), {"targets": present.targets}))
    with pytest.raises(CeremonyBroken, match="not newer"):
        ceremony.check(Ceremony(present, {"targets": present.targets}))


# --- adopting official releases ------------------------------------------------------------------------------------


def test_an_official_release_is_adopted_by_the_project_s_signature_alone(repo: Repository, present: Documents) -> None:
    release = bundle("2.0.0", {"agent.pyz": b"two"}, 2)
    release_id = repo.publish("2.0.0", release, 2)
    sha256, length = repo.target(release_id).hashes["sha256"], len(release)
    repo.rotate("targets")
    given = replace(repo.documents(), roots=tuple(repo.roots))
    found = official(repo.roots[0], given, sha256, length, NOW_MS)
    assert (found.path, found.custom["sequence"]) == ("agent/2.0.0/any/bundle.tar", 2)
    repo.recalled.append(release_id)
    for root, documents, digest, now_ms, says in (
        (repo.roots[0], given, "0" * 64, NOW_MS, "has not signed"),
        (Repository().roots[0], given, sha256, NOW_MS, "signatures"),
        (repo.roots[0], replace(given, targets=present.targets), sha256, NOW_MS, "signatures"),
        (repo.roots[0], replace(given, roots=()), sha256, NOW_MS, "signatures"),
        (repo.roots[0], given, sha256, NOW_MS + 91 * DAY_MS, "targets expired on"),
        (repo.roots[0], replace(given, recall=repo.recall()), sha256, NOW_MS, "has recalled"),
        ("{}", given, sha256, NOW_MS, "envelope"),
    ):
        with pytest.raises(BadMetadata, match=says):
            official(root, documents, digest, length, now_ms)
