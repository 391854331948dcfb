"""What whoever installs this machine, root's helper and the command line ask of the launcher's disk; nothing resident.

Invariants: what is confirmed here stays; nothing is executed that was recalled, has failed here, is damaged or is on
probation: whatever asks here may be root, and a trial is the launcher's alone, counted, limited and as another user.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

from brakeline.launcher import install
from brakeline.launcher.disk import RealDisk
from brakeline.launcher.records import Records
from brakeline.launcher.settings import REPORT, Settings
from brakeline.launcher.supervise import CONTENT, command
from brakeline.trust.errors import Distrust


def adopt(settings: Settings, bundle: Path) -> int:
    """Put a first release in place."""
    disk = RealDisk(settings.root)
    records = Records(disk)
    try:
        records.prepare()
        before, _ = records.load()
        record = install.adopt(disk, bundle.read_bytes(), before, settings.who.platform)
        if record != before:
            records.commit(dataclasses.replace(record, generation=before.generation + 1))
    except (OSError, Distrust) as e:
        print(f"brakeline: {bundle}: {e.text if isinstance(e, Distrust) else e}", file=sys.stderr)
        return 1
    print(record.current)
    return 0


def become(settings: Settings, arguments: list[str]) -> int:
    """Exec the release that runs, or the best one that can: for the root helper and the command line."""
    disk = RealDisk(settings.root)
    record, _ = Records(disk).load()
    run = record.run if record.run is not None and record.run.release_id != record.trial else None
    running = (run.release_id, run.content) if run is not None else ("", "")
    confirmed = (record.current, record.content), (record.last_known_good, record.content_last_known_good)

    def usable(release_id: str) -> bool:
        forbidden = release_id in (*record.recalled, *record.quarantined)
        return bool(release_id) and not forbidden and not install.verify(disk, release_id)

    for release_id, content in (running, *confirmed):
        if usable(release_id):
            os.environ.pop(CONTENT, None)
            os.environ["BRAKELINE_LAUNCHER_REPORT"] = str(settings.root / REPORT)
            if usable(content):
                os.environ[CONTENT] = str(settings.root / install.VERSIONS / content)
            entry, _ = install.entry(disk, release_id)
            folder = settings.root / install.VERSIONS / release_id
            line = [*command(settings, entry, folder), *arguments]
            if os.name == "nt":  # there a program cannot become another one
                return subprocess.call(line)
            os.execv(line[0], line)
    print("brakeline: no release on this disk may be executed; look at `status`", file=sys.stderr)
    return 1
