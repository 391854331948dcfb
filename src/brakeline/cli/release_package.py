"""`brakeline release package`: what is installed on endpoints, as .deb, .rpm or a release with a program of its own.

Beside each file come its bill of materials and the statement of what it was built from. Needs no server.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from brakeline.cli.output import Json, emit, say


class Format(StrEnum):
    """What is built."""

    deb = "deb"
    rpm = "rpm"
    onedir = "onedir"


class Python(StrEnum):
    """Whose Python runs launcher and agent."""

    system = "system"
    private = "private"


def package(
    version: Annotated[str, typer.Argument(help="What it calls itself, such as 1.4.0.")],
    sequence: Annotated[int, typer.Option(help="Of the agent release inside; rises with every release.")],
    format: Annotated[Format, typer.Option(help="onedir: the agent as a release that needs no Python.")] = Format.deb,
    python: Annotated[
        Python, typer.Option(help="private: deb or rpm for machines without Python 3.11.")
    ] = Python.system,
    out: Annotated[Path, typer.Option(help="Directory for the three files.")] = Path(),
    as_json: Json = False,
) -> None:
    """Build the endpoint package of this very source. The same source and the same tools, the same bytes."""
    from brakeline.releases.shipment import shipment

    made = shipment(version, sequence, format.value, private=python is Python.private)
    out.mkdir(parents=True, exist_ok=True)
    for name, data in made.files.items():
        (out / name).write_bytes(data)
    told = {"id": made.release_id, "sha256": made.sha256, "files": [str(out / name) for name in made.files]}
    emit(told, as_json, lambda: say("\n".join((made.release_id, *told["files"]))))
