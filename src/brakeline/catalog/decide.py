"""What is taken in, what may be brought by name, and what to say of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from brakeline.catalog.model import OwnPackage
from brakeline.core.debversion import deb_key
from brakeline.protocol.managers import asked_of
from brakeline.protocol.messages import Package, PendingUpdate, UpdateState
from brakeline.protocol.software import LABEL, Document, WayBack
from brakeline.protocol.software_rules import problem
from brakeline.protocol.trusted_authors import genuine

LINUX = "linux"


def refusal(document: Document, known: Iterable[OwnPackage]) -> str:
    """Why this document is not taken in, with what to do; "" = it is, or is here already."""
    if wrong := problem(document.software):
        return wrong
    if not signers(document):
        return "nobody's signature on it is genuine: `brakeline software sign FILE --key KEY`, after the last change"
    for entry in known:
        same = (entry.name, entry.version) == (document.software.name, document.software.version)
        if same and entry.full_version != document.version:
            return (
                f"{entry.name} {entry.version} is here already with another text ({entry.full_version}): a version "
                "never changes; give this one a higher version"
            )
    return ""


def signers(document: Document) -> tuple[str, ...]:
    """Keys that really signed it, each once."""
    good = (s.key for s in document.signatures if genuine(document.text, s.key, s.signature))
    return tuple(dict.fromkeys(good))


def entry_of(document: Document, added_ms: int, added_by: str) -> OwnPackage:
    """As it is taken in."""
    s, a = document.software, document.software.artifact
    return OwnPackage(
        s.name, s.version, document.version, s.title, s.vendor, s.platforms[0], a is None, a.file if a else "",
        a.bytes if a else 0, a.sha256 if a else "", a.url if a else "", a is None or bool(a.url), signers(document),
        s.way_back is WayBack.EARLIER, added_ms, added_by,
    )  # fmt: skip


def newest(entries: Iterable[OwnPackage]) -> dict[str, OwnPackage]:
    """Of each name the highest version that is not withdrawn."""
    found: dict[str, OwnPackage] = {}
    for e in entries:
        if not e.withdrawn_ms and (e.name not in found or deb_key(e.version) > deb_key(found[e.name].version)):
            found[e.name] = e
    return found


def offered(
    entries: Sequence[OwnPackage], pending: tuple[PendingUpdate, ...], packages: Sequence[Package],
    names: frozenset[str], platform: str,
) -> tuple[PendingUpdate, ...]:  # fmt: skip
    """What an endpoint has pending, as the catalogue stands: without what was withdrawn, and with what was asked for by
    name and is not there yet. Such a one comes by name alone: no "all updates" installs what nobody has."""
    withdrawn = {(e.update_name, e.full_version): e for e in entries if e.withdrawn_ms}
    told = tuple(_kept_back(u, withdrawn.get((u.name, u.candidate))) for u in pending)
    there = {u.name for u in told} | {f"{p.name}:{LABEL}" for p in packages if p.architecture == LABEL}
    new = (e for e in newest(entries).values() if e.update_name in names - there)
    return told + tuple(_new(e, platform) for e in new)


def _kept_back(update: PendingUpdate, entry: OwnPackage | None) -> PendingUpdate:
    if entry is None:
        return update
    reason = f"withdrawn by {entry.withdrawn_by}: {entry.withdrawn_reason}"
    return replace(update, state=UpdateState.KEPT_BACK, reason=reason)


def _new(e: OwnPackage, platform: str) -> PendingUpdate:
    state, reason = UpdateState.NEEDS_NEW, ""
    if e.platform != platform:
        state, reason = UpdateState.KEPT_BACK, f"is a package for {e.platform}"
    elif not e.has_payload:
        state, reason = UpdateState.KEPT_BACK, f"its artifact {e.artifact} was not uploaded"
    size = e.artifact_bytes if e.artifact_url else 0
    return PendingUpdate(e.update_name, LABEL, "", e.full_version, LABEL, False, state, reason, size)


def asks_for_own(names: Iterable[str]) -> bool:
    """Whether a deployment names any own package."""
    return any(asked_of(name) == LABEL for name in names)


def standing(e: OwnPackage) -> str:
    """What stands between this version and endpoints, in a sentence."""
    if e.withdrawn_ms:
        return f"Withdrawn by {e.withdrawn_by}: {e.withdrawn_reason}. No further content and no new deployment has it."
    if not e.has_payload:
        return f"Its artifact {e.artifact} is not here yet: brakeline software add FILE --payload {e.artifact}"
    return (
        "Ready for the next content (brakeline software content FOLDER, brakeline release build). Endpoints that have "
        f"that content take it by a deployment of {e.update_name}, if root there believes its authors (authors.json)."
    )


def contents(entries: Iterable[OwnPackage]) -> tuple[tuple[OwnPackage, ...], Mapping[str, str]]:
    """What the next content has, and why not the others: (name version) -> reason."""
    chosen = tuple(e for e in entries if e.complete)
    left = {f"{e.name} {e.version}": standing(e) for e in entries if not e.complete}
    return chosen, left
