"""Reads a curated catalogue strictly: an unknown key is an error, and so is whatever could not be adopted. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from brakeline.catalog.curated.minisign import is_key
from brakeline.catalog.curated.model import (
    CATALOGUE_BYTES_MAX,
    FORMAT,
    PRODUCTS_MAX,
    BadCatalogue,
    Catalogue,
    Form,
    Product,
    Source,
    Trust,
    Vouching,
)
from brakeline.protocol import codec
from brakeline.protocol.software import Artifact, Detection, Script, Software
from brakeline.protocol.software_rules import problem

FINGERPRINT: Final = re.compile(r"[0-9A-F]{40}")
EDITION: Final = re.compile(r"[0-9]{4}\.[0-9]{1,2}\.[0-9]{1,2}")
TEXT_CHARS_MAX: Final = 300
_ADDRESS: Final = re.compile(r"https://[A-Za-z0-9.\-]+/[!-~]{0,400}")
_HOLES: Final = re.compile(r"\{(.*?)\}")
OPENPGP: Final = (Vouching.RELEASE, Vouching.PACKAGE, Vouching.SUMS, Vouching.DETACHED)
FITS: Final = {  # which proof a form can have
    Form.APT: (Vouching.RELEASE,), Form.RPM: (Vouching.RELEASE, Vouching.PACKAGE), Form.SUMS: (Vouching.SUMS,),
    Form.FEED: (Vouching.DETACHED, Vouching.MINISIGN, Vouching.PUBLISHER, Vouching.SAID),
    Form.SCOOP: (Vouching.PUBLISHER, Vouching.SAID), Form.WINGET: (Vouching.PUBLISHER, Vouching.SAID),
    Form.NAMED: (Vouching.DETACHED, Vouching.MINISIGN),
}  # fmt: skip
NEEDED: Final = {  # addresses that a proof or a form cannot be without
    Vouching.RELEASE: ("index", "key"), Vouching.PACKAGE: ("key",), Vouching.SUMS: ("signature", "key"),
    Vouching.DETACHED: ("signature", "key"), Vouching.MINISIGN: ("signature",),
}  # fmt: skip
NESTED: Final = {"detection": Detection, "source": Source, "trust": Trust, "install": Script, "uninstall": Script,
                 "pre": Script, "post": Script}  # fmt: skip


def read(data: bytes, origin: str = "") -> Catalogue:
    """A whole edition. Raises `BadCatalogue` with the product and what is wrong with it."""
    plain = _parsed(data)
    _keys(plain, {"format", "edition", "products"}, "the catalogue")
    products, edition = plain.get("products"), plain.get("edition")
    if plain.get("format") != FORMAT or isinstance(plain["format"], bool):
        raise BadCatalogue(f"format is {str(plain.get('format'))[:20]!r}; this program understands {FORMAT}")
    if not isinstance(edition, str) or not EDITION.fullmatch(edition):
        raise BadCatalogue("edition is a day as 2026.11.27")
    if not isinstance(products, list) or not 0 < len(products) <= PRODUCTS_MAX:
        raise BadCatalogue(f"products is a list of 1 to {PRODUCTS_MAX}")
    found = tuple(_product(p, n) for n, p in enumerate(products, 1))
    names = [p.name for p in found]
    if double := sorted({n for n in names if names.count(n) > 1}):
        raise BadCatalogue(f"{double[0]} is there twice")
    return Catalogue(edition, found, origin)


def _parsed(data: bytes) -> dict[str, Any]:
    if len(data) > CATALOGUE_BYTES_MAX:
        raise BadCatalogue(f"{len(data)} bytes; at most {CATALOGUE_BYTES_MAX} are read")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise BadCatalogue(f"it is not JSON: {str(e)[:80]}") from None
    if not isinstance(plain, dict):
        raise BadCatalogue("it is no JSON object")
    return plain


def _product(plain: Any, number: int) -> Product:
    called = str(plain.get("name", f"product {number}"))[:60] if isinstance(plain, dict) else f"product {number}"
    if not isinstance(plain, dict):
        raise BadCatalogue(f"{called} is no JSON object")
    _keys(plain, {f.name for f in fields(Product)}, called)
    for name, kind in NESTED.items():
        if isinstance(plain.get(name), dict):
            _keys(plain[name], {f.name for f in fields(kind)}, f"{called}: {name}")
    try:
        found: Product = codec.from_plain(Product, plain, called)
    except codec.Malformed as e:
        raise BadCatalogue(e.detail) from None
    if wrong := next(filter(None, _problems(found)), ""):
        raise BadCatalogue(f"{called}: {wrong}")
    return found


def _keys(plain: dict[str, Any], known: set[str], where: str) -> None:
    if odd := sorted(set(plain) - known):
        raise BadCatalogue(f"{where} has a key {odd[0][:40]!r} that nobody knows; there are {', '.join(sorted(known))}")


def _problems(p: Product) -> Iterator[str]:
    yield problem(sample(p))  # what could be no own package is no product
    for what, text in (("about", p.about), ("licence", p.licence), ("vendor", p.vendor)):
        if not 0 < len(text) <= TEXT_CHARS_MAX or not text.isprintable():
            yield f"{what} is a line of 1 to {TEXT_CHARS_MAX} characters"
    if not p.architectures or not all(k and v for k, v in p.architectures.items()):
        yield "architectures names at least one, as people say it and as the vendor says it"
    yield _trust(p)
    yield from _source(p)


def sample(p: Product) -> Software:
    """An own package as this definition would make it, with what only the vendor's files say made up."""
    artifact = Artifact("artifact.bin", 1, "0" * 64, "https://vendor.example/artifact.bin")
    return Software(p.package, "1", p.title, p.detection, p.install, (p.platform,), p.vendor, artifact, p.pre, p.post,
                    p.uninstall)  # fmt: skip


def _trust(p: Product) -> str:
    t, s = p.trust, p.source
    if t.by not in FITS[s.form]:
        return f"a {s.form.value} listing is vouched for by {' or '.join(FITS[s.form])}, not by {t.by.value}"
    if t.by in OPENPGP and not (t.keys and all(FINGERPRINT.fullmatch(k) for k in t.keys)):
        return "trust.keys are fingerprints of the vendor's primary keys: 40 hex digits in capitals"
    if t.by is Vouching.MINISIGN and not (t.keys and all(map(is_key, t.keys))):
        return "trust.keys are minisign's public keys"
    if t.by not in (*OPENPGP, Vouching.MINISIGN) and t.keys:
        return f"trust.keys mean nothing where {t.by.value} vouches"
    if (t.by is Vouching.PUBLISHER) != bool(t.publisher):
        return "trust.publisher belongs to publisher, and only there"
    if t.by is Vouching.PUBLISHER and (p.platform != "windows" or p.pre is not None):
        return "a publisher is looked at on Windows, in the place of pre"
    return ""


def _source(p: Product) -> Iterator[str]:
    s = p.source
    for name in ("listing", "index", "signature", "key", "base", "artifact"):
        address = getattr(s, name)
        if address and not _ADDRESS.fullmatch(address):
            yield f"source.{name} is no https address"
        if odd := set(_HOLES.findall(address)) - {"version", "architecture"}:
            yield f"source.{name}: {sorted(odd)[0][:20]!r} is neither version nor architecture"
    if not s.listing and s.form is not Form.NAMED:
        yield "source.listing is missing: its address"
    for name in NEEDED.get(p.trust.by, ()):
        if not getattr(s, name) and not (p.trust.by is Vouching.RELEASE and name == "signature"):
            yield f"source.{name} is missing: {p.trust.by.value} needs it"
    if s.form is Form.RPM and p.trust.by is Vouching.RELEASE and not s.signature:
        yield "source.signature is missing: the address of repomd.xml.asc"
    if s.form in (Form.APT, Form.RPM) and not (s.base and s.product and s.listing):
        yield "source needs listing, base and product"
    if s.form in (Form.SUMS, Form.NAMED) and "{version}" not in s.artifact:
        yield "source.artifact is missing: its address with {version}"
    if s.form is Form.FEED:
        yield _feed(s)


def _feed(s: Source) -> str:
    """Either the version alone, and the artifact says the rest of itself, or everything."""
    said = set(s.paths)
    if said != {"version"} and not {"version", "url", "sha256"} <= said <= {"version", "url", "sha256", "bytes"}:
        return "source.paths of a feed say where its version is, alone or with url and sha256"
    if said == {"version"} and "{version}" not in s.artifact:
        return "source.artifact is missing: its address with {version}, because the feed says none"
    return ""
