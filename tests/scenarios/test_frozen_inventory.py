"""The frozen inventory of a real Debian 12 machine gives exactly the frozen findings, line for line."""

from __future__ import annotations

import json
from pathlib import Path

import zstandard

from brakeline.advisories.seed import seed_paths
from brakeline.cli import assess

DATA = Path(__file__).parents[1] / "data/exposure"
FIELDS = ("package", "source", "source_version", "cve", "fixed", "dist", "date")


def unpacked(path: Path) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())


def test_the_frozen_inventory_line_for_line(tmp_path: Path) -> None:
    inventory = DATA / "inventory-debian12-host.jsonl.zst"
    options = assess.parse(["--inventory", str(inventory), "--advisories", *seed_paths(), "--json"])
    document = json.loads(assess.run(options))
    lines = [
        json.dumps({field: found[field] for field in FIELDS}, separators=(",", ":")) for found in document["findings"]
    ]
    assert lines == unpacked(DATA / "expected-findings-debian12-host.jsonl.zst").decode().splitlines()
    assert len(lines) == 5_382
    assert all(found["installed"] == found["source_version"] for found in document["findings"])
    assert {found["role"] for found in document["findings"] if found["source"] == "linux"} == {"carrier"}
    assert [gap["package"] for gap in document["not_assessed"]] == ["osslsigncode"]  # a backport
    assert (document["packages"], document["assessed"]) == (763, 762)

    plain = tmp_path / "inventory.jsonl"
    plain.write_bytes(unpacked(inventory))
    again = assess.parse(["--json", "--advisories", "seed", f"--inventory={plain}"])
    assert assess.run(again) == assess.run(options)
