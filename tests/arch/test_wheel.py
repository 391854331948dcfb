"""The wheel is whole: installed without a checkout beside it, it has its pages, migrations, seed and installer."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import brakeline, json
from brakeline.advisories.seed import SEED_DIR
from brakeline.releases import zipapp
from brakeline.server.enrol_script import enrol_script
authority = "-----BEGIN CERTIFICATE-----\\n-----END CERTIFICATE-----\\n"
script = enrol_script("https://192.0.2.1:8443", authority, "0" * 64)
print(json.dumps({"from": brakeline.__file__, "bundle": len(zipapp.build()), "script": len(script),
                  "seed": sorted(p.suffix for p in SEED_DIR.iterdir() if p.suffix == ".zst")}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder / "site")
    return folder / "site"


def test_it_works_without_the_checkout(installed: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", ASK], cwd=installed, env=environment, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout
    assert '"seed": [".zst", ".zst"]' in done.stdout


def test_it_has_every_file_that_is_not_code(installed: Path) -> None:
    package = ROOT / "src" / "brakeline"
    data = {p.relative_to(package) for p in package.rglob("*") if p.suffix in (".sql", ".html", ".css", ".js", ".json")}
    assert data
    assert not [p for p in data if not (installed / "brakeline" / p).exists()]
    for name in ("htmx.js", "hx-sse.js"):
        assert (installed / "brakeline/console/static/third_party" / name).stat().st_size > 1000
