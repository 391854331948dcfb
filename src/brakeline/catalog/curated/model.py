"""The words of the curated catalogue. Frozen, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.protocol.software import Detection, Script

FORMAT: Final = 1
CATALOGUE: Final = "catalogue.json"  # its name inside content
CATALOGUE_BYTES_MAX: Final = 1024 * 1024
PRODUCTS_MAX: Final = 1000


class BadCatalogue(Invalid):
    """This is no curated catalogue that could be taken."""

    code = "bad-catalogue"
    hint = "The page of the curated catalogue says what each key means."


class NotVouched(Invalid):
    """The vendor's files do not prove what they say."""

    code = "not-vouched"
    hint = (
        "Nothing was taken over. Fetch the files anew from the vendor; if it stays so, ask the vendor by another way."
    )


class NotListed(Invalid):
    """The vendor's listing does not have this."""

    code = "not-listed"
    hint = "Is it the listing that the definition names, and of this architecture? Nothing was taken over."


class Vouching(StrEnum):
    """What proves that an artifact is the vendor's."""

    RELEASE = "release"  # OpenPGP over the repository's own index (InRelease, repomd.xml.asc); from there by SHA-256
    PACKAGE = "package"  # OpenPGP inside the rpm itself
    SUMS = "sums"  # OpenPGP over a list of SHA-256
    DETACHED = "detached"  # OpenPGP over the artifact
    MINISIGN = "minisign"  # Ed25519 over the artifact
    PUBLISHER = "publisher"  # Authenticode, looked at on Windows before the installer is started
    SAID = "said"  # nothing but a hash that somebody has published


class Form(StrEnum):
    """How the vendor says what is new."""

    APT = "apt"
    RPM = "rpm"
    SUMS = "sums"  # names of files in a list of SHA-256
    FEED = "feed"
    SCOOP = "scoop"
    WINGET = "winget"
    NAMED = "named"  # a person says the version; the artifact proves itself


@dataclass(frozen=True, slots=True)
class Source:
    """Where the vendor's files are. `{version}` and `{architecture}` stand for what was found and chosen."""

    form: Form
    listing: str = ""  # address of Packages, primary.xml, the sums, the feed, the manifest
    index: str = ""  # of InRelease or repomd.xml
    signature: str = ""  # of a signature that lies beside
    key: str = ""  # of the vendor's public keys
    product: str = ""  # its name in the listing
    base: str = ""  # in front of what an index names
    artifact: str = ""  # the artifact's own address, where the listing has none
    paths: dict[str, str] = field(default_factory=dict)  # of a feed


@dataclass(frozen=True, slots=True)
class Trust:
    """Who vouches. `keys`: OpenPGP fingerprints of the vendor's primary keys, or minisign's public keys."""

    by: Vouching
    keys: tuple[str, ...] = ()
    publisher: str = ""  # the subject of an Authenticode certificate


@dataclass(frozen=True, slots=True)
class Product:
    """One product on one platform."""

    name: str
    title: str
    vendor: str
    homepage: str
    licence: str
    about: str  # one line
    platform: str
    architectures: dict[str, str]  # as people say it -> as the vendor says it
    detection: Detection
    source: Source
    trust: Trust
    install: Script
    uninstall: Script
    pre: Script | None = None
    post: Script | None = None
    note: str = ""  # what whoever adopts it should know

    @property
    def package(self) -> str:
        """As an own package is called."""
        return self.name


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One edition. `origin`: where it came from, in words."""

    edition: str
    products: tuple[Product, ...]
    origin: str = ""

    def find(self, name: str) -> Product | None:
        return next((p for p in self.products if p.name == name), None)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proven of a signature."""

    key: str  # the pinned one
    signed_ms: int  # when the vendor signed, by the vendor's own clock; 0 = it does not say
    covers: bytes = b""  # what was really signed, where the signature holds its text


@dataclass(frozen=True, slots=True)
class Adopted:
    """A draft of an own package with what was proven about its artifact."""

    product: str
    version: str
    architecture: str
    sha256: str
    url: str
    vouched: str  # a sentence
    key: str  # "" = nobody has signed
    signed_ms: int
    package: str  # the draft's text
    left: tuple[str, ...] = ()  # what a person has yet to say
