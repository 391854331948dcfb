"""`brakeline config`: the settings in force and where each comes from. Works without a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from brakeline.cli.output import Json, emit, noun, table
from brakeline.platform.settings import default_files, load_settings, shown

app = noun("Settings with their origin.")


@app.command()
def show(
    as_json: Json = False,
    config: Annotated[list[Path] | None, typer.Option(help="A TOML file to read too; may be repeated.")] = None,
) -> None:
    """Every setting: value and origin. Passwords are left out."""
    loaded = load_settings((*default_files(os.environ), *(config or [])), os.environ)
    rows = shown(loaded)
    data = {"settings": [{"name": n, "value": v, "origin": o} for n, v, o in rows]}
    emit(data, as_json, lambda: table(["setting", "value", "origin"], rows))
