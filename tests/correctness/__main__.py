"""`./dev correctness [--manager NAME] [--json FILE] [--no-peers] [SITUATION ...]`: the table of correctness, for real.

Exit code 1 if one of our rows is wrong. A run of all managers, all situations and all peers writes
`docs/reference/correctness.md`; `--join FILE ...` writes it from the rows of several runs, a later one counting before
an earlier one, and says so. Rows are in the file as soon as they are there; with `--resume` a run goes on behind those
of an earlier sitting, if they were made by these very sources, so that a whole run survives its machine.
"""

from __future__ import annotations

import argparse
import ensurepip
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.correctness import peers_apt
from tests.correctness.document import document, sums
from tests.correctness.missing import MISSING
from tests.correctness.registry import MANAGERS, situations
from tests.correctness.row import NOT_APPLICABLE, RIGHT, WRONG, Row
from tests.correctness.runner import run
from tests.correctness.sitting import Sitting, digest_of

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/correctness.md"
DEBIAN = {"apt": "apt", "dpkg": "dpkg", "dnf": "dnf", "rpm": "rpm", "zypper": "zypper",
          "pacman": "pacman-package-manager"}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(prog="./dev correctness", description=__doc__)
    parser.add_argument("--manager", action="append", choices=MANAGERS, help="only this one (may be given again)")
    parser.add_argument("--json", type=Path, help="rows as JSON")
    parser.add_argument("--join", type=Path, nargs="+", help="write the page from the rows of these runs; run nothing")
    parser.add_argument("--resume", action="store_true", help="go on behind the rows that are in the file of --json")
    parser.add_argument("--no-peers", action="store_true", help="our own rows alone")
    parser.add_argument("situations", nargs="*", help="only these, by name (default: all)")
    asked = parser.parse_args(arguments)
    if asked.join:
        return joined(asked.join)
    chosen = situations(*(asked.manager or ()))
    if unknown := sorted(set(asked.situations) - {s.key for s in chosen}):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(sorted({s.key for s in chosen}))}")
    chosen = tuple(s for s in chosen if not asked.situations or s.key in asked.situations)
    if os.geteuid() != 0:
        say("correctness: must run as root: endpoints are namespaces with roots of their own")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started ends with us
    sitting = Sitting(asked.json, [s.id for s in chosen], f"{digest_of()} {asked.no_peers}")
    if asked.resume:
        say(f"correctness: {sitting.take_up()} of {len(chosen)} rows are there already")
    try:
        for row in run(chosen[len(sitting.rows) :], say, peers=not asked.no_peers):
            sitting.add(row)
    except (pytest.skip.Exception, pytest.fail.Exception) as e:  # a capability is not there
        say(f"correctness: {e}")
        return 2
    rows = sitting.rows
    whole = not (asked.manager or asked.situations or asked.no_peers)
    if whole:
        PAGE.write_text(document(rows, versions(), f"{datetime.now(UTC):%Y-%m-%d}", MISSING))
    print(summary(rows))
    return 0 if all(r.right for r in rows) else 1


def joined(files: list[Path]) -> int:
    """The page from rows of several runs. Every situation that there is must be among them."""
    told = [Row(**r) for f in files for r in json.loads(f.read_text())]
    rows = list({(r.manager, r.situation): r for r in told}.values())
    rows.sort(key=lambda r: MANAGERS.index(r.manager))
    if (there := len(situations())) != len(rows):
        say(f"correctness: {len(rows)} rows in these files, {there} situations: run the others, or all of them anew")
        return 2
    day = f"{datetime.now(UTC):%Y-%m-%d}, from {len(files)} runs"
    PAGE.write_text(document(rows, versions(), day, MISSING))
    print(summary(rows))
    return 0 if all(r.right for r in rows) else 1


def summary(rows: list[Row]) -> str:
    """What stands at the end, on the terminal."""
    lines = [f"{'':10} {'':22} right  wrong  not applicable"]
    for manager, of in sums(rows).items():
        lines += [f"{manager:10} {who:22} {n[RIGHT]:5}  {n[WRONG]:5}  {n[NOT_APPLICABLE]:5}" for who, n in of.items()]
    wrong = [f"wrong: {r.manager}: {r.situation}: truth {r.truth!r}, we say {r.ours!r}" for r in rows if not r.right]
    return "\n".join([*lines, *wrong])


def versions() -> dict[str, str]:
    """Of managers and peers: as Debian has them, or as they say themselves where another may be in use."""
    found = {}
    for name, package in DEBIAN.items():
        text = subprocess.run(["apt-cache", "show", package], capture_output=True, text=True, check=False).stdout
        found[name] = next((x.split(" ")[1] for x in text.splitlines() if x.startswith("Version: ")), "unknown")
    found["pip"] = ensurepip.version()
    for name in ("npm", "flatpak"):
        text = subprocess.run([name, "--version"], capture_output=True, text=True, check=False).stdout
        found[name] = text.split()[-1] if text.split() else "unknown"
    return {**found, **peers_apt.versions()}


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
