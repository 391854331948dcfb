"""Looking and planning need no privilege: what root has fetched is read, and nothing else is touched."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.correctness.dnf import world
from tests.rpmrepo import Rpm, needed

from brakeline.agent.providers.dnf.answers import answer_of
from brakeline.agent.providers.dnf.asking import source

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may read, unlike pytest's."""
    made = Path(tempfile.mkdtemp(prefix="dnf-test-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_nobody_may_look_and_plan(place: Path) -> None:
    needed()
    (place / "home").mkdir()
    (place / "home/.rpmmacros").write_text("%_dbpath /root/.rpmdb\n")  # Debian's rpm looks below HOME, others do not
    with world(place, Rpm("p", "2")) as root:

        def ask(**request: object) -> dict[str, object]:
            words = json.dumps({"root": str(root.path), **request})
            command = [*NOBODY, f"HOME={place}/home", "/usr/bin/python3", "-I", "-c", source(), words]
            ran = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
            answer = answer_of(ran.stdout)
            assert answer is not None, ran.stderr
            return answer

        looked = ask(verb="look", pending=True)
        assert isinstance(looked["pending"], list)
        assert [(u["name"], u["state"], u["vendor"]) for u in looked["pending"]] == [("p", "available", ["", ""])]
        planned = ask(verb="plan", targets=[["p", "", "2-1"]], removals=False, new=True)
        assert planned["actions"] == [["p", "noarch", "1-1", "2-1"]]
        assert planned["back"] == ["p"]
        assert root.has("p") == ["1-1"]
