"""Inventories as files: one JSON object a line (also zstandard), as `exposure assess` takes them without a server.

Invariants: standard library only (`zstandard` when such a file is met); bounded; a bad line is named and the whole
file refused, because a partly read inventory would look safer than the machine is.
Fields: `package` (or `name`), `version`; optional `source`, `source_version` (else as the binary), `arch` (or
`architecture`), `state`, `origin`, `ecosystem` ("pypi"; none = the system's own), `module` (rpm's MODULARITYLABEL),
`owner` (the system package that these files belong to).
"""

from __future__ import annotations

from typing import Any

from brakeline.advisories.importers import BadFeed, json_lines, unpacked
from brakeline.core.errors import Invalid
from brakeline.core.limits import PACKAGES_PER_INVENTORY_MAX
from brakeline.exposure.model import Installed

INVENTORY_BYTES_MAX = 64 * 1024 * 1024  # 20,000 packages take 3 MB


class BadInventory(Invalid):
    """This is no inventory that Brakeline can read."""

    code = "bad-inventory"
    hint = 'Expected one JSON object a line, such as {"package":"curl","version":"7.88.1-10","source":"curl"}.'


def inventory(data: bytes, name: str) -> list[Installed]:
    """The packages of an inventory file. Raises `BadInventory`, which names the line."""
    try:
        rows = json_lines(unpacked(data, name, INVENTORY_BYTES_MAX), name)
    except BadFeed as e:
        raise BadInventory(e.detail, **e.context) from None
    if not 0 < len(rows) <= PACKAGES_PER_INVENTORY_MAX:
        raise BadInventory(f"expected 1 to {PACKAGES_PER_INVENTORY_MAX} packages", file=name, packages=len(rows))
    return [_installed(row, name, number) for number, row in enumerate(rows, 1)]


def _installed(row: dict[str, Any], name: str, number: int) -> Installed:
    get = row.get
    package, version = get("package") or get("name"), get("version")
    fields = (
        package, get("source") or package, get("source_version") or version, version,
        get("arch") or get("architecture") or "", get("state") or "ii", get("origin") or "", get("ecosystem") or "",
        get("module") or "", get("owner") or "",
    )  # fmt: skip
    if not package or not version or not all(type(field) is str for field in fields):
        raise BadInventory("package and version are needed, all fields are text", file=name, line=number)
    try:
        "".join(fields).encode()  # type: ignore[arg-type]
    except UnicodeEncodeError:
        raise BadInventory("a field is no valid text", file=name, line=number) from None
    return Installed(*fields)  # type: ignore[arg-type]
