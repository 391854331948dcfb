"""What the system tests ask of the product, by its command line alone, and the short policy they roll out with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.system.world import Server, wait_for

ENROL_WAIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Product:
    """One server's command line, in the words of the tests."""

    server: Server

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """Host name -> the active endpoint of that name, as listed."""
        items = self.server.cli("endpoint", "list")["items"]
        return {item["hostname"]: item for item in items if item["state"] == "active"}

    def await_inventories(self, names: tuple[str, ...]) -> dict[str, str]:
        """Host name -> endpoint id, once every one of `names` has sent its inventory."""
        listed = wait_for("inventories", lambda: self._with_inventory(names), ENROL_WAIT_S)
        return {name: str(listed[name]["id"]) for name in names}

    def _with_inventory(self, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        listed = self.endpoints()
        return listed if all(listed.get(name, {}).get("inventory_ms") for name in names) else {}

    def show(self, endpoint_id: str) -> dict[str, Any]:
        """One endpoint with its pending updates."""
        shown: dict[str, Any] = self.server.cli("endpoint", "show", endpoint_id)
        return shown

    def packages(self, endpoint_id: str) -> dict[str, str]:
        """Installed packages as the server has them: name -> version."""
        items = self.server.cli("endpoint", "packages", endpoint_id)["items"]
        return {item["name"]: item["version"] for item in items if item["state"].strip() in ("ii", "hi")}

    def findings(self, endpoint_id: str) -> list[dict[str, Any]]:
        """Open findings of one endpoint: cve, source, package, installed, fixed, ..."""
        answer = self.server.cli("exposure", "list", "--endpoint", endpoint_id)
        return list(answer["findings"])

    def one_liner(self, region: str, uses: int = 1) -> str:
        """What the console shows on *Add endpoint*."""
        made = self.server.cli("enrol", "token", "create", "--region", region, "--uses", str(uses))
        return str(made["one_liner"])
