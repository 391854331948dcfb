"""Two cells of different versions: this one, and one before it, built from the history and started for real.

The earlier one joins a conductor of this version, and the other way round; a lead goes through both to its end. Where
the history does not reach so far (a shallow clone) the recorded messages of `tests/contract` stand for it.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.integration.server.test_server_process import ServerProcess
from tests.system.test_cells import Endpoint, World, _stop, brakeline

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
EARLIER = "ef4f73fd662c92e3248533ae21928d98f648c174"  # the last that answered every call at once
NAMES = ("here", "there")
TELL_S, END_S = 240.0, 900.0


class Two(World):
    """The first conducts, and takes part like the other. `earlier`: which of them is the earlier version."""

    def __init__(self, root: Path, stack: ExitStack, source: Path, earlier: str) -> None:
        self.servers, self.taps, self.lead = {}, {}, ""
        for name in NAMES:
            (root / name).mkdir()
            server = self.servers[name] = ServerProcess(root / name)
            if name == earlier:
                server.environment["PYTHONPATH"] = str(source)
            server.start()
            stack.callback(_stop, server)
        self.conductor = self.servers[NAMES[0]]
        self.endpoints = {n: [Endpoint(s, f"{n}-{i}.example") for i in range(2)] for n, s in self.servers.items()}

    def link(self) -> None:
        for name in NAMES:
            made = brakeline(self.conductor, "cell", "add", name, "--region", name, "--url",
                             f"https://127.0.0.1:{self.conductor.port}")  # fmt: skip
            brakeline(self.servers[name], "cell", "join", made["token"])

    def begin(self) -> None:
        made = brakeline(self.conductor, "lead", "create", "libssl3", "--update", "libssl3=3.0.17-1", "--pace",
                         "rehearsal")  # fmt: skip
        self.lead = made["id"]
        self.until("both to tell their size", lambda v: [c["eligible"] for c in v["cells"]] == [2, 2], TELL_S)
        brakeline(self.conductor, "lead", "start", self.lead)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The earlier version's source, as it was committed."""
    known = subprocess.run(["git", "cat-file", "-e", f"{EARLIER}:src"], cwd=ROOT, capture_output=True, check=False)
    if known.returncode:
        pytest.skip(f"the history does not reach {EARLIER[:12]}; tests/contract/test_cell_exchange.py stands for it")
    folder = tmp_path_factory.mktemp("earlier")
    archive = subprocess.run(["git", "archive", EARLIER, "src"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    assert "wait_s" not in (folder / "src/brakeline/cells/model.py").read_text()
    return folder / "src"


@pytest.mark.parametrize("earlier", NAMES)
def test_a_lead_goes_through_a_cell_of_this_and_one_of_the_earlier_version(
    tmp_path: Path, source: Path, earlier: str
) -> None:
    with ExitStack() as stack:
        world = Two(tmp_path, stack, source, earlier)
        world.link()
        world.begin()
        end = world.until("the end", lambda v: v["state"] == "completed", END_S)
        assert {c["cell"]: c["treated"] for c in end["cells"]} == {"here": 2, "there": 2}
        assert world.taken() == {"here": 2, "there": 2}
