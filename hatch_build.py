"""Build hook: copies the console's two htmx files out of the locked package into the wheel, hash checked.

Nothing third-party is committed; a checkout serves the same files out of the installed package (`console.assets`).
What is copied, from where and with which SHA-256 stands in `src/brakeline/console/static/third_party.json`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = Path("src/brakeline/console/static")


def checked_source(entry: dict[str, str]) -> Path:
    """The file of the installed package that `entry` names; ends the build if it is not the reviewed one."""
    spec = importlib.util.find_spec(entry["package"])
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{entry['package']} is not installed: it belongs to [build-system].requires")
    source = Path(next(iter(spec.submodule_search_locations)), entry["path"])
    actual = hashlib.sha256(source.read_bytes()).hexdigest()
    if actual != entry["sha256"]:
        raise SystemExit(f"{source.name} has another content: expected {entry['sha256']}, found {actual}")
    return source


class ThirdPartyFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the files under `brakeline/console/static/third_party/`."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # a checkout reads them from the installed package
        entries = json.loads((Path(self.root) / STATIC / "third_party.json").read_text())
        for name, entry in entries.items():
            build_data["force_include"][str(checked_source(entry))] = f"brakeline/console/static/third_party/{name}"
