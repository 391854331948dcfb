"""How one endpoint heals by itself: launcher and releases as they are, and no server in the world.

The release is there as a look has left it (staged, on probation), or as its confirmation has left it where it harms
only afterwards; then the server's address leads nowhere. Measured: from its first execution until the last good
release runs again. Next: `run`, which lets the same release loose on a fleet.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import threading
import time
from pathlib import Path

from tools.badreleases.catalogue import BadRelease
from tools.badreleases.endpoints import Endpoint

from brakeline.launcher.model import Record
from brakeline.releases.build import Built

NOWHERE = "https://127.0.0.1:9"  # the discard port: refused at once, as without a network
PATIENCE_S = 240.0


def heals_alone(bad: BadRelease) -> bool:
    """Whether one machine can see that it is bad; else only the comparison with others can."""
    return not bad.confirmed or bool(bad.mark)


def heal_alone(template: Path, base: Path, user: str, good: Built, bad: BadRelease, release: Built) -> float:
    """Seconds until the good release runs again. Raises `TimeoutError`."""
    one = _twin(template, base, user)
    one.keep(good, release)
    record = Record(generation=1, current=good.release_id, trial=release.release_id, trial_sequence=release.sequence)
    if bad.confirmed:
        record = Record(generation=1, current=release.release_id, last_known_good=good.release_id)
        mark = one.base / "home" / (bad.mark + release.version)
        mark.touch()
        shutil.chown(mark, user)
    one.remember(record)
    one.boot()
    threading.Thread(target=one.watch, daemon=True).start()
    try:
        return _until_well(one, good, release)
    finally:
        one.ended.set()
        one.die()
        shutil.rmtree(base, ignore_errors=True)


def _twin(template: Path, base: Path, user: str) -> Endpoint:
    """An enrolled endpoint as it was before its first boot, whose server is gone."""
    shutil.copytree(template, base)
    one = Endpoint(base.name, base, user)
    account = pwd.getpwnam(user)
    for path in (base / "home", *(base / "home").rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid)
    agent_json = base / "etc/agent.json"
    agent_json.write_text(json.dumps(json.loads(agent_json.read_text()) | {"server_url": NOWHERE}))
    os.chown(agent_json, account.pw_uid, account.pw_gid)
    one.configure()
    return one


def _until_well(one: Endpoint, good: Built, release: Built) -> float:
    began_s = first_s = 0.0
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        report, now_s = one.report(), time.monotonic()
        if not first_s and (report.running == release.release_id or one.runs(release.version)):
            first_s = now_s
        if not began_s and release.release_id in (report.trial, report.confirmed):
            began_s = now_s  # the launcher is up; one that cannot be executed at all is gone within milliseconds
        if began_s and report.running == good.release_id and not report.trial:
            return round(now_s - (first_s or began_s), 1)
        time.sleep(0.02)
    raise TimeoutError(f"alone it did not heal: {one.report()}; {(one.base / 'log').read_text()[-1500:]}")
