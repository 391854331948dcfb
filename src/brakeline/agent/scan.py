"""What the short-lived children do: look at the machine (`scan`) or prepare a transaction (`plan`). Change nothing.

A scan compares with the inventory that the cell acknowledged last (kept on disk as one line a package) and writes
the finished message to `work/inventory.json`, so the resident agent never has a package list in memory. After the
acknowledgement the agent renames `work/packages.tsv` to `acknowledged.tsv` (`adopt`).

What the last full look found is kept in `work/looked.json` with its stamp: while nothing that it depends on has
changed (`rescan`), packages and updates are taken from there, and only the quick part is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from brakeline.agent import facts, rescan
from brakeline.agent.files import write_durably
from brakeline.agent.helper_client import Declined, HelperClient
from brakeline.agent.model import ScanSummary
from brakeline.agent.providers.model import Bounds, Planned, Provider, Refused
from brakeline.agent.rescan import Depth, Look, Stamp
from brakeline.protocol import codec
from brakeline.protocol.digests import inventory_digest, package_key
from brakeline.protocol.managers import is_found
from brakeline.protocol.messages import (
    KEPT_FIELDS,
    Candidate,
    Conffiles,
    Inventory,
    Package,
    PendingUpdate,
    SoftwareLook,
    Status,
)

FIELDS = tuple(f.name for f in fields(Package))
BODY, PACKAGES, STATUS, ACKNOWLEDGED = "inventory.json", "packages.tsv", "status.json", "acknowledged.tsv"
LOOKED = "looked.json"
CONFFILES_NAMED = 3


@dataclass(frozen=True, slots=True)
class Task:
    """One scan. `base_sequence` 0 = the message says all; `stamp` was taken right before, at `now_s` (monotonic)."""

    base_sequence: int
    sequence: int
    agent_version: str
    stamp: Stamp
    now_s: float
    full: bool = False  # look at everything, whatever the stamp says
    manager_version: Callable[[], str] = str  # of the system's package manager; a full look asks


@dataclass(frozen=True, slots=True)
class Looked:
    """What the last full look found."""

    look: Look
    packages: tuple[Package, ...]
    updates: tuple[PendingUpdate, ...]
    software: SoftwareLook | None = None  # of what lies beside package managers, which is among the packages
    manager_version: str = ""


Beside = Callable[[tuple[Package, ...]], tuple[tuple[Package, ...], SoftwareLook]]


def scan(provider: Provider, state: Path, task: Task, beside: Beside | None = None) -> ScanSummary:
    """Look at what is due; write the message that says what is new. `beside`: software that no provider knows."""
    found, full_look = look(provider, state / "work" / LOOKED, task, beside)
    packages, base_sequence, sequence = found.packages, task.base_sequence, task.sequence
    health = provider.health()
    reboot = provider.reboot_need()
    told = replace(facts.gather(task.agent_version), package_manager_version=found.manager_version)
    status = Status(told, found.updates, reboot, health, found.software)
    known = read_packages(state / ACKNOWLEDGED) if base_sequence else None
    full = known is None or known[0] != base_sequence
    before = {} if known is None or full else {package_key(p.name, p.architecture): p for p in known[1]}
    after = {package_key(p.name, p.architecture): p for p in packages}
    changed = tuple(p for key, p in after.items() if before.get(key) != p)
    removed = tuple(key for key in before if key not in after)
    status_bytes = codec.encode(status)
    silent = not full and not changed and not removed and _same(state / "acknowledged-status.json", status_bytes)
    digest = inventory_digest(packages)
    work = state / "work"
    if not silent:
        message = Inventory(0 if full else base_sequence, sequence, digest, changed, removed, status)
        (work / BODY).write_bytes(codec.encode_sparse(message))
        (work / STATUS).write_bytes(status_bytes)
        write_packages(work / PACKAGES, sequence, packages)
    return ScanSummary(
        sequence=0 if silent else sequence,
        digest=digest,
        body_path=str(work / BODY),
        packages=len(packages),
        healthy=health.healthy,
        lists_refreshed_ms=health.lists_refreshed_ms,
        look=found.look,
        full=full_look,
        removed=sum(not is_found(key.rpartition(":")[2]) for key in removed),
        restart_required=reboot.required,
    )


def look(provider: Provider, kept: Path, task: Task, beside: Beside | None = None) -> tuple[Looked, bool]:
    """Packages and updates: looked up (True), or those of the last full look if they still hold (False)."""
    last = _looked(kept)
    depth = rescan.depth(last.look if last else None, task.stamp, task.now_s, asked=task.full)
    if last is not None and depth is not Depth.FULL:
        return replace(last, look=Look(task.stamp, last.look.full_s, task.now_s)), False
    kept.unlink(missing_ok=True)  # a look that fails half-way leaves nothing behind that could be believed
    found = Looked(Look(task.stamp, task.now_s, task.now_s), *provider.survey(), manager_version=task.manager_version())
    if beside is not None:
        more, told = beside(found.packages)
        found = replace(found, packages=(*found.packages, *more), software=told)
    aside = kept.with_suffix(".new")
    aside.write_bytes(codec.encode(found))
    aside.replace(kept)
    return found, True


def _looked(kept: Path) -> Looked | None:
    try:
        return codec.decode(Looked, kept.read_bytes())
    except (OSError, codec.Malformed, UnicodeDecodeError):
        return None


def adopt(state: Path, keeps: tuple[str, ...] = KEPT_FIELDS) -> None:
    """The cell has the last scan: what comes next is compared with it.

    An older cell keeps less of each package than was sent; that is sent again until a cell says that it keeps it.
    """
    for name, kept in ((STATUS, "acknowledged-status.json"), (PACKAGES, ACKNOWLEDGED)):
        source = state / "work" / name
        if source.exists():
            write_durably(state / kept, source.read_bytes())
    forgotten = {name: "" for name in KEPT_FIELDS if name not in keeps}
    if forgotten and (known := read_packages(state / ACKNOWLEDGED)) is not None:
        write_packages(state / ACKNOWLEDGED, known[0], tuple(replace(p, **forgotten) for p in known[1]))


def plan(
    provider: Provider, candidate: Candidate, allow_removals: bool, conffiles: Conffiles = Conffiles.REPLACE
) -> Planned | Refused:
    """The exact transaction that would be done for a candidate, or why none."""
    bounds = Bounds(
        conffile_policy=candidate.conffile_policy, allow_removals=allow_removals, without=candidate.without
    )  # fmt: skip
    found = provider.plan(candidate.updates, bounds)
    if isinstance(found, Planned) and conffiles is Conffiles.HOLD:
        return held_by(provider.changed_conffiles(found.transaction)) or found
    return found


def held_by(changed: tuple[str, ...]) -> Refused | None:
    """Settings hold whatever would touch configuration files that somebody has changed here."""
    if not changed:
        return None
    more = f" and {len(changed) - CONFFILES_NAMED} more" if len(changed) > CONFFILES_NAMED else ""
    return Refused(
        "conffiles",
        f"changed on this endpoint: {', '.join(changed[:CONFFILES_NAMED])}{more}; the settings hold updates of their "
        "packages until a person has looked (update it by hand, or let a policy say keep)",
    )  # fmt: skip


def plan_back(helper: HelperClient, candidate: Candidate) -> Planned | Refused:
    """The way back that the root helper has stored, and has just tried in its mind; else why there is none now."""
    match helper.inverse(candidate.undoes):
        case None:
            return Refused("busy", "The root helper gave no answer about the way back.")
        case Declined(code=code, reason=reason):
            return Refused(code, reason)
        case transaction:
            return Planned(transaction)


def read_packages(path: Path) -> tuple[int, tuple[Package, ...]] | None:
    """Sequence and packages of a file that `write_packages` wrote; None if it is missing or damaged."""
    try:
        head, *lines = path.read_text(encoding="utf-8").split("\n")
        count, sequence = (int(n) for n in head.split())
        if count != len(lines):
            return None
        return sequence, tuple(Package(*line.split("\t")) for line in lines)
    except (OSError, ValueError, TypeError):
        return None


def acknowledged(state: Path) -> tuple[Package, ...]:
    """The packages that the cell has acknowledged last; () = none that could be read."""
    known = read_packages(state / ACKNOWLEDGED)
    return known[1] if known is not None else ()


def write_packages(path: Path, sequence: int, packages: tuple[Package, ...]) -> None:
    """One line a package; the first line has the count, so that a torn file is noticed."""
    lines = ["\t".join(getattr(p, name) for name in FIELDS) for p in packages]
    path.write_text("\n".join([f"{len(lines)} {sequence}", *lines]), encoding="utf-8")


def _same(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False
