"""dnf as the endpoint has it configured, less what could remove, skip or ask; and what its owner holds back."""

import os
from typing import Any

from brakeline.agent.providers.dnf.child.base import Refuse, flat, library

LOCKLIST = "etc/dnf/plugins/versionlock.list"
TAKEN_BACK = "# Brakeline took this version back"  # begins the line above one of ours (`taken_back`)


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


def recorded(request: "dict[str, Any]") -> Any:
    """With what is installed alone."""
    base = configured(request)
    base.fill_sack(load_system_repo=True, load_available_repos=False)
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


def here(base: Any) -> Any:
    """Everything that is installed: dnf hides from a plain query what its owner excludes, though it is there."""
    return base.sack.query(flags=library("hawkey").IGNORE_EXCLUDES).installed()


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


def version_of(p: Any) -> str:
    return str(("" if not p.epoch else str(p.epoch) + ":") + p.version + "-" + p.release)


def vendor_of(p: Any) -> str:
    vendor = str(getattr(p, "vendor", "") or "")
    return "" if vendor == "<NULL>" else vendor  # so the library says that there is none


def newest(packages: Any) -> "dict[tuple[str, str], Any]":
    best: dict[tuple[str, str], Any] = {}
    for p in packages:
        if (p.name, p.arch) not in best or best[(p.name, p.arch)] < p:
            best[(p.name, p.arch)] = p
    return best
