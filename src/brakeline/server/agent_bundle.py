"""Builds what endpoints download: agent and launcher, a zipapp each, and the installer that pins it. Deterministic.

Invariants: only `core trust protocol` and `agent` or `launcher` go in; the same source gives the same bytes (sorted
names, one fixed time, no machine path), so anybody can rebuild and compare. Beside each source lies its compiled
form, made so that it is deterministic too (marshal version 2 has no back-references); a Python with another
bytecode ignores it.
"""

from __future__ import annotations

import importlib.util
import io
import marshal
import re
import zipfile
from pathlib import Path
from typing import Final

import brakeline
from brakeline.core.errors import Invalid

COMMON: Final = ("core", "trust", "protocol")
SHEBANG: Final = b"#!/usr/bin/env -S python3 -I\n"
FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that the ZIP format can hold
UNCHECKED_HASH_PYC: Final = 1  # PEP 552: loaded without looking at the source's time
MAIN: Final = {
    "agent": b"import sys\n\nfrom brakeline.agent.__main__ import main\n\nsys.exit(main())\n",
    "launcher": b"import sys\n\nfrom brakeline.launcher.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n",
}
UNITS: Final = {
    "@UNIT_AGENT@": "brakeline-agent.service",
    "@UNIT_HELPER_SOCKET@": "brakeline-helper.socket",
    "@UNIT_HELPER@": "brakeline-helper.service",
}
URL: Final = re.compile(r"https://(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]+)(:[0-9]{1,5})?")


def build(source: Path | None = None, product: str = "agent") -> bytes:
    """The zipapp of this very agent or launcher (or of the package at `source`): about 0.5 MB."""
    package = source or Path(brakeline.__file__).parent
    files = {"__main__.py": MAIN[product], "brakeline/__init__.py": (package / "__init__.py").read_bytes()}
    for part in (*COMMON, product):
        for path in (package / part).rglob("*.py"):
            files[f"brakeline/{path.relative_to(package).as_posix()}"] = path.read_bytes()
    for name in list(files):
        files[name + "c"] = _compiled(name, files[name])
    return SHEBANG + _zipped(files)


def _compiled(name: str, text: bytes) -> bytes:
    """Bytecode in the form of PEP 552, with the name inside the archive as its file name."""
    code = compile(text, name, "exec", dont_inherit=True)
    head = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH_PYC.to_bytes(4, "little")
    return head + importlib.util.source_hash(text) + marshal.dumps(code, 2)


def _zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, whatever builds it
            archive.writestr(entry, files[name])
    return out.getvalue()


def enrol_script(server_url: str, ca_pem: str, agent_sha256: str) -> str:
    """The script that `curl … | sudo sh` runs, with authority, address and checksum inside. `Invalid` on bad parts.

    Everything put in is checked, because the script runs as root and single quotes are its only quoting.
    """
    if not URL.fullmatch(server_url):
        raise Invalid("the server's address cannot be put into the installer", url=server_url[:80])
    body = ca_pem.strip()
    if not re.fullmatch(r"-----BEGIN CERTIFICATE-----[0-9A-Za-z+/=\s]+-----END CERTIFICATE-----", body):
        raise Invalid("the authority's certificate is not one PEM certificate")
    if not re.fullmatch(r"[0-9a-f]{64}", agent_sha256):
        raise Invalid("the agent's checksum is not SHA-256 in hex")
    directory = _installer_directory()
    text = (directory / "enrol.sh").read_text(encoding="utf-8")
    for placeholder, name in UNITS.items():
        text = text.replace(placeholder, (directory / name).read_text(encoding="utf-8").rstrip("\n"))
    values = {"@SERVER_URL@": server_url, "@CA_PEM@": body, "@AGENT_SHA256@": agent_sha256}
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def _installer_directory() -> Path:
    """Templates beside the sources in a checkout, inside the package when installed."""
    package = Path(__file__).parent
    checkout = package.parents[2] / "packaging" / "agent"
    return checkout if checkout.is_dir() else package / "installer"
