"""What exactness costs: plan + apply + verify, over the bare manager for the same transaction (aim <= 1.15).

apt: every pending update of a real Debian 12 root, archives fetched beforehand, the former ones too, which we keep as
the way back; beside it Salt's `pkg.upgrade` and unattended-upgrades on the same root. dnf, zypper and pacman: PACKAGES
packages built here (*real manager, synthetic distribution*). Each run has a fresh root; figures are the best of ROUNDS.
Ratios are of CPU-seconds of everything that was started, and of time; ours begins a Python of its own each time. What
ours costs is told by the commands that it went to, so that nobody has to guess what a check costs.
`--managers a,b --rounds N --json FILE`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import archrepo, pacroot, rpmrepo, zypperroot
from tests.aptroot import Clone, clone
from tests.correctness import peers_apt

from bench import _meter
from bench._proc import report

ROUNDS, PACKAGES, AIM = 3, 10, 1.15
WHERE = 6  # kinds of commands that are told by themselves
PAYLOAD = "x" * 200_000
OURS = """
import json, sys, time
from pathlib import Path
from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.model import Bounds, Order
from brakeline.protocol.messages import UpdateRef
{imports}

meter = Meter()
provider = {made}
bounds = Bounds(disk_reserve_bytes=0, allow_new_packages=True)
found = provider.plan(tuple(UpdateRef(*u) for u in json.loads(sys.argv[1])), bounds)
result = provider.apply(Order("tx_1", "of_1", "ro_1", 1, found.transaction, bounds), lambda line: None)
assert result.outcome.value == "installed", result
assert provider.verify(found.transaction) == ()
peak = next(x.split()[1] for x in open("/proc/self/status") if x.startswith("VmHWM:"))
print(json.dumps([int(peak) / 1024, time.process_time(), len(found.transaction.actions), meter.spent]))
"""
METER = """
import json, resource, subprocess, sys, time
begun = time.monotonic()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True, errors="replace")
wall, used = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
last = (done.stdout.strip().splitlines() or [""])[-1]
told = json.loads(last) if last.startswith("[") and last.endswith("]") else None
print(json.dumps([used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024, told]))
if done.returncode:
    sys.exit(f"{sys.argv[1:3]} ended with {done.returncode}: " + (done.stdout + done.stderr)[-1500:])
"""
SOURCE = str(Path(__file__).resolve().parents[1] / "src")
Work = tuple[str, ...]


@dataclass(frozen=True)
class Spent:
    """Of one run and everything that it started. `own`: what the program said of itself."""

    cpu_s: float
    wall_s: float
    largest_mib: float  # the largest single process
    own: Any


def spent(work: Work) -> Spent:
    """Run it below a small process of its own, so that what it cost is told apart. It must succeed."""
    environment = {**rpmrepo.ENVIRONMENT, "PYTHONPATH": SOURCE}
    command = ("/usr/bin/python3", "-S", "-c", METER, *work)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return Spent(*json.loads(done.stdout))


def program(imports: str, made: str) -> str:
    """Our provider's part as one text, so that it can be run inside a root that has nothing of ours."""
    return Path(_meter.__file__).read_text(encoding="utf-8") + OURS.format(imports=imports, made=made)


def ours(imports: str, made: str, updates: list[tuple[str, str]]) -> Work:
    """Our provider in a Python of its own, outside of the root."""
    return ("/usr/bin/python3", "-c", program(imports, made), json.dumps(updates))


# --- one fresh endpoint per run ---


@contextmanager
def debian(archives: Path) -> Iterator[tuple[Clone, dict[str, Work]]]:
    """The real root with its real pending updates; `archives` is filled by the first."""
    with clone(with_lists=True, size_mib=1600, more=peers_apt.layers()) as made:
        updates = [(u.name, u.candidate, u.installed) for u in made.provider.available()]
        cache = made.machine.path("/var/cache/apt/archives")
        if not any(archives.iterdir()):
            made.sh("apt-get -qy --download-only upgrade", timeout_s=600)
            former = " ".join(f"{n}={installed}" for n, _, installed in updates)
            made.sh(f"cd /var/cache/apt/archives; apt-get -q download {former}", timeout_s=600)
            for path in cache.glob("*.deb"):
                shutil.copy(path, archives)
        for path in archives.glob("*.deb"):
            shutil.copy(path, cache)
        inside = made.machine.prefix
        imports = "from brakeline.agent.providers.apt import AptProvider"
        made_of = 'AptProvider(SystemClock(), Machine(record=meter), "/var/lib/brakeline-helper/tx")'
        text = program(imports, made_of)
        python = ("env", "PYTHONPATH=/srv/source", "PYTHONDONTWRITEBYTECODE=1", "/usr/bin/python3", "-c", text)
        named = json.dumps([u[:2] for u in updates])
        salt = peers_apt.salt_command("pkg.upgrade", "refresh=False")
        quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1")
        yield (
            made,
            {
                "bare": (*inside, *quiet, "apt-get", "-qy", "upgrade"),
                "ours": (*inside, *python, named),
                "unattended-upgrades": (*inside, *quiet, "unattended-upgrade"),
                "Salt": (*inside, *quiet, *salt),
            },
        )


@contextmanager
def dnf() -> Iterator[tuple[Any, dict[str, Work]]]:
    with tempfile.TemporaryDirectory() as work:
        repository = rpmrepo.RpmRepository(Path(work))
        try:
            one, two = (_rpms(rpmrepo.Rpm, v) for v in "12")
            repository.publish(*one, *two)
            root = rpmrepo.Root(Path(work), repository)
            root.install(*one)
            root.provider.refresh()
            helper = f"{str(root.work / 'tx')!r}, back_dir={str(root.work / 'back')!r}"
            made = f"DnfProvider(SystemClock(), Machine(record=meter), {helper}, installroot={str(root.path)!r})"
            bare = ("dnf", "-q", "-y", f"--installroot={root.path}", "--releasever=1", "upgrade")
            imports = "from brakeline.agent.providers.dnf import DnfProvider"
            yield root, {"bare": bare, "ours": ours(imports, made, _refs())}
        finally:
            repository.stop()


@contextmanager
def zypper() -> Iterator[tuple[Any, dict[str, Work]]]:
    with tempfile.TemporaryDirectory() as work:
        repository = zypperroot.RpmRepository(Path(work))
        try:
            root = zypperroot.make_root(Path(work) / "root")
            zypperroot.outdated(root, repository, *_rpms(zypperroot.Rpm, "2"), first=tuple(_rpms(zypperroot.Rpm, "1")))
            made = f"ZypperProvider(SystemClock(), Machine(record=meter), root={str(root.path)!r})"
            bare = ("env", f"ZYPP_LOCKFILE_ROOT={root.path}", "zypper", "-q", "--root", str(root.path),
                    "--non-interactive", "update")  # fmt: skip
            imports = "from brakeline.agent.providers.zypper import ZypperProvider"
            yield root, {"bare": bare, "ours": ours(imports, made, _refs())}
        finally:
            repository.stop()


@contextmanager
def pacman() -> Iterator[tuple[Any, dict[str, Work]]]:
    with pacroot.arch() as root:
        for version in ("1-1", "2-1"):
            built = [archrepo.Built(n, version, files={f"opt/{n}/data": PAYLOAD.encode()}) for n in _names()]
            (root.install if version == "1-1" else root.publish)(*built)
        where = f"{root.machine.prefix!r}, Path({str(root.machine.root)!r})"
        machine = f'Machine({where}, "/usr/bin/python3", record=meter)'
        made = f"PacmanProvider(SystemClock(), {machine}, {pacroot.WORK_DIR!r})"
        bare = (*root.machine.prefix, "pacman", "--noconfirm", "-Syu")
        imports = "from brakeline.agent.providers.pacman import PacmanProvider"
        yield root, {"bare": bare, "ours": ours(imports, made, _refs())}


def _names() -> list[str]:
    return [f"p{i}" for i in range(PACKAGES)]


def _refs() -> list[tuple[str, str]]:
    return [(n, "2-1") for n in _names()]


def _rpms(kind: Any, version: str) -> list[Any]:
    return [kind(n, version, files={f"/opt/{n}/data": PAYLOAD + version}) for n in _names()]


# --- the figures ---


def measured(stage: Callable[[], Any], rounds: int, say: Callable[[str], None]) -> dict[str, list[Spent]]:
    """Every contender in every round, each on a fresh endpoint."""
    found: dict[str, list[Spent]] = {}
    names: list[str] = ["bare"]
    for number in range(rounds):
        for name in names:
            with stage() as (_, works):
                names += [n for n in works if n not in names]  # the first look says who there is
                found.setdefault(name, []).append(spent(works[name]))
                say(f"round {number + 1}: {name}: {found[name][-1]}")
    return found


def lines(manager: str, found: dict[str, list[Spent]]) -> list[tuple[str, Any, str]]:
    """Rows of the report."""
    best = {n: (min(s.cpu_s for s in r), min(s.wall_s for s in r)) for n, r in found.items()}
    rows: list[tuple[str, Any, str]] = [(f"{manager}: bare, CPU-s", best["bare"][0], "the unit")]
    for name in (n for n in found if n != "bare"):
        cpu, wall = (best[name][i] / best["bare"][i] for i in (0, 1))
        note = f"aim <= {AIM}" if name == "ours" else ""
        rows += [(f"{manager}: {name} over bare, CPU", cpu, note), (f"{manager}: {name} over bare, time", wall, note)]
        rows.append((f"{manager}: {name} beyond bare, CPU-s", best[name][0] - best["bare"][0], ""))
        rows.append((f"{manager}: {name}, largest process, MiB", max(s.largest_mib for s in found[name]), ""))
    own = [s.own for s in found["ours"] if isinstance(s.own, list)]
    if own:
        rows.append((f"{manager}: our program's own peak, MiB", max(o[0] for o in own), f"{own[0][2]} packages"))
        rows.append((f"{manager}: our program's own CPU-s", min(o[1] for o in own), ""))
        rows += where(manager, min((s for s in found["ours"] if isinstance(s.own, list)), key=lambda s: s.cpu_s))
    return rows


def where(manager: str, best: Spent) -> list[tuple[str, Any, str]]:
    """What that run's CPU-seconds went to: each kind of command, the manager's own run among them."""
    kinds = sorted(((v, k) for k, v in best.own[3].items()), reverse=True)
    rows: list[tuple[str, Any, str]] = [(f"{manager}: of that, {kind}", cpu, "CPU-s") for cpu, kind in kinds[:WHERE]]
    rest = sum(cpu for cpu, _ in kinds[WHERE:])
    return [*rows, (f"{manager}: of that, all other commands", rest, f"{len(kinds[WHERE:])} kinds")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--managers", default="apt,dnf,zypper,pacman")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", default="")
    options = parser.parse_args()

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")

    rows: list[tuple[str, Any, str]] = []
    with tempfile.TemporaryDirectory() as archives:
        stages = {"apt": lambda: debian(Path(archives)), "dnf": dnf, "zypper": zypper, "pacman": pacman}
        for manager in options.managers.split(","):
            rows += lines(manager, measured(stages[manager], options.rounds, say))
    report(rows, sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
