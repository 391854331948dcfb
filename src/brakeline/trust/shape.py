"""The shape of TUF's documents: what is not as the specification has it is refused whole, as every other client would.

Invariant, fuzzed against python-tuf: what it would refuse is never believed here. Unknown *fields* are passed over, and
so are keys of an unknown *kind*, or a later installation could never introduce one. Each function raises `Distrust`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from brakeline.trust.envelope import is_count
from brakeline.trust.errors import Distrust

TUF_ROLES: Final = ("root", "timestamp", "snapshot", "targets")
_SPEC: Final = re.compile(r"1\.[0-9]{1,9}(\.[0-9]{1,9})?")


def head(signed: Mapping[str, Any], who: str) -> None:
    """What every document begins with: a version from 1 on, of a specification that we know."""
    version = signed.get("version")
    if not is_count(version) or version == 0:
        _refuse(who, "has no version that is a whole number from 1 on")
    if not _SPEC.fullmatch(_text(signed.get("spec_version"), who, "spec_version")):
        _refuse(who, "is not of version 1 of TUF's specification")


def root(signed: Mapping[str, Any]) -> None:
    """Four roles, each with different key ids and a threshold; keys by id."""
    roles = signed.get("roles")
    if not isinstance(roles, dict) or set(roles) != set(TUF_ROLES):
        _refuse("root", f"does not name exactly the roles {', '.join(TUF_ROLES)}")
    for role in roles.values():
        _role(role, "root")
    _keys(signed.get("keys"), "root")


def targets(signed: Mapping[str, Any]) -> None:
    """Files with length and hashes; who else signs, and for which paths."""
    files = signed.get("targets")
    if not isinstance(files, dict):
        _refuse("targets", "lists no files")
    for path, entry in files.items():
        if not isinstance(entry, dict) or not is_count(entry.get("length")):
            _refuse("targets", f"says no length of {path[:60]!r}")
        _hashes(entry.get("hashes"), "targets")
    delegations = signed.get("delegations")
    if delegations is not None:
        _delegations(delegations)


def listing(meta: Any, who: str) -> None:
    """What a snapshot or timestamp says of the documents below it."""
    if not isinstance(meta, dict):
        _refuse(who, "names no documents below it")
    for name, entry in meta.items():
        if not isinstance(entry, dict) or not is_count(entry.get("version")) or entry["version"] == 0:
            _refuse(who, f"says no version of {name[:60]!r}")
        if "length" in entry and not is_count(entry["length"]):
            _refuse(who, f"says a length of {name[:60]!r} that is none")
        if "hashes" in entry:
            _hashes(entry["hashes"], who)


def _delegations(delegations: Any) -> None:
    if not isinstance(delegations, dict):
        _refuse("targets", "delegates, and not to roles")
    _keys(delegations.get("keys"), "targets")
    roles = delegations.get("roles")
    if not isinstance(roles, list):
        _refuse("targets", "delegates, and not to roles")
    names = []
    for role in roles:
        _role(role, "targets")
        names.append(_text(role.get("name"), "targets", "name of a role"))
        paths = role.get("paths")
        if not isinstance(paths, list) or not all(isinstance(p, str) for p in paths) or "path_hash_prefixes" in role:
            _refuse("targets", "delegates otherwise than by paths")
        if "terminating" not in role:
            _refuse("targets", "delegates without saying whether that is final")
    if len(set(names)) != len(names) or set(names) & {*TUF_ROLES, ""}:
        _refuse("targets", "delegates to roles of the same name")


def _role(role: Any, who: str) -> None:
    if not isinstance(role, dict):
        _refuse(who, "names a role that is none")
    keyids, threshold = role.get("keyids"), role.get("threshold")
    if not isinstance(keyids, list) or not all(isinstance(k, str) for k in keyids) or len(set(keyids)) != len(keyids):
        _refuse(who, "names a role whose keys are no list of different ids")
    if not is_count(threshold) or threshold == 0:
        _refuse(who, "names a role without a threshold")


def _keys(keys: Any, who: str) -> None:
    if not isinstance(keys, dict):
        _refuse(who, "names no keys")
    for key in keys.values():
        value = key.get("keyval") if isinstance(key, dict) else None
        if not isinstance(value, dict) or not all(isinstance(key.get(f), str) for f in ("keytype", "scheme")):
            _refuse(who, "names a key that is none")
        if not isinstance(value.get("public", ""), str) or (key["keytype"] == "ed25519" and "public" not in value):
            _refuse(who, "names a key without its public half")


def _hashes(hashes: Any, who: str) -> None:
    good = isinstance(hashes, dict) and hashes and all(isinstance(v, str) for v in hashes.values())
    if not good:
        _refuse(who, "names hashes that are none")


def _text(value: Any, who: str, what: str) -> str:
    if not isinstance(value, str):
        _refuse(who, f"says no {what}")
    return str(value)


def _refuse(who: str, what: str) -> NoReturn:
    raise Distrust("malformed", f"the {who} document {what}")
