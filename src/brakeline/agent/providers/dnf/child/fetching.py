"""What reaches the network: packages, each verified as its repository asks, and metadata. No key is ever imported."""

import hashlib
import os
import shutil
from typing import Any

from brakeline.agent.providers.dnf.child.base import SAID, Refuse, flat, library
from brakeline.agent.providers.dnf.child.opening import configured, filled
from brakeline.agent.providers.dnf.child.ordering import ordered
from brakeline.agent.providers.dnf.child.resolving import figures, former


def fetch(request: "dict[str, Any]") -> "dict[str, Any]":
    """Download and verify everything that the order needs, then the former packages into `keep`; changes nothing."""
    base = filled(request)
    base.conf.keepcache = True  # `apply` finds them there
    ordered(base, request)
    answer = figures(base, request["actions"])
    if not request.get("back"):
        downloaded(base, list(base.transaction.install_set))
    if request.get("keep"):
        answer["kept"], answer["not_kept"] = keep(base, request)
    return answer


def downloaded(base: Any, packages: "list[Any]") -> None:
    """Fetch, then check each signature as the repository's configuration asks; never imports a key."""
    dnf = library("dnf")
    callback = library("dnf.callback")

    class Progress(callback.DownloadProgress):  # type: ignore[misc,name-defined]
        def end(self, payload: Any, status: int, msg: str) -> None:  # noqa: ARG002
            SAID.lines.append(str(msg or ""))  # what each mirror did wrong is told here alone

    try:
        base.download_packages(packages, Progress())
    except dnf.exceptions.Error as e:
        raise fetching(flat(e)) from None
    for p in packages:
        result, why = base.package_signature_check(p)
        if result:
            raise Refuse("signature", p.name + ": " + flat(why).rstrip(".") + ". Keys are imported by people only.")


def fetching(text: str) -> Refuse:
    lower = (text + " " + " ".join(SAID.lines[-20:])).lower()
    for code, saying, words in (
        ("no_space", "The disk was full", ("no space left", "not enough space", "write error", "cannot write")),
        ("hash_mismatch", "What was sent does not fit the checksums", ("checksum",)),
        ("signature", "A signature could not be verified", ("gpg", "signature")),
    ):
        if any(w in lower for w in words):
            return Refuse(code, saying + ": " + text.rstrip(".") + ".")
    return Refuse("network", "It could not be downloaded: " + text.rstrip(".") + ".")


def keep(base: Any, request: "dict[str, Any]") -> "tuple[dict[str, list[str]], list[str]]":
    """{"name\\tarch\\tversion": [file, sha256]} of former packages that a repository has, and what it has not."""
    kept, without = {}, []
    for name, arch, before, _ in request["actions"]:
        p = former(base, name, arch, before) if before else None
        if before and p is None:
            without.append(name + " " + before)
        elif p is not None:
            try:
                downloaded(base, [p])
            except Refuse as e:
                without.append(name + " " + before + " (" + e.reason.rstrip(".") + ")")
                continue
            target = os.path.join(request["keep"], os.path.basename(p.localPkg()))
            shutil.copyfile(p.localPkg(), target)
            kept["\t".join((name, arch, before))] = [os.path.basename(target), digest_of(target)]
    return kept, without


def digest_of(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb+") as f:
        for piece in iter(lambda: f.read(1 << 20), b""):
            digest.update(piece)
        os.fsync(f.fileno())
    return digest.hexdigest()


def refresh(request: "dict[str, Any]") -> "dict[str, Any]":
    """Every enabled repository is asked anew; one that fails is a failure."""
    dnf = library("dnf")
    base = configured(request)
    failed = []
    for repo in base.repos.iter_enabled():
        repo._repo.expire()
        try:
            repo.load()
        except dnf.exceptions.RepoError as e:
            why = fetching(flat(e) + " " + " ".join(SAID.lines[-6:]))
            failed.append(["no_network" if why.code == "network" else why.code, repo.id, flat(e)])
    if not failed:
        base.fill_sack(load_system_repo=True, load_available_repos=True)
    return {"failed": failed, "repositories": len(list(base.repos.iter_enabled()))}
