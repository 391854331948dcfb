"""Which unit an installed package is judged as, or why it is not judged at all. Pure.

Each rule answers a known class of false alarms or misses:
- the vendor's data speaks only of the vendor's packages; what a third party built is *not assessed*, by the origin
  of the installed version and never by its name (a newer-looking version of nodejs from elsewhere is another line);
- a version that no repository has any more keeps its vendor: it is what a superseded security update looks like;
- backports are another line of versions than the release that the advisories speak of;
- `-signed` sources are mapped to the source that was signed, else linux-image would be missed while linux-libc-dev
  is shown;
- binaries of the kernel's source carry its version but do not run it; the kernel is the image that `uname -r` names.
"""

from __future__ import annotations

import re

from brakeline.exposure.model import Installed, NotAssessed, Role, Unit

VENDOR_ORIGINS = {"debian": frozenset(("Debian", "Debian-Security"))}
BACKPORT_MARK = "~bpo"
KERNEL_SOURCES = frozenset(("linux",))
KERNEL_IMAGE = "linux-image-"
_CARRIER_ENDINGS = ("-doc", "-dbgsym", "-dbg")

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


def unit_of(item: Installed, ecosystem: str) -> Unit | NotAssessed:
    """The unit that `item` is judged as in `ecosystem` ("debian:12")."""
    vendor = ecosystem.partition(":")[0]
    known = VENDOR_ORIGINS.get(vendor, frozenset())
    lineage = "backports" in item.origin.lower() or BACKPORT_MARK in item.source_version
    if lineage:
        return _not(item, "other_lineage", f"a backport: advisories of {ecosystem} speak of another line of versions")
    if item.origin and item.origin not in known:
        return _not(item, "third_party", f"comes from {item.origin}: the advisories of {vendor} do not speak of it")
    if "-signed" not in item.source:
        return Unit(ecosystem, item.source, item.source_version)
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


def role_of(package: str, source: str, kernel: str) -> Role:
    """Whether a package of `source` (unsigned name) can run what it carries; `kernel` = `uname -r`, "" = not known."""
    if source in KERNEL_SOURCES:
        image = package.removeprefix(KERNEL_IMAGE).removesuffix("-unsigned")  # headers and tools are never the kernel
        return Role.ACTIVE if image == kernel or (not kernel and image[:1].isdigit()) else Role.CARRIER
    return Role.CARRIER if package.endswith(_CARRIER_ENDINGS) else Role.ACTIVE


def running_kernel_missing(items: list[Installed], kernel: str) -> NotAssessed | None:
    """A gap that must be said: kernel images are installed, the running kernel is of none of them."""
    images = {i.package for i in items if i.package.startswith(KERNEL_IMAGE) and i.package[len(KERNEL_IMAGE)].isdigit()}
    if not kernel or not images or images & {KERNEL_IMAGE + kernel, KERNEL_IMAGE + kernel + "-unsigned"}:
        return None
    reason = f"the running kernel {kernel} belongs to no installed package: whether it is vulnerable is not known"
    return NotAssessed(KERNEL_IMAGE + kernel, kernel, "running_kernel_unknown", reason)
