"""What authors of own packages do, without a server: look, sign, name authors for endpoints, ask what vendors have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from brakeline.catalog.discovery import Found, read
from brakeline.catalog.discovery.model import LISTING_BYTES_MAX
from brakeline.cli.client import Client
from brakeline.cli.faults import BadUsage, CannotRead
from brakeline.cli.output import Json, emit, pairs, say, table, talk
from brakeline.cli.release_keys import secret
from brakeline.core.debversion import BadVersion, deb_key
from brakeline.protocol.codec import to_plain
from brakeline.protocol.software import (
    SOFTWARE_CONTEXT,
    BadSoftware,
    Document,
    Signature,
    read_package,
    write,
)
from brakeline.protocol.software import read as read_document
from brakeline.protocol.software_rules import problem
from brakeline.protocol.trusted_authors import genuine, read_authors

PACKAGE_BYTES_MAX = 2 * LISTING_BYTES_MAX


def read_file(path: Path, bytes_max: int = PACKAGE_BYTES_MAX) -> bytes:
    """A file, if it is there and not larger than anything that is read."""
    try:
        if path.stat().st_size > bytes_max:
            raise CannotRead(f"{path} has {path.stat().st_size} bytes; at most {bytes_max} are read")
        return path.read_bytes()
    except OSError as e:
        raise CannotRead(f"{path}: {e.strerror}") from None


def document_of(data: bytes) -> Document:
    """A signed package, or one that nobody has signed yet. Raises `BadSoftware` for what makes no sense."""
    try:
        signed = isinstance(json.loads(data), dict) and "signatures" in json.loads(data)
    except (ValueError, RecursionError):
        signed = False
    found = read_document(data) if signed else Document(data.decode("utf-8", "replace"), read_package(data))
    if wrong := problem(found.software):
        raise BadSoftware(wrong)
    return found


def check(
    file: Annotated[Path, typer.Argument(help="A package, signed or not.")],
    payload: Annotated[Path | None, typer.Option(help="Its artifact: is it the file that the package names?")] = None,
    as_json: Json = False,
) -> None:
    """Does the package make sense? Says what is wrong and what to do; asks no server."""
    found = document_of(read_file(file))
    s = found.software
    if payload is not None:
        _same(found, payload)
    good = [x.key for x in found.signatures if genuine(found.text, x.key, x.signature)]
    bad = [x.key for x in found.signatures if x.key not in good]
    told = {"name": s.name, "version": found.version, "scripts": list(s.scripts), "signed_by": good, "not_genuine": bad}

    def human() -> None:
        pairs({
            "name": s.name, "version": found.version, "artifact": s.artifact.file if s.artifact else "none: a script",
            "scripts": ", ".join(s.scripts), "detection": s.detection.kind.value,
            "signed by": ", ".join(good) or "nobody yet: brakeline software sign FILE --key KEY.pem",
        })  # fmt: skip
        if bad:
            talk(f"not genuine: {', '.join(bad)}: the text was changed after it was signed, or it is not their key")

    emit(told, as_json, human)


def _same(found: Document, payload: Path) -> None:
    import hashlib

    data, artifact = read_file(payload), found.software.artifact
    said = (artifact.bytes, artifact.sha256) if artifact else (0, "")
    have = (len(data), hashlib.sha256(data).hexdigest())
    if said != have:
        raise BadSoftware(
            f"{payload} has {have[0]} bytes and the SHA-256 {have[1]}; the package says {said[0]}, {said[1]}"
        )


def sign(
    file: Annotated[Path, typer.Argument(help="A package, or one that others have signed already.")],
    key: Annotated[Path, typer.Option(help="NAME.pem of `brakeline release keygen`.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where the signed package goes; else FILE.")] = None,
    as_json: Json = False,
) -> None:
    """Sign a package as its author, after reading it. The key never leaves this machine."""
    from brakeline.releases.keys import public_hex, read_pem

    found = document_of(read_file(file))
    signer = read_pem(key, secret)
    mine = public_hex(signer.public_key)
    made = signer.sign(SOFTWARE_CONTEXT + found.text.encode()).signature
    others = tuple(s for s in found.signatures if s.key != mine)
    signed = Document(found.text, found.software, (*others, Signature(key.stem[:40], mine, made)))
    target = out or file
    target.write_bytes(write(signed))
    told = {"file": str(target), "version": signed.version, "signatures": len(signed.signatures)}
    emit(told, as_json, lambda: say(f"{target}: {found.software.name} {signed.version}, {len(others) + 1} signatures"))


def authors(
    public: Annotated[list[Path], typer.Argument(help="NAME.pub of each author.")],
    needed: Annotated[int, typer.Option(help="How many of them must have signed.")] = 2,
    as_json: Json = False,
) -> None:
    """Print `authors.json`, for root of the endpoints: whose packages may run there."""
    keys: dict[str, str] = {}
    for path in public:
        words = read_file(path, 4096).decode("utf-8", "replace").split()
        if len(words) < 2 or words[0] != "ed25519":
            raise CannotRead(f"{path} is no public key as `release keygen` writes it: ed25519 HEX NAME")
        keys[words[2] if len(words) > 2 else path.stem] = words[1]
    text = json.dumps({"authors": keys, "needed": needed}, indent=2)
    if wrong := read_authors(text.encode()).problem:
        raise BadUsage(wrong.partition("authors.json ")[2] or wrong)
    emit(json.loads(text), as_json, lambda: say(text))
    talk("On each endpoint, as root: /etc/brakeline/authors.json, mode 0644. No order and no policy can write it.")


def discover(
    form: Annotated[str, typer.Argument(help="scoop, winget, feed, apt or rpm.")],
    file: Annotated[Path, typer.Argument(help="Manifest, feed, Packages, primary.xml; also .gz .xz .zst.")],
    name: Annotated[str, typer.Option(help="Only this product.")] = "",
    path: Annotated[
        list[str] | None, typer.Option(help="Of a feed: version=releases.0.version, url=…, sha256=….")
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Print the package to be completed, for one product.")] = False,
    newer: Annotated[bool, typer.Option("--newer", help="Only what the catalogue has in an older version.")] = False,
    as_json: Json = False,
) -> None:
    """What a vendor says is the newest version, with its artifact and hash. Fetches nothing, changes nothing."""
    paths = {key: where for key, _, where in (p.partition("=") for p in path or ())}
    found, missing = read(form, read_file(file), name, paths)
    if newer:
        have = {e["name"]: e["version"] for e in _standing()}
        found = tuple(f for f in found if is_newer(f.version, have.get(package_name(f.name), "")))
        missing = tuple(m for m in missing if package_name(m.name) in have)
    if draft:
        if len(found) != 1:
            raise BadUsage(f"a draft is of one product for one architecture, and these are {len(found)}: narrow it")
        say(json.dumps(_draft(found[0]), indent=2))
        return
    rows = [(f.name, f.version, f.architecture, f.bytes or "not said", f.sha256[:12], f.url) for f in found]
    told = {"items": [to_plain(f) for f in found], "missing": [to_plain(m) for m in missing]}

    def human() -> None:
        table(["name", "version", "for", "bytes", "sha256", "artifact"], rows, "Nothing that could be taken.")
        for m in missing[:20]:
            talk(f"not taken: {m.name}: {m.reason}")
        if len(missing) > 20:
            talk(f"not taken: {len(missing) - 20} more (--json names them)")

    emit(told, as_json, human)


def package_name(product: str) -> str:
    """What a vendor's product would be called as an own package."""
    known = "abcdefghijklmnopqrstuvwxyz0123456789.-"
    return "".join(c if c in known else "-" for c in product.lower()).strip("-.")[:63]


def is_newer(version: str, than: str) -> bool:
    """As own packages are compared; what the catalogue does not have, or nobody can compare, is not newer."""
    try:
        return bool(than) and deb_key(version) > deb_key(than)
    except BadVersion:
        return False


def _standing() -> list[dict[str, Any]]:
    """Of each name of the catalogue the newest version that is not withdrawn."""
    found: dict[str, dict[str, Any]] = {}
    for e in Client.from_context().get("/own-packages")["items"]:
        if not e["withdrawn_ms"] and (e["name"] not in found or is_newer(e["version"], found[e["name"]]["version"])):
            found[e["name"]] = e
    return list(found.values())


def _draft(found: Found) -> dict[str, Any]:
    """What is known, and in words what a person has to say. It makes no sense before that, and `check` says so."""
    return {
        "name": package_name(found.name), "version": found.version, "title": found.name,
        "platforms": ["SAY: linux or windows"],
        "detection": {"kind": "file", "path": "SAY: /opt/…/VERSION", "pattern": "SAY: version=([0-9.]+)"},
        "artifact": {"file": found.url.rpartition("/")[2], "bytes": found.bytes, "sha256": found.sha256,
                     "url": found.url},
        "install": {"interpreter": "sh", "text": "SAY: how it is installed without a question"},
        "uninstall": {"interpreter": "sh", "text": "SAY: how it goes again, or leave it out"},
    }  # fmt: skip
