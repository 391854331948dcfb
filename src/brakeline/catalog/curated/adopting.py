"""From a definition and the vendor's own files to a draft with a proof, or a refusal that says what to do. Pure.

The files come through a `Bench`, which also runs the tools; nothing is fetched. Order: is everything here that the
definition needs; is it signed by a pinned key; does what is signed name the listing; what is the newest version in it
for this architecture; is the artifact, where it is here, the one that is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Protocol

from brakeline.catalog.curated import drafting, minisign, openpgp, vouching
from brakeline.catalog.curated.model import Adopted, Form, NotListed, NotVouched, Product, Proof, Vouching
from brakeline.catalog.discovery import Found, Missing, feed, read
from brakeline.catalog.discovery.model import LISTING_BYTES_MAX, checked
from brakeline.core.debversion import BadVersion, deb_key
from brakeline.core.errors import Invalid

ARTIFACT_BYTES_MAX: Final = 256 * 1024 * 1024  # of one that is looked into as a whole
ROLES: Final = ("listing", "index", "signature", "key", "artifact")
FILE_CHARS_MAX: Final = 100
_ODD: Final = re.compile(r"%[0-9a-fA-F]{2}|[^A-Za-z0-9._+\-]")
ANY: Final = ("any", "all", "noarch")


class Bench(Protocol):
    """Where the vendor's files lie, and the tools that look at them."""

    def has(self, role: str) -> bool: ...
    def read(self, role: str, bytes_max: int) -> bytes: ...
    def measured(self, role: str) -> tuple[int, str]: ...  # bytes and SHA-256
    def gpgv(
        self, keys: bytes, signature: str, data: str = ""
    ) -> tuple[str, bytes]: ...  # status lines, what it covers
    def rpmkeys(self, keys: bytes, artifact: str) -> tuple[bool, str]: ...  # whether it is good, and what was said
    def rpm_called(self, artifact: str) -> tuple[str, str, str]: ...  # name, version and architecture, by its head


def needs(product: Product, architecture: str, version: str = "") -> dict[str, str]:
    """Which files adopting needs: their addresses by role."""
    s, by = product.source, product.trust.by
    wanted = {"listing": s.listing} if s.form is not Form.NAMED else {}
    if by is Vouching.RELEASE:
        wanted |= {"index": s.index, "key": s.key} | ({"signature": s.signature} if s.form is Form.RPM else {})
    elif by is Vouching.SUMS:
        wanted |= {"signature": s.signature, "key": s.key}
    elif by is Vouching.PACKAGE:
        wanted |= {"key": s.key, "artifact": s.artifact or f"{s.base}…, as the listing says"}
    elif by in (Vouching.DETACHED, Vouching.MINISIGN):
        wanted |= {"signature": s.signature, "artifact": s.artifact}
        wanted |= {"key": s.key} if by is Vouching.DETACHED else {}
    return {role: _filled(address, product, architecture, version) for role, address in wanted.items()}


def adopt(product: Product, architecture: str, version: str, bench: Bench, now_ms: int) -> Adopted:
    """The draft. `version` "" = the newest that the vendor names. Raises `Invalid`."""
    if architecture not in product.architectures:
        raise Invalid(f"{product.title} is there for {', '.join(product.architectures)}, not for {architecture[:20]!r}")
    for role, address in needs(product, architecture, version or "VERSION").items():
        if not bench.has(role):
            raise Invalid(f"the vendor's file for {role} is missing: fetch {address} and give it as {role}=FILE")
    proof = _proof(product, architecture, version, bench, now_ms)
    found = _found(product, architecture, version, bench)
    if bench.has("artifact"):
        found = _same(found, *bench.measured("artifact"))
    if product.trust.by is Vouching.PACKAGE:
        proof = _inside(product, found, bench)
    text, left = drafting.draft(product, found, _file(found.url))
    return Adopted(
        product.name, found.version, architecture, found.sha256, found.url, sentence(product, proof),
        proof.key if proof else "", proof.signed_ms if proof else 0, text, left,
    )  # fmt: skip


# --- what proves it --------------------------------------------------------------------------------------------------


def _proof(product: Product, architecture: str, version: str, bench: Bench, now_ms: int) -> Proof | None:
    """What is proven before anything is read; None = nothing can be, or only of the artifact."""
    by, pins = product.trust.by, product.trust.keys
    if by is Vouching.MINISIGN:
        file = _file(_found(product, architecture, version, bench).url)  # else an old one could be shown as the newest
        signature = bench.read("signature", minisign.TEXT_BYTES_MAX)
        return minisign.prove(bench.read("artifact", ARTIFACT_BYTES_MAX), signature, pins, file)
    if by not in (Vouching.RELEASE, Vouching.SUMS, Vouching.DETACHED):
        return None
    keys = openpgp.pinned_keys(bench.read("key", openpgp.KEYS_BYTES_MAX), pins)
    if by is Vouching.DETACHED:
        return openpgp.proven(bench.gpgv(keys, "signature", "artifact")[0], pins)
    if by is Vouching.SUMS:
        return openpgp.proven(bench.gpgv(keys, "signature", "listing")[0], pins)
    listing = bench.read("listing", LISTING_BYTES_MAX)
    if product.source.form is Form.RPM:
        proof = openpgp.proven(bench.gpgv(keys, "signature", "index")[0], pins)
        vouching.in_repomd(bench.read("index", vouching.INDEX_BYTES_MAX), listing)
        return proof
    status, covered = bench.gpgv(keys, "index")
    proof = openpgp.proven(status, pins, covered)
    vouching.in_release(proof.covers, place_of(product, architecture), listing, now_ms)
    return proof


def _inside(product: Product, found: Found, bench: Bench) -> Proof:
    """The rpm is signed, and is what the listing calls it: nobody has signed the listing."""
    key = _signer(product, bench)
    called = bench.rpm_called("artifact")
    if called != (product.source.product, found.version, found.architecture):
        raise NotVouched(
            f"the rpm calls itself {' '.join(called)[:120]}, and the listing calls it {product.source.product} "
            f"{found.version} {found.architecture}"
        )
    return Proof(key, 0)


def _signer(product: Product, bench: Bench) -> str:
    """Which of the pinned keys has signed the rpm: rpmkeys is asked about one after another."""
    data, said = bench.read("key", openpgp.KEYS_BYTES_MAX), ""
    for name, keys in openpgp.each_pinned(data, product.trust.keys):
        good, said = bench.rpmkeys(keys, "artifact")
        if good:
            return name
    raise NotVouched(f"the rpm is not signed by a key that the definition pins: {said[:200]}")


def place_of(product: Product, architecture: str) -> str:
    """Where the listing is below the signed index."""
    base = product.source.index.rpartition("/")[0] + "/"
    return _filled(product.source.listing, product, architecture, "").removeprefix(base)


def sentence(product: Product, proof: Proof | None) -> str:
    """What vouches for the artifact, for whoever signs the draft."""
    by = product.trust.by
    if by is Vouching.PUBLISHER:
        return (
            "A hash that was published beside it; on Windows its installer is started only if "
            f"{product.trust.publisher} has signed it."
        )
    if proof is None:
        return "A hash that was published beside it, and no signature: compare it with the vendor's by another way."
    what = {
        Vouching.RELEASE: "The vendor's signed index names it", Vouching.PACKAGE: "The rpm is signed by the vendor",
        Vouching.SUMS: "The vendor's signed list of sums names it", Vouching.DETACHED: "The vendor has signed it",
        Vouching.MINISIGN: "The vendor has signed it",
    }[by]  # fmt: skip
    return f"{what} (key {proof.key})."


# --- what is new -----------------------------------------------------------------------------------------------------


def _found(product: Product, architecture: str, version: str, bench: Bench) -> Found:
    s = product.source
    if s.form is Form.NAMED:
        if not version:
            raise Invalid(f"say which version this file of {product.title} is: the vendor's files do not")
        return _named(product, architecture, version, *bench.measured("artifact"))
    listing = bench.read("listing", LISTING_BYTES_MAX)
    if s.form is Form.SUMS:
        return _of_sums(product, architecture, version, listing)
    if s.form is Form.FEED and set(s.paths) == {"version"}:
        if not bench.has("artifact"):
            raise Invalid("the vendor's feed says no hash: give the artifact too, as artifact=FILE")
        said = version or feed.version_in(listing, s.paths["version"])
        return _named(product, architecture, said, *bench.measured("artifact"))
    found, missing = read(s.form.value, listing, s.product or product.name, s.paths, version)
    return _newest(product, architecture, version, found, missing)


def _newest(
    product: Product, architecture: str, version: str, found: Iterable[Found], missing: Iterable[Missing]
) -> Found:
    wanted = (product.architectures[architecture], *ANY)
    fits = [f for f in found if f.architecture in wanted and version in ("", f.version)]
    if not fits:
        why = next((f": {m.reason}" for m in missing), "")
        raise NotListed(f"the listing has no {version or 'version'} of {product.source.product or product.name} for "
                         f"{architecture}{why}")  # fmt: skip
    best = max(fits, key=lambda f: _key(f.version))
    if not best.url.startswith(("https://", "http://")):
        best = replace(best, url=product.source.base + best.url)
    return best


def _of_sums(product: Product, architecture: str, version: str, listing: bytes) -> Found:
    names = vouching.sums(listing)
    address = _filled(product.source.artifact, product, architecture, "{version}")
    beside = _filled(product.source.listing, product, architecture, "{version}").rpartition("/")[0] + "/"
    template = address.removeprefix(beside)  # as the list names it: from where the list itself lies
    versions = vouching.versions_in(names, template)
    versions = {v: name for v, name in versions.items() if version in ("", v)}
    if not versions:
        raise NotListed(f"the list of sums names no {template}" + (f" of version {version}" if version else ""))
    newest = max(versions, key=_key)
    found = checked(product.name, newest, architecture, address.replace("{version}", newest), names[versions[newest]])
    return _taken(found)


def _named(product: Product, architecture: str, version: str, size: int, sha256: str) -> Found:
    address = _filled(product.source.artifact, product, architecture, version)
    return _taken(checked(product.name, version, architecture, address, sha256, size))


def _taken(found: Found | Missing) -> Found:
    if isinstance(found, Missing):
        raise NotListed(found.reason)
    return found


def _same(found: Found, size: int, sha256: str) -> Found:
    """The artifact that is here is the one that was named; what the vendor does not say of it is measured."""
    if sha256 != found.sha256 or found.bytes not in (drafting.UNKNOWN, size):
        raise NotVouched(
            f"the artifact that you have is another file ({size} bytes, SHA-256 {sha256}) than the vendor names for "
            f"{found.version} ({found.sha256})"
        )
    return replace(found, bytes=size)


def _key(version: str) -> bytes:
    try:
        return deb_key(version)
    except BadVersion:
        return b""


def _filled(address: str, product: Product, architecture: str, version: str) -> str:
    said = product.architectures.get(architecture, architecture)
    return address.replace("{architecture}", said).replace("{version}", version)


def _file(url: str) -> str:
    """A plain name for the artifact: that of its address, without what no file name has (`~`, `%20`)."""
    return _ODD.sub("-", url.partition("?")[0].rpartition("/")[2])[-FILE_CHARS_MAX:].lstrip("-._+")
