"""A Mac's tools as a stand-in: *not run on the real system*. They print the two forms that are published: the list with
a line `* Label:` and one of fields, and the history with columns under dashes. What "Apple" has stands in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine, Ran
from brakeline.agent.providers.macos.provider import SoftwareUpdateProvider

TOOLS = r"""#!/usr/bin/python3 -IS
import json, pathlib, sys
root = pathlib.Path(sys.argv[0]).parents[2]
words, name = sys.argv[1:], pathlib.Path(sys.argv[0]).name
state = json.loads((root / "state.json").read_text())
if name == "sw_vers":
    print(state["system"])
    sys.exit(0)
print("Software Update Tool\n")
(root / "log").open("a").write(" ".join(words) + "\n")
if "--history" in words:
    print(f"{'Display Name':<60} {'Version':<12} Date")
    print(f"{'-' * 12:<60} {'-' * 7:<12} ----")
    for title, version in state["history"]:
        print(f"{title:<60} {version:<12} 11/01/2026, 10:00:00")
elif "--list" in words:
    if "--no-scan" not in words:
        print("Finding available software\n")
        if state.get("offline"):
            print("Can't connect to the Apple Software Update server, because you are offline.")
            sys.exit(0)
        state["scanned"] = state["apple"]
        (root / "state.json").write_text(json.dumps(state))
    rows = [u for u in state.get("scanned", []) if [u["title"], u["version"]] not in state["history"]]
    if not rows:
        print("No new software available.", file=sys.stderr)
    else:
        print("Software Update found the following new or updated software:")
    for u in rows:
        more = "".join(f", {k}: {v}" for k, v in u.get("more", {}).items())
        print(f"* Label: {u['label']}")
        print(f"\tTitle: {u['title']}, Version: {u['version']}, Size: 100KiB, Recommended: YES{more},")
elif "--download" in words or "--install" in words:
    label = words[-1]
    found = next((u for u in state.get("scanned", []) if u["label"] == label), None)
    if found is None:
        print(f"{label}: No such update")
    elif "--download" in words and state.get("offline"):
        print("The Internet connection appears to be offline.")
    elif "--install" in words and not found.get("fails"):
        state["history"].append([found["title"], found["version"]])
        (root / "state.json").write_text(json.dumps(state))
        print(f"Done with {found['title']}\nDone.")
    elif "--install" in words:
        print("Error installing updates.")
"""


@dataclass(frozen=True)
class Mac:
    """One Mac's files and tools below `root`."""

    root: Path

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def query(self, *command: str, timeout_s: float = 60.0) -> Ran:
        return Machine().query(str(self.path(command[0])), *command[1:], timeout_s=timeout_s)

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        return Machine().job(
            str(self.path(command[0])), *command[1:], timeout_s=timeout_s, log=log, environment=environment
        )

    @property
    def provider(self) -> SoftwareUpdateProvider:
        return SoftwareUpdateProvider(SystemClock(), self)

    def change(self, **more: object) -> None:
        path = self.root / "state.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | more))

    def state(self) -> dict[str, list[list[str]]]:
        found: dict[str, list[list[str]]] = json.loads((self.root / "state.json").read_text())
        return found

    def publish(self, title: str, version: str, label: str = "", **more: str) -> None:
        row = {"label": label or f"{title}-{version}", "title": title, "version": version, "more": more}
        kept = [u for u in json.loads((self.root / "state.json").read_text())["apple"] if u["title"] != title]
        self.change(apple=[*kept, row])

    def said(self) -> list[str]:
        return (self.root / "log").read_text().splitlines()


def mac(root: Path) -> Mac:
    made = Mac(root)
    for tool in ("usr/sbin/softwareupdate", "usr/bin/sw_vers"):
        path = root / tool
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TOOLS)
        path.chmod(0o755)
    (root / "state.json").write_text(json.dumps({"system": "15.4", "apple": [], "history": []}))
    return made
