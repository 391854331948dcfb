"""What the inventory says of an rpm, set beside rpm's own records: source, epoch, module, origin."""

from __future__ import annotations

from pathlib import Path

from tests.correctness.dnf import world
from tests.rpmrepo import Rpm

LABEL = "nodejs:18:9020020240807:rhel9"


def test_source_epoch_module_and_origin_are_rpms_own(tmp_path: Path) -> None:
    modular = Rpm("nodejs", "18.20.4", "1.module_el9", head=("Epoch: 1", f"ModularityLabel: {LABEL}", "Vendor: Test"))
    plain = Rpm("p", "1", head=("Vendor: Test",))
    with world(tmp_path, first=(modular, plain)) as root:
        found = {p.name: p for p in root.provider.inventory()}
    node = found["nodejs"]
    assert (node.version, node.source, node.source_version) == (
        "1:18.20.4-1.module_el9",
        "nodejs",
        "1:18.20.4-1.module_el9",
    )
    assert (node.module, node.origin, node.ecosystem) == (LABEL, "Test", "rpm")
    assert (found["p"].module, found["p"].version) == ("", "1-1")
