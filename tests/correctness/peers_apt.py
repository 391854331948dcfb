"""Peers on apt: the bare `apt-get upgrade` by its exit code, unattended-upgrades, and Salt's `pkg` module.

unattended-upgrades comes as Debian's package, Salt from `requirements/peers.lock`; both lie in a layer above a clone's
root, built once (`layers`), so neither is a dependency of anything of ours. unattended-upgrades does not refresh lists,
so it is not asked to; its configuration allows every origin, and its own words in its log are what it claims.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.correctness.plain import claimed, listing
from tests.correctness.standin import Claim, Peer, Said
from tests.support import require
from tools.fleetbox import settings

ROOT: Final = Path(__file__).resolve().parents[2]
LOCK: Final = ROOT / "requirements/peers.lock"
DEBS: Final = ("unattended-upgrades", "python3-apt", "python3-distro-info", "distro-info-data", "lsb-release",
               "python-apt-common", "python3-dbus")  # fmt: skip
CONFIGURATION = """
Unattended-Upgrade::Origins-Pattern { "origin=*"; };
Unattended-Upgrade::Skip-Updates-On-Metered-Connections "false";
Dpkg::Options { "--force-confdef"; "--force-confold"; };
"""
MINION = "file_client: local\nmaster_type: disable\nlog_level: quiet\nlog_level_logfile: quiet\n"
LIMIT_S = 180


@cache
def layers() -> tuple[str, ...]:
    """The directory that holds both, built once for this lock."""
    digest = hashlib.sha256(LOCK.read_bytes() + repr((DEBS, CONFIGURATION, MINION)).encode()).hexdigest()[:12]
    made = settings.place("peers").cache / f"peers-{digest}"
    if not made.exists():
        building = made.with_name(f".{made.name}-{os.getpid()}")
        shutil.rmtree(building, ignore_errors=True)
        _build(building)
        building.rename(made)
    return (str(made),)


def _build(target: Path) -> None:
    (target / "opt").mkdir(parents=True)
    downloads = target.with_name(target.name + "-debs")
    downloads.mkdir(exist_ok=True)
    done = subprocess.run(["apt-get", "-q", "download", *DEBS], cwd=downloads, capture_output=True, check=False)
    require(done.returncode == 0, f"Debian's unattended-upgrades: {done.stderr.decode()[-200:]}")
    for archive in downloads.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True)
    shutil.rmtree(downloads)
    shutil.rmtree(target / "lib", ignore_errors=True)  # it would hide the root's link of that name
    uv = Path(sys.executable).with_name("uv")
    command = (str(uv), "pip", "install", "-q", "--target", str(target / "opt/salt"), "--python", "/usr/bin/python3",
               "--require-hashes", "-r", str(LOCK))  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=False)
    require(done.returncode == 0, f"Salt: {done.stderr.decode()[-300:]}")
    for path, text in (("etc/apt/apt.conf.d/52every-origin", CONFIGURATION), ("etc/salt/minion", MINION)):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text)


def versions() -> dict[str, str]:
    """By what was installed."""
    place = Path(layers()[0])
    salt = next(place.glob("opt/salt/salt-*.dist-info")).name.split("-")[1].removesuffix(".dist")
    log = subprocess.run(["apt-cache", "show", "unattended-upgrades"], capture_output=True, text=True, check=False)
    found = re.search(r"^Version: (\S+)", log.stdout, re.MULTILINE)
    return {"unattended-upgrades": found[1] if found else "unknown", "Salt": salt}


def _names(text: str) -> str:
    """Packages that apt would install, or says that it keeps back."""
    inst = re.findall(r"^Inst (\S+)", text, re.MULTILINE)
    kept = re.findall(r"^The following packages have been kept back:\n((?:  .*\n)+)", text, re.MULTILINE)
    return " ".join(inst + kept)


@dataclass(frozen=True)
class AptGet:
    name: str = "apt-get upgrade"

    def _apt(self, root: Any, *words: str) -> tuple[int, str]:
        ran = root.machine.query("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *words, timeout_s=LIMIT_S)
        return ran.rc, ran.text

    def refresh(self, root: Any) -> Said:
        return claimed(*self._apt(root, "-q", "update"))

    def waits(self, root: Any) -> Said:
        code, text = self._apt(root, "-s", "upgrade")
        return listing(_names(text), f"apt-get -s upgrade ends with {code}")

    def run(self, root: Any) -> Said:
        return claimed(*self._apt(root, "-qy", "upgrade"))


@dataclass(frozen=True)
class Unattended:
    name: str = "unattended-upgrades"

    def refresh(self, root: Any) -> None:
        """It reads what apt's own timer has fetched."""

    def _run(self, root: Any, *words: str) -> tuple[int, str]:
        ran = root.machine.query("unattended-upgrade", "-v", *words, timeout_s=LIMIT_S)
        return ran.rc, ran.text

    def waits(self, root: Any) -> Said:
        code, text = self._run(root, "--dry-run")
        named = re.findall(r"Packages that will be upgraded: (.*)", text)
        named += re.findall(r"[Pp]ackage (\S+) (?:is kept back|upgradable but)", text)
        said = listing(" ".join(named), f"--dry-run ends with {code}: {_last(text)}")
        return replace(said, partial="can't be calculated in dry-run mode" in text)

    def run(self, root: Any) -> Said:
        code, text = self._run(root)
        if code or re.search(r"Installing the upgrades failed|ERROR|error:|Unable to|could not be|Lock", text):
            claim = Claim.FAILED
        elif "All upgrades installed" in text:
            claim = Claim.DONE
        else:
            claim = Claim.NOTHING
        return Said(claim, f"ends with {code}: {_last(text)}")


def salt_command(*words: str) -> tuple[str, ...]:
    """`salt-call --local` of the layer, with the root's own Python."""
    call = "import sys; sys.argv[0] = 'salt-call'; from salt.scripts import salt_call; salt_call()"
    python = ("env", "PYTHONPATH=/opt/salt", "/usr/bin/python3", "-W", "ignore", "-c", call)
    return (*python, "--local", "--out=json", "--retcode-passthrough", *words)


@dataclass(frozen=True)
class Salt:
    name: str = "Salt"

    def _call(self, root: Any, *words: str) -> tuple[int, Any, str]:
        ran = root.machine.query(*salt_command(*words), timeout_s=LIMIT_S)
        begin = ran.text.find("{")
        try:
            return ran.rc, json.loads(ran.text[begin : ran.text.rfind("}") + 1])["local"], ran.text
        except (ValueError, KeyError):
            return ran.rc or 1, None, ran.text

    def refresh(self, root: Any) -> Said:
        code, answer, text = self._call(root, "pkg.refresh_db")
        told = isinstance(answer, dict) and _renewed(answer)
        claim = Claim.DONE if code == 0 and told else Claim.FAILED
        return Said(claim, f"pkg.refresh_db ends with {code}: {_brief(answer, text)}")

    def waits(self, root: Any) -> Said:
        code, answer, text = self._call(root, "pkg.list_upgrades", "refresh=False")
        names = frozenset(answer) if isinstance(answer, dict) else frozenset()
        return Said(Claim.DONE, f"pkg.list_upgrades ends with {code}: {_brief(answer, text)}", names)

    def run(self, root: Any) -> Said:
        code, answer, text = self._call(root, "pkg.upgrade", "refresh=False")
        words = f"pkg.upgrade ends with {code}: {_brief(answer, text)}"
        if code or not isinstance(answer, dict):
            return Said(Claim.FAILED, words)
        return Said(Claim.DONE if answer else Claim.NOTHING, words, changed=frozenset(answer))


def _renewed(answer: dict[str, object]) -> bool:
    """Every source has a file that is not False: it is so of files that a source need not have, InRelease and such."""
    sources: dict[str, bool] = {}
    for file, state in answer.items():
        source = file.rpartition(" ")[0]
        sources[source] = sources.get(source, False) or state is not False
    return bool(sources) and all(sources.values())


def _last(text: str) -> str:
    return next((x.strip() for x in reversed(text.splitlines()) if x.strip()), "")[:100]


def _brief(answer: object, text: str) -> str:
    return json.dumps(answer)[:120] if answer is not None else _last(text)


PEERS: Final[tuple[Peer, ...]] = (AptGet(), Unattended(), Salt())
