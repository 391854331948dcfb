"""The correctness table of dnf: each situation is provoked for real, and rpm's records are set beside what we say.

A function takes an empty directory and returns one row; `SITUATIONS` names them all. Real dnf 4 and rpm on a root of
packages built here: *real manager, synthetic distribution*. dnf5 is not run here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.correctness import hostile
from tests.correctness.plain import RpmRecords
from tests.correctness.row import Row
from tests.correctness.standin import Trait, staged
from tests.rpmrepo import Root, Rpm, RpmRepository, needed, order, run

from brakeline.agent.providers.model import Bounds, Refreshed, Refused
from brakeline.protocol.messages import Outcome, TransactionResult

MANAGER: Final = "dnf"
ROOMY = Bounds(disk_reserve_bytes=0)


def row(situation: str, truth: object, ours: object, right: bool) -> Row:
    return Row(MANAGER, situation, str(truth), str(ours), right)


@contextmanager
def world(
    work: Path, *newer: Rpm, first: tuple[Rpm, ...] = (Rpm("p", "1"),), shell: bool = False, options: str = "",
    main: str = "", advisories: str = "", modules: str = "",
) -> Iterator[Any]:  # fmt: skip
    """`first` is installed, the repository also has `newer`, and the metadata is fresh."""
    needed()
    repository = RpmRepository(work)
    try:
        base = (repository.shell(),) if shell else ()
        repository.publish(*base, *first, *newer, advisories=advisories, modules=modules)
        root = Root(work, repository, options, main)
        root.install(*base, *first)
        answer = root.provider.refresh()
        assert isinstance(answer, Refreshed), answer
        yield staged(root, RpmRecords(root.path, repository.directory))
    finally:
        repository.stop()


def said(result: TransactionResult) -> str:
    return f"{result.outcome.value} {result.code}: {result.detail}"


def state_of(root: Root, name: str = "p") -> str:
    found = [u for u in root.provider.available() if u.name == name]
    return f"{found[0].state.value}: {found[0].reason}" if found else "nothing waits"


def plain(work: Path) -> Row:
    with world(work, Rpm("p", "2")) as root:
        result = root.apply(root.plan(("p", "2-1")))
        back = result.way_back is not None and result.way_back.stored
        right = (
            root.has("p") == ["2-1"]
            and result.outcome is Outcome.INSTALLED
            and back
            and state_of(root) == "nothing waits"
        )
        return row("plain update", root.has("p"), said(result), right)


def kept_back(work: Path) -> Row:
    with world(work, Rpm("p", "2", head=("Requires: nowhere >= 3",))) as root:
        ours, refused = state_of(root), root.refusal(("p", "2-1"))
        right = ours.startswith("kept_back") and "nowhere" in ours and "nowhere" in refused.reason
        return row("kept back: a dependency cannot be had", "nothing provides nowhere", ours, right)


def did_nothing(work: Path) -> Row:
    """`dnf -q upgrade p` ends with 0 and has done nothing."""
    with world(work, Rpm("p", "2", head=("Requires: nowhere >= 3",))) as root:
        ran = subprocess.run(["dnf", "-q", "-y", f"--installroot={root.path}", "--releasever=1", "--setopt=best=0",
                              "upgrade", "p"], capture_output=True, text=True, check=False)  # fmt: skip
        refused = root.refusal(("p", "2-1"))
        right = ran.returncode == 0 and root.has("p") == ["1-1"] and refused.code == "refused"
        return row(
            "a run that ends with 0 and did nothing", f"dnf: {ran.returncode}, {root.has('p')}", refused.reason, right
        )


def excluded(work: Path) -> Row:
    with world(work, Rpm("p", "2"), main="exclude=p") as root:
        ours, refused = state_of(root), root.refusal(("p", "2-1"))
        return row("held by exclude=", "exclude=p", ours, ours.startswith("held") and refused.code == "held")


def version_locked(work: Path) -> Row:
    with world(work, Rpm("p", "2")) as root:
        place = root.path / "etc/dnf/plugins"
        place.mkdir(parents=True)
        (place / "versionlock.list").write_text("# by hand\np-0:1-1.*\n")
        ours, refused = state_of(root), root.refusal(("p", "2-1"))
        return row("held by versionlock", "p-0:1-1.*", ours, ours.startswith("held") and refused.code == "held")


def no_network(work: Path) -> Row:
    with world(work, Rpm("p", "2")) as root:
        plan = root.plan(("p", "2-1"))
        root.repository.stop()
        refreshed, result = root.provider.refresh(), root.apply(plan)
        told = isinstance(refreshed, Refused) and refreshed.code == "no_network"
        right = told and (result.outcome, result.code, root.has("p")) == (Outcome.REFUSED, "network", ["1-1"])
        return row("no network", "nothing listens", f"{refreshed}; {said(result)}", right)


def unavailable_skipped(work: Path) -> Row:
    """With skip_if_unavailable=1 dnf itself goes on without the repository and ends with 0."""
    with world(work, Rpm("p", "2"), options="skip_if_unavailable=1") as root:
        root.repository.stop()
        refreshed = root.provider.refresh()
        right = isinstance(refreshed, Refused) and refreshed.code == "no_network"
        return row("repository away, skip_if_unavailable=1", "nothing listens", refreshed, right)


def hash_mismatch(work: Path) -> Row:
    with world(work, Rpm("p", "2")) as root:
        plan = root.plan(("p", "2-1"))
        archive = root.repository.directory / "p-2-1.noarch.rpm"
        data = bytearray(archive.read_bytes())
        data[-1] ^= 1
        archive.write_bytes(data)
        result = root.apply(plan)
        right = (result.outcome, result.code, root.has("p")) == (Outcome.REFUSED, "hash_mismatch", ["1-1"])
        return row("package does not fit its checksum", "one bit changed", said(result), right)


def not_signed(work: Path) -> Row:
    with world(work, Rpm("p", "2"), options="gpgcheck=1") as root:
        result = root.apply(root.plan(("p", "2-1")))
        right = (result.outcome, result.code, root.has("p")) == (Outcome.REFUSED, "signature", ["1-1"])
        return row("package without a good signature", "not signed, gpgcheck=1", said(result), right)


def key_unknown(work: Path) -> Row:
    """Signed by a key that the repository offers and nobody has imported; then a person imports it."""
    home, public = work / "gpg", work / "key.asc"
    with world(work, Rpm("p", "2"), options=f"gpgcheck=1\ngpgkey=file://{public}") as root:
        _signed(root, home, public, "p-2-1.noarch.rpm")
        plan = root.plan(("p", "2-1"))
        first = root.apply(plan)
        before = root.has("p")
        run("rpm", "--root", str(root.path), "--import", str(public))
        second = root.apply(plan, number=2)
        right = (first.outcome, first.code, before) == (Outcome.REFUSED, "signature", ["1-1"])
        right = right and second.outcome is Outcome.INSTALLED and root.has("p") == ["2-1"]
        return row("signed by a key that nobody has imported", f"{before}, then {root.has('p')}", said(first), right)


def _signed(root: Root, home: Path, public: Path, file: str) -> None:
    """Make a key, sign one package with it, and write the metadata anew."""
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", str(home), "--batch", "--no-tty")
    try:
        run(*gpg, "--passphrase", "", "--quick-gen-key", "test", "rsa2048", "sign", "never")
        public.write_text(run(*gpg, "--armor", "--export", "test"))
        names = (
            "--define",
            "_gpg_name test",
            "--define",
            f"_gpg_path {home}",
            "--define",
            f"__gpg {shutil.which('gpg')}",
        )
        run("rpmsign", *names, "--addsign", str(root.repository.directory / file))
    finally:
        run("gpgconf", "--homedir", str(home), "--kill", "all")
    root.repository.index()
    assert isinstance(root.provider.refresh(), Refreshed)


def pre_fails(work: Path) -> Row:
    with world(work, Rpm("p", "2", scripts={"pre": "exit 1"}), shell=True) as root:
        result = root.apply(root.plan(("p", "2-1")))
        right = (result.outcome, result.code, root.has("p")) == (Outcome.FAILED, "maintainer_script_failed", ["1-1"])
        return row("script before unpacking fails", root.has("p"), said(result), right)


def post_fails(work: Path) -> Row:
    """rpm only warns, and dnf ends with 0."""
    with world(work, Rpm("p", "2", scripts={"post": "exit 1"}), shell=True) as root:
        result = root.apply(root.plan(("p", "2-1")))
        right = (result.outcome, result.code, root.has("p")) == (Outcome.FAILED, "maintainer_script_failed", ["2-1"])
        return row("script after unpacking fails", root.has("p"), said(result), right)


def script_hangs(work: Path) -> Row:
    with world(work, Rpm("p", "2", scripts={"post": "sleep 3599"}), shell=True) as root:
        plan, bounds = root.plan(("p", "2-1")), Bounds(run_s_max=25, disk_reserve_bytes=0)
        result = root.apply(plan, bounds)
        left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x003599" in _read(p) and _inside(p, root)]
        right = (result.outcome, result.code, root.has("p")) == (Outcome.FAILED, "timeout", ["2-1"]) and not left
        return row("script hangs", f"{root.has('p')}, left running: {len(left)}", said(result), right)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _inside(cmdline: Path, root: Root) -> bool:
    try:
        return os.readlink(cmdline.parent / "root") == str(root.path)
    except OSError:
        return False


def disk_full(work: Path) -> Row:
    disk = work / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk))
    try:
        with world(disk, Rpm("p", "2")) as root:
            plan = root.plan(("p", "2-1"))
            free = shutil.disk_usage(disk).free
            (disk / "filler").write_bytes(b"\0" * max(0, free - 512 * 1024))
            result = root.apply(plan)
            right = (result.outcome, result.code, root.has("p")) == (Outcome.REFUSED, "no_space", ["1-1"])
            return row("disk full", root.has("p"), said(result), right)
    finally:
        run("umount", "-l", str(disk))


FILL: Final = """x=$(printf %4096s)
x=$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x
[ -e /etc/filled ] && exit 0
while printf %s "$x" >> /filler; do :; done
exit 0"""  # another program takes all the room there is, once rpm has checked that there is enough


def disk_fills_up(work: Path) -> Row:
    disk = work / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk))
    big = Rpm("p", "2", files={"/opt/p/big": "x" * 4_000_000, "/opt/p/version": "2"}, scripts={"pre": FILL})
    try:
        with world(disk, big, shell=True) as root:
            plan = root.plan(("p", "2-1"), bounds=ROOMY)
            result = root.apply(plan, bounds=ROOMY)
            assert (root.path / "filler").exists(), said(result)
            (root.path / "filler").unlink()
            there = root.has("p")
            told = (result.outcome, result.code, there) == (Outcome.FAILED, "no_space", ["1-1"])
            (root.path / "etc/filled").touch()
            again = root.apply(plan, bounds=ROOMY, number=2)
            right = told and (again.outcome, root.has("p")) == (Outcome.INSTALLED, ["2-1"])
            return row("disk fills up in mid-run", there, f"{said(result)} Then, with room: {said(again)}", right)
    finally:
        run("umount", "-l", str(disk))


HOLD = """
import fcntl, sys, time
f = open(sys.argv[1], "a+")
fcntl.lockf(f, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


def locked(work: Path) -> Row:
    with world(work, Rpm("p", "2")) as root:
        plan = root.plan(("p", "2-1"))
        holder = subprocess.Popen(["python3", "-c", HOLD, str(root.lock)], stdout=subprocess.PIPE)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            seen = root.provider.health().lock_holder
            result = root.apply(plan, Bounds(lock_wait_s=5, disk_reserve_bytes=0))
        finally:
            holder.kill()
            holder.communicate()
        right = (result.outcome, result.code, root.has("p")) == (Outcome.REFUSED, "lock_timeout", ["1-1"])
        return row(
            "rpm's lock held by another",
            f"pid {holder.pid}",
            said(result),
            right and all(str(holder.pid) in x for x in (result.detail, seen)),
        )


def removal(work: Path) -> Row:
    with world(work, Rpm("p", "2", head=("Conflicts: q",)), first=(Rpm("p", "1"), Rpm("q", "1"))) as root:
        ours = state_of(root)
        root.refusal(("p", "2-1"))
        allowed = Bounds(allow_removals=True, disk_reserve_bytes=0)
        result = root.apply(root.plan(("p", "2-1"), bounds=allowed), allowed)
        right = ours.startswith("needs_removal") and result.outcome is Outcome.INSTALLED and root.has("q") == []
        return row(
            "it needs another package to go",
            f"p conflicts with q; q: {root.has('q')}",
            f"{ours}; {said(result)}",
            right,
        )


def way_back(work: Path) -> Row:
    with world(work, Rpm("p", "2", head=("Requires: q",)), Rpm("q", "1")) as root:
        result = root.apply(root.plan(("p", "2-1")))
        went = (root.has("p"), root.has("q"), result.outcome)
        root.repository.stop()  # the way back is on the endpoint
        left = root.provider.undo("ro_1", look=True)
        assert not isinstance(left, Refused), left
        bounds = Bounds(allow_removals=True, allow_downgrades=True, disk_reserve_bytes=0)
        told = order(left.transaction, bounds, 2)
        back = root.provider.apply(type(told)(**{**_fields(told), "inverse": left}), root.said.append)
        right = went == (["2-1"], ["1-1"], Outcome.INSTALLED) and (root.has("p"), root.has("q")) == (["1-1"], [])
        return row("downgrade, by the way back that was stored", (root.has("p"), root.has("q")), said(back), right)


def _fields(told: object) -> dict[str, object]:
    return {name: getattr(told, name) for name in type(told).__dataclass_fields__}  # type: ignore[attr-defined]


def no_way_back(work: Path) -> Row:
    with world(work, Rpm("p", "2")) as root:
        (root.repository.directory / "p-1-1.noarch.rpm").unlink()
        root.repository.index()
        root.provider.refresh()
        result = root.apply(root.plan(("p", "2-1")))
        told = result.way_back.told if result.way_back else "nothing"
        return row(
            "former version cannot be had", root.has("p"), told, told.startswith("no way back: p 1-1 cannot be had")
        )


def vendor(work: Path) -> Row:
    first = (Rpm("p", "1", head=("Vendor: One",)),)
    with world(work, Rpm("p", "2", head=("Vendor: Two",)), first=first) as root:
        found = root.provider.available()
        ours = found[0].reason if found else "nothing waits"
        return row("vendor changes", "One to Two", ours, "from One to Two" in ours)


ADVISORY = """<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="sec@example.org" status="stable" type="security" version="1"><id>EX-2026:0001</id>
<title>p</title><issued date="2026-11-02 00:00:00"/><updated date="2026-11-02 00:00:00"/><severity>Important</severity>
<summary>s</summary><description>d</description><references><reference href="https://example.org/CVE-2026-0001"
id="CVE-2026-0001" type="cve" title="CVE-2026-0001"/></references><pkglist><collection short="ex"><name>ex</name>
<package name="p" version="2" release="1" epoch="0" arch="noarch" src="p-2-1.src.rpm">
<filename>p-2-1.noarch.rpm</filename></package></collection></pkglist></update></updates>
"""


def advisory(work: Path) -> Row:
    with world(work, Rpm("p", "2"), Rpm("q", "2"), first=(Rpm("p", "1"), Rpm("q", "1")), advisories=ADVISORY) as root:
        found = {u.name: (u.security, u.suite) for u in root.provider.available()}
        right = found == {"p": (True, "ex EX-2026:0001"), "q": (False, "ex")}
        return row("security by the vendor's advisory", "EX-2026:0001 names p 2", found, right)


MODULES = """---
document: modulemd
version: 2
data: {name: m, stream: "STREAM", version: 1, context: "c", arch: noarch, summary: s, description: d,
  license: {module: [MIT]}, artifacts: {rpms: ["p-0:VERSION-1.noarch"]}}
...
"""


def module_stream(work: Path) -> Row:
    """Stream 1 is enabled and has p 2; stream 2 has p 3, which no plan may bring."""
    modules = MODULES.replace("STREAM", "1").replace("VERSION", "2") + MODULES.replace("STREAM", "2").replace(
        "VERSION", "3"
    )
    label = tuple(f"ModularityLabel: m:{s}:1:c" for s in ("1", "2"))
    newer = (Rpm("p", "2", head=(label[0],)), Rpm("p", "3", head=(label[1],)))
    with world(work, *newer, modules=modules) as root:
        place = root.path / "etc/dnf/modules.d"
        place.mkdir(parents=True, exist_ok=True)
        (place / "m.module").write_text("[m]\nname=m\nstream=1\nprofiles=\nstate=enabled\n")
        found = [u.candidate for u in root.provider.available()]
        refused = root.refusal(("p", "3-1"))
        return row("stream of a module", "m:1 is enabled, m:2 has p 3", f"{found}, {refused.reason}", found == ["2-1"])


def config_file(work: Path) -> Row:
    one, two = ({"/etc/p.conf": "a\n"}, {"/etc/p.conf": "b\n"})
    kept = {"/etc/p.conf": "(noreplace)"}
    with world(work, Rpm("p", "2", files=two, config=kept), first=(Rpm("p", "1", files=one, config=kept),)) as root:
        (root.path / "etc/p.conf").write_text("mine\n")
        plan = root.plan(("p", "2-1"))
        foreseen = root.provider.changed_conffiles(plan)
        result = root.apply(plan)
        mine = (root.path / "etc/p.conf").read_text() == "mine\n" and (root.path / "etc/p.conf.rpmnew").exists()
        right = mine and foreseen == result.conffiles_kept == ("/etc/p.conf",)
        return row("configuration file changed by the owner", "kept, .rpmnew beside it", result.conffiles_kept, right)


def config_replaced(work: Path) -> Row:
    """Plain %config: rpm replaces the file and keeps the owner's as .rpmsave."""
    one, two, plain_config = {"/etc/p.conf": "a\n"}, {"/etc/p.conf": "b\n"}, {"/etc/p.conf": ""}
    newer, older = Rpm("p", "2", files=two, config=plain_config), Rpm("p", "1", files=one, config=plain_config)
    with world(work, newer, first=(older,)) as root:
        (root.path / "etc/p.conf").write_text("mine\n")
        result = root.apply(root.plan(("p", "2-1")))
        saved = (root.path / "etc/p.conf.rpmsave").read_text() == "mine\n"
        right = saved and result.conffiles_kept == () and "replaced /etc/p.conf" in result.detail
        return row("configuration file replaced by the package", "former beside it as .rpmsave", said(result), right)


def kernels(work: Path) -> Row:
    """Put beside, never replaced; the inventory has the newest."""
    older, newer = (Rpm("kernel", v, files={f"/boot/vmlinuz-{v}": v}) for v in ("1", "2"))
    with world(work, newer, first=(older,)) as root:
        plan = root.plan(("kernel", "2-1"))
        result = root.apply(plan)
        shown = [p.version for p in root.provider.inventory() if p.name == "kernel"]
        right = root.has("kernel") == ["1-1", "2-1"] and result.outcome is Outcome.INSTALLED and shown == ["2-1"]
        right = right and plan.actions[0].before == "" and root.provider.health().healthy
        return row("several kernels", root.has("kernel"), f"{shown}; {said(result)}", right)


def protected(work: Path) -> Row:
    first = (Rpm("p", "1"), Rpm("q", "1"))
    with world(work, Rpm("p", "2", head=("Conflicts: q",)), first=first, main="protected_packages=q") as root:
        refused = root.refusal(("p", "2-1"), bounds=Bounds(allow_removals=True, disk_reserve_bytes=0))
        right = refused.code == "refused" and root.has("q") == ["1-1"]
        return row("a protected package would have to go", "protected_packages=q", refused.reason, right)


def weak_dependency(work: Path) -> Row:
    """Recommended packages come along, unless the policy allows no new ones."""
    with world(work, Rpm("p", "2", head=("Recommends: q",)), Rpm("q", "1")) as root:
        without = root.plan(("p", "2-1"), bounds=Bounds(allow_new_packages=False, disk_reserve_bytes=0))
        names = [a.name for a in root.plan(("p", "2-1")).actions], [a.name for a in without.actions]
        return row("weak dependency", "p 2 recommends q", names, names == (["p", "q"], ["p"]))


def metadata_not_signed(work: Path) -> Row:
    with world(work, Rpm("p", "2")) as root:
        place = root.path / "etc/yum.repos.d/ex.repo"
        place.write_text(place.read_text() + "repo_gpgcheck=1\n")
        refreshed = root.provider.refresh()
        right = isinstance(refreshed, Refused) and refreshed.code == "signature"
        return row("metadata without a good signature", "not signed, repo_gpgcheck=1", refreshed, right)


def metadata_key_expired(work: Path) -> Row:
    """A person took the key in while it was good; dnf says the same of it as of a signature that is none."""
    home, public = work / "gpg", work / "key.asc"
    with world(work, Rpm("p", "2")) as root:
        home.mkdir(mode=0o700)
        then = ("gpg", "--faked-system-time", "20200101T000000!", "--homedir", str(home), "--batch", "--passphrase", "",
                "--pinentry-mode", "loopback")  # fmt: skip
        try:
            run(*then, "--quick-gen-key", "test", "rsa2048", "sign", "1y")
            public.write_text(run(*then, "--armor", "--export", "test"))
            run(*then, "--armor", "--detach-sign", str(root.repository.directory / "repodata/repomd.xml"))
        finally:
            run("gpgconf", "--homedir", str(home), "--kill", "all")
        place = root.path / "etc/yum.repos.d/ex.repo"
        place.write_text(place.read_text() + f"repo_gpgcheck=1\ngpgkey=file://{public}\n")
        dnf = ("dnf", "-y", "--installroot", str(root.path), "-c", str(root.path / "etc/dnf/dnf.conf"),
               f"--setopt=reposdir={place.parent}", "makecache", "--refresh")  # fmt: skip
        codes = [subprocess.run(words, capture_output=True, check=False).returncode
                 for words in (("faketime", "2020-06-01 00:00:00", *dnf), dnf)]  # fmt: skip
        refreshed = root.provider.refresh()
        right = codes == [0, 1] and isinstance(refreshed, Refused) and refreshed.code == "signature"
        truth = f"good until the end of 2020; dnf makecache ended with {codes[0]} then and with {codes[1]} now"
        return row("metadata signed by a key that has expired", truth, refreshed, right)


def interrupted_early(work: Path) -> Row:
    """kill -9 in the script before unpacking: nothing was changed."""
    with world(work, Rpm("p", "2", scripts={"pre": "touch /tmp/here; sleep 3597"}), shell=True) as root:
        plan = root.plan(("p", "2-1"))
        killer = threading.Thread(target=_kill_in_script, args=(root,))
        killer.start()
        root.apply(plan)
        killer.join()
        recovered = root.provider.recover(order(plan), root.said.append)
        right = root.has("p") == ["1-1"] and recovered.code == "interrupted_unchanged"
        return row("interrupted before unpacking", root.has("p"), said(recovered), right)


def interrupted_in_files(work: Path) -> Row:
    """As a power cut leaves it that comes while files are laid down: new content, old record."""
    script = {"pre": "[ -e /tmp/here ] && exit 0; touch /tmp/here; sleep 3594"}
    with world(work, Rpm("p", "2", scripts=script), shell=True) as root:
        plan = root.plan(("p", "2-1"))
        killer = threading.Thread(target=_kill_in_script, args=(root,))
        killer.start()
        root.apply(plan)
        killer.join()
        (root.path / "opt/p/version").write_text("half of")
        recovered = root.provider.recover(order(plan), root.said.append)
        text = (root.path / "opt/p/version").read_text()
        right = (root.has("p"), text, recovered.code) == (["2-1"], "2", "interrupted_repaired")
        return row("interrupted while files were laid down", f"{root.has('p')}, {text!r}", said(recovered), right)


def interrupted_between(work: Path) -> Row:
    """kill -9 after one of two packages: sound, and not as ordered."""
    second = Rpm("q", "2", head=("Requires(pre): p = 2",), scripts={"pre": "touch /tmp/here; sleep 3596"})
    with world(work, Rpm("p", "2"), second, first=(Rpm("p", "1"), Rpm("q", "1")), shell=True) as root:
        plan = root.plan(("p", "2-1"), ("q", "2-1"))
        killer = threading.Thread(target=_kill_in_script, args=(root,))
        killer.start()
        root.apply(plan)
        killer.join()
        doubled = root.has("p")
        recovered = root.provider.recover(order(plan), root.said.append)
        right = (doubled, root.has("p"), root.has("q")) == (["1-1", "2-1"], ["2-1"], ["1-1"])
        right = right and recovered.code == "interrupted_partial" and root.provider.health().healthy
        return row("interrupted between two packages", f"p {doubled}, then {root.has('p')}", said(recovered), right)


def not_repaired(work: Path) -> Row:
    """Without leave to repair, the broken state is told, and no later plan is made."""
    script = {"post": "touch /tmp/here; sleep 3595"}
    with world(
        work, Rpm("p", "2", scripts=script), Rpm("q", "2"), first=(Rpm("p", "1"), Rpm("q", "1")), shell=True
    ) as root:
        plan = root.plan(("p", "2-1"))
        killer = threading.Thread(target=_kill_in_script, args=(root,))
        killer.start()
        root.apply(plan)
        killer.join()
        bounds = Bounds(repair=False, disk_reserve_bytes=0)
        recovered, later = root.provider.recover(order(plan, bounds), root.said.append), root.refusal(("q", "2-1"))
        right = root.has("p") == ["1-1", "2-1"] and recovered.code == "interrupted_broken" and later.code == "unhealthy"
        return row("interrupted, repair not allowed", root.has("p"), f"{said(recovered)} {later.reason}", right)


def interrupted(work: Path) -> Row:
    """kill -9 in the script after unpacking: rpm has both versions recorded."""
    script = {"post": "touch /tmp/here; sleep 3598"}
    with world(work, Rpm("p", "2", scripts=script), shell=True) as root:
        plan = root.plan(("p", "2-1"))
        killer = threading.Thread(target=_kill_in_script, args=(root,))
        killer.start()
        result = root.apply(plan)
        killer.join()
        doubled, unhealthy = root.has("p"), root.provider.health()
        recovered = root.provider.recover(order(plan), root.said.append)
        right = doubled == ["1-1", "2-1"] and result.outcome is Outcome.FAILED and not unhealthy.healthy
        right = right and root.has("p") == ["2-1"] and recovered.code == "interrupted_repaired"
        return row(
            "interrupted by kill -9", f"{doubled}, then {root.has('p')}", f"{said(result)} {said(recovered)}", right
        )


def _kill_in_script(root: Root) -> None:
    """End dnf's child and its script at once, by their pids, once the script has begun."""
    deadline = time.monotonic() + 120
    while not (root.path / "tmp/here").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        words = _read(cmdline)
        mine = _inside(cmdline, root) or (str(root.work).encode() in words and b"apply.json" in words)
        if mine and b"guard" not in words.split(b"\0")[0] and b"PR_SET_CHILD_SUBREAPER" not in words:
            os.kill(int(cmdline.parent.name), 9)


def moved_on(work: Path) -> Row:
    """The same version, published again with one more dependency, between plan and run."""
    with world(work, Rpm("p", "2"), Rpm("q", "1")) as root:
        plan = root.plan(("p", "2-1"))
        root.repository.publish(Rpm("p", "2", head=("Requires: q",)))
        root.provider.refresh()
        result = root.apply(plan)
        right = (result.outcome, result.code, root.has("p")) == (Outcome.REFUSED, "changed", ["1-1"])
        return row("what would happen is not what was ordered", "p 2 now needs q", said(result), right)


BENT = """
import dnf
class Bent(dnf.Plugin):
    name = "bent"
    def pre_transaction(self):
        self.base._ts.addErase("q")
"""


def bent(work: Path) -> Row:
    """Something between dnf's plan and rpm adds a removal: the gate compares rpm's own list."""
    plugins = work / "plugins"
    plugins.mkdir()
    first = (Rpm("p", "1"), Rpm("q", "1"))
    with world(work, Rpm("p", "2"), first=first, main=f"pluginpath={plugins}") as root:
        plan = root.plan(("p", "2-1"))
        (plugins / "bent.py").write_text(BENT)
        result = root.apply(plan)
        untouched = (root.has("p"), root.has("q")) == (["1-1"], ["1-1"])
        right = untouched and (result.outcome, result.code) == (Outcome.REFUSED, "changed")
        return row(
            "rpm's list is not the order", "a plugin adds: remove q", said(result), right and "q" in result.detail
        )


ASK = """
import dnf, os, subprocess, sys
TRY = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'a+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
class Ask(dnf.Plugin):
    name = "ask"
    def resolved(self):
        ran = subprocess.run(["/usr/bin/python3", "-c", TRY, "LOCK"], capture_output=True)
        with open("SEEN", "a") as f:
            f.write("held " if ran.returncode else "free ")
"""


def lock_is_ours(work: Path) -> Row:
    """Once the transaction is resolved, nobody else gets rpm's lock: asked from within, before rpm runs."""
    plugins, seen = work / "plugins", work / "seen"
    plugins.mkdir()
    with world(work, Rpm("p", "2"), main=f"pluginpath={plugins}") as root:
        plan = root.plan(("p", "2-1"))
        (plugins / "ask.py").write_text(ASK.replace('LOCK"', f'{root.lock}"').replace("SEEN", str(seen)))
        result = root.apply(plan)
        words = seen.read_text().split()  # the first: while everything is downloaded, others may work
        right = words == ["free", "held"] and result.outcome is Outcome.INSTALLED
        return row("another program wants to install meanwhile", f"lock: {words}", said(result), right)


def mixed_origins(work: Path) -> Row:
    """p is in one repository, q in another: each is told with its own."""
    other = RpmRepository(work / "other")
    try:
        with world(work, Rpm("p", "2"), first=(Rpm("p", "1"), Rpm("q", "1"))) as root:
            other.publish(Rpm("q", "2"))
            source = f"[vendor]\nname=vendor\nbaseurl=http://127.0.0.1:{other.port}/\nenabled=1\n"
            (root.path / "etc/yum.repos.d/vendor.repo").write_text(source)
            root.provider.refresh()
            found = {u.name: u.suite for u in root.provider.available()}
            return row("mixed origins", "p 2 is in ex, q 2 in vendor", found, found == {"p": "ex", "q": "vendor"})
    finally:
        other.stop()


def _make(name: str, version: str, post: str = "", needs: tuple[str, ...] = ()) -> Rpm:
    return Rpm(name, version, head=tuple(f"Requires: {n}" for n in needs), scripts={"post": post} if post else {})


@contextmanager
def _place(work: Path, newer: tuple[Rpm, ...], first: tuple[Rpm, ...]) -> Iterator[hostile.Place]:
    with world(work, *newer, first=first, shell=True) as root:
        yield hostile.Place(root, lambda n: " ".join(root.has(n)), lambda p: Path(root.path / p.lstrip("/")),
                            lambda n, v: Path(root.repository.directory / f"{n}-{v}-1.noarch.rpm"))  # fmt: skip


SITUATIONS: tuple[Callable[[Path], Row], ...] = (
    plain, kept_back, did_nothing, excluded, version_locked, no_network, unavailable_skipped, hash_mismatch, not_signed,
    key_unknown,
    pre_fails, post_fails, script_hangs, disk_full, disk_fills_up, locked, removal, way_back, no_way_back, vendor,
    advisory,
    module_stream, config_file, interrupted, moved_on, bent, config_replaced, kernels, protected, weak_dependency,
    metadata_not_signed, metadata_key_expired, interrupted_early,
    interrupted_in_files, interrupted_between, not_repaired, lock_is_ours,
    mixed_origins, *hostile.rows(hostile.Manager(MANAGER, _make, _place)),
)  # fmt: skip
AIMED = "the kill is aimed at our own processes"
TRAITS: Final = {
    **hostile.ALONE,
    "mixed_origins": Trait(first=1),
    "key_unknown": Trait(first=1),
    "kept_back": Trait(impossible=True),
    "excluded": Trait(hidden=True),
    "version_locked": Trait(hidden=True),
    "post_fails": Trait(unwell=True),
    "script_hangs": Trait(alone="dnf has no bound for a script: it would wait for ever"),
    "disk_fills_up": Trait(alone="the second run is ours: with room again, the same order"),
    "locked": Trait(alone="dnf waits for rpm's lock for ever, and names nobody"),
    "way_back": Trait(alone="nobody is asked for a way back but us"),
    "no_way_back": Trait(alone="dnf does not say beforehand whether there is a way back"),
    "weak_dependency": Trait(alone="only we are given a policy that allows no new packages"),
    "moved_on": Trait(alone="only we have an order from before"),
    "bent": Trait(alone="only we have an order with which rpm's list could be compared"),
    "lock_is_ours": Trait(alone="it asks how we hold rpm's lock"),
    **dict.fromkeys(
        ("interrupted", "interrupted_early", "interrupted_in_files", "interrupted_between", "not_repaired"),
        Trait(alone=AIMED),
    ),
}
QUICK: Final = frozenset({"plain", "post_fails", "hash_mismatch"})
