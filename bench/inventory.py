"""What the search for software beside package managers costs: CPU-seconds and bytes, full, unchanged and changed.

Looks at this machine's own file systems, in children at nice 19, as the agent does. Unit: `find` over the same roots,
on the same file systems, in the same run (it reads every directory once and opens no file). Bytes are those of the
inventory message as it is sent. The cost of a bill: CycloneDX of what was found, by us and by the CycloneDX library.
`--json FILE`.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench._proc import report
from brakeline.agent.software import kinds
from brakeline.agent.software.look import look
from brakeline.protocol import codec
from brakeline.protocol.digests import inventory_digest
from brakeline.protocol.messages import Inventory, Package
from brakeline.sbom import cyclonedx
from brakeline.sbom.decide import components_of
from brakeline.sbom.model import Bill, Component

TIMES = 3
LOOK = "import sys; from pathlib import Path; from brakeline.agent.software.look import look; look(Path(sys.argv[1]))"
EMPTY = "import brakeline.agent.software.look"


def child_s(*command: str) -> tuple[float, int]:
    """CPU-seconds of one child with what it starts, and the peak of its memory in MiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["nice", "-n", "19", *command], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss // 1024


def sent(changed: tuple[Package, ...], everything: tuple[Package, ...], base: int) -> int:
    """Bytes of the message."""
    return len(codec.encode_sparse(Inventory(base, base + 1, inventory_digest(everything), changed, ())))


def by_library(components: tuple[Component, ...]) -> float:
    """CPU-seconds of the CycloneDX library for the same components."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component as Theirs
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    begun = time.process_time()
    bom = Bom(components=[Theirs(name=c.name, version=c.version, bom_ref=str(n), purl=PackageURL.from_string(c.purl))
                          for n, c in enumerate(components) if c.purl])  # fmt: skip
    JsonV1Dot6(bom).output_as_string()
    return time.process_time() - begun


def main() -> None:
    python = [sys.executable, "-c"]
    idle_s = statistics.median(child_s(*python, EMPTY)[0] for _ in range(TIMES))
    roots = [r for r in kinds.ROOTS if Path(r).is_dir()]
    find_s = statistics.median(child_s("find", *roots, "-xdev")[0] for _ in range(TIMES))
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        full, peak = [], 0
        for _ in range(TIMES):
            (work / "software.json").unlink(missing_ok=True)
            spent, peak = child_s(*python, LOOK, place)
            full.append(spent - idle_s)
        again_s = statistics.median(child_s(*python, LOOK, place)[0] for _ in range(TIMES)) - idle_s
        remembered = (work / "software.json").stat().st_size
        found, told = look(work)
    full_s = statistics.median(full)
    newer = (replace(found[0], version="99"),) if found else ()
    components = components_of(found, "debian:12")
    begun = time.process_time()
    cyclonedx.write(Bill("bench", "", 0, components), "0")
    ours_s = time.process_time() - begun
    report(
        [
            ("directories looked at", told.directories, ""), ("found", told.found, "packages"),
            ("find over the same roots", round(find_s, 2), "CPU-s"),
            ("full look", round(full_s, 2), "CPU-s"), ("full look over find", round(full_s / find_s, 1), "times"),
            ("nothing changed", round(again_s, 2), "CPU-s"),
            ("nothing changed over full", round(again_s / full_s, 2), ""),
            ("peak memory of a look", peak, "MiB"), ("remembered", remembered, "bytes on disk"),
            ("a full message", sent(found, found, 0), "bytes"),
            ("of each package in it", round(sent(found, found, 0) / max(1, len(found))), "bytes"),
            ("a delta of one package", sent(newer, found, 1), "bytes"),
            ("of a day: one full look and nothing else", round(full_s / 86_400 * 100, 5), "% of a core"),
            ("a bill in CycloneDX, by us", round(ours_s, 3), "CPU-s"),
            ("the same by the library, over ours", round(by_library(components) / ours_s, 1), "times"),
        ],
        sys.argv,
    )  # fmt: skip


if __name__ == "__main__":
    main()
