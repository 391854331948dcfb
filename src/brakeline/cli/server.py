"""`brakeline server`: run a cell on this machine."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from brakeline.cli.output import noun

app = noun("Run a cell: the server, its database, its console.")


@app.command()
def run(
    data: Annotated[Path | None, typer.Option(help="Directory of database, keys, certificates.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 = any free one.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 = all.")] = None,
    dsn: Annotated[str | None, typer.Option(help="A PostgreSQL (15 or newer) instead of the embedded one.")] = None,
    pg_bindir: Annotated[Path | None, typer.Option(help="Directory of PostgreSQL programs to use.")] = None,
    public_name: Annotated[
        list[str] | None, typer.Option(help="Name or address by which others reach this server; may be repeated.")
    ] = None,
    config: Annotated[list[Path] | None, typer.Option(help="TOML file with settings; may be repeated.")] = None,
    log_format: Annotated[str | None, typer.Option(help="console or json.")] = None,
) -> None:
    """Run in the foreground until SIGTERM or Ctrl-C; prints `ready https://…` when it can serve."""
    from brakeline.platform.settings import default_files, load_settings
    from brakeline.server.run import serve

    given = {
        "data_dir": data, "port": port, "host": host, "dsn": dsn, "pg_bindir": pg_bindir, "log_format": log_format,
        "public_names": tuple(public_name) if public_name else None,
    }  # fmt: skip
    loaded = load_settings((*default_files(os.environ), *(config or ())), os.environ, given)
    code = serve(loaded.settings)
    for said in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            said.flush()
    os._exit(code)  # all is closed; to take the interpreter apart would be a second of the five that an end may take
