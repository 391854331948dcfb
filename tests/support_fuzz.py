"""Damaged, forged and odd documents, from one seed each; judged by our verifier and by python-tuf.

A case is a real repository and one mutation of one of its documents: of the text as it travels (bytes flipped, cut off,
repeated), or of what is signed, and then signed anew by the role's own key, so that it is the reader that is tried and
not the signature. `ours` and `theirs` give the same kind of answer: newest root, releases believed, content believed.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.exceptions import StorageError
from securesystemslib.signer import CryptoSigner
from tests.support_trust import NONCE, NOW_MS, WHO, Repository, bundle
from tuf.api.exceptions import RepositoryError
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from brakeline.trust.assess import assess
from brakeline.trust.canonical import canonical
from brakeline.trust.model import ClockReading, Documents, Floors

ROLES: Final = ("root", "timestamp", "snapshot", "targets", "content")
WEIRD: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 2, 7, 10**6, 10**6 + 7, 2**31, 2**63, 10**30, "", "0", "1", "x", "é", "\u202e", "\x00",
    "٣", [], {}, [[]], [None], {"": ""}, "2026-02-31T00:00:00Z", "2026-11-23T00:00:60Z", "2099-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z", "2026-11-23T00:00:00+00:00", "1.0.0", "1.0.31", "1.9", "2.0.0", "1", "ed25519", "content",
    "content/*", "*", "sha256", "sha512", "root.json", 1.5, [0] * 70, "y" * 3000,
)  # fmt: skip
ODD_TEXT: Final = ("\ud800", "\u0000", " ", "\n", '"', "{", "9" * 5000, "é", "\ufeff")
FAVOURITE: Final = (
    "version", "expires", "_type", "spec_version", "threshold", "hashes", "length", "keyids", "delegations", "paths",
    "meta", "targets", "roles", "keys",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier believes of a set of documents."""

    root: int
    releases: frozenset[tuple[str, str, int]] | None  # (path, sha256, length); None = no targets are believed
    content: frozenset[tuple[str, str, int]]
    problems: str = field(default="", compare=False)  # what ours says; python-tuf's words are not compared


@dataclass(frozen=True, slots=True)
class Case:
    """One mutation. `what` names it for people who read a failure."""

    what: str
    pinned: str
    documents: Documents  # roots in it are successors of the pinned one


def world() -> Repository:
    """An installation with two roots, releases and content; the same keys each time, so that a seed says everything."""
    rng = random.Random("brakeline")
    made = Repository(make_key=lambda: CryptoSigner(Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))))
    made.publish("2.0.0", bundle("2.0.0", {"agent.pyz": b"two"}, 2), 2)
    made.publish("1.0.0", b"rules", 1, product="content")
    made.rotate("timestamp")
    return made


# --- making cases --------------------------------------------------------------------------------------------------


def case(repo: Repository, seed: int) -> Case:
    """The case of this seed."""
    rng = random.Random(seed)
    role = rng.choice(ROLES)
    documents = repo.documents()
    text = repo.roots[1] if role == "root" else getattr(documents, role)
    mutate = rng.choice((_bytes, _bytes, _envelope, _signed, _signed, _signed, _signed, _resigned_twice))
    what, changed = mutate(rng, repo, role, text)
    if rng.random() < 0.75 and role in ("snapshot", "targets", "content"):
        documents = _relist(repo, documents, role, changed)
        what += ", listed anew"
    elif role == "root":
        documents = replace(documents, roots=(changed,))
    else:
        documents = replace(documents, **{role: changed})
    return Case(f"seed {seed}: {role}: {what}", repo.roots[0], documents)


def _bytes(rng: random.Random, repo: Repository, role: str, text: str) -> tuple[str, str]:
    """Damage on the way."""
    kind = rng.choice(("flip", "cut", "repeat", "insert", "swap", "doubled key", "nesting", "tail"))
    at = rng.randrange(len(text))
    end = min(len(text), at + rng.randrange(1, 40))
    made = {
        "flip": lambda: text[:at] + chr(ord(text[at]) ^ (1 << rng.randrange(7))) + text[at + 1 :],
        "cut": lambda: text[:at],
        "repeat": lambda: text[:end] + text[at:],
        "insert": lambda: text[:at] + rng.choice(ODD_TEXT) + text[at:],
        "swap": lambda: text[:at] + text[end:] + text[at:end],
        "doubled key": lambda: text.replace('"signed":{', '"signed":{"version":99,"_type":"root",', 1),
        "nesting": lambda: text[:at] + "[" * rng.choice((40, 2000, 100_000)) + text[at:],
        "tail": lambda: text + rng.choice(("", " ", "\n\n", "x", "{}", "\x00")),
    }[kind]()  # fmt: skip
    return f"{kind} at {at}", made


def _envelope(rng: random.Random, repo: Repository, role: str, text: str) -> tuple[str, str]:
    """Signatures and what stands beside what is signed."""
    plain = json.loads(text)
    kind = rng.choice(
        ("twice", "foreign", "empty", "reordered", "beside", "surrogate beside", "weird", "many", "upper")
    )
    if kind == "twice":
        plain["signatures"] *= 2
    elif kind == "foreign":
        plain["signatures"].insert(0, {"keyid": "ab" * 32, "sig": "00" * 64})
    elif kind == "empty":
        plain["signatures"] = []
    elif kind == "reordered":
        plain = {k: plain[k] for k in sorted(plain, reverse=True)}
        plain["signed"] = dict(sorted(plain["signed"].items(), reverse=True))
    elif kind == "beside":
        plain["more"] = rng.choice([w for w in WEIRD if w != "\ud800"])
    elif kind == "surrogate beside":
        plain["more"] = "\ud800"
    elif kind == "weird":
        plain["signatures"][0][rng.choice(("keyid", "sig"))] = rng.choice(WEIRD)
    elif kind == "many":
        plain["signatures"] += [{"keyid": f"{n:064x}", "sig": ""} for n in range(rng.choice((3, 70)))]
    else:
        plain["signatures"][0]["sig"] = plain["signatures"][0]["sig"].upper()
    return f"signatures {kind}", json.dumps(plain, ensure_ascii=rng.random() < 0.5)


def _signed(rng: random.Random, repo: Repository, role: str, text: str) -> tuple[str, str]:
    """Another statement, signed by those who may."""
    plain = json.loads(text)["signed"]
    what = _change(rng, plain)
    return what, _sign(repo, role, plain)


def _resigned_twice(rng: random.Random, repo: Repository, role: str, text: str) -> tuple[str, str]:
    plain = json.loads(text)["signed"]
    what = f"{_change(rng, plain)}; {_change(rng, plain)}"
    return what, _sign(repo, role, plain)


def _change(rng: random.Random, plain: dict[str, Any]) -> str:
    """Change one place in it; says which."""
    places = list(_places(plain, ()))
    favourite = [p for p in places if p[-1] in FAVOURITE]
    path = rng.choice(favourite if favourite and rng.random() < 0.5 else places)
    parent = plain
    for step in path[:-1]:
        parent = parent[step]
    last: Any = path[-1]
    kind = rng.choice(("delete", "weird", "weird", "weird", "copy", "add", "near"))
    if kind == "delete":
        del parent[last]
    elif kind == "weird":
        parent[last] = copy.deepcopy(rng.choice(WEIRD))
    elif kind == "copy":
        other = rng.choice(places)
        found: Any = plain
        try:
            for step in other:
                found = found[step]
            parent[last] = copy.deepcopy(found)
        except (KeyError, IndexError, TypeError):
            pass
    elif kind == "add" and isinstance(parent, dict):
        parent[rng.choice(("unknown", "x-other", "custom", "version ", "ключ"))] = copy.deepcopy(rng.choice(WEIRD))
    elif kind == "near" and isinstance(parent[last], int):
        parent[last] += rng.choice((-2, -1, 1, 2))
    elif kind == "near" and isinstance(parent[last], str):
        parent[last] = rng.choice((parent[last].upper(), parent[last][:-1], parent[last] + "0", " " + parent[last]))
    return f"{kind} {'.'.join(map(str, path))}"


def _places(value: Any, path: tuple[Any, ...]) -> Any:
    """Every place in it, as a path."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from _places(child, (*path, key))


def _sign(repo: Repository, role: str, signed: Any) -> str:
    try:
        message = canonical(signed)
    except (ValueError, UnicodeEncodeError):
        message = json.dumps(signed, sort_keys=True).encode()  # nobody can sign this rightly
    made = repo.keys[role].sign(message)
    return json.dumps({"signatures": [{"keyid": made.keyid, "sig": made.signature}], "signed": signed})


def _relist(repo: Repository, documents: Documents, role: str, changed: str) -> Documents:
    """The documents above name the changed one, signed by their own keys: what a thief of online keys would do."""
    documents = replace(documents, **{role: changed})
    try:
        version = json.loads(changed)["signed"]["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        version = 1
    if role != "snapshot":
        above = json.loads(documents.snapshot)["signed"]
        above["meta"][f"{role}.json"] = {"version": version}
        documents = replace(documents, snapshot=_sign(repo, "snapshot", above))
        version = above["version"]
    top = json.loads(documents.timestamp)["signed"]
    top["meta"]["snapshot.json"] = {"version": version}
    return replace(documents, timestamp=_sign(repo, "timestamp", top))


# --- two verdicts --------------------------------------------------------------------------------------------------


def ours(case: Case) -> Verdict:
    """What an endpoint would believe. Raising anything is a fault of ours, and fails the test."""
    clock = ClockReading(NOW_MS, NONCE)
    documents = replace(case.documents, recall="", leases=(), time="")
    seen = assess(case.pinned, Documents(), documents, WHO, clock, Floors())
    root, said = 1 + len(seen.documents.roots), "; ".join(f"{p.code}: {p.text}" for p in seen.problems)
    if not seen.documents.targets or not seen.now_ms:
        return Verdict(root, None, frozenset(), said)
    content = seen.documents.content
    below = frozenset(f for f in _listed(content) if f[0].startswith("content/")) if content else frozenset()
    return Verdict(root, _listed(seen.documents.targets), below, said)


def _listed(text: str) -> frozenset[tuple[str, str, int]]:
    from brakeline.trust import envelope, metadata

    said = metadata.targets_of(envelope.parse(text, "targets", envelope.TARGETS_BYTES_MAX))
    return frozenset((t.path, t.sha256, t.length) for t in said.files.values())


def theirs(case: Case) -> Verdict:
    """What python-tuf's client would believe, step by step; a bad successor of the root ends the chain."""
    found = TrustedMetadataSet(case.pinned.encode(), EnvelopeType.METADATA)
    found.reference_time = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    for text in case.documents.roots:
        if not _step(lambda text=text: found.update_root(_raw(text))):  # type: ignore[misc]
            break
    root = found.root.version
    d = case.documents
    steps: tuple[Callable[[], object], ...] = (
        lambda: found.update_timestamp(_raw(d.timestamp)),
        lambda: found.update_snapshot(_raw(d.snapshot)),
        lambda: found.update_targets(_raw(d.targets)),
    )
    if not all(_step(step) for step in steps):
        return Verdict(root, None, frozenset())
    releases = _files(found.targets)
    if not _step(lambda: found.update_delegated_targets(_raw(d.content), "content", "targets")):
        return Verdict(root, releases, frozenset())
    role = found.targets.delegations.roles["content"]
    below = frozenset(f for f in _files(found["content"]) if role.is_delegated_path(f[0]))
    return Verdict(root, releases, below)


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _step(step: Callable[[], object]) -> bool:
    try:
        step()
    except (RepositoryError, StorageError):
        return False
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return False  # python-tuf lets some errors of its parser through; an updater ends there just the same
    return True


def _files(targets: Any) -> frozenset[tuple[str, str, int]]:
    return frozenset((t.path, t.hashes.get("sha256", ""), t.length) for t in targets.targets.values())


# --- where they differ on purpose ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """A case in which the two may differ. `stricter`: ours believes less there; else it believes more."""

    why: str
    applies: Callable[[Case, Verdict, Verdict], bool]
    stricter: bool = True


def _says(*words: str) -> Callable[[Case, Verdict, Verdict], bool]:
    return lambda _, ours, __: any(word in ours.problems for word in words)


def _true_as_number(case: Case, ours: Verdict, theirs: Verdict) -> bool:
    texts = [*case.documents.roots, case.documents.timestamp, case.documents.snapshot, case.documents.targets,
             case.documents.content]  # fmt: skip
    return any(re.search(r'"(version|length|threshold)":\s*(true|false)', text) for text in texts)


def _without_sha256(case: Case, ours: Verdict, theirs: Verdict) -> bool:
    believed = (ours.releases or frozenset()) | ours.content
    left_out = ((theirs.releases or frozenset()) | theirs.content) - believed
    return bool(left_out) and all(not re.fullmatch("[0-9a-f]{64}", sha256) for _, sha256, _ in left_out)


def _unknown_kind_of_key(case: Case, ours: Verdict, theirs: Verdict) -> bool:
    texts = (*case.documents.roots, case.documents.targets)
    kinds = re.findall(r'"(?:keytype|scheme)":\s*"([^"]*)"', " ".join(texts))
    return any(kind != "ed25519" for kind in kinds)


def _key_of_another_id(case: Case, ours: Verdict, theirs: Verdict) -> bool:
    for text in (*case.documents.roots, case.documents.targets):
        signed = json.loads(text)["signed"]
        for keyid, key in (signed.get("keys") or signed.get("delegations", {}).get("keys", {})).items():
            if hashlib.sha256(canonical(key)).hexdigest() != keyid:
                return True
    return False


DIFFERENCES: Final = {
    "unusable root": Difference(
        "a root under which a role could never be signed locks every later release out; the one before is kept",
        _says("usable ones are named"),
    ),
    "key ids": Difference("a key whose id is not its digest counts for nothing", _key_of_another_id),
    "many signatures": Difference("more than 64 are not looked at: each costs time", _says("at most 64 signatures")),
    "version jump": Difference("a stolen online key could count up to the end of all numbers", _says("version_jump")),
    "true is no number": Difference("JSON's true and false are 1 and 0 to Python, and to nobody else", _true_as_number),
    "no SHA-256": Difference("a file without a usable SHA-256 is listed for others", _without_sha256),
    "odd delegation": Difference(
        "text where a list of key ids or paths should be is no list, and a number is no name",
        _says("otherwise than by paths", "no list of different", "says no name of a role"),
    ),
    "kinds of keys": Difference(
        "a key of an unknown kind counts for nothing, and the others go on counting",
        _unknown_kind_of_key,
        stricter=False,
    ),
}


def explained(case: Case, ours: Verdict, theirs: Verdict) -> str:
    """Which listed difference this is; "" = none. Ours may believe more only where the list says so."""
    more = ours.root > theirs.root or (ours.releases is not None and theirs.releases is None)
    more = more or not (ours.releases or frozenset()) <= (theirs.releases or frozenset())
    more = more or not ours.content <= theirs.content
    for name, difference in DIFFERENCES.items():
        if difference.stricter is not more and difference.applies(case, ours, theirs):
            return name
    return ""


def on_purpose(repo: Repository) -> list[Case]:
    """One case for each difference."""
    d = repo.documents()

    def changed(role: str, change: Callable[[dict[str, Any]], object]) -> Case:
        text = repo.roots[1] if role == "root" else getattr(d, role)
        plain = json.loads(text)
        change(plain["signed"])
        made = _sign(repo, role, plain["signed"])
        relisted = replace(d, roots=(made,)) if role == "root" else _relist(repo, d, role, made)
        return Case(f"on purpose: {role}", repo.roots[0], relisted)

    def key(signed: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = next(iter(signed["delegations"]["keys"].values()))
        return found

    many = json.loads(d.timestamp)
    many["signatures"] += [{"keyid": f"{n:064x}", "sig": ""} for n in range(64)]
    file = next(iter(repo.files))
    return [
        changed("root", lambda s: s["roles"]["targets"].update(threshold=2)),
        changed("targets", lambda s: key(s)["keyval"].update(public=key(s)["keyval"]["public"].upper())),
        Case("on purpose: many", repo.roots[0], replace(d, timestamp=json.dumps(many))),
        changed("targets", lambda s: s.update(version=10**6 + 8)),
        changed("targets", lambda s: s["targets"][file].update(length=True)),
        changed("targets", lambda s: s["targets"][file]["hashes"].update(sha256="x")),
        changed("targets", lambda s: s["delegations"]["roles"][0].update(name=7)),
        changed("targets", lambda s: key(s).update(scheme="ml-dsa-65")),
    ]
