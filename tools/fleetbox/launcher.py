"""The parent of one endpoint: `python launcher.py SPEC` (JSON). Joins the endpoint's groups, mounts its overlay in a
mount namespace of its own (so the mount disappears with it), and runs systemd-nspawn; 133 is a guest's reboot.

Runs by path, with nothing but the standard library, so that it starts quickly.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

CLONE_NEWNS = 0x00020000
REBOOT = 133


def main(spec: dict[str, str | list[str]]) -> int:
    """Exit code of the guest's last nspawn."""
    for procs in spec["groups"]:
        Path(procs).write_text(str(os.getpid()))
    if ctypes.CDLL("libc.so.6", use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    directory, name = str(spec["directory"]), str(spec["name"])
    overlay = f"lowerdir={spec['lower']},upperdir={directory}/disk/upper,workdir={directory}/disk/work"
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", overlay, f"{directory}/root"], check=True)
    command = [
        "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={directory}/root",
        f"--machine={name}", f"--hostname={name}", f"--network-namespace-path={spec['namespace']}",
        "--capability=CAP_NET_ADMIN",  # its network is its own to break, as on a real machine
        "--console=pipe", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
        *(["--boot"] if spec["mode"] == "systemd" else ["--as-pid2", "sleep", "infinity"]),
    ]  # fmt: skip
    while True:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        print(f"endpoint {name}: nspawn ended with {code}", flush=True)
        if code != REBOOT:
            return code


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
