"""Which installed package is the kernel that runs, in each family of systems. Pure.

Invariants: a kernel's CVEs are open where its *image* runs; headers, tools, documents, metapackages and images that do
not run carry the version without running it. `uname -r` decides; where it is not known, every image is taken to run,
because accusing too many kernels is better than none. What `uname -r` says of an image differs by family:

    deb   linux-image-6.1.0-40-amd64                 6.1.0-40-amd64
    rpm   kernel-core 5.14.0-427.el9 x86_64          5.14.0-427.el9.x86_64 (+rt, +64k)
          kernel-default 6.4.0-150600.23.7.1         6.4.0-150600.23.7-default
    apk   linux-lts 6.6.31-r0                        6.6.31-0-lts
    alpm  linux 6.9.1.arch1-1                        6.9.1-arch1-1
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from brakeline.exposure.model import Installed, NotAssessed

DEB_IMAGE: Final = "linux-image-"
# Patterns as text: `re` compiles those of one family when they are first asked, and one run asks one family.
_SOURCES: Final = {
    "deb": r"linux",
    "rpm": r"kernel(-rt|-64k|-uek|-default|-azure)?",
    "apk": r"linux-(lts|virt|edge|stable|rpi[0-9]*)",
    "alpm": r"linux(-lts|-zen|-hardened|-rt|-rt-lts)?",
}
_IMAGES: Final = {
    "deb": r"linux-image-[0-9].*",
    "rpm": r"kernel(-rt|-64k|-uek)?(-core)?|kernel-(default|azure)(-base)?",
    "apk": _SOURCES["apk"],
    "alpm": _SOURCES["alpm"],
}
_SUFFIX: Final = r"\+(rt|64k|debug|64k-debug|rt-debug)$"


def is_of_kernel(source: str, order: str) -> bool:
    """Whether packages of `source` carry the version of a kernel."""
    form = _SOURCES.get(order)
    return form is not None and source[:1] == form[0] and re.fullmatch(form, source) is not None


def is_image(package: str, order: str) -> bool:
    """Whether a package of a kernel's source is a kernel that can be started."""
    form = _IMAGES.get(order)
    return form is not None and package[:1] == form[0] and re.fullmatch(form, package) is not None


def draws_image(package: str, order: str) -> bool:
    """Whether an update of this package brings a kernel: an image, or the metapackage that depends on the newest."""
    return is_image(package, order) or (order == "deb" and package.startswith(DEB_IMAGE))


def runs(item: Installed, kernel: str, order: str) -> bool:
    """Whether `kernel` (`uname -r`) is this image."""
    if order == "deb":
        return item.package.removeprefix(DEB_IMAGE).removesuffix("-unsigned") == kernel
    version = item.version.partition(":")[2] or item.version
    if order == "rpm":
        flavour = item.package.removeprefix("kernel-").removesuffix("-base")
        bare = kernel.removesuffix(f"-{flavour}")
        if bare != kernel:
            return version == bare or version.startswith(f"{bare}.")
        return re.sub(_SUFFIX, "", kernel) == f"{version}.{item.architecture}"
    if order == "apk":
        return kernel == version.replace("-r", "-") + item.package.removeprefix("linux")
    flavour = item.package.removeprefix("linux")
    return kernel.removesuffix(flavour).replace("-", ".") == version.replace("-", ".")


def running(items: Iterable[Installed], kernel: str, order: str) -> Installed | None:
    """The kernel that runs although its package is gone or only the newest is told; None where `uname -r` does not say
    its version (Debian's does not, and SUSE's leaves out the rebuild).

    Arch and Alpine replace a kernel in place, and of several kernels a package manager may tell the newest alone.
    """
    for image in items:
        own = image.ecosystem in ("", order)  # and not of a container image
        version = _version_of(image, kernel, order) if own and is_image(image.package, order) else ""
        if version and runs(image._replace(version=version), kernel, order):
            return image._replace(version=version, source_version=version)
    return None


def _version_of(image: Installed, kernel: str, order: str) -> str:
    """The version that `uname -r` tells of a kernel of this package; "" = none."""
    if order == "rpm":
        return re.sub(_SUFFIX, "", kernel).removesuffix(f".{image.architecture}")
    if order == "apk":
        version, _, revision = kernel.removesuffix(image.package.removeprefix("linux")).rpartition("-")
        return f"{version}-r{revision}" if version else ""
    if order == "alpm":
        version, _, release = kernel.removesuffix(image.package.removeprefix("linux")).rpartition("-")
        return f"{version.replace('-', '.')}-{release}" if version else ""
    return ""


def missing(items: Iterable[Installed], kernel: str, order: str) -> NotAssessed | None:
    """A gap that must be said: kernel images are installed, the running kernel is of none of them."""
    images = [i for i in items if i.ecosystem in ("", order) and is_image(i.package, order)]
    if not kernel or not images or any(runs(image, kernel, order) for image in images):
        return None
    reason = f"the running kernel {kernel} belongs to no installed package: whether it is vulnerable is not known"
    return NotAssessed(f"{DEB_IMAGE}{kernel}" if order == "deb" else "kernel", kernel, "running_kernel_unknown", reason)
