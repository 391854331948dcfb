"""What is shown of the curated catalogue, and what of the past is no longer taken. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from brakeline.catalog.curated.adopting import needs
from brakeline.catalog.curated.drafting import before
from brakeline.catalog.curated.model import Adopted, Catalogue, Product, Vouching
from brakeline.catalog.decide import newest
from brakeline.catalog.model import Adoption, CatalogueDetail, CatalogueRow, OwnPackage
from brakeline.core.debversion import BadVersion, deb_key
from brakeline.protocol.software import Detection, Look

VOUCHES: Final = {
    Vouching.RELEASE: "OpenPGP over the vendor's own index; from there by SHA-256",
    Vouching.PACKAGE: "OpenPGP in the rpm",
    Vouching.SUMS: "OpenPGP over the vendor's list of SHA-256", Vouching.DETACHED: "OpenPGP over the file itself",
    Vouching.MINISIGN: "minisign (Ed25519) over the file itself",
    Vouching.PUBLISHER: "Authenticode, looked at on Windows before the installer is started; a published hash",
    Vouching.SAID: "a published hash alone",
}  # fmt: skip


def fits(product: Product, words: str) -> bool:
    """Whether every word is somewhere in what a person knows of it."""
    text = " ".join((product.name, product.title, product.vendor, product.about, product.platform)).lower()
    return all(word in text for word in words.lower().split())


def rows(
    catalogue: Catalogue, words: str, adoptions: Sequence[Adoption], entries: Iterable[OwnPackage]
) -> tuple[CatalogueRow, ...]:
    """The products that were searched for, by name."""
    standing = newest(entries)
    chosen = sorted((p for p in catalogue.products if fits(p, words)), key=lambda p: p.name)
    return tuple(row(p, adoptions, standing) for p in chosen)


def row(p: Product, adoptions: Sequence[Adoption], standing: Mapping[str, OwnPackage]) -> CatalogueRow:
    mine = [a.version for a in adoptions if a.product == p.name]
    entry = standing.get(p.package)
    return CatalogueRow(
        p.name, p.title, p.vendor, p.platform, p.about, p.licence, tuple(p.architectures), VOUCHES[p.trust.by],
        max(mine, key=key_of, default=""), entry.version if entry else "",
    )  # fmt: skip


def detail(
    catalogue: Catalogue, p: Product, adoptions: Sequence[Adoption], standing: Mapping[str, OwnPackage]
) -> CatalogueDetail:
    pre, first = before(p), next(iter(p.architectures))
    scripts = {"pre": pre, "install": p.install, "post": p.post, "uninstall": p.uninstall}
    return CatalogueDetail(
        row(p, adoptions, standing), p.homepage, p.note, seen(p.detection), VOUCHES[p.trust.by],
        p.trust.keys or ((p.trust.publisher,) if p.trust.publisher else ()), needs(p, first, "VERSION"),
        {step: s.text for step, s in scripts.items() if s is not None},
        tuple(a for a in adoptions if a.product == p.name), catalogue.edition, catalogue.origin,
    )  # fmt: skip


def seen(d: Detection) -> str:
    """How an endpoint sees which version is there."""
    return {
        Look.FILE: f"a line of {d.path} that fits {d.pattern}", Look.PATH: f"{d.path} is there",
        Look.DEB: f"dpkg's record of {d.package}", Look.RPM: f"rpm's record of {d.package}",
        Look.RECORD: "Brakeline's own record", Look.PROGRAM: f"the installed program {d.package}",
        Look.MSI: f"the MSI product {d.package}", Look.REGISTRY: f"the value {d.package} of {d.path}",
        Look.FILE_VERSION: f"the version of {d.path}",
    }[d.kind]  # fmt: skip


def replayed(adopted: Adopted, adoptions: Iterable[Adoption], *, newest_asked: bool, one_index: bool) -> str:
    """Why this is taken for something old that is shown again, "" = it is not. `one_index`: of all versions, so that
    an older one proves nothing; where each version has a signature of its own, an older one may be asked for."""
    mine = [a for a in adoptions if (a.product, a.architecture) == (adopted.product, adopted.architecture)]
    last = max((a.signed_ms for a in mine), default=0)
    if adopted.signed_ms and adopted.signed_ms < last and (newest_asked or one_index):
        return (
            "the vendor's signature is older than one that was seen here before: somebody shows an old list again, or "
            "your copy is old. Fetch it anew"
        )
    best = max((a.version for a in mine), key=key_of, default="")
    if newest_asked and best and key_of(adopted.version) < key_of(best):
        return (
            f"{best} was adopted here already, and the newest in this listing is {adopted.version}: it is an old one. "
            f"If you want {adopted.version} all the same, ask for it by name"
        )
    return ""


def key_of(version: str) -> bytes:
    try:
        return deb_key(version)
    except BadVersion:
        return b""
