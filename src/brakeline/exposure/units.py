"""Which unit an installed package is judged as, or why it is not judged at all. Pure.

Each rule answers a known class of false alarms or misses:
- the vendor's data speaks only of the vendor's packages; what a third party built is *not assessed*, by the origin
  of the installed version and never by its name (a newer-looking version of nodejs from elsewhere is another line);
- a version that no repository has any more keeps its vendor: it is what a superseded security update looks like;
- backports are another line of versions than the release that the advisories speak of;
- `-signed` sources are mapped to the source that was signed, else linux-image would be missed while linux-libc-dev
  is shown;
- binaries of the kernel's source carry its version but do not run it: `kernels`;
- a language's metadata whose files a system package owns (egg-info inside a deb) is that package, and is judged there;
- a vendor that names sources in one place and packages in another (SUSE, Red Hat) is asked by both names;
- packages of a registry are judged by the registry's own advisories, whatever system they lie on.
"""

from __future__ import annotations

import re

from brakeline.advisories.ecosystems import SYSTEMS, canonical, name_of, names_binaries, names_both, order_of
from brakeline.exposure import kernels
from brakeline.exposure.model import Installed, NotAssessed, Role, Unit
from brakeline.exposure.streams import stream_of

# The vendor's own names for its repositories, as each package manager tells them: a label of apt, an id of dnf (of
# "anaconda", the installer, too), a vendor tag of rpm, a repository of pacman. pip and npm say no more than that it was
# them: they do not keep from which index a package came.
_RED_HAT_REPOSITORIES = frozenset((
    "anaconda", "baseos", "appstream", "crb", "powertools", "extras", "highavailability", "resilientstorage", "nfv",
    "rt", "sap", "saphana",
))  # fmt: skip
VENDOR_ORIGINS = {
    "debian": frozenset(("Debian", "Debian-Security")),
    "ubuntu": frozenset(("Ubuntu",)),
    "almalinux": frozenset(("AlmaLinux", "AlmaLinux OS Foundation")) | _RED_HAT_REPOSITORIES,
    "rocky": frozenset(("Rocky", "Rocky Linux", "Rocky Enterprise Software Foundation")) | _RED_HAT_REPOSITORIES,
    "rhel": frozenset(("Red Hat", "Red Hat, Inc.")),
    "fedora": frozenset(("Fedora", "Fedora Project", "fedora", "updates", "anaconda")),
    "opensuse-leap": frozenset(("openSUSE", "SUSE LLC <https://www.suse.com/>")),
    "opensuse-tumbleweed": frozenset(("openSUSE",)),
    "sles": frozenset(("SUSE", "SUSE LLC <https://www.suse.com/>")),
    "alpine": frozenset(("Alpine", "Alpine Linux")),
    "arch": frozenset(("Arch", "Arch Linux", "core", "extra", "multilib")),
    "pypi": frozenset(("PyPI", "pip")),
    "npm": frozenset(("npm",)),
}
BACKPORT_MARK = "~bpo"
_CARRIER_ENDINGS = {"deb": ("-doc", "-dbgsym", "-dbg"), "rpm": ("-doc", "-debuginfo", "-debugsource"), "apk": ("-doc",)}

# signed source -> (unsigned source, does its version begin with a template counter "1+").
# The signing templates of these sources write the unsigned version with "+" for "-" (Debian's secure boot process).
_SIGNED = (
    (re.compile(r"linux-signed-\w+"), "linux", False),
    (re.compile(r"grub-efi-\w+-signed"), "grub2", True),
    (re.compile(r"shim-helpers-\w+-signed"), "shim", True),
    (re.compile(r"fwupd-\w+-signed"), "fwupd-efi", False),
    (re.compile(r"systemd-boot-efi-\w+-signed"), "systemd", False),
)
_SHIM_IN_SHIM_SIGNED = re.compile(r"\+([0-9]+(?:\.[0-9]+)*-.+)$")  # 1.44~1+deb12u1+15.8-1~deb12u1


def is_installed(state: str) -> bool:
    """Whether files of the package are there to run: dpkg's second letter, "n" and "c" mean that none is."""
    return state[1:2] not in ("n", "c")


def ecosystem_of(item: Installed, ecosystem: str) -> str:
    """The canonical ecosystem that `item` is judged in; `ecosystem` is the system's, "debian:12"."""
    return canonical(ecosystem if not item.ecosystem or item.ecosystem in SYSTEMS else item.ecosystem)


def unit_of(item: Installed, ecosystem: str) -> Unit | NotAssessed:
    """The unit that `item` is judged as on a system of `ecosystem` ("debian:12")."""
    if item.owner:
        return _not(item, "owned", f"its files belong to the package {item.owner}, which is judged in its place")
    own = ecosystem_of(item, ecosystem)
    vendor, order = own.partition(":")[0], order_of(own)
    if not order:
        return _not(item, "no_order", f"how {own} orders its versions is not known here")
    if item.ecosystem in SYSTEMS and item.ecosystem != order:
        return _not(item, "other_manager", f"a package of {item.ecosystem}: advisories of {own} do not speak of it")
    if "backports" in item.origin.lower() or BACKPORT_MARK in item.source_version:
        return _not(item, "other_lineage", f"a backport: advisories of {own} speak of another line of versions")
    if item.origin and item.origin not in VENDOR_ORIGINS.get(vendor, frozenset()):
        return _not(item, "third_party", f"comes from {item.origin}: the advisories of {vendor} do not speak of it")
    if order == "deb" and "-signed" in item.source:
        return _signed(item, own)
    if names_binaries(own):
        return Unit(own, item.package, item.version, stream_of(item.module))
    module = stream_of(item.module) if item.module else ""
    return Unit(own, item.source if order in SYSTEMS else name_of(own, item.source), item.source_version, module)


def also_as(item: Installed, unit: Unit) -> Unit | None:
    """The unit that `item` is judged as beside `unit`, where the vendor's advisories name both sources and packages."""
    if not names_both(unit.ecosystem):
        return None
    if names_binaries(unit.ecosystem):
        other = unit._replace(source=item.source, version=item.source_version)
    else:
        other = unit._replace(source=item.package, version=item.version)
    return other if other.source != unit.source else None


def _signed(item: Installed, ecosystem: str) -> Unit | NotAssessed:
    mapped = unsigned(item.source, item.source_version, item.version)
    if mapped is None:
        return _not(item, "unmapped_source", f"which source {item.source} {item.source_version} signs is not known")
    return Unit(ecosystem, *mapped)


def _not(item: Installed, code: str, reason: str) -> NotAssessed:
    return NotAssessed(item.package, item.version, code, reason)


def unsigned(source: str, source_version: str, version: str) -> tuple[str, str] | None:
    """(source, version) that a `-signed` source was made of; None if its name or version says nothing known."""
    if source == "shim-signed":
        inner = _SHIM_IN_SHIM_SIGNED.search(version)
        return ("shim", inner[1]) if inner else None
    for pattern, unsigned_source, counted in _SIGNED:
        if pattern.fullmatch(source):
            text = source_version
            if counted:
                counter, _, text = text.partition("+")
                if not counter.isdigit():
                    return None
            head, plus, tail = text.partition("+")
            return (unsigned_source, text if "-" in text or not plus else f"{head}-{tail}")
    return None


def role_of(item: Installed, unit: Unit, kernel: str) -> Role:
    """Whether `item`, judged as `unit`, can run what it carries; `kernel` = `uname -r`, "" = not known."""
    order = order_of(unit.ecosystem)
    if kernels.is_of_kernel(unit.source, order) or (
        item.source != unit.source and kernels.is_of_kernel(item.source, order)
    ):
        image = kernels.is_image(item.package, order)
        return Role.ACTIVE if image and (not kernel or kernels.runs(item, kernel, order)) else Role.CARRIER
    return Role.CARRIER if item.package.endswith(_CARRIER_ENDINGS.get(order, ())) else Role.ACTIVE
