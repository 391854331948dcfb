"""The words of bills of materials: components, bills, assets, what VEX says. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from brakeline.core.errors import Invalid

BILL_BYTES_MAX: Final = 48 * 1024 * 1024  # a large image's has 10 MB
VEX_BYTES_MAX: Final = 8 * 1024 * 1024
COMPONENTS_MAX: Final = 50_000
STATEMENTS_MAX: Final = 20_000
GROUP_ENDPOINTS_MAX: Final = 1_000  # of one bill of a group
TEXT_MAX: Final = 500
LEFT_OUT_SHOWN: Final = 50


class BadBill(Invalid):
    """The file cannot be taken in."""

    code = "bad-bill"
    hint = (
        "Taken are CycloneDX (JSON, 1.2 to 1.6), SPDX (2.2 and 2.3, 3.0 as JSON-LD) and, as VEX, OpenVEX, CycloneDX "
        "and SPDX 3.0."
    )


class Format(StrEnum):
    """What is written."""

    CYCLONEDX = "cyclonedx"  # 1.6, JSON
    SPDX = "spdx"  # 2.3, JSON
    SPDX3 = "spdx3"  # 3.0.1, JSON-LD


class VexFormat(StrEnum):
    """What is written of vulnerabilities alone; with a bill it is CycloneDX's or SPDX 3's own."""

    OPENVEX = "openvex"
    SPDX3 = "spdx3"  # 3.0.1, JSON-LD, profile security


class Kind(StrEnum):
    """What an imported bill describes."""

    IMAGE = "image"
    APPLIANCE = "appliance"
    APPLICATION = "application"
    OTHER = "other"


class Status(StrEnum):
    """What a VEX statement says, in OpenVEX's words."""

    NOT_AFFECTED = "not_affected"
    AFFECTED = "affected"
    FIXED = "fixed"
    INVESTIGATED = "under_investigation"


@dataclass(frozen=True, slots=True)
class Component:
    """One piece of software. `ecosystem`: "debian:12", "pypi"; "" = not known, and then it is not assessed."""

    name: str
    version: str
    ecosystem: str
    purl: str = ""
    source: str = ""
    source_version: str = ""
    module: str = ""
    architecture: str = ""
    owner: str = ""
    where: str = ""
    origin: str = ""
    endpoints: int = 1  # in a bill of a group: on how many


@dataclass(frozen=True, slots=True)
class Mention:
    """A vulnerability as a bill tells it: which component, where it stands, and why."""

    vulnerability: str
    purl: str
    status: Status
    justification: str = ""
    detail: str = ""
    fixed: str = ""


@dataclass(frozen=True, slots=True)
class Bill:
    """What is written. `gaps`: what is not known of the subject; a bill without them would look complete."""

    subject: str
    version: str
    made_ms: int
    components: tuple[Component, ...]
    gaps: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()
    kind: str = "device"  # as CycloneDX calls it: device | platform


@dataclass(frozen=True, slots=True)
class ReadBill:
    """What was read. `left_out`: components that cannot be assessed, and why; they are kept, not dropped."""

    format: str  # "CycloneDX 1.5"
    subject: str
    version: str
    serial: str
    made: str
    components: tuple[Component, ...]
    left_out: tuple[str, ...] = ()
    more_left_out: int = 0


@dataclass(frozen=True, slots=True)
class Statement:
    """One VEX statement. `products`: package URLs; without a version one speaks of every version."""

    vulnerability: str
    products: tuple[str, ...]
    status: Status
    justification: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReadVex:
    """A VEX file as it was read."""

    format: str
    author: str
    issued: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class VexDocument:
    """A VEX file that a person has taken in."""

    sha256: str
    file_name: str
    format: str
    author: str
    issued: str
    statements: int
    taken_ms: int
    taken_by: str
    reason: str
    withdrawn_ms: int = 0
    withdrawn_by: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A statement with its source, as it is shown beside a finding."""

    status: Status
    justification: str
    detail: str
    source: str  # "vendor-vex.json of Example GmbH, taken in by Anna"
    sha256: str


@dataclass(frozen=True, slots=True)
class Asset:
    """Something whose bill was imported: assessed like an endpoint, never changed. `ended`: by whom forgotten."""

    asset_id: str
    name: str
    kind: Kind
    version: str
    format: str
    file_name: str
    sha256: str
    serial: str
    made: str
    imported_ms: int
    imported_by: str
    components: int
    left_out: tuple[str, ...] = field(default=())
    more_left_out: int = 0
