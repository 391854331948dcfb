"""Pure: is the running kernel older than the newest one installed? Debian says the package's version in `uname -v`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.plan import is_older
from brakeline.protocol.content import Rules

IMAGE = re.compile(r"^linux-image-(?:unsigned-)?(\d[^ ]*)$")
FLAVOUR = re.compile(r"-([a-z][a-z0-9-]*)$")  # 6.1.0-40-cloud-amd64 -> cloud-amd64
DEBIAN_BUILD = re.compile(r"Debian (\S+) \(")


def kernel_reason(release: str, version: str, installed: Iterable[Installed]) -> str:
    """ "" or why a restart is due. `release`: `uname -r`; `version`: the text of /proc/version or `uname -v`.

    Only kernels of the running flavour count: another one is not what the next start would take by itself.
    """
    images = {m.group(1): p.version for p in installed if p.state[1:2] == "i" and (m := IMAGE.match(p.name))}
    same = {r: v for r, v in images.items() if _flavour(r) == _flavour(release)}
    newer = [r for r in same if is_older(release, r)]
    if newer:
        best = newer[0]
        for candidate in newer[1:]:
            best = candidate if is_older(best, candidate) else best
        return f"kernel {best} installed, {release} running"
    built = DEBIAN_BUILD.search(version)
    if release in same and built and is_older(built.group(1), same[release]):
        return f"kernel {release} {same[release]} installed, {built.group(1)} running"
    return ""


def reboot_reasons(changed: Iterable[str], rules: Rules) -> tuple[str, ...]:
    """Why a restart is due after these packages have changed since the last one, by the endpoint's content."""
    return tuple(f"{name} changed since the last start" for name in sorted(set(changed)) if rules.wants_reboot(name))


def _flavour(release: str) -> str:
    m = FLAVOUR.search(release)
    return m.group(1) if m else ""
