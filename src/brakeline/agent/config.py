"""What the agent was told when it enrolled: one JSON file, written by `enrol`, read by everything else.

On an installed endpoint it belongs to root (/etc/brakeline/agent.json), so that the network-facing agent cannot
change which cell's orders the root helper believes. Unknown keys are errors that name the nearest known one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from brakeline.agent.files import write_durably
from brakeline.core.errors import Fault
from brakeline.protocol import codec

if sys.platform == "win32":
    _PLACE = Path(os.environ.get("PROGRAMDATA", "C:/ProgramData")) / "Brakeline"  # as `launcher.settings`
    CONFIG_FILE, STATE_DIR = _PLACE / "etc/agent.json", _PLACE / "agent"
    HELPER_STATE_DIR, RUN_DIR = _PLACE / "helper", _PLACE / "run"
    HELPER_SOCKET = "\\\\.\\pipe\\brakeline-helper"
else:
    CONFIG_FILE, STATE_DIR = Path("/etc/brakeline/agent.json"), Path("/var/lib/brakeline")
    HELPER_STATE_DIR, RUN_DIR = Path("/var/lib/brakeline-helper"), Path("/run/brakeline")
    HELPER_SOCKET = str(RUN_DIR / "helper.sock")
SHOWN = "restart.json"  # in RUN_DIR: what people at the machine were told of a restart


class NotEnrolled(Fault):
    """This machine is not enrolled."""

    code = "not-enrolled"
    hint = "Run the one-liner from the console's page *Add endpoint*, or `brakeline-agent enrol --help`."


class BadConfig(Fault):
    """The agent's configuration cannot be used."""

    code = "bad-config"


@dataclass(frozen=True, slots=True)
class Config:
    """`server_url` is an address only: the certificate must always be for the cell's fixed name, from `ca_pem`."""

    server_url: str  # "https://10.0.0.5:8443"
    ca_pem: str
    endpoint_id: str
    cell_key: str  # hex Ed25519
    cell: str = ""
    region: str = ""
    channel: str = "stable"  # of releases; for the launcher, which reads this file too
    helper_socket: str = ""  # "" = no root helper: this endpoint can only be assessed
    agent_user: str = "brakeline"  # whom the helper listens to
    # The endpoint's own limits, which no order can widen:
    allow_removals: bool = False
    machine_class: str = "server"


def load(path: Path) -> Config:
    """The configuration in `path`; `NotEnrolled` if there is none, `BadConfig` says what is wrong."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise NotEnrolled(f"{path} does not exist.") from None
    except OSError as e:
        raise BadConfig(f"{path}: {e.strerror}") from e
    try:
        plain = json.loads(raw)
    except ValueError as e:
        raise BadConfig(f"{path} is not JSON: {e}") from None
    known = [f.name for f in dataclasses.fields(Config)]
    for key in plain if isinstance(plain, dict) else ():
        if key not in known:
            import difflib

            near = difflib.get_close_matches(key, known, 1)
            raise BadConfig(f"{path}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    try:
        config: Config = codec.from_plain(Config, plain, path.name)
    except codec.Malformed as e:
        raise BadConfig(str(e)) from None
    return config


def save(path: Path, config: Config) -> None:
    """Readable by everybody: nothing in it is secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(codec.to_plain(config), indent=2, sort_keys=True) + "\n"
    write_durably(path, text.encode(), 0o644)
