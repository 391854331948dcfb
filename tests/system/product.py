"""What the system tests ask of the product, by its command line alone, and the short policy they roll out with."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.world import CHECK_IN_S, Server, wait_for

from brakeline.protocol.managers import is_found

ENROL_WAIT_S = 90.0
STOPPED = ("holding", "halted")
ENDED = ("completed", "halted", "withdrawn")
# Debian's own comparison, by Debian's own library: open = a row whose fix is newer than what dpkg has of the source.
ORACLE = """
import apt_pkg, json, sys
apt_pkg.init_system()
told = json.load(sys.stdin)
print(json.dumps([
    [row["cve"], row["source"]]
    for row in told["rows"] for version in told["installed"].get(row["source"], [])
    if apt_pkg.version_compare(version, row["fixed"]) < 0
]))
"""


def short_policy(bake_s: int, first_checkpoint_s: int) -> dict[str, Any]:
    """One endpoint, then three, then all; watched for seconds instead of days."""
    return {
        "rings": [
            {"name": "canary", "bake_s": bake_s, "count": 1},
            {"name": "early", "bake_s": bake_s, "count": 3},
            {"name": "all", "bake_s": bake_s, "share": 1.0},
        ],
        "guard": {"holdout": 0.0},
        "checkpoints_s": [first_checkpoint_s * n for n in (1, 2, 3, 4)],
        "check_in_interval_s": CHECK_IN_S,
        "data_age_max_s": 60,
        "people_return_s": 60,
    }


def expected_findings(installed: dict[str, set[str]], rows: list[dict[str, str]]) -> set[tuple[str, str]]:
    """(CVE, source) that stand open for these source versions, by apt's own comparison."""
    told = json.dumps({"rows": rows, "installed": {source: sorted(v) for source, v in installed.items()}})
    command = ["/usr/bin/python3", "-c", ORACLE]
    answer = subprocess.run(command, input=told, capture_output=True, text=True, check=True).stdout
    return {(cve, source) for cve, source in json.loads(answer)}


@dataclass(frozen=True, slots=True)
class Product:
    """One server's command line, in the words of the tests."""

    server: Server

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """Host name -> the active endpoint of that name, as listed."""
        items = self.server.cli("endpoint", "list")["items"]
        return {item["hostname"]: item for item in items if item["state"] == "active"}

    def await_inventories(self, names: tuple[str, ...], within_s: float = ENROL_WAIT_S) -> dict[str, str]:
        """Host name -> endpoint id, once every one of `names` has sent its inventory."""
        listed = wait_for("inventories", lambda: self._with_inventory(names), within_s)
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
        there = (item for item in items if item["state"].strip() in ("ii", "hi") and not is_found(item["architecture"]))
        return {item["name"]: item["version"] for item in there}

    def findings(self, endpoint_id: str) -> list[dict[str, Any]]:
        """Open findings of one endpoint: cve, source, package, installed, fixed, ..."""
        answer = self.server.cli("exposure", "list", "--endpoint", endpoint_id)
        return list(answer["findings"])

    def one_liner(self, region: str, uses: int = 1) -> str:
        """What the console shows on *Add endpoint*."""
        made = self.server.cli("enrol", "token", "create", "--region", region, "--uses", str(uses))
        return str(made["one_liner"])

    def allow_patching(self, filter_text: str) -> None:
        """A policy that lets these endpoints be patched."""
        self.server.cli("policy", "create", f"patch {filter_text}", "--filter", filter_text, "--mode", "patch")

    def deploy(
        self, work: Path, policy: dict[str, Any], *names: str, filter_text: str = "", across: bool = False
    ) -> str:
        """Preview, then start exactly that; the rollout's id. Without names: every security update."""
        chosen = ["--filter", filter_text, "--select", "names" if names else "security"]
        chosen += [word for name in names for word in ("--name", name)]
        chosen += ["--across"] if across else []
        seen = self.server.cli("deployment", "preview", *chosen)
        file = work / "policy.json"
        file.write_text(json.dumps(policy))
        made = self.server.cli(
            "deployment", "create", "--expect", str(seen["count"]), *chosen,
            "--digest", seen["plan"]["digest"], "--policy", str(file), "--start",
        )  # fmt: skip
        return str(made["rollout_id"])

    def rollout(self, rollout_id: str) -> dict[str, Any]:
        """Everything about one rollout."""
        shown: dict[str, Any] = self.server.cli("rollout", "show", rollout_id)
        return shown

    def await_state(self, rollout_id: str, states: tuple[str, ...], within_s: float) -> dict[str, Any]:
        """The rollout once it is in one of `states`; fails with everything that it says of itself."""
        deadline = time.monotonic() + within_s
        while (shown := self.rollout(rollout_id))["state"] not in states:
            if time.monotonic() > deadline:
                said = "\n".join(line["text"] for line in shown["lines"])
                people = "\n".join(f"{m['hostname']} {m['arm']} {m['state']} {m['note']}" for m in shown["members"])
                raise AssertionError(f"{within_s:.0f} s and not {states}: {shown['state']}\n{said}\n{people}")
            time.sleep(1)
        return shown

    def states(self, endpoint_id: str) -> dict[str, tuple[str, str]]:
        """Every package that the server knows of, in whatever state: name -> (dpkg's letters, version)."""
        items = self.server.cli("endpoint", "packages", endpoint_id)["items"]
        managed = (item for item in items if not is_found(item["architecture"]))
        return {item["name"]: (item["state"].strip(), item["version"]) for item in managed}
