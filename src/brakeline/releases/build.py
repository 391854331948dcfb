"""Builds a release: the bundle that is signed, its bill of materials, and the statement of what it was built from.

Invariants: the same source, version and sequence give the same bytes on any machine (no clock, no path, no umask, no
random number); what the bundle says of itself (`release.json`, `__version__`) is what was asked for. Next: `zipapp`.
"""

from __future__ import annotations

import hashlib
import json
import platform as host
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6

import brakeline
from brakeline.core.errors import Invalid
from brakeline.releases import contents, zipapp
from brakeline.releases.bundles import plain_tar
from brakeline.releases.model import CONTENT
from brakeline.trust import artifacts

ENTRY: Final = {"agent": ("@python", "-I", "agent.pyz"), "launcher": ("@python", "-I", "launcher.pyz"),
                CONTENT: contents.ENTRY}  # fmt: skip
PYTHON_NEEDED: Final = "3.11"
EPOCH: Final = datetime(1980, 1, 1, tzinfo=UTC)  # a bill of materials must name a time; this one is nobody's clock
BUILD_TYPE: Final = "https://brakeline.invalid/build/{}/v1"  # names how it was built; resolves to nothing
NAMESPACE: Final = uuid.UUID("6f2b8f5e-5d0a-5b0c-9b43-3d9f6a1d7c11")  # for serial numbers that follow from content


@dataclass(frozen=True, slots=True)
class Built:
    """A release, ready to be signed. `sbom` is CycloneDX 1.6, `provenance` an in-toto statement (SLSA v1)."""

    product: str
    version: str
    sequence: int
    platform: str
    bundle: bytes
    sha256: str
    sbom: str
    provenance: str

    @property
    def release_id(self) -> str:
        return f"{self.version}-{self.sha256[:12]}"


def build_release(
    product: str, version: str, sequence: int, platform: str = "any", package: Path | None = None
) -> Built:
    """The release of this very source (or of what is at `package`: a package, or for content a folder of files).

    `Invalid` for what no launcher would take.
    """
    if product not in ENTRY:
        raise Invalid(f"there is no product {product!r} to build; there are {', '.join(ENTRY)}")
    if product == CONTENT:
        files = contents.read_source(package or contents.default_source())
        return bundled(product, version, sequence, files, ENTRY[product], platform)
    program = zipapp.build(package, product, version)
    return bundled(product, version, sequence, {ENTRY[product][-1]: program}, ENTRY[product], platform,
                   zipapp.sources(product, version, package))  # fmt: skip


def bundled(
    product: str, version: str, sequence: int, files: Mapping[str, bytes], entry: tuple[str, ...],
    platform: str = "any", sources: Mapping[str, bytes] | None = None, python: str = "",
) -> Built:  # fmt: skip
    """A release of any files: a plain tar, names sorted, every mode, owner and time the same."""
    about = {"product": product, "version": version, "sequence": sequence, "platform": platform, "entry": list(entry)}
    text = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
    bundle = plain_tar({artifacts.ABOUT: text, **files})
    sha256 = hashlib.sha256(bundle).hexdigest()
    if not artifacts.is_release_id(f"{version}-{sha256[:12]}") or sequence < 0:
        raise Invalid(
            "a version begins with a digit and has letters, digits, dots and plus signs, at most 31", got=version
        )
    named, kind = dict(sources if sources is not None else files), "content" if product == CONTENT else "zipapp"
    return Built(
        product, version, sequence, platform, bundle, sha256,
        bill_of_materials(product, version, sha256, named, python),
        provenance(Subject(product, version, platform, sha256, build_type=BUILD_TYPE.format(kind)), named),
    )  # fmt: skip


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def bill_of_materials(product: str, version: str, sha256: str, sources: Mapping[str, bytes], python: str = "") -> str:
    """CycloneDX: the release, each of its files with its hash, and its Python: the version that it brings, or ""."""
    release = _component(f"brakeline-{product}", version, ComponentType.APPLICATION, sha256, f"brakeline-{product}")
    parts = [_component(n, "", ComponentType.FILE, _digest(data), f"file:{n}") for n, data in sorted(sources.items())]
    outside = "not part of the release: the endpoint's own interpreter with its standard library"
    interpreter = Component(
        name="python", version=python or f">={PYTHON_NEEDED}", type=ComponentType.PLATFORM, bom_ref="python",
        description="part of the release: its interpreter and the parts of its library" if python else outside,
    )  # fmt: skip
    needed = parts if product == CONTENT else [*parts, interpreter]
    bom = Bom(
        components=needed, serial_number=uuid.uuid5(NAMESPACE, sha256), version=1,
        dependencies=[Dependency(release.bom_ref, [Dependency(c.bom_ref) for c in needed])],
    )  # fmt: skip
    bom.metadata.component, bom.metadata.timestamp = release, EPOCH
    bom.metadata.supplier = OrganizationalEntity(name="Brakeline")
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _component(name: str, version: str, kind: ComponentType, sha256: str, ref: str) -> Component:
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=sha256)]
    return Component(name=name, version=version or None, type=kind, hashes=hashes, bom_ref=ref)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a provenance speaks of. `file`: its name, when it is no bundle."""

    product: str
    version: str
    platform: str
    sha256: str
    file: str = ""
    build_type: str = BUILD_TYPE.format("zipapp")


def provenance(subject: Subject, sources: Mapping[str, bytes]) -> str:
    """in-toto Statement v1 with SLSA provenance v1: what was built, of which sources, by what. Nobody's time."""
    materials: list[dict[str, Any]] = [
        {"uri": f"file:{name}", "digest": {"sha256": _digest(data)}} for name, data in sorted(sources.items())
    ]
    commit = _commit()
    if commit:
        materials.insert(0, {"uri": "git+brakeline", "digest": {"gitCommit": commit}})
    parameters = {"product": subject.product, "version": subject.version, "platform": subject.platform}
    file = subject.file or f"brakeline-{subject.product}-{subject.version}-{subject.platform}.tar"
    builder = {"id": f"brakeline {brakeline.__version__}", "version": {"python": host.python_version()}}
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": file, "digest": {"sha256": subject.sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": subject.build_type, "externalParameters": parameters, "resolvedDependencies": materials,
            },
            "runDetails": {"builder": builder},
        },
    }  # fmt: skip
    return json.dumps(statement, indent=1, sort_keys=True) + "\n"


def _commit() -> str:
    """The commit of a clean checkout that this source lies in; "" = none, or it was changed since."""
    here = Path(brakeline.__file__).parent
    try:
        dirty = subprocess.run(
            ["git", "-C", str(here), "status", "--porcelain", "--", "."],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        head = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return "" if dirty.stdout.strip() else head.stdout.strip()


if __name__ == "__main__":  # `PRODUCT VERSION SEQUENCE`: the bundle to standard output, for `shipping`
    sys.stdout.buffer.write(build_release(sys.argv[1], sys.argv[2], int(sys.argv[3])).bundle)
