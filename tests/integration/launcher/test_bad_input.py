"""Each kind of bad release at a real look, and the way of its reason: launcher, check-in, people's API, words."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.server.test_server_process import ServerProcess
from tests.support_launcher import GOOD, Endpoint, endpoint, release_bytes
from tests.support_trust import Repository

from brakeline.fleet import wording
from brakeline.launcher import settings, source
from brakeline.launcher.disk import RealDisk
from brakeline.launcher.model import Record
from brakeline.launcher.records import Records
from brakeline.protocol.messages import LauncherReport

KINDS = {
    "corrupt on the way": "hash",
    "corrupt when it was signed": "malformed",
    "wrong platform": "wrong_platform",
    "downgrade": "downgrade",
    "same version with another hash": "mismatch",
    "quarantined version offered again": "quarantined",
    "unsigned content": "unsigned",
    "oversized metadata": "too_large",
    "unknown fields": "unknown_field",
}


def bad(host: Endpoint, kind: str, version: str, record: Record) -> Record:
    """Let the cell of `host` offer it; the record of a launcher that has met it before."""
    repo = host.cell.repository
    data = b"no tar at all" if kind == "corrupt when it was signed" else release_bytes(version, GOOD, 2)
    platform = "windows-x86_64" if kind == "wrong platform" else "any"
    release_id = repo.publish(version, data, 2, platform=platform)
    target = repo.target(release_id)
    repo.offer(release_id)
    host.cell.forge = lambda genuine: genuine
    if kind == "corrupt on the way":
        repo.blobs[target.hashes["sha256"]] = data[:-1] + b"x"
    elif kind == "downgrade":
        return replace(record, floors=replace(record.floors, sequence=3))
    elif kind == "quarantined version offered again":
        return replace(record, quarantined=(release_id,))
    elif kind == "same version with another hash":
        other = {"path": target.path, "sha256": "0" * 64, "length": len(data), "version": version, "sequence": 2,
                 "product": "agent"}  # fmt: skip
        host.cell.forge = lambda genuine: replace(
            genuine, leases=(repo.lease(release_id, release=other, grant=repo.grant(release_id, sha256="0" * 64)),)
        )
    elif kind == "unsigned content":
        evil = Repository(now_ms=repo.now_ms)
        evil.keys.update({name: repo.keys[name] for name in ("cell", "conductor")})
        evil_id = evil.publish("3.0.0", data, 3, product="content")
        host.cell.forge = lambda genuine: replace(genuine, leases=(_leased_now(evil, repo, evil_id),))
    elif kind == "oversized metadata":
        host.cell.forge = lambda genuine: replace(genuine, targets=genuine.targets + " " * 1_100_000)
    elif kind == "unknown fields":
        repo.offer(release_id, only_at_night=True)
    return record


def _leased_now(evil: Repository, repo: Repository, release_id: str) -> str:
    evil.now_ms = repo.now_ms
    return evil.lease(release_id)


def refused(host: Endpoint, kind: str) -> str:
    """What a real look at it reports; nothing of it is on the disk afterwards."""
    baseline = host.prepare(release_bytes("1.0.0"))
    disk = RealDisk(host.root)
    record = bad(host, kind, "2.0.0", Records(disk).load()[0])
    found = source.look(settings.load(host.root, host.etc, host.home), disk, record, (), 10)
    assert (found.staged, found.others) == ("", ())
    assert [p.name for p in (host.root / "versions").iterdir()] == [baseline]
    told = [p for p in found.problems if p.partition(":")[0] == KINDS[kind]]
    assert told, found.problems
    return told[0]


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    root = Path(tempfile.mkdtemp(prefix="brakeline-test-server-"))
    root.chmod(0o755)  # root's cluster runs as nobody
    made = ServerProcess(root)
    made.start()
    yield made
    assert made.end(signal.SIGTERM) == 0
    shutil.rmtree(root, ignore_errors=True)


def told(server: ServerProcess, endpoint_id: str) -> list[str]:
    """The problems of an endpoint's launcher as people's API gives them; check-ins are written about once a second."""
    until = time.monotonic() + 20
    while True:
        status, _, body = server.get(f"/api/v1/endpoints/{endpoint_id}")
        assert status == 200
        if (launcher := json.loads(body)["launcher"]) is not None or time.monotonic() > until:
            return list(launcher["problems"])
        time.sleep(0.1)


def test_bad_releases_are_refused_and_each_reason_reaches_people(
    server: ServerProcess, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, release_user: str
) -> None:
    """From a look over a real check-in to the endpoint's page in people's API, and into a sentence."""
    problems = []
    for n, kind in enumerate(KINDS):
        (tmp_path / str(n)).mkdir()
        with endpoint(tmp_path / str(n), tmp_path_factory.getbasetemp() / "tls", release_user) as host:
            problems.append(refused(host, kind))
    twin = server.agent()
    assert twin.renew().status == 200
    report = LauncherReport(running="1.0.0-" + "0" * 12, problems=tuple(problems))
    assert twin.check_in(launcher=report).status == 200
    assert told(server, twin.endpoint_id) == problems
    for text in problems:
        said = wording.problem(text)
        assert said.what != "The launcher says", f"{said.kind} has no words"
        assert said.told
        assert said.next
