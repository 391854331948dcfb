"""The cached layers under every endpoint: a Debian root from the main suite alone, and above it the package lists.

Because everything is installed from *main only* and the security suite is added afterwards, an endpoint has genuine,
signed, pending security updates. A layer's name is the hash of all that went into it; it is built in a directory
beside its place and renamed, under a lock, so a half-built layer is never used and two builders never collide.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.fleetbox import cgroups, services
from tools.fleetbox.managers import RECIPES, os_release
from tools.fleetbox.settings import FleetError, Place
from tools.fleetbox.sources import Archive, archive, date_check_lines
from tools.fleetbox.state import locked

SUITE = "bookworm"
RECIPE = 5  # raise when the steps below change in a way that their inputs do not show
SYSTEM = (
    "systemd", "systemd-sysv", "dbus", "python3", "curl", "ca-certificates", "iproute2", "procps", "apt-utils",
    "needrestart", "sudo",
)  # fmt: skip
# Small packages that the security suite has newer: each brings its own pending update.
OUTDATED = (
    "jq", "unzip", "xzdec", "libevent-core-2.1-7", "libssh2-1", "expat", "libpng-tools", "libyaml-syck-perl",
)  # fmt: skip
DPKG_SLIM = (
    "path-exclude=/usr/share/doc/*", "path-include=/usr/share/doc/*/copyright", "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*", "path-exclude=/usr/share/info/*",
)  # fmt: skip
# Nothing may change an endpoint behind the back of a test; unattended work of the distribution is switched off.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "dpkg-db-backup.timer", "fstrim.timer",
    "console-getty.service", "systemd-networkd-wait-online.service",
)  # fmt: skip
APT_CONF = 'APT::Install-Recommends "false";\nAcquire::Languages "none";\nAcquire::Retries "0";\n'
UNUSED_LAYER_AGE_S = 7 * 24 * 3600
BUILD_WAIT_S = 900.0


@dataclass(frozen=True, slots=True)
class Layers:
    """Lower directories, topmost first, and what building them took in seconds (0 = they were cached)."""

    directories: tuple[str, ...]
    built_s: float
    note: str = ""
    managers: dict[str, str] = field(default_factory=dict)  # the layer of an endpoint whose manager is another

    def of(self, manager: str) -> tuple[str, ...]:
        """The lower directories of an endpoint with this package manager."""
        return (*([self.managers[manager]] if manager in self.managers else []), *self.directories)


def ensure(place: Place, say: Callable[[str], None], managers: Iterable[str] = ()) -> Layers:
    """The layers for this machine's archive as it is now, built if they are not cached; beside apt's those of
    `managers`."""
    store = place.cache / "layers"
    store.mkdir(parents=True, exist_ok=True)
    source, started = archive(), time.monotonic()
    with locked(store / ".lock", "The builder of root file systems", BUILD_WAIT_S):
        for leftover in store.glob(".building-*"):  # we hold the lock: nobody is building these
            shutil.rmtree(leftover)
        with services.proxy_on_loopback(place, source) as proxy:
            base = store / f"root-{_digest(_base_recipe(source))}"
            if not base.exists():
                say(f"building the root file system (once, about 90 s): {base.name}")
                _build(place, base, lambda target: _bootstrap(place, source, proxy, target))
            state, current = services.archive_state(proxy, source, SUITE)
            lists = store / _lists_name(base, source, state)
            if not lists.exists():
                say(f"fetching the package lists: {lists.name}")
                _build(place, lists, lambda target: _fetch_lists(place, source, proxy, base, target))
            others = {m: _manager_layer(place, store, m, base, lists, proxy, say) for m in managers if m in RECIPES}
        for layer in (base, lists, *others.values()):
            os.utime(layer)
        _prune(place, store, keep={base, lists, *others.values()})
    took = time.monotonic() - started
    note = "" if current else "The package archive cannot be reached: going on with what is cached."
    return Layers((str(lists), str(base)), took, note, {m: str(layer) for m, layer in others.items()})


def _manager_layer(
    place: Place, store: Path, manager: str, base: Path, lists: Path, proxy: str, say: Callable[[str], None]
) -> Path:
    """The layer that makes the system's package manager `manager`; built if it is not cached."""
    recipe = RECIPES[manager]
    layer = store / f"manager-{manager}-{_digest(lists.name, repr(recipe), os_release(manager, recipe))}"
    if not layer.exists():
        say(f"installing {manager} into a root file system (once): {layer.name}")
        _build(place, layer, lambda target: _install_manager(place, manager, base, lists, proxy, target))
    return layer


def _install_manager(place: Place, manager: str, base: Path, lists: Path, proxy: str, target: Path) -> None:
    """Become the upper layer in which apt has installed another manager, and the system says that it is that one's."""
    recipe = RECIPES[manager]
    files = {**recipe.files, "etc/os-release": os_release(manager, recipe)}
    writes = "".join(
        f"mkdir -p /{Path(name).parent}; rm -f /{name}; cat > /{name} <<'END'\n{text}END\n"
        for name, text in files.items()
    )
    masks = "".join(f"ln -sf /dev/null /etc/systemd/system/{unit}\n" for unit in recipe.masked)
    inside = f"set -eu\nexport NEEDRESTART_SUSPEND=1\napt-get -qy -o Acquire::http::Proxy={proxy} install " \
             f"{' '.join(recipe.packages)}\napt-get clean\n{writes}{masks}{recipe.finish}\n"  # fmt: skip
    _over(place, (lists, base), target, 'chroot "$M" sh -euc "$1"', inside)


def _over(place: Place, lower: tuple[Path, ...], target: Path, work: str, *arguments: str) -> None:
    """Run `work` over the layers `lower`, seen at $M; what it changes becomes `target`."""
    upper, scratch, merged = (target / name for name in ("upper", "work", "merged"))
    for directory in (upper, scratch, merged):
        directory.mkdir(parents=True, exist_ok=True)
    script = f"""
        M="$3"; mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$4" "$M"; shift 4
        mount -t proc proc "$M/proc"; mount --bind /dev "$M/dev"
        {work}
        umount "$M/dev" "$M/proc"; umount "$M"
    """
    joined = ":".join(map(str, lower))
    _isolated(place.namespace("build"), script, joined, str(upper), str(merged), str(scratch), *arguments)
    shutil.rmtree(scratch)
    merged.rmdir()
    for entry in upper.iterdir():
        entry.rename(target / entry.name)
    upper.rmdir()


def sources_text(source: Archive) -> str:
    """debian.sources of an endpoint: main and security, as the proxy knows them."""
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\nSigned-By: {source.keyring}\n"
        for uri, suite in ((source.main.as_http, SUITE), (source.security.as_http, f"{SUITE}-security"))
    )


def _base_recipe(source: Archive) -> str:
    return repr(
        (RECIPE, SUITE, SYSTEM, OUTDATED, DPKG_SLIM, MASKED, APT_CONF, source.main.as_http, str(source.keyring))
    )


def _lists_name(base: Path, source: Archive, state: str) -> str:
    return f"lists-{_digest(base.name, sources_text(source), date_check_lines(), state)}-{base.name[-8:]}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _build(place: Place, final: Path, make: Callable[[Path], None]) -> None:
    target = final.with_name(f".building-{final.name}")
    target.mkdir(mode=0o755)
    with _build_group(place):
        make(target)
    os.sync()  # the rename below must never be durable before the files are
    target.rename(final)


@contextmanager
def _build_group(place: Place) -> Iterator[None]:
    """Builders run in a group of the fleet, so that `down` finds them if this process is killed."""
    group = place.namespace("build")
    cgroups.create(group, limited=False)
    try:
        yield
    finally:
        cgroups.kill_all(group)
        cgroups.remove(group)


def _isolated(group: str, script: str, *arguments: str) -> None:
    """Run a shell script as root in mount and pid namespaces of its own, which die with us, mounts and all."""
    joined = "; ".join(f"echo $$ > {root / group}/cgroup.procs" for root in cgroups.hierarchies())
    wrapped = [
        "setpriv", "--pdeathsig", "KILL", "sh", "-euc", f'{joined}; exec "$@"', "sh",
        "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-euc", script, "sh",
    ]  # fmt: skip
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        [*wrapped, *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise FleetError(f"Building a root file system failed ({done.returncode}):\n{done.stdout[-3000:]}")


def _bootstrap(place: Place, source: Archive, proxy: str, target: Path) -> None:
    # the directory is given to mmdebstrap empty; `minbase` = every package of priority required, and apt
    command = [
        "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory",
        f"--include={','.join((*SYSTEM, *OUTDATED))}", f"--keyring={source.keyring}",
        f'--aptopt=Acquire::http::Proxy "{proxy}"', *(f"--dpkgopt={line}" for line in DPKG_SLIM),
        SUITE, str(target), f"deb {source.main.as_http} {SUITE} main",
    ]  # fmt: skip
    _isolated(place.namespace("build"), 'exec "$@"', *command)
    _settle(target)


def _settle(root: Path) -> None:
    """What every endpoint has in common beyond its packages."""
    (root / "etc/machine-id").write_text("")
    for name in ("etc/hostname", "etc/resolv.conf", "etc/apt/sources.list"):
        (root / name).unlink(missing_ok=True)
    for leftover in (root / "etc/apt/apt.conf.d").glob("99mmdebstrap*"):
        leftover.unlink()
    (root / "etc/apt/apt.conf.d/90fleet").write_text(APT_CONF)
    units = root / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).symlink_to("/dev/null")


def _fetch_lists(place: Place, source: Archive, proxy: str, base: Path, target: Path) -> None:
    """Become the upper layer over `base` in which apt has fetched its lists, and the cache that apt makes of them."""
    (target / "upper/etc/apt/sources.list.d").mkdir(parents=True)
    (target / "upper/etc/apt/apt.conf.d").mkdir()
    (target / "upper/etc/apt/sources.list.d/debian.sources").write_text(sources_text(source))
    if dates := date_check_lines():
        text = f"// as on the machine that the fleet runs on\n{dates}"
        (target / "upper/etc/apt/apt.conf.d/91dates").write_text(text)
    work = """
        chroot "$M" apt-get -q -eany -o "Acquire::http::Proxy=$1" update
        chroot "$M" apt-get -q check
    """
    _over(place, (base,), target, work, proxy)


def _prune(place: Place, store: Path, keep: set[Path]) -> None:
    """Remove layers that nobody has asked for in a week and that no running endpoint has mounted."""
    mounted = "".join(path.read_text() for path in place.run_root.glob("*/state.json"))
    for layer in (*store.glob("root-*"), *store.glob("lists-*"), *store.glob("manager-*")):
        old = time.time() - layer.stat().st_mtime > UNUSED_LAYER_AGE_S
        if old and layer not in keep and layer.name not in mounted:
            shutil.rmtree(layer)
