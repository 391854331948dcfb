"""Writes the OpenAPI document of people's API: `python -m brakeline.server.openapi [FILE]` (default: docs/reference).

A test compares the committed document with what the code says, so no change of the API goes unseen.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from brakeline.server.app import make_api
from brakeline.server.wiring import ROUTERS

DOCUMENT = Path("docs/reference/openapi.json")


def render() -> str:
    """The document: keys sorted, one line end at the end."""
    return json.dumps(make_api(ROUTERS).openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT).write_text(render(), encoding="utf-8")
