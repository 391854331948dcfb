"""Keys leave the server: the document's own commands on a real server, judged by endpoints that come and go."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.server.test_server_process import ServerProcess
from tests.support_trust import NONCE, Repository, bundle

from brakeline.cli.__main__ import main
from brakeline.core.ids import make_id
from brakeline.protocol.routes import TRUST_BUNDLE
from brakeline.releases.ceremony import listing_of
from brakeline.releases.ceremony_files import read_documents, to_text
from brakeline.releases.keys import read_pem
from brakeline.releases.model import ON_SERVER
from brakeline.releases.repository import version_of
from brakeline.releases.signing import Holder, root_text, roster_of, snapshot_text, targets_text, timestamp_text
from brakeline.trust import wire
from brakeline.trust.assess import assess
from brakeline.trust.metadata import Target
from brakeline.trust.model import Assessment, ClockReading, Documents, Floors, Who

DOCUMENT = Path(__file__).parents[3] / "docs/how-to/release-keys.md"
WHO = Who(make_id("ep", 1, bytes(10)), "cell-1", "eu")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    root = Path(tempfile.mkdtemp(prefix="brakeline-test-server-"))
    root.chmod(0o755)  # root's cluster runs as nobody
    made = ServerProcess(root)
    made.start()
    yield made
    assert made.end(signal.SIGTERM) == 0
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(autouse=True)
def holder(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody with the command line, a folder and a passphrase."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRAKELINE_CONTEXT", str(server.data / "context.json"))
    monkeypatch.setenv("BRAKELINE_RELEASE_PASSPHRASE", "correct horse battery staple")


class Launcher:
    """What a launcher remembers between two looks at the real server."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.pinned = json.loads(server.get("/api/v1/releases/root")[2])["root"]
        self.cached, self.floors = Documents(), Floors()

    def look(self) -> Assessment:
        path = f"{TRUST_BUNDLE}?root={1 + len(self.cached.roots)}&channel=stable&region=eu&nonce={NONCE}"
        fetched = wire.from_text(self.server.get(path)[2].decode())
        clock = ClockReading(time.time_ns() // 1_000_000, NONCE)
        seen = assess(self.pinned, self.cached, fetched, WHO, clock, self.floors)
        self.cached, self.floors = seen.documents, seen.floors
        return seen


def commands(section: str = "") -> list[str]:
    """The commands of one section of the document, or of all."""
    text = DOCUMENT.read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    chosen = [s for s in sections if s.startswith(section)]
    assert chosen, section
    return [line for s in chosen for block in re.findall(r"```sh\n(.*?)```", s, re.S) for line in block.splitlines()]


def run(line: str, data: Path, folder: Path) -> None:
    """One command of the document; patterns and DATA as a shell would have them."""
    words = []
    for word in shlex.split(line.replace("DATA", str(data))):
        if "*" not in word:
            words.append(word)
            continue
        pattern = Path(word)
        base = pattern.parent if pattern.is_absolute() else folder / pattern.parent
        words += [str(p) for p in sorted(base.glob(pattern.name))]
    assert words[0] == "brakeline", line
    assert main(words[1:]) == 0, line


def test_an_official_release_is_published_only_if_the_project_has_signed_it(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Repository(now_ms=time.time_ns() // 1_000_000)
    good, other = (bundle("7.0.0", {"agent.pyz": data}, 7, product="launcher") for data in (b"official", b"forged"))
    release_id = project.publish("7.0.0", good, 7, product="launcher")
    Path("project.json").write_text(to_text(replace(project.documents(), roots=tuple(project.roots))))
    Path("project-root.json").write_text(project.roots[0])
    Path("good.tar").write_bytes(good)
    Path("forged.tar").write_bytes(other)
    adopt = ["--official", "project.json", "--project-root", "project-root.json"]
    assert main(["release", "publish", "forged.tar", *adopt]) == 2
    assert "the project has not signed" in capsys.readouterr().err
    assert main(["release", "publish", "good.tar", *adopt[:2]]) == 2
    assert main(["release", "stage", "good.tar", *adopt, "--out", "next"]) == 0
    assert main(["release", "publish", "good.tar", *adopt]) == 0
    assert release_id in capsys.readouterr().out
    assert main(["release", "save", "--out", "ours.json"]) == 0
    assert read_documents(Path("ours.json")).roots[0] == Launcher(server).pinned


def test_rotation_that_would_leave_a_key_on_the_server_is_refused(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["release", "keygen", "anna"]) == 0
    given = ["--key", "root=anna.pub", "--key", "targets=anna.pub"]
    assert main(["release", "rotate", "--offline", "--out", "c", *given]) == 2
    assert "content would go on being signed with: file on this server" in capsys.readouterr().err
    assert main(["release", "rotate", "--out", "c", *given]) == 0
    assert main(["release", "import", "c"]) == 5
    assert "still asked" in capsys.readouterr().err
    assert main(["release", "sign", "c", "--key", "anna.pem"]) == 2
    assert "--yes signs without asking" in capsys.readouterr().err
    Path("other.tar").write_bytes(b"other")
    assert main(["release", "sign", "c", "--yes", "--key", "anna.pem", "--bundle", "other.tar"]) == 5
    assert "is not what would be signed" in capsys.readouterr().err
    assert main(["release", "stage", "--out", "nothing"]) == 5
    assert Launcher(server).look().floors.root == 0


def test_the_document_s_ceremony_leaves_no_key_on_the_server_and_endpoints_follow(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sticks").mkdir()
    present, away = Launcher(server), Launcher(server)
    assert away.look().problems == ()
    status = json.loads(server.get("/api/v1/releases/status")[2])
    assert (status["headline"], status["kind"]) == (ON_SERVER, "developer")

    for section in ("1. ", "2. ", "3. "):
        for line in commands(section):
            run(line, server.data, tmp_path)
    assert "root: 2 of 2 signatures of the holders of the new root (anna, bert)" in capsys.readouterr().out
    for line in commands("4. "):
        run(line, server.data, tmp_path)
    said = capsys.readouterr()
    assert "root 2 is served from now on" in said.out
    assert "may be destroyed" in said.out
    status = json.loads(server.get("/api/v1/releases/status")[2])
    assert (status["headline"], status["on_server"], status["kind"]) == (
        "release keys are offline",
        False,
        "installation",
    )
    assert sorted(status["useless_keys"])[0].startswith("content-")
    for name in status["useless_keys"]:
        assert (server.data / "trust/keys" / name).exists(), "only people destroy keys"
        (server.data / "trust/keys" / name).unlink()
    assert present.look().problems == ()

    for line in commands("Publish"):
        run(line, server.data, tmp_path)
    known = present.look()
    assert ([o.version for o in known.known], known.problems) == (["9.0.0"], ())
    for section in ("Every 60", "A lost", "A key of", "Another"):
        for line in commands(section):
            run(line, server.data, tmp_path)
        seen = present.look()
        assert seen.problems == (), section
    a_thief_of_the_whole_server_signs_nothing_new(server, present)
    server.end(signal.SIGKILL)
    server.start()
    for launcher in (present, away, Launcher(server)):
        seen = launcher.look()
        assert (seen.problems, [o.version for o in seen.known]) == ((), ["9.0.0"])
    assert away.floors.root == 5
    status = json.loads(server.get("/api/v1/releases/status")[2])
    held = {k["role"]: (k["threshold"], k["where"]) for k in status["keys"]}
    assert held["targets"] == (3, ["offline (anna)", "offline (bert)", "offline (emil)"])
    assert "timestamp-2.pem" in held["timestamp"][1][0]
    assert not [w for w in status["warnings"] if "sign" in w]


def a_thief_of_the_whole_server_signs_nothing_new(server: ServerProcess, launcher: Launcher) -> None:
    """Every key file, the documents, the API: what it brings is refused, what it serves by itself is not believed."""
    keys = [read_pem(p) for p in sorted((server.data / "trust/keys").glob("*.pem"))]
    assert {k.public_key.keyid for k in keys} >= set(roster_of(launcher.cached.roots[-1]).roles["cell/cell-1"].keyids)
    present = launcher.cached
    evil = bundle("9.9.9", {"agent.pyz": b"evil"}, 999)
    listed = listing_of(present.targets)
    target = Target("agent/9.9.9/any/bundle.tar", hashlib.sha256(evil).hexdigest(), len(evil),
                    {"product": "agent", "version": "9.9.9", "sequence": 999, "platform": "any"})  # fmt: skip
    now_ms = time.time_ns() // 1_000_000
    forged = targets_text(version_of(present.targets) + 1, now_ms, {**listed.files, target.path: target}, keys)
    roster = roster_of(present.roots[-1])
    mine = replace(roster, version=roster.version + 1).with_role("targets", Holder((keys[0].public_key,)))
    for name, text in (("targets", forged), ("root", root_text(mine, now_ms, keys))):
        status, _, said = server.api("POST", "/api/v1/releases/metadata", {name: text})
        assert (status, json.loads(said)["code"]) == (422, "bad-metadata")
    below = {"targets.json": (version_of(forged), forged)}
    snapshot = snapshot_text(version_of(present.snapshot) + 1, now_ms, below, keys)
    timestamp = timestamp_text(version_of(present.timestamp) + 1, now_ms, version_of(snapshot), snapshot, keys)
    served = Documents(timestamp=timestamp, snapshot=snapshot, targets=forged)
    seen = assess(launcher.pinned, present, served, WHO, ClockReading(now_ms), launcher.floors)
    assert [o.version for o in seen.known] == ["9.0.0"]
    assert "threshold" in {p.code for p in seen.problems}


def test_every_command_of_the_document_is_run() -> None:
    ran = {line for s in ("1. ", "2. ", "3. ", "4. ", "Publish", "Every 60", "A lost", "A key of", "Another")
           for line in commands(s)}  # fmt: skip
    assert ran == set(commands())
