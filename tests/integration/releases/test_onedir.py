"""The Python that a package brings: built twice the same, runs what launcher and agent start by it, needs no other."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from tests.support import require

from brakeline.launcher import stub
from brakeline.releases import onedir, zipapp
from brakeline.releases.packages import File

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def files() -> dict[str, File]:
    missing = [tool for tool in onedir.NEEDED if shutil.which(tool) is None]
    require(not missing, f"{', '.join(missing)} (Debian package binutils): PyInstaller's tools")
    return onedir.interpreter()


@pytest.fixture(scope="module")
def lib(files: dict[str, File], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a package lays it out: the interpreter in python/, stub, launcher and agent beside it."""
    made = tmp_path_factory.mktemp("lib")
    for name, file in files.items():
        path = made / "python" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode)
    shutil.copy(stub.__file__, made / "stub.py")
    for product in ("launcher", "agent"):
        (made / f"{product}.pyz").write_bytes(zipapp.build(product=product, version="1.4.0"))
    return made


def run(lib: Path, *words: str, text: str = "") -> str:
    """With an empty environment: no PATH, no Python to be found."""
    command = [str(lib / "python" / onedir.INTERPRETER), "-I", *words]
    done = subprocess.run(command, env={}, input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_built_again_it_has_the_same_bytes(files: dict[str, File]) -> None:
    assert onedir.interpreter() == files


def test_it_runs_a_zipapp_and_a_launcher_through_the_stub(lib: Path) -> None:
    assert run(lib, str(lib / "agent.pyz"), "version") == "1.4.0\n"
    told = run(lib, str(lib / "stub.py"), "--root", str(lib / "none"), "--lib", str(lib), "status")
    assert "report.json" in told, "the launcher itself said that it has no report yet"


def test_it_takes_code_as_python_does_and_leaves_no_library_path_to_what_it_starts(lib: Path) -> None:
    assert run(lib, "-S", "-c", "import sys; print(sys.argv)", "a") == "['-c', 'a']\n"
    assert run(lib, "-", "b", text="import sys; print(sys.argv)") == "['-', 'b']\n"
    assert run(lib, "-c", "import os; print(dict(os.environ))") == "{}\n"


def test_a_library_of_its_looks_nowhere_but_beside_itself(files: dict[str, File]) -> None:
    where = str(sysconfig.get_config_var("LIBDIR")).encode() + b"\0"
    assert not [n for n, f in files.items() if f.data.startswith(b"\x7fELF") and b"\0" + where in f.data]


def test_a_transaction_takes_the_interpreter_along(lib: Path, tmp_path: Path) -> None:
    """The package may be replaced by the very transaction that runs on it."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from brakeline.agent.transaction_unit import own_copy\n"
        "print(*own_copy([sys.executable, '-I', sys.argv[1]], Path(sys.argv[2])))"
    )
    command = run(lib, "-c", code, str(lib / "agent.pyz"), str(tmp_path)).split()
    assert command == [str(tmp_path / "python" / onedir.INTERPRETER), "-I", str(tmp_path / "agent.pyz")]
    assert subprocess.run([*command, "version"], env={}, capture_output=True, text=True, check=True).stdout == "1.4.0\n"
