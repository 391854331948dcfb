"""Situations of pacman, provoked on the real manager over a synthetic distribution, one row each."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tests.archrepo import Built, Repository
from tests.correctness import hostile
from tests.correctness.plain import PacmanRecords
from tests.correctness.row import Row
from tests.correctness.standin import Trait, staged
from tests.pacroot import WORK_DIR, Arch, order
from tests.pacroot import arch as fresh_arch
from tests.support import require

from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refused
from brakeline.agent.providers.pacman.lists import Lists
from brakeline.protocol.messages import Outcome, TransactionResult, UpdateRef, UpdateState

MANAGER: Final = "pacman"


def built(name: str, version: str, files: dict[str, bytes] | None = None, **more: Any) -> Built:
    """A package with a file that says its version, and these."""
    return Built(name, version, files={f"usr/share/{name}/version": f"{version}\n".encode(), **(files or {})}, **more)


@contextmanager
def arch(**options: Any) -> Iterator[Any]:
    """A fresh root; while a peer plays, with that in our provider's place."""
    with fresh_arch(**options) as made:
        yield staged(made, PacmanRecords(made.machine.root, made.repository.directory))


def row(situation: str, truth: str, ours: str) -> Row:
    return Row(MANAGER, situation, truth, ours)


def told(result: TransactionResult) -> str:
    return f"{result.outcome.value} {result.code}"


def pending(endpoint: Arch) -> dict[str, UpdateState]:
    return {u.name: u.state for u in endpoint.provider.available()}


def update() -> Row:
    """A plain update: inventory, plan, apply, verify."""
    with arch() as e:
        e.install(built("p", "1-1", base="source"))
        e.publish(built("p", "2-1", base="source"))
        package = {p.name: p for p in e.provider.inventory()}["p"]
        said = package.ecosystem, package.source, package.origin, package.architecture
        assert said == ("alpm", "source", "test", "any"), "the repository that has its name, in whatever version"
        plan = e.plan(("p", "2-1"))
        assert e.provider.verify(plan) == ("p should be 2-1, but is 1-1 (ii)",)
        result = e.apply(plan)
        assert result.detail.endswith("proven by the local database."), result
        assert e.provider.verify(plan) == ()
        return row("plain update", f"installed ok {e.version('p')}", f"{told(result)} {result.changes[0].after}")


def whole_upgrade() -> Row:
    """One update alone was asked for: the transaction is the whole upgrade, and the plan says so."""
    with arch() as e:
        e.install(built("p", "1-1"), built("q", "1-1"))
        e.publish(built("p", "2-1"), built("q", "2-1"))
        planned = e.provider.plan((UpdateRef("p", "2-1"),), Bounds())
        assert isinstance(planned, Planned), planned
        assert "no partial upgrades" in planned.skipped[0], planned.skipped
        result = e.apply(planned.transaction)
        assert result.outcome is Outcome.INSTALLED, result
        return row("one update asked for, no partial upgrades", f"{e.version('p')} {e.version('q')}",
                   " ".join(a.after for a in planned.transaction.actions))  # fmt: skip


def kept_back() -> Row:
    """A dependency that cannot be had: the whole upgrade stands still, and is told."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1", depends=("nowhere>=3",)))
        waits = e.provider.available()[0]
        assert "nowhere" in waits.reason, waits
        refusal = e.refusal(("p", "2-1"))
        assert "nowhere" in refusal.reason, refusal
        really = e.machine.query("pacman", "--noconfirm", "--dbpath", "/var/cache/brakeline/pacman", "-Su").rc
        assert really != 0, "pacman itself goes through"
        return row("kept back", f"kept_back {e.version('p')} refused", f"{waits.state.value} 1-1 {refusal.code}")


def held() -> Row:
    """IgnorePkg and IgnoreGroup are honoured and explained."""
    with arch() as e:
        e.install(built("p", "1-1"), built("q", "1-1"))
        e.publish(built("p", "2-1"), built("q", "2-1"))
        e.configure("SigLevel = Never\nIgnorePkg = p")
        assert pending(e) == {"p": UpdateState.HELD, "q": UpdateState.AVAILABLE}
        assert e.refusal(("p", "2-1")).code == "held"
        result = e.apply(e.plan(("p", "2-1"), ("q", "2-1")))
        told_of = " ".join(f"{c.name} {c.after}" for c in result.changes)
        return row("held by IgnorePkg", f"held {e.version('p')} q {e.version('q')}", f"held 1-1 {told_of}")


def no_network() -> Row:
    """Nothing listens: lists stay the last good ones, a download changes nothing."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1"))
        plan = e.plan(("p", "2-1"))
        e.repository.stop()
        answer = e.provider.refresh()
        assert isinstance(answer, Refused), answer
        assert e.provider.health().lists_problem == answer.reason
        assert pending(e) == {"p": UpdateState.AVAILABLE}
        result = e.apply(plan)
        return row("no network", f"no_network refused network {e.version('p')}", f"{answer.code} {told(result)} 1-1")


def live_databases_stay() -> Row:
    """A refresh of ours never touches the live databases: no partial upgrade by the next `pacman -S`."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1"))
        live = e.sh("pacman -Qu || true").strip()
        mine = ",".join(u.candidate for u in e.provider.available())
        e.repository.spoil(built("p", "2-1"))
        result = e.apply(e.plan(("p", "2-1")))
        assert result.outcome is Outcome.REFUSED, result
        return row("databases after a refused run", f"{live}|{e.sh('pacman -Qu || true').strip()}|2-1", f"||{mine}")


def hash_mismatch() -> Row:
    """A package that is not what the database says is not installed."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1"))
        e.repository.spoil(built("p", "2-1"))
        result = e.apply(e.plan(("p", "2-1")))
        return row("hash mismatch", f"refused hash_mismatch {e.version('p')}", f"{told(result)} 1-1")


def _key(home: Path, faked: str, expire: str) -> None:
    home.mkdir(mode=0o700)
    (home / "gpg.conf").write_text("")
    options = ("--faked-system-time", faked) if faked else ()
    command = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", *options]
    made = ("--quick-gen-key", "test@example.invalid", "ed25519", "sign", expire)
    subprocess.run([*command, *made], check=True, capture_output=True)


def _trust(e: Arch, home: Path) -> None:
    """The endpoint's keyring has the key and trusts it ultimately."""
    public = subprocess.run(["gpg", "--homedir", str(home), "--export"], check=True, capture_output=True).stdout
    trust = subprocess.run(
        ["gpg", "--homedir", str(home), "--export-ownertrust"], check=True, capture_output=True
    ).stdout
    e.machine.path("/root/key").write_bytes(public)
    e.machine.path("/root/trust").write_bytes(trust)
    e.sh(
        "mkdir -p -m 700 /etc/pacman.d/gnupg; cd /etc/pacman.d/gnupg; gpg --homedir . --batch --import /root/key;"
        "gpg --homedir . --batch --import-ownertrust /root/trust; gpgconf --homedir /etc/pacman.d/gnupg --kill all"
    )


def _signed(name: str, *, expired: bool = False, known: bool = True, code: str) -> Row:
    with tempfile.TemporaryDirectory() as work:
        home, faked = Path(work) / "home", "20200101T000000" if expired else ""
        try:
            _key(home, faked, "1d" if expired else "never")
            with arch(signed_by=str(home), faked_time=faked) as e:
                if known:
                    _trust(e, home)
                e.configure("SigLevel = DatabaseRequired PackageNever\nGPGDir = /etc/pacman.d/gnupg/")
                e.repository.publish(built("p", "1-1"))
                answer = e.provider.refresh()
                e.sh("mkdir -p /root/db/local")
                really = e.machine.query("pacman", "-Sy", "--noconfirm", "--ask=64", "--dbpath", "/root/db").rc
                found = answer.code if isinstance(answer, Refused) else "refreshed"
                return row(
                    name, code if (really != 0) == (code != "refreshed") else f"pacman ended with {really}", found
                )
        finally:
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)


def good_signature() -> Row:
    return _signed("database with a good signature", code="refreshed")


def expired_key() -> Row:
    return _signed("expired key", expired=True, code="expired")


def unknown_key() -> Row:
    """pacman's own default is to import an unknown key; nobody here says yes to that."""
    return _signed("signature by an unknown key", known=False, code="signature")


def script_fails() -> Row:
    """pacman ends with 0 and has the new version, although the scriptlet failed."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1", script="post_upgrade() { exit 3; }\n"))
        result = e.apply(e.plan(("p", "2-1")))
        assert result.detail.startswith("p: its scriptlet failed"), result
        return row("scriptlet fails", f"failed maintainer_script_failed {e.version('p')}",
                   f"{told(result)} {result.changes[0].after}")  # fmt: skip


def script_hangs() -> Row:
    """Time-out: the scriptlet is ended, pacman itself finishes, nothing of the tree is left."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1", script="post_upgrade() { setsid sleep 4711; }\n"))
        bounds = Bounds(run_s_max=6)
        result = e.apply(e.plan(("p", "2-1"), bounds=bounds), bounds)
        left = e.machine.query("pgrep", "-f", "sleep 4711").text.split()
        lock = e.machine.path("/var/lib/pacman/db.lck").exists()
        return row("scriptlet hangs", f"failed timeout {e.version('p')} [] False", f"{told(result)} 2-1 {left} {lock}")


def disk_full() -> Row:
    """Too small a disk is known before anything is changed."""
    with arch(size_mib=60) as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1", files={"usr/share/p/large": b"\0" * (30 << 20)}))
        refusal = e.refusal(("p", "2-1"))
        return row("disk full", f"no_space {e.version('p')}", f"{refusal.code} 1-1")


def filled(e: Arch, bounds: Bounds) -> TransactionResult:
    """An order for p and q 2-1, whose disk another program fills once pacman has checked that there is room; then room
    again. q needs p, so p is the first."""
    e.install(built("p", "1-1"), built("q", "1-1", depends=("p",)))
    fill = "pre_upgrade() {\n [ -e /etc/filled ] || dd if=/dev/zero of=/filler bs=64k 2> /dev/null\n true\n}\n"
    large = {"usr/share/p/large": b"\0" * (10 << 20)}
    e.publish(built("p", "2-1", files=large, script=fill), built("q", "2-1", depends=("p",)))
    e.sh("pacman -D --asdeps p")
    result = e.apply(e.plan(("p", "2-1"), bounds=bounds), bounds)
    e.sh("rm /filler; touch /etc/filled")
    return result


def disk_fills_up() -> Row:
    """pacman has taken the former package away by then, and leaves an entry that says nothing. That is told; nothing
    else is done over it; with room again an order for it puts it there again, files and entry and mark, and the way
    back still leads to the first version."""
    with arch(size_mib=90) as e:
        bounds = Bounds(disk_reserve_bytes=0)
        result = filled(e, bounds)
        entries = sorted(d.name for d in e.machine.path("/var/lib/pacman/local").glob("p-*"))
        said = e.machine.path("/var/lib/pacman/local/p-2-1/desc").read_text()
        broken = "p: its database entry is incomplete (half-installed)"
        assert result.health.problems == (broken,), result.health
        other = e.refusal(("q", "2-1"), bounds=bounds)
        again = e.apply(e.plan(("p", "2-1"), bounds=bounds), bounds, number=2)
        whole = e.machine.path("/usr/share/p/large").stat().st_size, e.sh("pacman -Qd").split()
        way = e.provider.undo("ro_1", look=True)
        back = [f"{a.name} {a.after}" for a in way.transaction.actions] if isinstance(way, Inverse) else way
        truth = f"the only entry is {', '.join(entries)}, and it says {said!r}; with room p {e.version('p')}"
        ours = f"{told(result)}, half-installed, q alone {other.code}; with room {told(again)}, way back {back}"
        right = (entries, said, whole) == (["p-2-1"], "", (10 << 20, ["p", "2-1"])) and ours == (
            "failed no_space, half-installed, q alone unhealthy; with room installed ok, way back ['p 1-1', 'q 1-1']"
        )
        return Row(MANAGER, "disk fills up in mid-run", truth, ours, right and not e.provider.health().problems)


def disk_fills_up_then_back() -> Row:
    """The same, and the kept former package is put there instead: the way back goes over what is half-installed."""
    with arch(size_mib=90) as e:
        bounds = Bounds(disk_reserve_bytes=0, allow_downgrades=True)
        first = filled(e, bounds)
        way = e.provider.undo("ro_1", look=True)
        assert isinstance(way, Inverse), way
        result = e.provider.apply(replace(order(way.transaction, bounds, 2), inverse=way), e.said.append)
        content = e.machine.path("/usr/share/p/version").read_text()
        truth = f"p {e.version('p')} with the files of {content.strip()}, q {e.version('q')}"
        right = truth == "p 1-1 with the files of 1-1, q 1-1" and not e.provider.health().problems
        ours = f"{told(first)}, then the way back: {told(result)}"
        told_so = ours == "failed no_space, then the way back: installed ok"
        return Row(MANAGER, "disk fills up in mid-run, way back", truth, ours, right and told_so)


def lock_held() -> Row:
    """Another pacman at work: waited for, then named."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1"))
        plan, bounds = e.plan(("p", "2-1")), Bounds(lock_wait_s=1)
        holder = subprocess.Popen(
            [*e.machine.prefix, "python3", "-c", "import sys; f = open('/var/lib/pacman/db.lck', 'x'); "
             "print('held', flush=True); sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            health, result = e.provider.health(), e.apply(plan, bounds)
        finally:
            holder.communicate(timeout=30)  # it ends with its standard input
        assert health.lock_holder.startswith("python3 (pid "), health
        assert "python3 (pid " in result.detail, result
        return row("lock held by another", f"refused lock_timeout {e.version('p')}", f"{told(result)} 1-1")


def lock_stale() -> Row:
    """A lock that a killed run has left: told apart from one that is held."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1"))
        plan = e.plan(("p", "2-1"))
        e.sh("touch /var/lib/pacman/db.lck")
        really = e.machine.query("pacman", "--noconfirm", "-Su").text
        assert "unable to lock database" in really
        health, result = e.provider.health(), e.apply(plan)
        return row("stale lock", "refused unhealthy False stale", f"{told(result)} {health.healthy} "
                   f"{'stale' if '(stale)' in health.problems[0] else '?'}")  # fmt: skip


def replaced() -> Row:
    """A package that replaces another: pacman would do it silently, we only where removals are allowed."""
    with arch() as e:
        e.install(built("p", "1-1"), built("old", "1-1"))
        new = built("new", "1-1", replaces=("old",), conflicts=("old",))
        e.repository.publish(built("p", "2-1"), new, withdraw=("old",))
        e.refresh()
        refusal = e.refusal(("p", "2-1"))
        assert "old" in refusal.reason, refusal
        assert pending(e)["p"] is UpdateState.NEEDS_REMOVAL
        bounds = Bounds(allow_removals=True)
        result = e.apply(e.plan(("p", "2-1"), bounds=bounds), bounds)
        gone = [c.name for c in result.changes if not c.after]
        return row("replaced package", f"refused installed ok {['old'] if not e.version('old') else []}",
                   f"{refusal.code} {told(result)} {gone}")  # fmt: skip


def conflict() -> Row:
    """A new dependency in conflict with what is installed: never a silent removal."""
    with arch() as e:
        e.install(built("p", "1-1"), built("q", "1-1"))
        e.publish(built("p", "2-1", depends=("fresh",)), built("fresh", "1-1", conflicts=("q<2",)))
        really = e.machine.query("pacman", "--noconfirm", "--dbpath", "/var/cache/brakeline/pacman", "-Sup").rc
        assert really == 0, "pacman prints the upgrade, conflict and all"
        refusal = e.refusal(("p", "2-1"))
        assert "conflict" in refusal.reason, refusal
        bounds = Bounds(allow_removals=True)
        result = e.apply(e.plan(("p", "2-1"), bounds=bounds), bounds)
        return row("removal by a conflict", f"refused installed ok {e.version('q')}", f"{refusal.code} {told(result)} ")


def dependency() -> Row:
    """A new dependency comes along, and is marked as such."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1", depends=("fresh",)), built("fresh", "1-1"))
        assert e.refusal(("p", "2-1"), bounds=Bounds(allow_new_packages=False)).code == "refused"
        result = e.apply(e.plan(("p", "2-1")))
        ours = " ".join(c.name for c in result.changes if not c.before)
        return row("new dependency", e.sh("pacman -Qdq").strip(), ours)


def changed_under_us() -> Row:
    """The repository moved on between plan and apply, and our copy with it: the old order is not done."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1"))
        plan = e.plan(("p", "2-1"))
        e.publish(built("p", "3-1"))
        result = e.apply(plan)
        return row("repository moved on", f"refused changed {e.version('p')}", f"{told(result)} 1-1")


def hook_refuses() -> Row:
    """What pacman is about to do under its lock is not what was ordered: its hook stops it, nothing is changed."""
    with arch() as e:
        e.install(built("p", "1-1"), built("q", "1-1"))
        e.publish(built("p", "2-1"))
        plan = e.plan(("p", "2-1"))
        e.sh("mv /usr/bin/pacman /usr/bin/pacman.real")
        wrapper = '#!/bin/sh\ncase " $* " in *" --hookdir "*" -Su "*) set -- "$@" q;; esac\nexec pacman.real "$@"\n'
        e.machine.path("/usr/bin/pacman").write_text(wrapper)
        e.sh("chmod 755 /usr/bin/pacman")
        result = e.apply(plan)
        assert "add q" in result.detail, result
        return row("pacman does something else", f"refused changed {e.version('p')}", f"{told(result)} 1-1")


def hook_refuses_a_removal() -> Row:
    """A package that would go, although the order does not name it, stops pacman under its lock."""
    with arch() as e:
        e.install(built("p", "1-1"), built("old", "1-1"))
        e.repository.publish(built("p", "2-1"), built("new", "1-1", replaces=("old",)), withdraw=("old",))
        e.refresh()
        bounds = Bounds(allow_removals=True)
        plan = e.plan(("p", "2-1"), bounds=bounds)
        e.sh("mv /usr/bin/pacman /usr/bin/pacman.real")
        forget = f'sed -i \'s/"remove": ."old"./"remove": []/\' {WORK_DIR}/tx_1/expected.json'
        wrapper = f'#!/bin/sh\ncase " $* " in *" --hookdir "*) {forget};; esac\nexec pacman.real "$@"\n'
        e.machine.path("/usr/bin/pacman").write_text(wrapper)
        e.sh("chmod 755 /usr/bin/pacman")
        result = e.apply(plan, bounds)
        assert "remove old" in result.detail, result
        return row("it would remove more", f"refused changed {e.version('old')}", f"{told(result)} 1-1")


def pacnew() -> Row:
    """A changed configuration file is kept, the new one laid beside it, and both told."""
    with arch() as e:
        conf = {"etc/p.conf": b"one\n"}
        e.install(built("p", "1-1", files=conf, backup=("etc/p.conf",)))
        e.publish(built("p", "2-1", files={"etc/p.conf": b"two\n"}, backup=("etc/p.conf",)))
        e.machine.path("/etc/p.conf").write_text("mine\n")
        plan = e.plan(("p", "2-1"))
        assert e.provider.changed_conffiles(plan) == ("/etc/p.conf",)
        refused = e.apply(plan, Bounds(conffile_policy="replace"))
        assert (refused.code, ".pacnew" in refused.detail) == ("refused", True), refused
        result = e.apply(plan, number=2)
        beside = e.sh("ls /etc/p.conf.pac*").split()
        return row("configuration file changed", f"{beside} {e.sh('cat /etc/p.conf').strip()}",
                   f"{list(result.conffiles_kept)} mine")  # fmt: skip


def way_back() -> Row:
    """The former version was stored beforehand, and is taken exactly."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1", depends=("fresh",)), built("fresh", "1-1"))
        done = e.apply(e.plan(("p", "2-1")))
        assert getattr(done.way_back, "stored", False), done
        left = e.provider.undo("ro_1", look=True)
        assert isinstance(left, Inverse), left
        bounds = Bounds(allow_downgrades=True, allow_removals=True)
        refused = e.provider.apply(replace(order(left.transaction, Bounds(), 2), inverse=left), e.said.append)
        assert refused.outcome is Outcome.REFUSED, refused
        result = e.provider.apply(replace(order(left.transaction, bounds, 3), inverse=left), e.said.append)
        again = e.provider.undo("ro_1", look=True)
        assert isinstance(again, Refused), again
        assert again.code == "nothing_to_do", again
        truth = f"installed ok {e.version('p')} [{e.version('fresh')}]"
        return row("downgrade by the way back", truth, f"{told(result)} 1-1 []")


def no_way_back() -> Row:
    """An empty cache: the update goes on, and says that there is none."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1"))
        e.sh("rm /var/cache/pacman/pkg/*")
        result = e.apply(e.plan(("p", "2-1")))
        assert result.way_back is not None
        return row("cache emptied", f"installed ok gone {e.version('p')}", f"{told(result)} {result.way_back.code} 2-1")


def killed() -> Row:
    """kill -9 of pacman between two packages: the lock stays behind; told by state, then healed by state."""
    with arch() as e:
        e.install(built("p", "1-1"), built("q", "1-1"))
        once = "pre_upgrade() { [ -e /root/once ] || { touch /root/once; kill -9 $PPID; sleep 1; }; }\n"
        e.publish(built("p", "2-1"), built("q", "2-1", script=once))
        plan = e.plan(("p", "2-1"))
        result = e.apply(plan)
        assert (result.outcome, result.code) == (Outcome.FAILED, "killed"), result
        assert not result.health.healthy, result
        assert (e.version("p"), e.version("q")) == ("2-1", "1-1")
        unrepaired = e.provider.recover(order(plan, Bounds(repair=False)), e.said.append)
        assert unrepaired.code == "interrupted_partial", unrepaired
        healed = e.provider.recover(order(plan), e.said.append)
        healthy = e.provider.health().healthy
        lock = e.machine.path("/var/lib/pacman/db.lck").exists()
        return row("killed between two packages", f"interrupted_repaired {e.version('p')} {e.version('q')} {not lock}",
                   f"{healed.code} 2-1 2-1 {healthy}")  # fmt: skip


def killed_while_writing() -> Row:
    """kill -9 at the system call that would open the new entry's `desc`: former entry gone, new one not whole."""
    require(shutil.which("strace"), "strace")
    with arch() as e:
        e.install(built("p", "1-1"), built("q", "1-1"))
        e.publish(built("p", "2-1"), built("q", "2-1"))
        plan = e.plan(("p", "2-1"))
        e.sh("mv /usr/bin/pacman /usr/bin/pacman.real")
        point = "-P /var/lib/pacman/local/q-2-1/desc -e inject=openat:signal=KILL:when=1"
        traced = f'exec strace -f -qq -o /dev/null {point} pacman.real "$@"'
        wrapper = f'#!/bin/sh\ncase " $* " in *" --hookdir "*) {traced};; esac\n'
        e.machine.path("/usr/bin/pacman").write_text(wrapper + 'exec pacman.real "$@"\n')
        e.sh("chmod 755 /usr/bin/pacman")
        result = e.apply(plan)
        assert (result.outcome, result.health.healthy) == (Outcome.FAILED, False), result
        assert "q" in " ".join(result.health.problems), result.health
        healed = e.provider.recover(order(plan), e.said.append)
        healthy = e.provider.health().healthy
        return row("killed while it wrote its database", f"interrupted_repaired {e.version('p')} {e.version('q')} True",
                   f"{healed.code} 2-1 2-1 {healthy}")  # fmt: skip


def entry_half_written() -> Row:
    """An entry of the local database without its `desc`, made by hand as a power cut leaves it: healed by state."""
    with arch() as e:
        e.install(built("p", "1-1"), built("q", "1-1"))
        e.publish(built("p", "2-1"), built("q", "2-1"))
        plan = e.plan(("p", "2-1"))
        result = e.apply(plan)
        assert result.outcome is Outcome.INSTALLED, result
        e.sh("touch /var/lib/pacman/db.lck; rm /var/lib/pacman/local/q-2-1/desc")
        assert "q: its database entry is incomplete (half-installed)" in e.provider.health().problems
        healed = e.provider.recover(order(plan), e.said.append)
        healthy = e.provider.health().healthy
        return row("entry half-written by a lost run", f"interrupted_repaired {e.version('p')} {e.version('q')} True",
                   f"{healed.code} 2-1 2-1 {healthy}")  # fmt: skip


def foreign() -> Row:
    """Installed, and in no repository any more: it has no origin, and nothing is said to be up to date about it."""
    with arch() as e:
        e.install(built("p", "1-1"), built("q", "1-1"))
        assert {p.name: p.origin for p in e.provider.inventory()} == {"p": "test", "q": "test"}
        e.repository.publish(withdraw=("p",))
        e.refresh()
        really = e.sh("pacman --dbpath /var/cache/brakeline/pacman -Qmq").split()
        return row("in no repository", str(really), str([p.name for p in e.provider.inventory() if not p.origin]))


def nothing_done_with_zero() -> Row:
    """pacman ends with 0 and did nothing: states decide."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1"))
        plan = e.plan(("p", "2-1"))
        e.sh("mv /usr/bin/pacman /usr/bin/pacman.real")
        wrapper = '#!/bin/sh\ncase " $* " in *" --hookdir "*) exit 0;; esac\nexec pacman.real "$@"\n'
        e.machine.path("/usr/bin/pacman").write_text(wrapper)
        e.sh("chmod 755 /usr/bin/pacman")
        result = e.apply(plan)
        return row("ends with 0, did nothing", f"refused failed {e.version('p')}", f"{told(result)} 1-1")


def kernel() -> Row:
    """The modules of the running kernel are gone with its package: a restart is due."""
    with arch() as e:
        release = e.sh("cat /proc/sys/kernel/osrelease").strip()
        e.sh("rm -rf /lib/modules; mkdir -p /lib/modules")
        e.install(built("linux", "1-1", files={f"usr/lib/modules/{release}/modules.dep": b""}))
        before = e.provider.reboot_need().reasons
        e.publish(built("linux", "2-1", files={"usr/lib/modules/9.9.9-arch/modules.dep": b""}))
        result = e.apply(e.plan(("linux", "2-1")))
        assert result.outcome is Outcome.INSTALLED, result
        gone = not e.machine.path(f"/usr/lib/modules/{release}").exists()
        need = e.provider.reboot_need()
        ours = any(release in r and "9.9.9-arch" in r for r in need.reasons)
        assert not any(release in r for r in before), before
        return row("kernel upgraded", f"gone {gone}", f"gone {ours}")


def lost_before_it_began() -> Row:
    """Power lost after the planned databases were lent, before pacman was started: given back, nothing else to do."""
    with arch() as e:
        e.install(built("p", "1-1"))
        e.publish(built("p", "2-1"))
        plan, before = e.plan(("p", "2-1")), e.sh("sha256sum /var/lib/pacman/sync/test.db")
        e.sh(f"mkdir -p {WORK_DIR}/tx_1")
        Lists(e.machine).lend(e.provider.queries.configuration(), f"{WORK_DIR}/tx_1/live-sync")
        assert e.sh("pacman -Qu").strip() == "p 1-1 -> 2-1"
        result = e.provider.recover(order(plan), e.said.append)
        same = e.sh("sha256sum /var/lib/pacman/sync/test.db") == before
        return row("lost before it began", f"interrupted interrupted_unchanged {e.version('p')} {same}",
                   f"{told(result)} 1-1 True")  # fmt: skip


def mixed_origins() -> Row:
    """p is in one repository, q in another: each is told with its own."""
    with tempfile.TemporaryDirectory() as work, arch() as e:
        other = Repository(Path(work), "vendor")
        try:
            e.install(built("p", "1-1"), built("q", "1-1"))
            e.repository.publish(built("p", "2-1"), withdraw=("q",))  # else the first repository's q counts
            other.publish(built("q", "2-1"))
            e.configure(repository=f"Server = {e.repository.server}\n[vendor]\nServer = {other.server}\n[unused]")
            e.sh("sed -i '/^.unused.$/,$d' /etc/pacman.conf")
            e.refresh()
            ours = {u.name: u.suite for u in e.provider.available()}
            return row("mixed origins", str({"p": e.repository.name, "q": "vendor"}), str(ours))
        finally:
            other.stop()


def _make(name: str, version: str, post: str = "", needs: tuple[str, ...] = ()) -> Built:
    script = f"post_upgrade() {{\n{post}\n}}\n" if post else ""
    return built(name, f"{version}-1", depends=needs, script=script)


@contextmanager
def _place(_: Path, newer: tuple[Built, ...], first: tuple[Built, ...]) -> Iterator[hostile.Place]:
    with arch() as e:
        e.install(*first)
        e.publish(*newer)
        yield hostile.Place(e, e.version, e.machine.path,
                            lambda n, v: Path(e.repository.directory / f"{n}-{v}-1-any.pkg.tar.gz"))  # fmt: skip


def _without_work(run: Callable[[Path], Row]) -> Callable[[], Row]:
    def situation() -> Row:
        return run(Path("/nonexistent"))

    situation.__name__ = run.__name__
    return situation


HOSTILE: Final = tuple(_without_work(f) for f in hostile.rows(hostile.Manager(MANAGER, _make, _place)))
SITUATIONS: Final = (
    update, whole_upgrade, kept_back, held, no_network, live_databases_stay, hash_mismatch, good_signature, expired_key,
    unknown_key, script_fails, script_hangs, disk_full, disk_fills_up, disk_fills_up_then_back,
    lock_held, lock_stale, replaced, conflict,
    dependency,
    changed_under_us, hook_refuses, hook_refuses_a_removal, pacnew, way_back, no_way_back, killed, entry_half_written,
    nothing_done_with_zero, kernel, foreign, killed_while_writing, lost_before_it_began,
    mixed_origins, *HOSTILE,
)  # fmt: skip
BENT: Final = "the wrapper bends our call alone"
TRAITS: Final = {
    **hostile.ALONE,
    "kept_back": Trait(impossible=True),
    "held": Trait(hidden=True),
    "good_signature": Trait(renewed=True),
    "script_fails": Trait(unwell=True),
    "script_hangs": Trait(alone="pacman has no bound for a scriptlet: it would wait for ever"),
    "disk_fills_up": Trait(alone="the second run is ours: with room again, an order for it"),
    "disk_fills_up_then_back": Trait(alone="nobody is asked for a way back but us"),
    "changed_under_us": Trait(alone="only we have an order from before"),
    "way_back": Trait(alone="nobody is asked for a way back but us"),
    "no_way_back": Trait(alone="pacman does not say beforehand whether there is a way back"),
    "entry_half_written": Trait(alone="the entry is broken after our own run"),
    "lost_before_it_began": Trait(alone="the run that is lost is ours"),
    **dict.fromkeys(
        ("hook_refuses", "hook_refuses_a_removal", "killed_while_writing", "nothing_done_with_zero"), Trait(alone=BENT)
    ),
}
QUICK: Final = frozenset({"update", "script_fails", "nothing_done_with_zero"})
