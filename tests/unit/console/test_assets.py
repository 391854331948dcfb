"""Static files: own ones, and the two of the locked package with the reviewed hash and no other."""

from __future__ import annotations

import importlib.util
import json
from importlib import resources
from pathlib import Path

import pytest

from brakeline.console.assets import AssetMismatch, load_assets, read_checked

ROOT = Path(__file__).parents[3]
ENTRIES = json.loads((resources.files("brakeline.console") / "static/third_party.json").read_text())
NO_COPY = Path("/nonexistent/copy")


def test_all_files_are_there_and_tagged_by_content() -> None:
    assets = load_assets()
    assert {"app.css", "app.js", "icon.svg", "live.js"} == set(assets)
    assert all(len(a.tag) == 16 and a.body for a in assets.values())


def test_the_stream_extension_is_registered_in_the_same_task_in_which_htmx_is_run() -> None:
    body = load_assets()["live.js"].body
    assert 0 <= body.index(b"var htmx=") < body.index(b'registerExtension("sse"')
    base = (resources.files("brakeline.console") / "templates/base.html").read_text()
    assert base.count("<script") == 2, "htmx and its extension come as one file"


def test_a_changed_third_party_file_is_refused(tmp_path: Path) -> None:
    changed = tmp_path / "htmx.js"
    changed.write_text("alert(1)")
    with pytest.raises(AssetMismatch, match="another content"):
        read_checked(changed, ENTRIES["htmx.js"])


def test_a_missing_package_says_what_to_do() -> None:
    with pytest.raises(AssetMismatch, match=r"not installed.*Install the locked packages"):
        read_checked(NO_COPY, {**ENTRIES["htmx.js"], "package": "no_such_package"})


def test_nothing_third_party_is_committed() -> None:
    assert not (ROOT / "src/brakeline/console/static/third_party").exists()


def test_the_build_hook_takes_the_same_files_and_refuses_others() -> None:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    assets = load_assets()
    for entry in ENTRIES.values():
        assert hook.checked_source(entry).read_bytes() in assets["live.js"].body
    with pytest.raises(SystemExit, match="another content"):
        hook.checked_source({**ENTRIES["htmx.js"], "sha256": "0" * 64})


def test_a_page_stays_within_its_budget() -> None:
    import gzip

    sent = sum(len(gzip.compress(a.body)) for a in load_assets().values())
    assert sent <= 60 * 1024, "every page loads all of it"
