"""The installer that a new machine fetches, with everything in it that it must trust.

Everything put in is checked, because the script runs as root. The kit that it fetches is `releases.shipping`'s.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from brakeline.core.errors import Invalid

UNITS: Final = {
    "@UNIT_AGENT@": "brakeline-agent.service",
    "@UNIT_HELPER_SOCKET@": "brakeline-helper.socket",
    "@UNIT_HELPER@": "brakeline-helper.service",
}
URL: Final = re.compile(r"https://(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]+)(:[0-9]{1,5})?")


def enrol_script(server_url: str, ca_pem: str, kit_sha256: str) -> str:
    """The script that `curl … | sudo sh` runs, with authority, address and checksum inside. `Invalid` on bad parts.

    Everything put in is checked, because the script runs as root and single quotes are its only quoting.
    """
    if not URL.fullmatch(server_url):
        raise Invalid("the server's address cannot be put into the installer", url=server_url[:80])
    body = ca_pem.strip()
    if not re.fullmatch(r"-----BEGIN CERTIFICATE-----[0-9A-Za-z+/=\s]+-----END CERTIFICATE-----", body):
        raise Invalid("the authority's certificate is not one PEM certificate")
    if not re.fullmatch(r"[0-9a-f]{64}", kit_sha256):
        raise Invalid("the kit's checksum is not SHA-256 in hex")
    directory = _installer_directory()
    text = (directory / "enrol.sh").read_text(encoding="utf-8")
    for placeholder, name in UNITS.items():
        text = text.replace(placeholder, (directory / name).read_text(encoding="utf-8").rstrip("\n"))
    values = {"@SERVER_URL@": server_url, "@CA_PEM@": body, "@KIT_SHA256@": kit_sha256}
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def _installer_directory() -> Path:
    """Templates beside the sources in a checkout, inside the package when installed."""
    package = Path(__file__).parent
    checkout = package.parents[2] / "packaging" / "agent"
    return checkout if checkout.is_dir() else package / "installer"
