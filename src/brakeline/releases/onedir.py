"""Builds one-directory programs with PyInstaller, for endpoints that have no Python: the agent as a release of its own,
and the interpreter that a package brings along.

Invariants: built in a virtual environment that holds PyInstaller and nothing else, from a copy of the endpoint's parts
alone; the same Python, PyInstaller and shared libraries give the same bytes, wherever and by whomever it is built.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform as host
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from brakeline.core.errors import Fault
from brakeline.releases import zipapp
from brakeline.releases.build import Built, bundled
from brakeline.releases.packages import FIXED_S, File, recipe

AGENT: Final = "brakeline-agent"
INTERPRETER: Final = "brakeline-python"
TOOLS: Final = ("pyinstaller", "pyinstaller-hooks-contrib", "altgraph", "packaging", "setuptools")
NEEDED: Final = ("strip", "objdump", "ldd")  # of binutils and libc: the debugging symbols are three quarters
BUILD_S_MAX: Final = 600
# Of the standard library, not in the interpreter: tests, windows, terminals, databases, what installs Python itself …
LEFT_OUT: Final = (
    "antigravity", "curses", "dbm", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "readline",
    "rlcompleter", "sqlite3", "test", "this", "tkinter", "turtle", "turtledemo", "venv",
)  # fmt: skip
# … and what is not there on Linux, or comes by itself.
ABSENT: Final = ("msilib", "msvcrt", "nis", "nt", "ossaudiodev", "site", "spwd", "winreg", "winsound", "xxlimited",
                 "xxlimited_35")  # fmt: skip


class NoPyInstaller(Fault):
    """A one-directory program cannot be built here."""

    code, status = "no-pyinstaller", 422
    hint = "Use a checkout's own environment (`./dev` makes it) on the oldest system that the program is to run on."


def machine() -> str:
    """The only kind of machine on which what is built here runs, as `uname -m` says it."""
    return host.machine()


def platform() -> str:
    """The same with the system before it, as releases and launchers call it."""
    return f"{sys.platform}-{machine()}"


def agent_release(version: str, sequence: int) -> Built:
    """The agent as a release whose entry is a program of its own tree: no Python is needed to run it."""
    sources = zipapp.sources("agent", version)
    named = {name: data for name, data in sources.items() if name != "__main__.py"}
    modules = [n.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for n in named]
    files = _frozen(AGENT, "from brakeline.agent.__main__ import main as PROGRAM", named, modules)
    plain = {name: file.data for name, file in files.items()}
    return bundled("agent", version, sequence, plain, (AGENT,), platform(), {**named, **plain}, host.python_version())


def interpreter() -> dict[str, File]:
    """A Python with nearly all of its standard library that runs launcher, agent and whatever release is to come."""
    return _frozen(INTERPRETER, "PROGRAM = None", {}, _library())


def _library() -> list[str]:
    """Every module of the standard library but those left out; what begins with an underscore comes by itself."""
    top = Path(sysconfig.get_path("stdlib"))
    wanted = {n for n in sys.stdlib_module_names if n not in (*LEFT_OUT, *ABSENT) and not n.startswith("_")}
    found = set(wanted)
    for name in wanted:
        for path in (top / name).rglob("*.py") if (top / name).is_dir() else ():
            parts = path.relative_to(top).with_suffix("").parts
            if not {"test", "tests", "__main__", "idle_test"} & set(parts):
                found.add(".".join(p for p in parts if p != "__init__"))
    return sorted(found)


def _frozen(name: str, program: str, sources: Mapping[str, bytes], modules: Iterable[str]) -> dict[str, File]:
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if sys.platform == "win32" or missing:
        raise NoPyInstaller(f"one-directory programs are built on Linux with {', '.join(missing or NEEDED)}")
    with tempfile.TemporaryDirectory(prefix="brakeline-onedir-") as folder:
        work = Path(folder)
        python = _clean_environment(work / "env")
        (work / "entry.py").write_text(recipe("onedir.py.in").replace("@PROGRAM@", program), encoding="utf-8")
        for path, data in sources.items():
            (work / "source" / path).parent.mkdir(parents=True, exist_ok=True)
            (work / "source" / path).write_bytes(data)
        wanted = [word for module in modules for word in ("--hidden-import", module)]
        wanted += [word for module in LEFT_OUT for word in ("--exclude-module", module)]
        command = [
            str(python), "-m", "PyInstaller", "--onedir", "--strip", "--noupx", "--noconfirm", "--log-level", "ERROR",
            "--name", name, "--paths", str(work / "source"), "--distpath", str(work / "dist"),
            "--workpath", str(work / "build"), "--specpath", str(work), *wanted, str(work / "entry.py"),
        ]  # fmt: skip
        _run(command, work)
        return _collected(work / "dist" / name, name)


def _clean_environment(folder: Path) -> Path:
    """A virtual environment with PyInstaller alone, copied out of this one; its Python."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    (site,) = folder.glob("lib/python3*/site-packages")
    for tool in TOOLS:
        try:
            files = importlib.metadata.files(tool) or []
        except importlib.metadata.PackageNotFoundError:
            raise NoPyInstaller(f"{tool} is not installed here") from None
        for file in files:
            source, target = Path(str(file.locate())), site / str(file)
            if ".." not in file.parts and "__pycache__" not in file.parts and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
    return folder / "bin" / "python"


def _run(command: list[str], work: Path) -> None:
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(work), "LC_ALL": "C.UTF-8", "TZ": "UTC",
                   "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": str(FIXED_S), "PYTHONDONTWRITEBYTECODE": "1",
                   "PYINSTALLER_CONFIG_DIR": str(work / "cache")}  # fmt: skip
    done = subprocess.run(
        command,
        cwd=work,
        env=environment,
        umask=0o022,
        capture_output=True,
        text=True,
        timeout=BUILD_S_MAX,
        check=False,
    )
    if done.returncode:
        raise NoPyInstaller(f"PyInstaller ended with {done.returncode}: {done.stderr.strip()[-600:]}")


def _collected(tree: Path, program: str) -> dict[str, File]:
    """Every file of the tree. Links are followed: a release holds plain files only."""
    paths = {path.relative_to(tree).as_posix(): path for path in sorted(tree.rglob("*")) if path.is_file()}
    return {name: File(_local(path.read_bytes()), 0o755 if name == program else 0o644) for name, path in paths.items()}


def _local(data: bytes) -> bytes:
    """A Python built by hand looks for libraries where it was built; on an endpoint it is to look beside them."""
    built_in = str(sysconfig.get_config_var("LIBDIR")).encode() + b"\0"
    beside = b"$ORIGIN\0"
    if len(built_in) < len(beside) or not data.startswith(b"\x7fELF"):
        return data
    return data.replace(b"\0" + built_in, b"\0" + beside.ljust(len(built_in), b"\0"))
