"""apt's rows, second part: package lists, broken states, lost runs, full disks, locks, services and restarts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.aptrepo import Repository, ago
from tests.aptroot import eventually, order
from tests.correctness.apt_stage import Register, deb, has, on_disk, outdated, register, said, truth
from tests.correctness.standin import Trait
from tests.integration.apt.test_faults import lock_held
from tests.integration.apt.test_services import library, main_pid, service
from tests.vendorkeys import Vendor

from brakeline.agent.providers.model import Bounds, Refreshed, Refused
from brakeline.protocol.messages import Outcome

SITUATIONS: Register = {}
situation = register(SITUATIONS)
DAY, NOW_S = 86_400, int(time.time())
TIGHT = Bounds(disk_reserve_bytes=0)


# --- lists ---


def _refused(e: Any, r: Repository, code: str, why: str) -> tuple[str, str, bool]:
    answer = e.provider.refresh()
    right = isinstance(answer, Refused) and answer.code == code and e.provider.health().lists_problem == answer.reason
    return why, said(answer), right


def _listed(e: Any, r: Repository) -> None:
    r.publish(deb("p", "1"))
    e.use(r)


@situation("no network: no mirror can be reached")
def no_network(e: Any, r: Repository) -> tuple[str, str, bool]:
    _listed(e, r)
    r.stop()
    bare = e.machine.query("apt-get", "-q", "update").rc
    return _refused(e, r, "no_network", f"nothing listens; apt-get update ends with {bare}")


@situation("the index does not fit its checksum")
def index_spoiled(e: Any, r: Repository) -> tuple[str, str, bool]:
    _listed(e, r)
    r.publish(deb("p", "2"))
    r.spoil()
    return _refused(e, r, "hash_mismatch", "Packages was changed after Release was written")


@situation("frozen mirror, or a clock years ahead: Release has expired")
def expired(e: Any, r: Repository) -> tuple[str, str, bool]:
    _listed(e, r)
    r.publish(deb("p", "2"), valid_until=ago(800))
    return _refused(e, r, "expired", "valid until 800 days ago")


@situation("clock years behind: Release is from the future")
def from_the_future(e: Any, r: Repository) -> tuple[str, str, bool]:
    _listed(e, r)
    r.publish(deb("p", "2"))
    release = r.directory / "Release"
    lines = [f"Date: {ago(-800)}" if x.startswith("Date:") else x for x in release.read_text().splitlines()]
    release.write_text("\n".join(lines) + "\n")
    return _refused(e, r, "clock", "Release is dated 800 days from now")


@situation("repository without a signature")
def not_signed(e: Any, r: Repository) -> tuple[str, str, bool]:
    _listed(e, r)
    e.sh("sed -i 's/.trusted=yes. //' /etc/apt/sources.list")
    return _refused(e, r, "signature", "there is neither InRelease nor Release.gpg")


@contextmanager
def _vendor(e: Any, r: Repository) -> Iterator[Vendor]:
    """Two keys that the endpoint trusts for this repository: a good one, and one that was good for two days."""
    with tempfile.TemporaryDirectory(prefix="bk") as home:
        made = Vendor(Path(home) / "g")
        try:
            made.key("good")
            made.key("old", expires="2d", at=NOW_S - 40 * DAY)
            e.machine.path("/usr/share/keyrings/t.gpg").write_bytes(made.public(armoured=False))
            _listed(e, r)
            e.sh("sed -i 's,trusted=yes,signed-by=/usr/share/keyrings/t.gpg,' /etc/apt/sources.list")
            yield made
        finally:
            made.close()


@situation("signed by a key that has expired")
def expired_key(e: Any, r: Repository) -> tuple[str, str, bool]:
    """What it signed while it was good counts no more; by a key that is good the same lists are taken."""
    with _vendor(e, r) as vendor:
        r.publish(deb("p", "2"))
        release = (r.directory / "Release").read_bytes()
        r.signed(vendor.inline(vendor.fingerprint("old"), release, NOW_S - 39 * DAY))
        bare = e.machine.query("apt-get", "-q", "update").rc
        why, ours, right = _refused(e, r, "expired", f"apt-get update ends with {bare}")
        known = [u.candidate for u in e.provider.available()]
        r.signed(vendor.inline(vendor.fingerprint("good"), release))
        good = isinstance(e.provider.refresh(), Refreshed)
    return why, ours, right and good and known == []


@situation("signed by a key that nobody has taken in")
def unknown_key(e: Any, r: Repository) -> tuple[str, str, bool]:
    with _vendor(e, r) as vendor:
        key = vendor.key("stranger")
        r.publish(deb("p", "2"))
        r.signed(vendor.inline(key, (r.directory / "Release").read_bytes()))
        return _refused(e, r, "signature", "its key is in no keyring")


@situation("repository is gone")
def gone(e: Any, r: Repository) -> tuple[str, str, bool]:
    _listed(e, r)
    for path in r.directory.iterdir():
        path.unlink()
    return _refused(e, r, "not_found", "every file answers 404")


@situation("a line of the sources cannot be read")
def sources(e: Any, r: Repository) -> tuple[str, str, bool]:
    _listed(e, r)
    e.sh("echo 'deb nonsense' >> /etc/apt/sources.list")
    return _refused(e, r, "sources", "deb nonsense")


@situation("lists that can be had")
def lists_good(e: Any, r: Repository) -> tuple[str, str, bool]:
    _listed(e, r)
    r.publish(deb("p", "2"))
    answer = e.provider.refresh()
    known = "Candidate: 2" in e.sh("apt-cache policy p") or not e.version("p")
    return "Release and Packages are whole", said(answer), known and not isinstance(answer, Refused)


# --- applying, where something is wrong ---


@situation("network lost before the download")
def network_lost(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    plan = e.plan(("p", "2"))
    r.stop()
    result = e.apply(plan)
    right = (result.outcome, result.code) == (Outcome.REFUSED, "network")
    return truth(e, "p"), said(result), right and has(e, "p", "1")


@situation("package does not fit its checksum")
def hash_mismatch(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    plan = e.plan(("p", "2"))
    path = next(r.directory.glob("p_2_*.deb"))
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    result = e.apply(plan)
    right = (result.outcome, result.code) == (Outcome.REFUSED, "hash_mismatch")
    return truth(e, "p"), said(result), right and has(e, "p", "1")


@situation("lock held by another program")
def lock(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    plan = e.plan(("p", "2"))
    with lock_held(e, "/var/lib/dpkg/lock-frontend"):
        pids = _pids(e.sh("pgrep -f 'fcntl.LOCK_E[X]'").split())
        result = e.apply(plan, Bounds(lock_wait_s=1))
    named = any(f"pid {pid}" in result.detail for pid in pids)
    right = named and (result.outcome, result.code) == (Outcome.REFUSED, "lock_timeout")
    return f"pid {', '.join(pids)} holds it; {truth(e, 'p')}", said(result), right and has(e, "p", "1")


def _pids(inside: list[str]) -> list[str]:
    """The pids outside of processes with these inside: our provider runs outside here."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            spaces = [x.split()[1:] for x in status.read_text().splitlines() if x.startswith("NSpid:")]
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if spaces and len(spaces[0]) > 1 and spaces[0][-1] in inside and b"LOCK_EX" in command:
            found.append(status.parent.name)
    return found


@situation("too little room is known beforehand", 140)
def too_small(e: Any, r: Repository) -> tuple[str, str, bool]:
    big = deb("p", "2", files={"/usr/lib/p": b"x" * 30_000_000}, fields={"Installed-Size": "30000"})
    outdated(e, r, big)
    e.sh("fallocate -l $(($(df --output=avail -k / | tail -1) - 20000))K /filler")
    refused = e.refusal(("p", "2"))
    return truth(e, "p"), said(refused), refused.code == "no_space" and has(e, "p", "1")


@situation("disk fills up in mid-run: the package lies about its size", 140)
def disk_full(e: Any, r: Repository) -> tuple[str, str, bool]:
    liar = deb("p", "2", files={"/usr/lib/p": b"x" * 60_000_000}, fields={"Installed-Size": "1"})
    outdated(e, r, liar)
    plan = e.plan(("p", "2"), bounds=TIGHT)
    e.sh("fallocate -l $(($(df --output=avail -k / | tail -1) - 75000))K /filler")
    result = e.apply(plan, TIGHT)
    e.sh("rm /filler")
    right = (result.outcome, result.code) == (Outcome.FAILED, "no_space") and has(e, "p", "1")
    return truth(e, "p"), said(result), right


@situation("script after unpacking fails")
def postinst_fails(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", scripts={"postinst": "exit 7"}))
    result = e.apply(e.plan(("p", "2")))
    right = (result.outcome, result.code) == (Outcome.FAILED, "maintainer_script_failed")
    return truth(e, "p"), said(result), right and e.version("p") == "iF 2"


@situation("script before unpacking fails")
def preinst_fails(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", scripts={"preinst": "exit 3"}))
    result = e.apply(e.plan(("p", "2")))
    right = (result.outcome, result.code) == (Outcome.FAILED, "maintainer_script_failed")
    return truth(e, "p"), said(result), right and has(e, "p", "1")


@situation("another package is broken already")
def poisoned(e: Any, r: Repository) -> tuple[str, str, bool]:
    bad = deb("q", "2", scripts={"postinst": "exit 7"})
    outdated(e, r, deb("p", "2"), bad, first=(deb("p", "1"), deb("q", "1")))
    e.sh("apt-get -qy install q || true")
    refused = e.refusal(("p", "2"))
    right = refused.code == "unhealthy" and "q" in refused.reason
    return truth(e, "p", "q"), said(refused), right and e.version("q") == "iF 2"


@situation("dpkg and apt killed while a script runs")
def killed(e: Any, r: Repository) -> tuple[str, str, bool]:
    once = "[ -e /tmp/once ] || { touch /tmp/once; kill -9 $(pgrep -x apt-get) $(pgrep -x dpkg); sleep 1; }"
    outdated(e, r, deb("p", "2", scripts={"postinst": once}))
    result = e.apply(e.plan(("p", "2")))
    right = result.outcome is Outcome.INSTALLED and "That took a repair" in result.detail and has(e, "p", "2")
    return f"{truth(e, 'p')}; audit: {e.sh('dpkg --audit') or 'clean'}", said(result), right


@situation("dpkg killed in mid-unpack, repair not allowed")
def half_installed(e: Any, r: Repository) -> tuple[str, str, bool]:
    once = "[ -e /tmp/once ] || { touch /tmp/once; kill -9 $PPID; sleep 2; }"
    outdated(e, r, deb("p", "2", scripts={"preinst": once}))
    result = e.apply(e.plan(("p", "2")), Bounds(repair=False))
    state = e.version("p")
    right = result.outcome is Outcome.FAILED and state == "iHR 1" and "half-installed" in result.detail
    return f"p: {state}", said(result), right


@situation("left half-installed by an earlier run; dpkg and apt say 0")
def left_half(e: Any, r: Repository) -> tuple[str, str, bool]:
    once = "[ -e /tmp/once ] || { touch /tmp/once; kill -9 $PPID; sleep 2; }"
    first = (deb("p", "1"), deb("q", "1"))
    outdated(e, r, deb("p", "2", scripts={"preinst": once}), deb("q", "2"), first=first)
    e.sh("apt-get -qy install p || true")
    eventually(lambda: "preinst" not in e.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "the script has ended")
    codes = [e.machine.query(*c.split()).rc for c in ("dpkg --configure -a", "apt-get -qy -f install", "apt-get check")]
    refused = e.refusal(("q", "2"))
    right = refused.code == "unhealthy" and "p: half-installed" in refused.reason
    return f"p: {e.version('p')}; exit codes {codes}", said(refused), right and e.version("p").startswith("iHR")


@situation("everything was lost in mid-run; the next start repairs")
def recovered(e: Any, r: Repository) -> tuple[str, str, bool]:
    once = "[ -e /tmp/once ] || { touch /tmp/once; kill -9 $PPID; sleep 2; }"
    outdated(e, r, deb("p", "2", scripts={"preinst": once}))
    plan = e.plan(("p", "2"))
    e.apply(plan, Bounds(repair=False))
    eventually(lambda: "preinst" not in e.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "the script has ended")
    result = e.provider.recover(order(plan), e.said.append)
    right = result.code == "interrupted_repaired" and has(e, "p", "2") and result.health.healthy
    return truth(e, "p"), said(result), right and not e.sh("dpkg --audit")


# --- services and restarts ---


def _service(e: Any, r: Repository, content: str, unit: str = "") -> tuple[str, str, Any]:
    r.publish(library("libp", "1", "old"))
    e.use(r)
    e.sh("apt-get -qy install libp")
    r.publish(library("libp", "2", content))
    e.sh("apt-get -q -eany update")
    name = service(e, "pd", "libp", unit)
    before = main_pid(e, name)
    return name, before, e.apply(e.plan(("libp", "2")))


@situation("a service runs the replaced library", boot=True)
def service_restarted(e: Any, r: Repository) -> tuple[str, str, bool]:
    name, before, result = _service(e, r, "new")
    after = main_pid(e, name)
    right = result.services_restarted == (name,) and after not in ("0", before)
    return f"systemd: pid {before}, then {after}", f"{said(result)} Restarted: {result.services_restarted}", right


@situation("a service does not come back after its restart", boot=True)
def service_lost(e: Any, r: Repository) -> tuple[str, str, bool]:
    name, _, result = _service(e, r, "broken")
    state = e.sh(f"systemctl show -p ActiveState --value {name}").strip()
    right = result.services_failed == (name,) and state == "failed"
    return f"systemd: {name} is {state}", f"{said(result)} Failed: {result.services_failed}", right


@situation("a service that must not be restarted: a restart of the endpoint is due", boot=True)
def service_stays(e: Any, r: Repository) -> tuple[str, str, bool]:
    name, before, result = _service(e, r, "new", "lxcfs.service")
    need = e.provider.reboot_need()
    mapped = e.sh(f"grep -c 'libp.*deleted' /proc/{before}/maps || true").strip()
    e.sh(f"systemctl stop {name}")
    right = need.required and any(name in x for x in need.reasons) and result.outcome is Outcome.INSTALLED
    return f"its maps name the deleted file {mapped} times", "; ".join(need.reasons), right and mapped != "0"


@situation("a package asks for a restart")
def reboot_asked(e: Any, r: Repository) -> tuple[str, str, bool]:
    mark = "touch /run/reboot-required; echo p >> /run/reboot-required.pkgs"
    outdated(e, r, deb("p", "2", scripts={"postinst": mark}))
    before = e.provider.reboot_need().required
    e.apply(e.plan(("p", "2")))
    need = e.provider.reboot_need()
    marked = e.machine.path("/run/reboot-required").exists()
    return f"/run/reboot-required: {marked}", "; ".join(need.reasons), (before, need.required) == (False, marked)


@situation("a newer kernel is installed than the one that runs")
def kernel(e: Any, r: Repository) -> tuple[str, str, bool]:
    release = e.sh("uname -r").strip()
    flavour = release.lstrip("0123456789.-")
    name = f"linux-image-999.0.0-1{'-' + flavour if flavour[:1].isalpha() else ''}"
    _listed(e, r)
    before = e.provider.reboot_need().required
    r.publish(deb(name, "1"))
    e.sh(f"apt-get -q -eany update; apt-get -qy install {name}")
    need = e.provider.reboot_need()
    right = not before and need.required and on_disk(e, name) == "1" and "999.0.0" in " ".join(need.reasons)
    return f"running {release}, {name} is installed", "; ".join(need.reasons), right


TRAITS: Final = {
    "lists_good": Trait(renewed=True),
    "postinst_fails": Trait(unwell=True),
    "recovered": Trait(alone="the run that is lost is ours"),
    "service_restarted": Trait(alone="no peer is asked about services here"),
    "service_lost": Trait(alone="no peer is asked about services here"),
    "service_stays": Trait(alone="no peer is asked about services here"),
}
