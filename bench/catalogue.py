"""What the curated catalogue costs a server: a search, a vendor's listing, an adoption over what proves it alone.

An adoption = unpacking the upload, the signature by the real gpgv, the index's digest, the listing, the draft; beside
it gpgv and SHA-256 of the same files alone, which nobody can leave out. The vendor is made here (*real tools, synthetic
vendor*): a repository of PACKAGES packages in VERSIONS versions each, as large vendors have. CPU-seconds, children
included, best of ROUNDS; memory is the highest of a process of its own that reads one listing. `--json FILE`.
"""

from __future__ import annotations

import hashlib
import io
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.vendorkeys import Vendor, needed, packages, release
from tools.catalogue import MADE

from bench._proc import report
from brakeline.catalog import decide_catalogue
from brakeline.catalog.curated.adopting import adopt
from brakeline.catalog.curated.definitions import read as read_catalogue
from brakeline.catalog.curated.model import Catalogue, Product, Trust
from brakeline.catalog.discovery.reading import read
from brakeline.catalog.tools import unpack

PACKAGES, VERSIONS, ROUNDS, SEARCHES = 600, 50, 3, 100
PLACE, ROOM = "main/binary-amd64/Packages", 512 << 20
RPM = (
    '<package type="rpm"><name>{name}</name><arch>x86_64</arch><version epoch="0" ver="{version}" rel="1"/>'
    '<checksum type="sha256" pkgid="YES">{digest}</checksum><size package="100000"/>'
    '<location href="Packages/{name}-{version}.rpm"/></package>'
)
HEAD = '<metadata xmlns="http://linux.duke.edu/metadata/common">'
READS = """
import sys
from brakeline.catalog.discovery.reading import read
with open(sys.argv[2], "rb") as f:
    read(sys.argv[1], f.read(), "grafana")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


def cpu_s() -> float:
    """Of this process, and of the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def best(what: Callable[[], object]) -> float:
    """CPU-seconds of the cheapest of some rounds."""
    costs = []
    for _ in range(ROUNDS):
        began = cpu_s()
        what()
        costs.append(cpu_s() - began)
    return min(costs)


def names() -> list[tuple[str, str]]:
    called = ["grafana", *(f"product-{n}" for n in range(PACKAGES - 1))]
    return [(name, f"12.{v}.0") for name in called for v in range(VERSIONS)]


def listings() -> dict[str, bytes]:
    """The same packages as both kinds of repository have them."""
    apt = b"".join(packages(name, version, f"{name} {version}".encode()) for name, version in names())
    rows = (RPM.format(name=n, version=v, digest=hashlib.sha256(f"{n}{v}".encode()).hexdigest()) for n, v in names())
    return {"apt": apt, "rpm": f"{HEAD}{''.join(rows)}</metadata>".encode()}


def upload(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def adopted(product: Product, sent: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        files = unpack(io.BytesIO(sent), Path(place), ROOM)
        made = adopt(product, "amd64", "", files, int(time.time() * 1000))
    assert made.version == f"12.{VERSIONS - 1}.0", made.version


def proven_alone(place: Path, ring: Path) -> None:
    """gpgv over the index and the digest of the listing, and nothing else."""
    done = subprocess.run(["gpgv", "--keyring", str(ring), str(place / "index")], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    hashlib.sha256((place / "listing").read_bytes()).hexdigest()


def peak_mib(form: str, path: Path) -> float:
    """What a process has at its highest that reads one listing, beyond one that reads an empty one of its kind."""
    empty = path.with_name("empty")
    empty.write_bytes(packages("grafana", "1", b"") if form == "apt" else f"{HEAD}</metadata>".encode())
    kib = []
    for one in (empty, path):
        done = subprocess.run([sys.executable, "-c", READS, form, one], capture_output=True, text=True, check=True)
        kib.append(int(done.stdout))
    return (kib[1] - kib[0]) / 1024


def search_ms(catalogue: Catalogue) -> float:
    def many() -> None:
        for _ in range(SEARCHES):
            assert decide_catalogue.rows(catalogue, "grafana apt", (), ())

    return best(many) / SEARCHES * 1000


def main() -> None:
    needed()
    catalogue, made, rows = read_catalogue(MADE.read_bytes()), listings(), list[tuple[str, object, str]]()
    rows.append((f"a search over {len(catalogue.products)} products, CPU-ms", round(search_ms(catalogue), 2), ""))
    with tempfile.TemporaryDirectory(prefix="bc") as home:
        place = Path(home)
        for form, data in made.items():
            (place / form).write_bytes(data)
            cost, mib = best(partial(read, form, data, "grafana")), len(data) / (1 << 20)
            rows.append((f"{form}: a listing of {len(names())} rows, {mib:.1f} MiB: CPU-s", round(cost, 3), ""))
            rows.append((f"{form}: CPU-s a MiB", round(cost / mib, 3), ""))
            rows.append(
                (f"{form}: memory over the listing's own size", round(peak_mib(form, place / form) / mib, 1), "")
            )
        rows += adoption(catalogue, place, made["apt"])
    report(rows, sys.argv[1:])


def adoption(catalogue: Catalogue, place: Path, listing: bytes) -> list[tuple[str, object, str]]:
    vendor = Vendor(place / "g")
    try:
        key = vendor.key("good")
        product = catalogue.find("grafana")
        assert product is not None
        index = vendor.inline(key, release({PLACE: listing}, int(time.time())))
        mine, ring = replace(product, trust=Trust(product.trust.by, (key,))), place / "ring"
        for name, data in (("listing", listing), ("index", index), ("ring", vendor.public(armoured=False))):
            (place / name).write_bytes(data)
        sent = upload({"listing": listing, "index": index, "key": vendor.public()})
        whole, alone = best(lambda: adopted(mine, sent)), best(lambda: proven_alone(place, ring))
    finally:
        vendor.close()
    return [
        ("an adoption from that repository, CPU-s", round(whole, 3), ""),
        ("gpgv and SHA-256 of the same files alone, CPU-s", round(alone, 3), ""),
        ("an adoption over these", round(whole / alone, 1), ""),
    ]


if __name__ == "__main__":
    main()
