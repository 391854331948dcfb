"""What an endpoint could install now, in the words of advisories: source package -> version that is on offer. Pure.

Pending updates name binary versions, advisories name source versions. Where a binary's version is its source's
(nearly always, or with a constant prefix such as "1:", or a rebuild mark such as "+b1"), the candidate tells the
source version; where it does not, a newer binary of the source is taken to carry its newest fix, because it is the
newest that the repositories have. `state_of` then says where one open row stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from brakeline.advisories.ecosystems import SYSTEMS, key_of, names_binaries, names_both, order_of
from brakeline.advisories.model import DEBIAN_12, Advisory
from brakeline.core.debversion import BadVersion
from brakeline.exposure import kernels
from brakeline.exposure.model import FindingState, Installed, Role, Unit
from brakeline.protocol.managers import is_found
from brakeline.protocol.messages import PendingUpdate, UpdateState

_REBUILD = re.compile(r"\+b[0-9]+$")  # a rebuild without a change of the source
_INSTALLABLE = (UpdateState.AVAILABLE, UpdateState.NEEDS_NEW)
NEWEST = b"\xff"  # key of "newer than installed, by how much is not known"; above every real key


class Offered(NamedTuple):
    """The newest version of one source that this endpoint's own repositories have."""

    key: Any  # of the source version, in its ecosystem's order; `NEWEST` = above all of them
    state: FindingState  # FIXABLE, BLOCKED or REBOOT
    note: str = ""
    version: str = ""  # that `key` is made of; "" for `NEWEST`


def candidate_source(item: Installed, candidate: str) -> str | None:
    """The source version of `candidate`, a newer binary version of `item`; None where it does not tell."""
    version, source_version = _REBUILD.sub("", item.version), item.source_version
    bare = _REBUILD.sub("", candidate)
    prefix = version.removesuffix(source_version)
    if not version.endswith(source_version) or not bare.startswith(prefix):
        return None
    return bare[len(prefix) :]


def candidate_key(item: Installed, candidate: str, ecosystem: str = DEBIAN_12, *, binary: bool = False) -> Any:
    """Key of `candidate_source`; `NEWEST` where it is not known. `binary`: advisories speak of the binary's version,
    which is the candidate itself, with its epoch."""
    source, key = candidate if binary else candidate_source(item, candidate), key_of(ecosystem)
    try:
        return NEWEST if source is None or key is None else key(source)
    except BadVersion:
        return NEWEST


def offer_of(item: Installed, candidate: str, unit: Unit, state: FindingState, note: str) -> Offered:
    """`candidate` of `item`, which is judged as `unit`, as an offer."""
    ecosystem = unit.ecosystem
    binary = names_binaries(ecosystem)
    if names_both(ecosystem):
        binary = unit.source == item.package and (binary or item.package != item.source)
    key = candidate_key(item, candidate, ecosystem, binary=binary)
    version = "" if key is NEWEST else candidate if binary else candidate_source(item, candidate) or ""
    return Offered(key, state, note, version)


Offers = dict[tuple[str, str, Role], Offered]  # by ecosystem, source and role


def offers(judged: Iterable[tuple[Installed, Unit, Role]], pending: Iterable[PendingUpdate]) -> Offers:
    """Per source (as judged) and role the best that is on offer: what can be installed before what is blocked.

    An update of a kernel image, or of the metapackage that draws one in, is an offer for the running kernel; an
    update of its headers is not.
    """
    updates = {(update.name, update.architecture): update for update in pending}
    found: Offers = {}
    for item, unit, role in judged:
        if is_found(item.architecture):
            continue
        order = order_of(unit.ecosystem)
        image = kernels.is_of_kernel(unit.source, order) and kernels.draws_image(item.package, order)
        update = updates.get((item.package, item.architecture))
        if update is not None:
            state = FindingState.FIXABLE if update.state in _INSTALLABLE else FindingState.BLOCKED
            offered = offer_of(item, update.candidate, unit, state, update.reason)
        elif image and role is Role.CARRIER and kernels.is_image(item.package, order):
            key = (key_of(unit.ecosystem) or str)(unit.version)
            offered = Offered(key, FindingState.REBOOT, f"{item.package} is installed, not running", unit.version)
        else:
            continue
        for concerned in (Role.ACTIVE, Role.CARRIER) if image else (role,):
            name = (unit.ecosystem, unit.source, concerned)
            if _better(offered, found.get(name)):
                found[name] = offered
    return found


def _better(new: Offered, old: Offered | None) -> bool:
    rank = {FindingState.BLOCKED: 0, FindingState.REBOOT: 1, FindingState.FIXABLE: 2}
    if old is None or rank[new.state] != rank[old.state]:
        return old is None or rank[new.state] > rank[old.state]
    return old.key is not NEWEST and bool(new.key is NEWEST or old.key < new.key)


def state_of(row: Advisory, offered: Offered | None, lists_known: bool) -> FindingState:
    """Where an open row stands. `lists_known`: whether the endpoint's package lists were ever refreshed."""
    closable = bool(row.fixed or row.last_affected)
    if closable and offered is not None and reaches(row, offered):
        return offered.state
    if not row.fixed:
        return FindingState.DEFERRED if row.state == "deferred" else FindingState.NO_FIX
    asked = lists_known and order_of(row.ecosystem) in SYSTEMS  # what a registry has, no package list says
    return FindingState.NOT_OFFERED if asked else FindingState.UNKNOWN


def reaches(row: Advisory, offered: Offered) -> bool:
    """Whether what is on offer closes `row`, which has an end."""
    key, made = offered.key, key_of(row.ecosystem) or str
    if key is NEWEST:
        return True
    return bool(made(row.fixed) <= key if row.fixed else made(row.last_affected) < key)
