"""`brakeline exposure assess` of the frozen inventory against debsecan fed the same data: whole processes, one run.

Both read files and write every finding to a file; N alternating repetitions. debsecan gets the advisory rows by
`file://` in its own format ("VERSION 1", zlib), a fix being one lowest version as in our rows, and the inventory as a
dpkg status file. Equal answers here prove the matcher, not the data: both were told the same rows.
Needs debsecan (Debian package) at /usr/bin/debsecan. `--repetitions N` (default 20), `--json FILE`.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import zlib
from pathlib import Path

import zstandard

from bench._proc import python, report
from brakeline.advisories.seed import SEED_DIR, manifest

INVENTORY = Path(__file__).parent.parent / "tests/data/exposure/inventory-debian12-host.jsonl.zst"
REPETITIONS = 20

Row = dict[str, str]
Pairs = set[tuple[str, str]]


def rows(path: Path) -> list[Row]:
    text = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    return [json.loads(line) for line in text.splitlines()]


def write_debsecan_feed(folder: Path, advisories: list[Row]) -> None:
    """The rows as debsecan reads them: names, then vulnerabilities by index, then source to binary (not needed)."""
    cves = sorted({row["cve"] for row in advisories})
    index = {cve: number for number, cve in enumerate(cves)}
    lines = ["VERSION 1", *(f"{cve},," for cve in cves), ""]
    lines += [f"{row['source']},{index[row['cve']]},S  F,{row['fixed']}," for row in advisories]
    (folder / "bookworm").write_bytes(zlib.compress("\n".join([*lines, "", ""]).encode() + b"\n"))


def write_status(path: Path, inventory: list[Row]) -> None:
    """The inventory as a dpkg status file."""
    stanzas = [
        f"Package: {row['package']}\nStatus: install ok installed\nArchitecture: {row['arch']}\n"
        f"Source: {row['source']} ({row['source_version']})\nVersion: {row['version']}\n"
        for row in inventory
    ]
    path.write_text("\n".join(stanzas))


def run(command: list[str], output: Path) -> tuple[float, float]:
    """(seconds, CPU-seconds) of one process from start to end; its output goes to a file."""
    with output.open("wb") as file:
        begun = time.perf_counter()
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 1)])
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - begun
    if status:
        raise SystemExit(f"{command[0]} ended with wait status {status}")
    return seconds, usage.ru_utime + usage.ru_stime


def program() -> list[str]:
    """The command as people have it: the installed script, else the module."""
    script = Path(python()).with_name("brakeline")
    return [str(script)] if script.exists() else [python(), "-m", "brakeline.cli"]


def our_pairs(output: Path) -> Pairs:
    return {(f["package"], f["cve"]) for f in json.loads(output.read_bytes())["findings"]}


def debsecan_pairs(output: Path) -> Pairs:
    return {(words[1], words[0]) for words in (line.split() for line in output.read_text().splitlines())}


def differences(ours: Pairs, theirs: Pairs) -> None:
    for title, pairs in (("only brakeline", ours - theirs), ("only debsecan", theirs - ours)):
        for package, cve in sorted(pairs)[:20]:
            print(f"{title}: {package} {cve}")


def main(argv: list[str]) -> None:
    debsecan = shutil.which("debsecan")
    if debsecan is None:
        raise SystemExit("debsecan is not installed: apt-get install debsecan")
    repetitions = int(argv[argv.index("--repetitions") + 1]) if "--repetitions" in argv else REPETITIONS
    advisories = SEED_DIR / next(feed.file for feed in manifest() if feed.kind == "advisories")
    with tempfile.TemporaryDirectory(prefix="bl-assess-") as name:
        folder = Path(name)
        write_debsecan_feed(folder, rows(advisories))
        write_status(folder / "status", rows(INVENTORY))
        theirs = [debsecan, "--source", f"file://{folder}/", "--suite", "bookworm", "--status", f"{folder}/status",
                  "--format", "simple", "--config", "/dev/null"]  # fmt: skip
        ours = [*program(), "exposure", "assess", "--inventory", str(INVENTORY), "--advisories", str(advisories),
                "--json"]  # fmt: skip
        measured: dict[str, list[tuple[float, float]]] = {"ours": [], "theirs": []}
        for number in range(repetitions + 1):
            for title, command in (("ours", ours), ("theirs", theirs)):
                taken = run(command, folder / title)
                if number:  # the first of each only warms the disk cache
                    measured[title].append(taken)
        found, reference = our_pairs(folder / "ours"), debsecan_pairs(folder / "theirs")
    summary(measured, found, reference, repetitions, argv)


def summary(
    measured: dict[str, list[tuple[float, float]]], found: Pairs, reference: Pairs, repetitions: int, argv: list[str]
) -> None:
    wall = {who: statistics.median(s for s, _ in taken) for who, taken in measured.items()}
    cpu = {who: statistics.median(c for _, c in taken) for who, taken in measured.items()}
    differences(found, reference)
    report(
        [
            ("findings, brakeline", len(found), "(package, CVE) pairs"),
            ("findings, debsecan", len(reference), "same inventory, same advisory rows"),
            ("found by one only", len(found ^ reference), "0 = equal answers"),
            ("brakeline, s, median", wall["ours"], f"whole process, {repetitions} alternating repetitions"),
            ("debsecan, s, median", wall["theirs"], "whole process"),
            ("brakeline, CPU-s, median", cpu["ours"], "user and system"),
            ("debsecan, CPU-s, median", cpu["theirs"], "user and system"),
            ("debsecan / brakeline, time", wall["theirs"] / wall["ours"], "above 1: brakeline is faster"),
            ("debsecan / brakeline, CPU", cpu["theirs"] / cpu["ours"], "above 1: brakeline needs less"),
        ],
        argv,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
