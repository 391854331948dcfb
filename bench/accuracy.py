"""How true `brakeline exposure assess` is: real inventories against the vendors' own data, by source package.

For each inventory the findings of the command (a whole run on the file as its makers publish it) are compared, set by
set, with what `bench._vendor` reads in the same file a second way, and for Debian with debsecan's answer: kept for one
machine, asked anew for this machine and for an endpoint of the fleet in a box, from dpkg's own records. Precision =
share of ours that the vendor says, recall = share of the vendor's that are ours. Differences are listed by package;
nothing here says that a vendor's data is right. Needs `rpm`, and for the last two Debian 12 and debsecan (the fleet's
endpoint root too); what cannot be asked is said. `--json FILE`, `--sources` (one line a source package).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.fleetbox import rootfs, settings

from bench import _vendor as vendor
from bench._vendor import Pairs
from bench.assess import debsecan_pairs, rows, write_debsecan_feed
from brakeline.advisories.seed import SEED_DIR, manifest, seed_paths
from brakeline.cli import assess

DATA = Path(__file__).parent.parent / "tests/data"
STATUS = "var/lib/dpkg/status"
FIELDS = ("package", "source", "source_version", "version", "arch")
ASKED = "${db:Status-Abbrev}\\t" + "\\t".join(
    f"${{{f}}}" for f in ("Package", "source:Package", "source:Version", "Version", "Architecture")
) + "\\n"  # fmt: skip


class NotToBeHad(Exception):
    """An inventory that this machine cannot give, and why."""


@dataclass(frozen=True)
class Row:
    """One inventory. `sources`: package -> (both, ours alone, the vendor's alone)."""

    inventory: str
    oracle: str
    packages: int
    assessed: int
    said: int
    ours: int
    both: int
    sources: dict[str, tuple[int, int, int]]
    ours_alone: list[tuple[str, str]]
    vendor_alone: list[tuple[str, str]]

    @property
    def precision(self) -> float:
        return self.both / self.ours if self.ours else 1.0

    @property
    def recall(self) -> float:
        return self.both / self.said if self.said else 1.0


def compared(inventory: Path, advisories: list[str], release: str, said: Pairs, oracle: str) -> Row:
    """The command's findings against `said`."""
    options = assess.parse(["--inventory", str(inventory), "--advisories", *advisories, "--release", release, "--json"])
    document = json.loads(assess.run(options))
    ours = {(f["package"], f["cve"]) for f in document["findings"]}
    by_source: dict[str, tuple[int, int, int]] = {}
    for name in sorted({package for package, _ in ours | said}):
        mine, theirs = ({cve for package, cve in of if package == name} for of in (ours, said))
        by_source[name] = (len(mine & theirs), len(mine - theirs), len(theirs - mine))
    return Row(
        inventory.name.removeprefix("inventory-").partition(".")[0], oracle, document["packages"],
        document["assessed"], len(said), len(ours), len(ours & said), by_source, sorted(ours - said),
        sorted(said - ours),
    )  # fmt: skip


def debian() -> Row:
    inventory = DATA / "exposure/inventory-debian12-host.jsonl.zst"
    said = {(f["package"], f["cve"]) for f in vendor.lines(DATA / "exposure/expected-findings-debian12-host.jsonl.zst")}
    return compared(inventory, list(seed_paths()), "debian:12", said, "debsecan, same rows")


def almalinux() -> Row:
    inventory, feed = DATA / "exposure/inventory-almalinux8-image.jsonl", DATA / "osv/osv-almalinux.jsonl.zst"
    said = vendor.of_almalinux(vendor.lines(inventory), vendor.lines(feed), "AlmaLinux:8")
    return compared(inventory, [str(feed)], "almalinux:8.7", said, "OSV by the schema, rpm's order")


def pypi() -> Row:
    inventory, feed = DATA / "exposure/inventory-salt-pypi.jsonl", DATA / "osv/osv-pypi.jsonl.zst"
    said = vendor.of_registry(vendor.lines(inventory), vendor.lines(feed), "PyPI", vendor.pep440)
    return compared(inventory, [str(feed)], "debian:12", said, "OSV by the schema, packaging's order")


def go() -> Row:
    inventory, feed = DATA / "exposure/inventory-prometheus-go.jsonl", DATA / "osv/osv-go.jsonl.zst"
    said = vendor.of_registry(vendor.lines(inventory), vendor.lines(feed), "Go", vendor.semver)
    return compared(inventory, [str(feed)], "debian:12", said, "OSV by the schema, SemVer's order")


def crates() -> Row:
    inventory, feed = DATA / "exposure/inventory-bat-crates.jsonl", DATA / "osv/rustsec.jsonl.zst"
    said = vendor.of_rustsec(vendor.lines(inventory), vendor.lines(feed))
    return compared(inventory, [str(feed)], "debian:12", said, "RustSec by Cargo's requirements")


def machine() -> Row:
    return by_debsecan("this-machine", Path("/"))


def endpoint() -> Row:
    """One of `./dev fleet`: the layers that its endpoints begin as."""
    if os.geteuid() != 0:
        raise NotToBeHad("the root of an endpoint is made by root")
    try:
        made = rootfs.ensure(settings.place("accuracy"), lambda _: None)
    except settings.FleetError as e:
        raise NotToBeHad(str(e)) from None
    return by_debsecan("fleet-endpoint", next(p for p in map(Path, made.directories) if (p / STATUS).exists()))


def by_debsecan(name: str, root: Path) -> Row:
    """dpkg's records below `root`: by us from what dpkg-query tells, by debsecan from dpkg's own file."""
    debsecan, status = shutil.which("debsecan"), root / STATUS
    if debsecan is None or not status.exists() or 'VERSION_ID="12"' not in Path("/etc/os-release").read_text():
        raise NotToBeHad("it needs Debian 12, dpkg and debsecan")
    query = ["dpkg-query", f"--admindir={status.parent}", "-W", "-f", ASKED]
    told = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    installed = [line.split("\t")[1:] for line in told if line.startswith(("ii", "hi"))]
    advisories = SEED_DIR / next(feed.file for feed in manifest() if feed.kind == "advisories")
    with tempfile.TemporaryDirectory(prefix="bl-accuracy-") as made:
        folder = Path(made)
        write_debsecan_feed(folder, rows(advisories))
        command = [debsecan, "--source", f"file://{folder}/", "--suite", "bookworm", "--status", str(status),
                   "--format", "simple", "--config", "/dev/null"]  # fmt: skip
        (folder / "said").write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
        inventory = folder / f"inventory-{name}.jsonl"
        inventory.write_text("".join(json.dumps(dict(zip(FIELDS, p, strict=True))) + "\n" for p in installed))
        return compared(inventory, list(seed_paths()), "debian:12", debsecan_pairs(folder / "said"), "debsecan, live")


def _had(of: Callable[[], Row]) -> Row | None:
    try:
        return of()
    except NotToBeHad as e:
        print(f"{of.__name__}: not compared: {e}", file=sys.stderr)
        return None


INVENTORIES = (debian, almalinux, pypi, go, crates, machine, endpoint)


def main(arguments: list[str]) -> None:
    found = [row for row in map(_had, INVENTORIES) if row]
    print(
        f"{'inventory':20} {'packages':>8} {'said':>6} {'ours':>6} {'both':>6} {'precision':>9} {'recall':>7}  oracle"
    )
    for row in found:
        print(
            f"{row.inventory:20} {row.packages:8} {row.said:6} {row.ours:6} {row.both:6} {row.precision:9.4f}"
            f" {row.recall:7.4f}  {row.oracle}"
        )
        for name, (both, ours, theirs) in row.sources.items():
            if ours or theirs or "--sources" in arguments:
                print(f"    {name}: {both} both, {ours} ours alone, {theirs} the vendor's alone")
    if "--json" in arguments:
        path = Path(arguments[arguments.index("--json") + 1])
        said = [asdict(row) | {"precision": row.precision, "recall": row.recall} for row in found]
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            json.dump(said, file, indent=1)
        Path(file.name).replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])
