"""Where pip's Python environments of this endpoint are: directory reads alone, cheap enough for the resident agent.

An environment is named by a label, which stands for the architecture of its packages: `pypi` for what lies beside the
system's own Python packages, `pypi-NAME` for the application NAME of `pipx --global`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PIPX = "opt/pipx/venvs"  # where `pipx --global` keeps an environment for each application
SYSTEM_PYTHON = "usr/local/lib"  # pip as root puts packages beside the distribution's own here, never among them
ENVIRONMENTS_MAX = 200


def python_sites(root: Path) -> Iterator[tuple[str, str]]:
    """(label, directory of installed packages) of each Python environment that is pip's: `pypi` is the system's."""
    for lib in _matching(root / SYSTEM_PYTHON, "python3"):
        yield "pypi", f"/{SYSTEM_PYTHON}/{lib}/dist-packages"
    for name in _matching(root / PIPX, "")[:ENVIRONMENTS_MAX]:
        for lib in _matching(root / PIPX / name / "lib", "python3"):
            yield f"pypi-{name}", f"/{PIPX}/{name}/lib/{lib}/site-packages"


def _matching(directory: Path, prefix: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.startswith(prefix) and not name.startswith("."))
    except OSError:
        return []
