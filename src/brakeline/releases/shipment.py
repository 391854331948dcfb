"""One call for every format of the endpoint side: the file, its bill of materials, its provenance."""

from __future__ import annotations

import hashlib
import platform as host
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.releases import deb, onedir, rpm
from brakeline.releases.build import BUILD_TYPE, Subject, bill_of_materials, provenance
from brakeline.releases.packages import Package, endpoint_package

FORMATS: Final = {"deb": deb, "rpm": rpm}


@dataclass(frozen=True, slots=True)
class Shipment:
    """`files`: the thing itself first, then what is said about it. `release_id`: of the agent inside."""

    release_id: str
    sha256: str
    files: dict[str, bytes]


def shipment(version: str, sequence: int, format_: str, *, private: bool = False) -> Shipment:
    """Built from this very source. `Invalid` or a `Fault` of the tool that is missing, in words."""
    if format_ == "onedir":
        return _release(version, sequence)
    if format_ not in FORMATS:
        raise Invalid(f"there is no format {format_!r}; there are onedir, {', '.join(FORMATS)}")
    python = onedir.interpreter() if private else None
    package = endpoint_package(version, sequence, python, onedir.machine() if private else "")
    return _package(package, format_, host.python_version() if private else "")


def _release(version: str, sequence: int) -> Shipment:
    built = onedir.agent_release(version, sequence)
    stem = f"brakeline-agent-{built.release_id}-{built.platform}"
    files = {f"{stem}.tar": built.bundle, f"{stem}.cdx.json": built.sbom.encode(),
             f"{stem}.intoto.json": built.provenance.encode()}  # fmt: skip
    return Shipment(built.release_id, built.sha256, files)


def _package(package: Package, format_: str, python: str) -> Shipment:
    data, name = FORMATS[format_].build(package), FORMATS[format_].file_name(package)
    digest = hashlib.sha256(data).hexdigest()
    sources = {path: file.data for path, file in package.files.items()}
    bill = bill_of_materials(f"agent-{format_}", package.version, digest, sources, python)
    subject = Subject(
        f"agent-{format_}", package.version, package.machine or "any", digest, name, BUILD_TYPE.format(format_)
    )
    stated = provenance(subject, sources)
    return Shipment(
        package.seed, digest, {name: data, f"{name}.cdx.json": bill.encode(), f"{name}.intoto.json": stated.encode()}
    )
