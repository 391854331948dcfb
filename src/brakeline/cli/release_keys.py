"""Verbs of `brakeline release` for the holders of keys: keygen, stage, rotate, sign, import.

`stage` and `rotate` ask the server and write a directory; `keygen` and `sign` need no network at all; `import` brings
the signed directory back. No secret is ever an argument: passphrases and PINs are asked for, or stand in the
environment.
"""

from __future__ import annotations

import os
import sys
import time
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, say, talk
from brakeline.core.errors import Conflict, Invalid

if TYPE_CHECKING:
    from brakeline.releases.ceremony import Ceremony
    from brakeline.releases.decide import Wanted
    from brakeline.releases.keyfiles import Public
    from brakeline.trust.model import Documents

ENV_PASSPHRASE = "BRAKELINE_RELEASE_PASSPHRASE"  # noqa: S105 - the name of a variable
OFFLINE_ROLES = ("root", "targets", "content")
Out = Annotated[Path, typer.Option(help="A new directory for what is to be signed.")]


def secret(what: str) -> str:
    """A passphrase or PIN: from the environment, else asked for. For `securesystemslib` and for key files."""
    from brakeline.releases.faults import KeyUnusable
    from brakeline.releases.keys import PIN_VARIABLE

    variable = PIN_VARIABLE if "PIN" in what else ENV_PASSPHRASE
    if variable in os.environ:
        return os.environ[variable]
    if not sys.stdin.isatty():
        raise KeyUnusable(f"{what}: nobody can be asked here; set {variable}")
    return getpass(f"{what}: ")


def keygen(
    name: Annotated[str, typer.Argument(help="What the holder is called, such as anna-root.")],
    directory: Annotated[Path, typer.Option("--dir", help="Where the files go; a stick, or DATA/trust/keys.")] = Path(),
    uri: Annotated[str, typer.Option(help="pkcs11:token=…;object=…?module-path=…, or a key service's URI.")] = "",
    public: Annotated[str, typer.Option(help="With --uri: public half (hex) of a key that exists already.")] = "",
    plain: Annotated[bool, typer.Option("--plain", help="No passphrase: for keys that a server uses alone.")] = False,
    as_json: Json = False,
) -> None:
    """Make a signing key: a file with a passphrase, or a key on a token that never leaves it."""
    from brakeline.releases import keyfiles

    if public and not uri:
        raise Invalid("--public names a key that exists elsewhere: give its --uri too")
    if uri and public:
        made = keyfiles.name_elsewhere(directory, name, uri, public, secret)
    elif uri:
        made = keyfiles.make_on_token(directory, name, uri, secret)
    else:
        made = keyfiles.make_file(directory, name, None if plain else _new_passphrase())
    private = directory / f"{name}{'.uri' if uri else '.pem'}"
    told = {
        "name": made.name,
        "keyid": made.key.keyid,
        "private": str(private),
        "public": str(private.with_suffix(".pub")),
    }
    emit(told, as_json, lambda: say(told["public"]))
    talk(f"Hand over {told['public']}; {told['private']} stays with its holder. Nobody can make it again: keep a copy.")


def _new_passphrase() -> str:
    given = secret("passphrase of the key file")
    if ENV_PASSPHRASE not in os.environ and getpass("once more: ") != given:
        raise Invalid("the two passphrases differ")
    return given


def stage(
    out: Out,
    bundles: Annotated[list[Path] | None, typer.Argument(help="Bundles to be listed as well.")] = None,
    official: Annotated[Path | None, typer.Option(help="The project's documents: adopt official bundles.")] = None,
    project_root: Annotated[Path | None, typer.Option(help="With --official: the project's root.")] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Also what changes nothing, for another 90 days.")] = False,
    as_json: Json = False,
) -> None:
    """Write down what the next targets should say, to be signed: new bundles, and what was withdrawn or pardoned."""
    from brakeline.releases import ceremony

    client = Client.from_context()
    wanted = _wanted(client.get("/releases/wanted"))
    for path in bundles or ():
        _list(wanted, path, official, project_root)
    made = ceremony.listing(_present(client), wanted, _now_ms(), renew)
    if not made.proposed:
        raise Conflict("targets and content say already what they should; --renew signs them for another 90 days")
    _write(out, made, as_json)


def _wanted(plain: Any) -> dict[str, Wanted]:
    from brakeline.releases.decide import Wanted
    from brakeline.trust.metadata import Target

    def target(t: Any) -> Target:
        return Target(t["path"], t["sha256"], t["length"], t["custom"])

    return {
        role: Wanted({path: target(t) for path, t in said["files"].items()}, said["pardons"])
        for role, said in plain.items()
    }


def _list(wanted: dict[str, Wanted], path: Path, official: Path | None, project_root: Path | None) -> None:
    """Add a bundle to what is wanted; raises what the server would say of it, and what the project does not say."""
    from brakeline.releases import decide
    from brakeline.releases.bundles import inspect

    data = read_bundle(path)
    said, sha256 = inspect(data)
    adopt(data, official, project_root)
    role = "content" if said.product == "content" else "targets"
    files = dict(wanted[role].files)
    target = decide.target_of(said, sha256, len(data))
    files[target.path] = target
    wanted[role] = decide.Wanted(files, wanted[role].pardons)


def read_bundle(path: Path) -> bytes:
    """The bytes of a bundle."""
    from brakeline.core.errors import NotFound

    try:
        return path.read_bytes()
    except OSError as e:
        raise NotFound(f"{path}: {e.strerror}") from None


def adopt(bundle: bytes, official: Path | None, project_root: Path | None) -> None:
    """With --official: only what the project has signed goes on."""
    if official is None and project_root is None:
        return
    if official is None or project_root is None:
        raise Invalid("--official (the project's documents) and --project-root (its root) belong together")
    import hashlib

    from brakeline.releases.adoption import official as signed_by_project
    from brakeline.releases.ceremony_files import read_documents, read_text

    target = signed_by_project(
        read_text(project_root), read_documents(official), hashlib.sha256(bundle).hexdigest(), len(bundle), _now_ms()
    )
    talk(f"The project has signed it as {target.path}.")


def rotate(
    out: Out,
    key: Annotated[list[str] | None, typer.Option(help="ROLE=FILE.pub; all keys of a role that changes.")] = None,
    threshold: Annotated[list[str] | None, typer.Option(help="ROLE=N: so many of them have to sign.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Leave no release key on this server.")] = False,
    kind: Annotated[str, typer.Option(help="What the root calls itself: installation or project.")] = "",
    as_json: Json = False,
) -> None:
    """Write down the next root, to be signed: other holders, another threshold, or (nothing named) another year."""
    from brakeline.releases import ceremony
    from brakeline.releases.keyfiles import read_public

    keys: dict[str, tuple[Public, ...]] = {}
    for role, path in map(_pair, key or ()):
        keys[role] = (*keys.get(role, ()), read_public(Path(path)))
    thresholds = {role: _number(role, text) for role, text in map(_pair, threshold or ())}
    if kind not in ("", "installation", "project"):
        raise Invalid(f"{kind[:20]!r} is no kind of root: installation or project")
    client = Client.from_context()
    if offline:
        _require_all_offline(client.get("/releases/status"), keys)
    made = ceremony.rotation(_present(client), keys, thresholds, kind or ("installation" if offline else ""), _now_ms())
    _write(out, made, as_json)


def _require_all_offline(status: Any, keys: dict[str, tuple[Public, ...]]) -> None:
    """Raises unless every role whose key may leave the server gets keys that are not on it."""
    here = {k: w for role in status["keys"] for k, w in zip(role["keyids"], role["where"], strict=True)
            if not w.startswith("offline")}  # fmt: skip
    for role in status["keys"]:
        if role["role"] not in OFFLINE_ROLES:
            continue
        holders = [p.key.keyid for p in keys[role["role"]]] if role["role"] in keys else role["keyids"]
        if left := [here[k] for k in holders if k in here]:
            raise Invalid(f"{role['role']} would go on being signed with: {', '.join(left)}; --offline needs "
                          f"--key {role['role']}=FILE.pub of keys that were made elsewhere")  # fmt: skip


def sign(
    directory: Annotated[Path, typer.Argument(help="What `stage` or `rotate` has written.")],
    key: Annotated[Path, typer.Option(help="The holder's NAME.pem or NAME.uri.")],
    bundle: Annotated[
        list[Path] | None, typer.Option(help="A bundle that must be listed exactly as it is here.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking; for scripts.")] = False,
    as_json: Json = False,
) -> None:
    """Say in words what is to be signed, ask, and add one signature. Needs no network."""
    from brakeline.releases import ceremony, ceremony_files, keyfiles

    found = ceremony_files.read(directory)
    signer = keyfiles.signer_in(key, secret)
    documents = ceremony.documents_for(found, signer.public_key.keyid)
    for document in documents:
        talk("\n  ".join(ceremony.words(found, document)))
    for path in bundle or ():
        _require_listed(found, path)
    who = ceremony.name(found, signer.public_key.keyid)
    if not yes and not agreed(f"Sign {' and '.join(documents)} as {who}? Type yes: "):
        raise Conflict("not signed")
    signed = ceremony.sign(found, documents, signer)
    ceremony_files.save(directory, signed)
    told = _standing(signed) | {"signed": list(documents)}
    emit(told, as_json, lambda: say("\n".join(told["signatures"])))
    if told["complete"]:
        talk(f"Enough have signed: brakeline release import {directory}")


def agreed(question: str) -> bool:
    from brakeline.releases.faults import KeyUnusable

    if not sys.stdin.isatty():
        raise KeyUnusable("nobody can be asked whether to sign this; --yes signs without asking")
    return input(question).strip() == "yes"


def _require_listed(found: Ceremony, path: Path) -> None:
    """Raises unless the proposed documents list exactly these bytes."""
    import hashlib

    from brakeline.releases.ceremony import listing_of

    sha256 = hashlib.sha256(read_bundle(path)).hexdigest()
    for document in set(found.proposed) - {"root"}:
        for target in listing_of(found.proposed[document]).files.values():
            if target.sha256 == sha256:
                talk(f"{path.name} is what {document} lists as {target.path}.")
                return
    raise Conflict(f"{path.name} (SHA-256 {sha256}) is not what would be signed")


def import_signed(
    directories: Annotated[list[Path], typer.Argument(help="The signed directory, or the copies that were signed.")],
    as_json: Json = False,
) -> None:
    """Bring signed documents to the server: they count together, or wait for the bundle that they list."""
    from brakeline.releases import ceremony, ceremony_files

    first, *others = directories
    found = ceremony_files.read(first)
    for other in others:
        found = ceremony.merged(found, ceremony_files.read(other))
    standing = _standing(found)
    if not standing["complete"]:
        raise Conflict("; ".join(standing["signatures"]))
    answer = Client.from_context().post("/releases/metadata", dict(found.proposed))
    emit(answer, as_json, lambda: say("\n".join(answer["said"])))


def save(out: Annotated[Path, typer.Option(help="The file.")], as_json: Json = False) -> None:
    """Keep the signed documents in a file: what others adopt your releases by."""
    from brakeline.releases.ceremony_files import to_text

    present = _present(Client.from_context())
    out.write_text(to_text(present))
    emit({"file": str(out), "roots": len(present.roots)}, as_json, lambda: say(str(out)))


def _present(client: Client) -> Documents:
    from brakeline.releases.ceremony_files import documents_of

    return documents_of(client.get("/releases/documents"))


def _write(out: Path, made: Ceremony, as_json: bool) -> None:
    from brakeline.releases import ceremony, ceremony_files

    ceremony.check(made)
    ceremony_files.write(out, made)
    told = {"directory": str(out), "documents": {d: list(ceremony.words(made, d)) for d in made.proposed}}
    told |= _standing(made)
    emit(told, as_json, lambda: say("\n".join((*(f"{out / d}.json" for d in made.proposed), *told["signatures"]))))
    talk(f"Each holder, where the key is: brakeline release sign {out} --key NAME.pem")


def _standing(found: Ceremony) -> dict[str, Any]:
    from brakeline.releases import ceremony

    needs = [need for document in found.proposed for need in ceremony.needs(found, document)]
    return {"signatures": [ceremony.need_words(found, n) for n in needs], "complete": all(n.met for n in needs)}


def _pair(text: str) -> tuple[str, str]:
    role, equals, value = text.partition("=")
    if not equals or not role or not value:
        raise Invalid(f"{text[:60]!r} is not ROLE=VALUE")
    return role, value


def _number(role: str, text: str) -> int:
    if not text.isdecimal():
        raise Invalid(f"the threshold of {role} is a number, not {text[:20]!r}")
    return int(text)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
