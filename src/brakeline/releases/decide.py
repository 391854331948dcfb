"""What of releases is refused, and what the documents should say. Pure: facts in, sentences and lists out.

The register of releases (database) says what is wanted, the signed documents say what is; `service` brings the second
to the first, as far as the keys that it has reach.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from brakeline.releases.faults import BadBundle, Downgrade, OtherHash, Quarantined
from brakeline.releases.model import CONTENT, PRODUCTS, Release
from brakeline.trust.artifacts import About, is_release_id
from brakeline.trust.metadata import Target
from brakeline.trust.statements import RECALLED_MAX

_PLATFORM: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
HOUR_MS: Final = 3_600_000
HOURS_BEGIN_MS: Final = 1_767_225_600_000  # 2026-01-01
PARDON_LISTS: Final = 20_000  # recall lists for which a pardon holds: see `recall_version`


def path_of(said: About) -> str:
    """Name of the target."""
    return f"{said.product}/{said.version}/{said.platform}/bundle.tar"


def refuse_about(said: About, sha256: str, names: Collection[str]) -> None:
    """Raises `BadBundle` for what a release says about itself that cannot be. `names`: the files of the bundle."""
    if said.product not in PRODUCTS:
        raise BadBundle(f"it calls itself a {said.product[:40]!r}; products are {', '.join(PRODUCTS)}")
    if not is_release_id(f"{said.version}-{sha256[:12]}"):
        raise BadBundle(f"{said.version[:40]!r} is no version: a digit first, then letters, digits, dots and pluses")
    if not _PLATFORM.fullmatch(said.platform):
        raise BadBundle(f"{said.platform[:40]!r} is no platform; it is 'any' or a name like linux-x86_64")
    program = said.entry[0].removeprefix("./")
    if program != "@python" and program not in names:
        raise BadBundle(f"it is started as {program[:60]!r}, which is not among its {len(names)} files")


def refuse_release(said: About, sha256: str, known: Iterable[Release]) -> Release | None:
    """Raises for what must not be published beside `known`; the release itself if it was published already."""
    same = [r for r in known if r.product == said.product]
    for r in same:
        if r.version == said.version and r.state != "published":
            raise Quarantined(f"{r.release_id} was {r.state}: {r.recalled_reason or r.withdrawn_reason}.")
        if (r.version, r.platform) == (said.version, said.platform):
            if r.sha256 == sha256:
                return r
            raise OtherHash(f"{said.product} {said.version} for {said.platform} is {r.sha256[:12]}…, "
                            f"this bundle is {sha256[:12]}….")  # fmt: skip
    newest = max(same, key=lambda r: r.sequence, default=None)
    if newest and (said.sequence < newest.sequence or (
            said.sequence == newest.sequence and said.version != newest.version)):  # fmt: skip
        raise Downgrade(f"its sequence is {said.sequence}, {newest.version} has {newest.sequence} already.")
    return None


def custom_of(release: Release | About) -> dict[str, Any]:
    """What the signers say of a target beside its hash."""
    return {"product": release.product, "version": release.version, "sequence": release.sequence,
            "platform": release.platform}  # fmt: skip


def target_of(said: About, sha256: str, length: int) -> Target:
    """How a bundle is listed, by what it says about itself."""
    return Target(path_of(said), sha256, length, custom_of(said))


def wanted_targets(releases: Iterable[Release], role: str, have: Collection[str]) -> dict[str, Target]:
    """What targets (or content) should list, by path: published, not withdrawn, and the bundle is in `have`."""
    return {
        r.path: Target(r.path, r.sha256, r.length, custom_of(r))
        for r in releases
        if not r.withdrawn_ms and (r.product == CONTENT) == (role == CONTENT) and r.sha256 in have
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one targets document should say: files by path, and recalls that it takes back."""

    files: Mapping[str, Target]
    pardons: Mapping[str, int]


def wanted(releases: Iterable[Release], role: str, have: Collection[str]) -> Wanted:
    """Of targets or content; pardons stand in targets alone."""
    known = tuple(releases)
    return Wanted(wanted_targets(known, role, have), wanted_pardons(known) if role == "targets" else {})


def wanted_pardons(releases: Iterable[Release]) -> dict[str, int]:
    """Release ids whose recall two people took back, with the recall list up to which that holds."""
    return {r.release_id: r.pardoned_version for r in releases if r.pardoned_version and not r.recalled_ms}


def recall_list(releases: Iterable[Release], signed_pardons: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    """(release_id, reason), newest recall first. A pardon counts once it stands in signed targets."""
    listed = [
        r for r in releases if r.recalled_ms or (r.pardoned_version and r.release_id not in signed_pardons)
    ]  # fmt: skip
    listed.sort(key=lambda r: (-r.recalled_ms, r.release_id))
    return tuple((r.release_id, r.recalled_reason) for r in listed[:RECALLED_MAX])


def next_version(previous: int, now_ms: int) -> int:
    """At least the hours since 2026: so a cell that was restored from a backup does not count behind what it served."""
    return max(previous + 1, (now_ms - HOURS_BEGIN_MS) // HOUR_MS)


def recall_version(previous: int, now_ms: int, listed: Iterable[str], signed_pardons: Mapping[str, int]) -> int:
    """Of a changed recall list. A pardon holds for the next `PARDON_LISTS` versions, so that endpoints that were away
    learn of it too; whoever recalls the same release again must pass that number, or the old pardon would undo it.
    """
    undone = [signed_pardons[r] + 1 for r in listed if r in signed_pardons]
    return max(next_version(previous, now_ms), *undone, 0)
