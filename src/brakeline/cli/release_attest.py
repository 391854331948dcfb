"""`brakeline release attest`, and what `verify --provenance` asks: who vouches for what a release was built from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brakeline.cli.output import Json, emit, say, talk
from brakeline.cli.release_keys import agreed, read_bundle, secret
from brakeline.core.errors import Conflict

if TYPE_CHECKING:
    from brakeline.trust.model import Documents

BARE, SIGNED = ".intoto.json", ".intoto.dsse.json"


def attest(
    statement: Annotated[Path, typer.Argument(help="The .intoto.json of a build, or what others have signed of it.")],
    key: Annotated[Path, typer.Option(help="The holder's NAME.pem or NAME.uri.")],
    bundle: Annotated[Path | None, typer.Option(help="The file that it must speak of, best one built here.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking; for scripts.")] = False,
    as_json: Json = False,
) -> None:
    """Vouch for what a release was built from: adds one signature to its provenance. Needs no network."""
    from brakeline.releases import attestation, keyfiles
    from brakeline.releases.ceremony_files import read_text
    from brakeline.releases.files import write_durably

    text = read_text(statement, attestation.TEXT_BYTES_MAX)
    said = attestation.read(text)
    if bundle is not None and (sha256 := hashlib.sha256(read_bundle(bundle)).hexdigest()) != said.sha256:
        raise Conflict(f"{bundle.name} has SHA-256 {sha256}, the statement speaks of {said.sha256}: not signed")
    signer = keyfiles.signer_in(key, secret)
    talk("\n  ".join(attestation.words(said)))
    if not yes and not agreed("Vouch for that? Type yes: "):
        raise Conflict("not signed")
    out = statement.with_name(statement.name.removesuffix(SIGNED).removesuffix(BARE) + SIGNED)
    signed = attestation.sign(text, signer)
    write_durably(out, signed.encode())
    told = {"file": str(out), "sha256": said.sha256, "signed_by": list(attestation.signatures(signed))}
    emit(told, as_json, lambda: say(str(out)))


def attested(path: Path, sha256: str, pinned: str, given: Documents, role: str) -> dict[str, Any]:
    """What the holders whom the newest root names for `role` have signed about this file. Raises `BadAttestation`."""
    from brakeline.releases import attestation
    from brakeline.releases.adoption import holders
    from brakeline.releases.ceremony_files import read_text

    text = read_text(path, attestation.TEXT_BYTES_MAX)
    said = attestation.verify(text, sha256, holders(pinned, given, role), role)
    return {"file": said.file, "commit": said.commit, "builder": said.builder, "sources": said.sources,
            "words": attestation.words(said)[1]}  # fmt: skip
