#!/usr/bin/python3 -I
"""Runs under the endpoint's own Python, which has dnf's library; asks it, and carries out exactly one transaction.

Stands alone (Python 3.6 on: `python3 -I -c SOURCE REQUEST`). REQUEST is JSON, or `@` and a file of it; the answer is
one line after MARK. `apply` holds rpm's own lock from before the packages are read until rpm has ended, and compares
the very list that rpm was given with the order, inside dnf's lock, right before rpm starts: anything else changes
nothing. No key is ever imported, nothing is asked, nothing is removed that was not ordered.
"""

import fcntl
import hashlib
import importlib
import json
import logging
import os
import shutil
import struct
import sys
import time
from typing import Any

MARK = "\x1ebrakeline-dnf "
COMM = "brakeline-dnf"  # what this process calls itself: a time-out lets it record what its scripts came to
ALONE_MAX = 12  # updates that are resolved one by one to say why they wait
FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid
LOCKLIST = "etc/dnf/plugins/versionlock.list"
TAKEN_BACK = "# Brakeline took this version back"  # begins the line above one of ours (`taken_back`)


HELD = "Held on this endpoint by its owner (exclude or versionlock)."
WAS_TAKEN_BACK = "Taken back on this endpoint: an order for it, or a newer version, brings the package again."


class Refuse(Exception):
    """Ends the run before anything was changed."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Said(logging.Handler):
    """What dnf and librepo log, for the reason of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        sys.stderr.write(record.getMessage() + "\n")


SAID = Said()


def library(name: str) -> Any:
    """A module of the endpoint's own Python."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Refuse("unhealthy", "This endpoint's Python has no " + name + ".") from None


# --- opening -------------------------------------------------------------------------------------------------------


def configured(request: "dict[str, Any]") -> Any:
    """dnf as this root has it configured, less what could remove, skip or ask."""
    dnf = library("dnf")
    library("dnf.rpm")
    conf, root = dnf.conf.Conf(), request["root"]
    conf.installroot = root
    base = dnf.Base(conf)
    conf._search_inside_installroot("config_file_path")
    conf.read(priority=dnf.conf.PRIO_MAINCONFIG)
    from_root = conf._search_inside_installroot("reposdir")
    conf.substitutions.update_from_etc(from_root, varsdir=conf._get_value("varsdir"))
    release = conf.releasever or dnf.rpm.detect_releasever(root)
    if release:
        conf.releasever = release
    if os.geteuid() != 0:
        conf.cachedir = conf.system_cachedir  # what root has fetched; logs go where this user may write
    for option in ("cachedir", "persistdir") if os.geteuid() != 0 else ("cachedir", "logdir", "persistdir"):
        conf.prepend_installroot(option)
    conf.exit_on_lock, conf.clean_requirements_on_remove = True, False
    conf.assumeyes = conf.assumeno = False
    conf.best, conf.deltarpm = False, False  # each version is named: dnf's own idea of the best is not asked
    conf.timeout, conf.retries = 30, 2
    if request.get("download_kib_s"):
        conf.throttle = str(request["download_kib_s"]) + "k"
    if not request.get("new", True):
        conf.install_weak_deps = False
    base.init_plugins(disabled_glob=["versionlock"])  # its list is kept here, as this request needs it
    base.pre_configure_plugins()
    base.read_all_repos()
    base.configure_plugins()
    for repo in base.repos.iter_enabled():
        repo.skip_if_unavailable = False  # a repository that is not there is told, never left out in silence
    return base


def filled(request: "dict[str, Any]") -> Any:
    """With what is installed and what the repositories had when they were last asked; reaches no network."""
    base = configured(request)
    dnf = library("dnf")
    try:
        base.fill_sack_from_repos_in_cache(load_system_repo=True)
    except dnf.exceptions.RepoError as e:
        raise Refuse("lists_stale", "The metadata of a repository is not there: " + flat(e)) from None
    lock_versions(base, request)
    return base


def lock_versions(base: Any, request: "dict[str, Any]") -> None:
    """What the owner has written into versionlock's list holds, whether dnf has that plugin or not; what was taken back
    does too, unless this very request asks for it."""
    asked = {(t[0], t[2]) for t in request.get("targets", ())} | {(a[0], a[3]) for a in request.get("actions", ())}
    hawkey, subject = library("hawkey"), library("dnf.subject")
    locked, excluded, names = base.sack.query().filter(empty=True), base.sack.query().filter(empty=True), []
    lines, ours = read_locks(os.path.join(request["root"], LOCKLIST))
    lines += [line for line, pair in ours.items() if pair not in asked]
    for line in lines:
        forms = [hawkey.FORM_NEVRA, hawkey.FORM_NEVR, hawkey.FORM_NEV, hawkey.FORM_NA, hawkey.FORM_NAME]
        for nevra in subject.Subject(line.lstrip("!")).get_nevra_possibilities(forms=forms):
            found = nevra.to_query(base.sack)
            if line.startswith("!"):
                excluded = excluded.union(found)
            else:
                names.append(nevra.name)
                locked = locked.union(found)
            if found:
                break
    if names:
        excluded = excluded.union(base.sack.query().filter(name__glob=names).difference(locked))
    excluded = excluded.available()
    if excluded:
        base.sack.add_excludes(excluded)


def read_locks(path: str) -> "tuple[list[str], dict[str, tuple[str, str]]]":
    """Lines of the owner; lines of ours -> name and version."""
    others: list[str] = []
    ours: dict[str, tuple[str, str]] = {}
    marked = False
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read()
    except OSError:
        text = ""
    for line in (raw.strip() for raw in text.splitlines()):
        if line and not line.startswith("#"):
            name, version, release = [*line[1:-2].rsplit("-", 2), "", ""][:3]
            if marked and release and line.startswith("!"):
                epoch, _, bare = version.rpartition(":")
                ours[line] = (name, ("" if epoch in ("", "0") else epoch + ":") + bare + "-" + release)
            else:
                others.append(line)
        marked = line.startswith(TAKEN_BACK)
    return others, ours


def flat(error: object) -> str:
    return " ".join(str(error).split())[:400]


# --- looking -------------------------------------------------------------------------------------------------------


def here(base: Any) -> Any:
    """Everything that is installed: dnf hides from a plain query what its owner excludes, though it is there."""
    return base.sack.query(flags=library("hawkey").IGNORE_EXCLUDES).installed()


def version_of(p: Any) -> str:
    return str(("" if not p.epoch else str(p.epoch) + ":") + p.version + "-" + p.release)


def vendor_of(p: Any) -> str:
    vendor = str(getattr(p, "vendor", "") or "")
    return "" if vendor == "<NULL>" else vendor  # so the library says that there is none


def installed_rows(base: Any) -> "list[dict[str, Any]]":
    """Every installed package, also several versions of one; keys of rpm are no packages."""
    rows = []
    several = {p.name for p in base._get_installonly_query(here(base))}
    for p in here(base):
        if p.name != "gpg-pubkey":
            rows.append({
                "name": p.name, "arch": p.arch, "version": version_of(p), "source": p.sourcerpm or "",
                "epoch": p.epoch, "origin": base.history.repo(p) or "", "vendor": vendor_of(p),
                "several": p.name in several, "installed_s": p.installtime, "size": p.installsize,
            })  # fmt: skip
    return rows


def module_labels(root: str) -> "dict[tuple[str, str, str], str]":
    """Label of each package that was built in a module, from rpm's records: dnf's library does not say it."""
    rpm = library("rpm")
    transaction = rpm.TransactionSet(root)
    transaction.setVSFlags(rpm._RPMVSF_NOSIGNATURES | rpm._RPMVSF_NODIGESTS)
    found = {}
    for h in transaction.dbMatch():
        label = h["modularitylabel"]
        if label:
            epoch = "" if not h["epoch"] else str(h["epoch"]) + ":"
            found[(h["name"], h["arch"], epoch + h["version"] + "-" + h["release"])] = label
    return found


def newest(packages: Any) -> "dict[tuple[str, str], Any]":
    best: dict[tuple[str, str], Any] = {}
    for p in packages:
        if (p.name, p.arch) not in best or best[(p.name, p.arch)] < p:
            best[(p.name, p.arch)] = p
    return best


def look(request: "dict[str, Any]") -> "dict[str, Any]":
    """What is installed and what is newer, with the reason of each that would not be installed now."""
    try:
        base, lists = filled(request), ""
    except Refuse as e:
        base, lists = configured(request), e.reason
        base.fill_sack(load_system_repo=True, load_available_repos=False)
    rows: list[dict[str, Any]] = installed_rows(base)
    answer: dict[str, Any] = {"installed": rows, "pending": [], "lists_problem": lists}
    if request.get("pending"):
        answer["pending"] = pending(base)
        labels = module_labels(request["root"])
        for found in rows:
            found["module"] = labels.get((found["name"], found["arch"], found["version"]), "")
    return answer


def pending(base: Any) -> "list[dict[str, Any]]":
    hawkey = library("hawkey")
    have = newest(here(base))
    free = newest(base.sack.query().available())
    every = newest(base.sack.query(flags=hawkey.IGNORE_REGULAR_EXCLUDES).available())  # streams of modules stay
    rows, ask = [], []
    back = set(read_locks(os.path.join(str(base.conf.installroot), LOCKLIST))[1].values())
    for key, p in sorted(have.items(), key=lambda item: item[0]):
        candidate, best = free.get(key), every.get(key)
        if candidate is not None and candidate > p:
            rows.append(row(p, candidate, "available", ""))
            ask.append((rows[-1], candidate))
        elif best is not None and best > p:
            ours = (best.name, version_of(best)) in back
            rows.append(row(p, best, "held", WAS_TAKEN_BACK if ours else HELD))
    together = resolved(base, [c for _, c in ask], False)
    if isinstance(together, str) or any(not a[2] or not a[3] for a in together) or len(together) < len(ask):
        for found, candidate in ask[:ALONE_MAX]:
            found["state"], found["reason"] = alone(base, candidate)
    return rows


def row(p: Any, candidate: Any, state: str, reason: str) -> "dict[str, Any]":
    hawkey = library("hawkey")
    security, advisories, cves = False, [], []
    for advisory in p.get_advisories(hawkey.GT):
        mine = [x for x in advisory.packages if x.name == p.name and p.base.sack.evr_cmp(x.evr, candidate.evr) <= 0]
        if mine:
            security = security or advisory.type == hawkey.ADVISORY_SECURITY
            advisories.append(advisory.id)
            cves += [r.id for r in advisory.references if r.type == hawkey.REFERENCE_CVE]
    return {
        "name": p.name, "arch": p.arch, "installed": version_of(p), "candidate": version_of(candidate),
        "repository": candidate.reponame, "security": security, "advisories": sorted(set(advisories)),
        "cves": sorted(set(cves)), "state": state, "reason": reason, "size": candidate.downloadsize,
        "vendor": [vendor_of(p), vendor_of(candidate)],
    }  # fmt: skip


def alone(base: Any, candidate: Any) -> "tuple[str, str]":
    found = resolved(base, [candidate], False)
    if isinstance(found, list) and found:
        new = sorted({a[0] for a in found if not a[2]})
        return ("needs_new_packages", "Needs new packages: " + ", ".join(new) + ".") if new else ("available", "")
    with_removals = resolved(base, [candidate], True, strict=True)
    if isinstance(with_removals, list) and with_removals:
        gone = sorted({a[0] for a in with_removals if not a[3]})
        if gone:
            return "needs_removal", "Needs " + ", ".join(gone) + " to be removed."
    why = resolved(base, [candidate], False, strict=True)
    return "kept_back", "Kept back: " + (why if isinstance(why, str) else "dnf finds no way to install it") + "."


# --- resolving -----------------------------------------------------------------------------------------------------


def resolved(base: Any, packages: "list[Any]", erasing: bool, strict: bool = False) -> Any:
    """Actions [name, arch, before, after] for exactly these versions; a string = why there are none."""
    dnf, selector = library("dnf"), library("dnf.selector")
    base.reset(goal=True)
    several = {p.name for p in base._get_installonly_query()}
    for p in packages:
        if strict or p.name in several:
            chosen = selector.Selector(base.sack)
            chosen.set(pkg=[p])
            base.goal.install(select=chosen, optional=False)
        else:
            base.package_upgrade(p)
    return settled(base, erasing, dnf)


def settled(base: Any, erasing: bool, dnf: Any) -> Any:
    try:
        base.resolve(allow_erasing=erasing)
    except dnf.exceptions.Error as e:
        return flat(e).rstrip(".")
    return actions_of(base)


def actions_of(base: Any) -> "list[list[str]]":
    """What the resolved transaction does. Packages that may be there several times are put beside, never replaced."""
    if base.transaction is None:
        return []
    several = {p.name for p in base._get_installonly_query()}
    new, old = list(base.transaction.install_set), list(base.transaction.remove_set)
    actions = []
    for p in new:
        replaced = [q for q in old if (q.name, q.arch) == (p.name, p.arch)] if p.name not in several else []
        for q in replaced:
            old.remove(q)
        actions.append([p.name, p.arch, version_of(replaced[0]) if replaced else "", version_of(p)])
    actions += [[q.name, q.arch, version_of(q), ""] for q in old]
    return sorted(actions)


def plan(request: "dict[str, Any]") -> "dict[str, Any]":
    """The exact transaction of `targets` ([name, arch or "", version]); nothing is changed."""
    base = filled(request)
    packages, skipped = chosen_targets(base, request["targets"])
    found = brought(base, packages, request["removals"])
    if isinstance(found, str):
        raise Refuse("refused", "dnf finds no way to do this: " + found + ".")
    return {"actions": found, "skipped": skipped, **figures(base, found)}


def brought(base: Any, packages: "list[Any]", erasing: bool) -> Any:
    """As `resolved`, and all of `packages` are in it: dnf itself leaves out what it cannot do, and ends with 0."""
    wanted = {(p.name, p.arch, version_of(p)) for p in packages}
    found = resolved(base, packages, erasing)
    if isinstance(found, list) and not wanted <= {(a[0], a[1], a[3]) for a in found}:
        found = resolved(base, packages, erasing, strict=True)
    return found


def chosen_targets(base: Any, targets: "list[list[str]]") -> "tuple[list[Any], list[str]]":
    hawkey = library("hawkey")
    packages, skipped, asked = [], [], 0
    for name, arch, version in targets:
        for key, p in newest(here(base).filter(name=name)).items():
            if (arch and key[1] != arch) or base.sack.evr_cmp(version, version_of(p)) <= 0:
                continue
            asked += 1
            raw = base.sack.query(flags=hawkey.IGNORE_REGULAR_EXCLUDES).available().filter(name=name, arch=key[1])
            there = [q for q in raw if version_of(q) == version]
            free = [q for q in base.sack.query().available().filter(name=name, arch=key[1]) if version_of(q) == version]
            if free:
                packages.append(free[0])
            elif there:
                skipped.append(name + " is held on this endpoint by its owner")
            else:
                raise missing(name, version, list(raw))
    if not asked:
        raise Refuse("nothing_to_do", "Every update is installed already, or its package is not on this endpoint.")
    if not packages:
        raise Refuse(
            "held", "Held back on this endpoint by its owner: " + ", ".join(s.split()[0] for s in skipped) + "."
        )
    return packages, skipped


def missing(name: str, version: str, there: "list[Any]") -> Refuse:
    best = max(there) if there else None
    if best is not None and best.base.sack.evr_cmp(version_of(best), version) > 0:
        now = version_of(best)
        return Refuse(
            "refused", name + " " + version + " cannot be had any more; the repositories now have " + now + "."
        )
    return Refuse("lists_stale", name + " " + version + " is not in this endpoint's package lists.")


def figures(base: Any, actions: "list[list[str]]") -> "dict[str, Any]":
    """Bytes to fetch, growth, largest; and which former versions a repository still has."""
    new, old = base.transaction.install_set, base.transaction.remove_set
    back: list[str] = []
    gone: list[str] = []
    for name, arch, before, _ in actions:
        if before:
            (back if former(base, name, arch, before) is not None else gone).append(name)
    return {
        "download": sum(0 if os.path.exists(p.localPkg()) else p.downloadsize for p in new),
        "growth": sum(p.installsize for p in new) - sum(p.installsize for p in old),
        "largest": max([p.installsize for p in new] or [0]), "back": back, "gone": gone,
    }  # fmt: skip


def former(base: Any, name: str, arch: str, version: str) -> Any:
    """The repositories' package of exactly this version, held or not; None = they have none."""
    hawkey = library("hawkey")
    for p in base.sack.query(flags=hawkey.IGNORE_EXCLUDES).available().filter(name=name, arch=arch):
        if version_of(p) == version:
            return p
    return None


# --- doing ---------------------------------------------------------------------------------------------------------


def ordered(base: Any, request: "dict[str, Any]") -> None:
    """Resolve the order; `Refuse` unless that is exactly the order."""
    found = as_ordered(base, request)
    want = sorted([list(a) for a in request["actions"]])
    if isinstance(found, str):
        raise Refuse("changed", "The situation has changed since the plan: " + found + ".")
    if found != want:
        raise Refuse("changed", "The situation has changed since the plan: " + unlike(want, found) + ".")


def as_ordered(base: Any, request: "dict[str, Any]") -> Any:
    dnf, selector = library("dnf"), library("dnf.selector")
    archives = request.get("archives") or {}
    local = {tuple(k.split("\t")): p for k, p in zip(archives, base.add_remote_rpms(list(archives.values())))}  # noqa: B905
    packages = []
    if not request.get("back"):
        for name, arch, before, after in request["actions"]:
            if before and after:
                packages.append(exact(base, name, arch, after))
        several = {p.name for p in base._get_installonly_query(here(base))}
        for name, arch, before, after in request["actions"]:
            if name in several and after and not before:
                packages.append(exact(base, name, arch, after))
        return brought(base, packages, request["removals"])
    for name, arch, before, after in request["actions"]:
        if after:
            chosen = selector.Selector(base.sack)
            chosen.set(pkg=[local[(name, arch, after)]])
            base.goal.install(select=chosen, optional=False)
        else:
            for p in here(base).filter(name=name, arch=arch):
                if version_of(p) == before:
                    base.goal.erase(p)
    return settled(base, True, dnf)


def exact(base: Any, name: str, arch: str, version: str) -> Any:
    for p in base.sack.query().available().filter(name=name, arch=arch):
        if version_of(p) == version:
            return p
    raise Refuse("changed", "The situation has changed since the plan: " + name + " " + version + " is not to be had.")


def unlike(want: "list[list[str]]", found: "list[list[str]]") -> str:
    extra = ["not ordered: " + " ".join(a) for a in found if a not in want]
    less = ["ordered, but not to happen: " + " ".join(a) for a in want if a not in found]
    return "; ".join((extra + less)[:6])


def would(request: "dict[str, Any]") -> "dict[str, Any]":
    """Whether the order would go now; `Refuse` says why not. Changes nothing, fetches nothing."""
    ordered(filled(request), request)
    return {}


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


def rpm_lock(request: "dict[str, Any]") -> int:
    """rpm's own lock, held by this process until it ends; past the bound it says who has it."""
    rpm = library("rpm")
    path = os.path.join(request["root"], rpm.expandMacro("%{_dbpath}").lstrip("/"), ".rpm.lock")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + request["lock_wait_s"]
    while True:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except OSError:
            pid = struct.unpack(FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0)))[4]
        if time.monotonic() >= deadline:
            waited = str(int(request["lock_wait_s"]))
            raise Refuse(
                "lock_timeout", path + " has been held by " + named(pid) + " for the " + waited + " s we waited."
            )
        time.sleep(0.2)


def named(pid: int) -> str:
    try:
        with open("/proc/" + str(pid) + "/comm", encoding="utf-8") as f:
            return f.read().strip() + " (pid " + str(pid) + ")"
    except OSError:
        return "pid " + str(pid)


def apply(request: "dict[str, Any]") -> "dict[str, Any]":
    """The transaction itself. The verdict is on disk before rpm starts."""
    with open("/proc/self/comm", "w", encoding="utf-8") as f:
        f.write(COMM)
    dnf, rpmtrans = library("dnf"), library("dnf.yum.rpmtrans")
    lock = rpm_lock(request)
    base = filled(request)
    ordered(base, request)
    if not request.get("back"):
        downloaded(base, list(base.transaction.install_set))
    if not callable(getattr(base, "_run_transaction", None)):
        raise Refuse("refused", "This dnf is none that the exactness of a transaction was proven with.")
    run, errors = base._run_transaction, []

    class Display(rpmtrans.TransactionDisplay):  # type: ignore[misc,name-defined]
        def error(self, message: str) -> None:
            errors.append(flat(message))
            sys.stderr.write(str(message) + "\n")

        def scriptout(self, msgs: str) -> None:
            sys.stderr.write(str(msgs or ""))

    def gated(cb: Any) -> Any:
        compare(base._ts, request)
        write_verdict(request, {"same": True, "difference": ""})
        return run(cb=cb)

    base._run_transaction = gated
    try:
        base.do_transaction(Display())
    except dnf.exceptions.Error as e:
        errors.append(flat(e))
    finally:
        os.close(lock)
    return {"errors": errors}


def compare(transaction: Any, request: "dict[str, Any]") -> None:
    """rpm's own list against the order."""
    rpm = library("rpm")
    added: set[Any] = set()
    removed: set[Any] = set()
    for element in transaction:
        epoch = str(element.E() or "0")
        nevra = (element.N(), element.A(), ("" if epoch == "0" else epoch + ":") + element.V() + "-" + element.R())
        (added if element.Type() == rpm.TR_ADDED else removed).add(nevra)
    want_added = {(n, a, after) for n, a, _, after in request["actions"] if after}
    want_removed = {(n, a, before) for n, a, before, _ in request["actions"] if before}
    wrong = sorted(added ^ want_added) + sorted(removed ^ want_removed)
    if wrong:
        difference = "; ".join(" ".join(w) for w in wrong[:6])
        write_verdict(request, {"same": False, "difference": difference})
        raise Refuse("changed", "What rpm was about to do was not what was ordered: " + difference + ".")


def write_verdict(request: "dict[str, Any]", verdict: "dict[str, Any]") -> None:
    with open(request["verdict"], "w", encoding="utf-8") as f:
        json.dump(verdict, f)
        f.flush()
        os.fsync(f.fileno())


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


VERBS = {"look": look, "plan": plan, "would": would, "fetch": fetch, "apply": apply, "refresh": refresh}


def main(text: str) -> int:
    """Always one line of answer, also for what was not expected."""
    for name in ("dnf", "librepo", "dnf.rpm"):
        logging.getLogger(name).addHandler(SAID)
        logging.getLogger(name).propagate = False
    if text.startswith("@"):
        with open(text[1:], encoding="utf-8") as f:
            text = f.read()
    request = json.loads(text)
    try:
        answer = VERBS[request["verb"]](request)
    except Refuse as e:
        answer = {"refused": [e.code, e.reason]}
    except Exception as e:  # noqa: BLE001  outermost: what dnf raises is told, and nothing was changed before `apply`'s verdict
        pid = getattr(e, "pid", 0)
        code = "locked" if pid else "failed"
        answer = {"refused": [code, flat(e).rstrip(".") + (", by " + named(pid) if pid else "") + "."]}
    sys.stdout.write("\n" + MARK + json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
