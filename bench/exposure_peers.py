"""`brakeline exposure assess` beside its peers: the same inventories, the same advisories, whole processes, one run.

Debian's 763 packages (429 sources) against the shipped rows: debsecan (its own export format) and
appthreat-vulnerability-db (fed by its own OSV importer from a zip on loopback). Python pins against PyPA's advisories:
pip-audit, asking a loopback server that answers by OSV's *lists of versions*, where ours judges intervals. Answers are
compared set by set, and each difference is printed. Also: what a full inventory and a delta cost the agent's protocol.
Peers live in environments of their own below `--peers DIR` (made by `uv`, versions pinned here); one that cannot be had
is said to be missing, and nothing is claimed of it. `--repetitions N` (5), `--json FILE`.
"""

from __future__ import annotations

import argparse
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

from bench import assess
from bench._estate import DATA
from bench._proc import python, report
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.seed import SEED_DIR, manifest
from brakeline.exposure.spans import rows_of
from brakeline.protocol.codec import encode
from brakeline.protocol.digests import inventory_digest
from brakeline.protocol.messages import Inventory, Package

PEERS = {"appthreat-vulnerability-db": "7.0.3", "pip-audit": "2.10.1"}
PINS = {
    "django": "2.2.0", "flask": "0.12.2", "jinja2": "2.10", "requests": "2.19.0", "urllib3": "1.24", "pyyaml": "5.1",
    "pillow": "8.0.0", "cryptography": "3.2", "lxml": "4.6.1", "aiohttp": "3.7.0", "werkzeug": "0.15.0",
    "twisted": "20.3.0",
}  # fmt: skip
Pairs = set[tuple[str, str]]
Taken = tuple[float, float]

VDB_FILL = """
import sys
from vdb.lib.osv import OSVSource
OSVSource().fetch(sys.argv[1], store_results=True)
"""
VDB_ASK = """
import json, sys
from vdb.lib.search import search_by_purl_like
found = []
for source, version in json.load(open(sys.argv[1])):
    for hit in search_by_purl_like(f"pkg:deb/debian/bookworm/{source}@{version}"):
        found.append((source, hit["cve_id"]))
print(json.dumps(found))
"""


def environment(folder: Path, package: str) -> Path | None:
    """The interpreter of a peer's own environment; None where it cannot be had."""
    home = folder / package
    inside = home / "bin" / "python"
    if not inside.exists():
        uv = shutil.which("uv") or str(Path(python()).with_name("uv"))
        wanted = f"{package}=={PEERS[package]}"
        for command in ([uv, "venv", "-q", "-p", python(), home], [uv, "pip", "install", "-q", "-p", inside, wanted]):
            if not Path(uv).exists() or subprocess.run(command, check=False).returncode:
                shutil.rmtree(home, ignore_errors=True)
                return None
    return inside


class Loopback:
    """Serves files, and OSV's question, to peers that want an address."""

    def __init__(self, folder: Path, documents: list[dict[str, Any]]) -> None:
        by_name: dict[str, list[dict[str, Any]]] = {}
        for document in documents:
            for affected in document["affected"]:
                by_name.setdefault(affected["package"]["name"].lower(), []).append(document)

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                name, version = asked["package"]["name"].lower(), asked["version"]
                vulns = [d for d in by_name.get(name, []) if _lists(d, name, version)]
                body = json.dumps({"vulns": vulns} if vulns else {}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(folder))
        )
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def _lists(document: dict[str, Any], name: str, version: str) -> bool:
    """Whether the document's own lists name this version: no interval is read."""
    return not document.get("withdrawn") and any(
        a["package"]["name"].lower() == name and version in a.get("versions", ()) for a in document["affected"]
    )


def run(command: list[str], output: Path, environ: dict[str, str] | None = None, ends: tuple[int, ...] = (0,)) -> Taken:
    """(seconds, CPU-seconds) of one process; its output goes to a file."""
    with output.open("wb") as file:
        begun = time.perf_counter()
        actions = [(os.POSIX_SPAWN_DUP2, file.fileno(), 1)]
        pid = os.posix_spawn(command[0], command, os.environ | (environ or {}), file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - begun
    if os.waitstatus_to_exitcode(status) not in ends:
        raise SystemExit(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_utime + usage.ru_stime


def best(command: list[str], output: Path, times: int, **more: Any) -> float:
    """The least CPU-seconds; the first run only warms the disk cache."""
    return min([run(command, output, **more)[1] for _ in range(times + 1)][1:])


def osv_zip(path: Path, advisories: list[dict[str, str]]) -> None:
    """The shipped rows as OSV documents of Debian 12, one for each CVE."""
    by_cve: dict[str, list[dict[str, str]]] = {}
    for row in advisories:
        by_cve.setdefault(row["cve"], []).append(row)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for cve, rows in by_cve.items():
            affected = [
                {"package": {"ecosystem": "Debian:12", "name": row["source"],
                             "purl": f"pkg:deb/debian/{row['source']}?arch=source&distro=bookworm"},
                 "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": row["fixed"]}]}]}
                for row in rows
            ]  # fmt: skip
            day = f"{rows[0].get('date', '2026-01-01')}T00:00:00Z"
            document = {"id": f"DEBIAN-{cve}", "upstream": [cve], "aliases": [cve], "published": day, "modified": day,
                        "summary": cve, "details": cve, "affected": affected}  # fmt: skip
            file.writestr(f"DEBIAN-{cve}.json", json.dumps(document))


def show(peer: str, ours: Pairs, theirs: Pairs) -> list[tuple[str, Any, str]]:
    for title, pairs in (("only brakeline", ours - theirs), (f"only {peer}", theirs - ours)):
        for name, cve in sorted(pairs)[:25]:
            print(f"{title}: {name} {cve}")
        if len(pairs) > 25:
            print(f"{title}: and {len(pairs) - 25} more")
    return [
        (f"{peer}: its findings", len(theirs), f"brakeline has {len(ours)}"),
        (f"{peer}: found by one only", len(ours ^ theirs), f"{len(ours - theirs)} ours, {len(theirs - ours)} theirs"),
    ]


def debian(folder: Path, peers: Path, times: int) -> list[tuple[str, Any, str]]:
    advisories = SEED_DIR / next(feed.file for feed in manifest() if feed.kind == "advisories")
    rows, inventory = assess.rows(advisories), assess.rows(assess.INVENTORY)
    ours = [*assess.program(), "exposure", "assess", "--inventory", str(assess.INVENTORY), "--advisories",
            str(advisories), "--json"]  # fmt: skip
    mine = best(ours, folder / "ours", times)
    table: list[tuple[str, Any, str]] = [("brakeline, Debian, CPU-s", mine, "whole process: files in, findings out")]
    found = assess.our_pairs(folder / "ours")
    said = {(f["source"], f["cve"]) for f in json.loads((folder / "ours").read_bytes())["findings"]}
    if debsecan := shutil.which("debsecan"):
        assess.write_debsecan_feed(folder, rows)
        assess.write_status(folder / "status", inventory)
        theirs = [debsecan, "--source", f"file://{folder}/", "--suite", "bookworm", "--status", f"{folder}/status",
                  "--format", "simple", "--config", "/dev/null"]  # fmt: skip
        taken = best(theirs, folder / "theirs", times)
        table += show("debsecan", found, assess.debsecan_pairs(folder / "theirs"))
        table.append(("debsecan / brakeline, CPU", taken / mine, f"debsecan {taken:.3f} CPU-s"))
    else:
        table.append(("debsecan", "missing", "apt-get install debsecan"))
    return table + vdb(folder, peers, times, rows, inventory, said, mine)


def vdb(
    folder: Path, peers: Path, times: int, rows: list[dict[str, str]], inventory: list[dict[str, str]], said: Pairs,
    mine: float,
) -> list[tuple[str, Any, str]]:  # fmt: skip
    name = "appthreat-vulnerability-db"
    inside = environment(peers, name)
    if inside is None:
        return [(name, "missing", "its environment could not be made")]
    osv_zip(folder / "all.zip", rows)
    sources = sorted({(row["source"], row["source_version"]) for row in inventory})
    (folder / "sources").write_text(json.dumps(sources))
    environ = {"VDB_HOME": str(folder / "vdb"), "NVD_START_YEAR": "1999"}
    server = Loopback(folder, [])
    filled = run([str(inside), "-c", VDB_FILL, f"{server.address}/all.zip"], folder / "fill", environ)[1]
    taken = best([str(inside), "-c", VDB_ASK, str(folder / "sources")], folder / "asked", times, environ=environ)
    theirs = {(source, cve.removeprefix("DEBIAN-")) for source, cve in json.loads((folder / "asked").read_bytes())}
    return [
        *show(name, said, theirs),
        (f"{name} / brakeline, CPU", taken / mine, f"{taken:.3f} CPU-s of lookups, after {filled:.1f} to fill it"),
    ]  # fmt: skip


def pypi(folder: Path, peers: Path, times: int) -> list[tuple[str, Any, str]]:
    packed = (DATA / "osv" / "osv-pypi.jsonl.zst").read_bytes()
    with (folder / "pypi.jsonl").open("w") as file:
        for row in rows_of(read("osv-pypi", packed).spans):
            fields = {name: value for name, value in row._asdict().items() if value or name == "fixed"}
            file.write(json.dumps(fields) + "\n")
    (folder / "pins.jsonl").write_text(
        "".join(json.dumps({"package": n, "version": v, "ecosystem": "pypi"}) + "\n" for n, v in PINS.items())
    )
    (folder / "pins.txt").write_text("".join(f"{n}=={v}\n" for n, v in PINS.items()))
    mine = best([*assess.program(), "exposure", "assess", "--inventory", str(folder / "pins.jsonl"), "--advisories",
                 str(folder / "pypi.jsonl"), "--json"], folder / "ours", times)  # fmt: skip
    ours = {(f["package"], f["cve"]) for f in json.loads((folder / "ours").read_bytes())["findings"]}
    inside = environment(peers, "pip-audit")
    if inside is None:
        return [("pip-audit", "missing", "its environment could not be made")]
    documents = assess.rows(DATA / "osv" / "osv-pypi.jsonl.zst")
    server = Loopback(folder, documents)  # type: ignore[arg-type]
    command = [str(inside), "-m", "pip_audit", "-r", str(folder / "pins.txt"), "--no-deps", "--disable-pip", "-s",
               "osv", "--osv-url", f"{server.address}/v1/query", "-f", "json", "--progress-spinner", "off"]  # fmt: skip
    taken = best(command, folder / "audited", times, ends=(0, 1))
    theirs = _audited(json.loads((folder / "audited").read_bytes()))
    return [
        ("brakeline, PyPI, CPU-s", mine, f"whole process, {len(PINS)} pins, {len(documents):,} documents read"),
        *show("pip-audit", ours, theirs),
        ("pip-audit / brakeline, CPU", taken / mine, f"pip-audit {taken:.3f} CPU-s, without the server that matches"),
    ]


def _audited(answer: dict[str, Any]) -> Pairs:
    """By CVE as ours: its CVEs where it has some, else its own id."""
    found: Pairs = set()
    for package in answer["dependencies"]:
        for vuln in package["vulns"]:
            ids = [vuln["id"], *vuln["aliases"]]
            found |= {(package["name"], one) for one in ids if one.startswith("CVE-")} or {(package["name"], ids[0])}
    return found


def agent() -> list[tuple[str, Any, str]]:
    """What the protocol costs: the same inventory in full, and one updated package."""
    packages = [
        Package(r["package"], r["arch"], r["version"], r["source"], r["source_version"])
        for r in assess.rows(assess.INVENTORY)
    ]
    changed = packages[0]

    def send(some: list[Package], base: int) -> tuple[float, int]:
        spent = []
        for _ in range(10):
            begun = time.thread_time()
            body = encode(Inventory(base, base + 1, inventory_digest(packages), tuple(some), ()))
            spent.append(time.thread_time() - begun)
        return min(spent), len(body)

    full, delta = send(packages, 0), send([changed], 1)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x", encode(Inventory(0, 1, "", tuple(packages), ())))
    return [
        ("agent: full inventory, bytes", full[1], f"{len(packages)} packages; {len(zipped.getvalue()):,} if deflated"),
        ("agent: full inventory, CPU-ms", full[0] * 1000, "digest and message"),
        ("agent: delta of one package, bytes", delta[1], f"{full[1] / delta[1]:.0f} x less"),
        ("agent: delta of one package, CPU-ms", delta[0] * 1000, "the digest of the whole is most of it"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir()) / "brakeline-peers")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bl-peers-") as name:
        folder = Path(name)
        table = debian(folder, options.peers, options.repetitions)
        sys.stdout.flush()
        table += pypi(folder, options.peers, options.repetitions)
    report(table + agent(), sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
