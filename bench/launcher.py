"""What the launcher costs: start to first check-in with and without it, hashing before exec, a look, idling, its size.

The real stub, launcher and agent, as zipapps under `/usr/bin/python3 -I`, root and a user for the release; a cell over
real TLS serves signed documents and takes check-ins. CPU is the scheduler's count, of children that have ended the
kernel's in ticks of 10 ms; medians. `--before PACKAGE`: also the starts of the launcher and agent of another source
tree (its `src/brakeline`), in turns with these, so that both have the same neighbours. `--starts`: nothing but starts
and sizes. `--json FILE`. Needs root.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tokenize
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from tests.support_cell import TOKEN, Pki, serving
from tests.support_cell import Cell as AgentPlane
from tests.support_launcher import Endpoint, endpoint, user

from bench._proc import TICKS_PER_S, pss_mib, report, stat
from brakeline.launcher import install
from brakeline.launcher.disk import RealDisk
from brakeline.releases import zipapp
from brakeline.releases.build import build_release

PYTHON = "/usr/bin/python3"
STARTS, LOOKS, HASHES, IDLE_S = 9, 9, 50, 60
SOURCE = Path(__file__).parents[1] / "src/brakeline"


# --- how big it is ----------------------------------------------------------------------------------------------------


def lines_of(files: Iterable[Path]) -> tuple[int, int]:
    """(lines with code in them, all lines); docstrings, comments and blank lines are no code."""
    code = everything = 0
    for path in files:
        text = path.read_text()
        everything += len(text.splitlines())
        code += len(_code_lines(text))
    return code, everything


def _code_lines(text: str) -> set[int]:
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in layout:
            found |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def sizes() -> list[tuple[str, object, str]]:
    rows: list[tuple[str, object, str]] = []
    for name, note in (("launcher", "Windows included"), ("trust", "what it believes, shared with the agent")):
        code, everything = lines_of(sorted((SOURCE / name).glob("*.py")))
        rows += [(f"{name}: lines of code", code, note), (f"{name}: all lines", everything, "")]
    return [*rows, ("launcher zipapp, KiB", len(zipapp.build(product="launcher")) / 1024, "")]


# --- an endpoint ----------------------------------------------------------------------------------------------------


@dataclass
class Measured:
    """An endpoint with the real agent as its confirmed release, enrolled, and the cell that it talks to."""

    host: Endpoint
    plane: AgentPlane

    @property
    def places(self) -> list[str]:
        return ["--root", str(self.host.root), "--etc", str(self.host.etc), "--home", str(self.host.home)]

    @property
    def agent(self) -> list[str]:
        """The agent's command line without its verb."""
        return [PYTHON, "-I", str(self.host.root / install.VERSIONS / self.host.record().current / "agent.pyz")]


@contextmanager
def enrolled(folder: Path, package: Path | None = None) -> Iterator[Measured]:
    """`package`: the source that launcher and agent are built from; without it this one."""
    folder.mkdir(exist_ok=True)
    name = f"bl-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    with user(name), endpoint(folder / "endpoint", folder / "tls", name) as host:
        host.base.mkdir()
        host.knobs = {"check_every_s": 3600}
        host.prepare(build_release("agent", "1.0.0", 1, package=package).bundle)
        host.program.write_bytes(zipapp.build(package, product="launcher"))
        host.under_a_stub()
        pki = Pki(folder)
        with serving(AgentPlane(), pki, get=host.cell.answer) as plane:
            made = Measured(host, plane)
            where = ["--config", str(host.etc / "agent.json"), "--state", str(host.home)]
            asked = ["enrol", "--server", plane.url, "--token", TOKEN, "--ca", str(pki.ca_file), "--force", *where]
            subprocess.run([*made.agent, *asked], check=True, capture_output=True)
            (host.etc / "agent.json").chmod(0o644)
            own = json.loads((host.etc / "launcher.json").read_text())
            own["arguments"] = ["run", *where]
            (host.etc / "launcher.json").write_text(json.dumps(own))
            account = pwd.getpwnam(name)
            for path in (host.home, *host.home.rglob("*")):
                os.chown(path, account.pw_uid, account.pw_gid)
            yield made


@dataclass(frozen=True)
class Start:
    """One start, from exec to the first check-in's arrival."""

    ms: float
    agent_cpu_ms: float
    above_cpu_ms: float = 0.0  # of stub, launcher and look

    @property
    def cpu_ms(self) -> float:
        return self.agent_cpu_ms + self.above_cpu_ms


def direct(made: Measured) -> Start:
    """Without the launcher."""
    host, known = made.host, len(made.plane.check_ins)
    command = [*made.agent, "run", "--config", str(host.etc / "agent.json"), "--state", str(host.home)]
    read_end, write_end = os.pipe()
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(write_end,), user=host.user,
        env={"PATH": "/usr/bin:/bin", "HOME": str(host.home), "BRAKELINE_LAUNCHER_FD": str(write_end)},
    )  # fmt: skip
    os.close(write_end)
    word = os.read(read_end, 6)
    assert word.startswith(b"READY"), word
    made.plane.wait_until(lambda c: len(c.check_ins) > known)
    took, spent = time.monotonic() - began, on_cpu_s(process.pid)
    os.close(read_end)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return Start(took * 1000, spent * 1000)


def launched(made: Measured, *, stubbed: bool) -> Start:
    """From exec of the launcher, or of the stub, which becomes the launcher."""
    host, known = made.host, len(made.plane.check_ins)
    (host.base / "log").write_bytes(b"")
    program = [str(host.lib / "stub.py"), "--root", str(host.root)] if stubbed else [str(host.program)]
    began = time.monotonic()
    with (host.base / "log").open("ab") as out:
        host.process = subprocess.Popen(
            [PYTHON, "-I", *program, "run", *made.places], stdout=out, stderr=out, start_new_session=True
        )
    launcher = host.process.pid
    made.plane.wait_until(lambda c: len(c.check_ins) > known)
    took, (agent,) = time.monotonic() - began, [int(pid) for pid in _children(launcher)]
    spent, above = on_cpu_s(agent), on_cpu_s(launcher) + children_cpu_s(launcher)
    host.stop()
    return Start(took * 1000, spent * 1000, above * 1000)


KINDS: dict[str, Callable[[Measured], Start]] = {
    "agent alone": direct,
    "with the launcher": partial(launched, stubbed=False),
    "with stub and launcher": partial(launched, stubbed=True),
}


def starts(made: Measured, before: Measured | None) -> list[tuple[str, object, str]]:
    """In turns, so that all have the same neighbours: of this source, and of the one before if there is one."""
    worlds = {"": made} | ({"before: ": before} if before else {})
    found: dict[str, list[Start]] = {}
    for _ in range(STARTS):
        for word, world in worlds.items():
            for kind, start in KINDS.items():
                found.setdefault(word + kind, []).append(start(world))
    rows: list[tuple[str, object, str]] = []
    for kind, some in found.items():
        above = median(s.above_cpu_ms for s in some)
        note = f"median of {STARTS}" + (
            f"; of that the agent {median(s.agent_cpu_ms for s in some):.0f}" if above else ""
        )
        rows.append((f"{kind}: CPU to the first check-in, ms", median(s.cpu_ms for s in some), note))
        rows.append((f"{kind}: exec to the first check-in, ms", median(s.ms for s in some), "wall clock"))
    alone, through = (median(s.cpu_ms for s in found[kind]) for kind in ("agent alone", "with the launcher"))
    return [*rows, ("ratio of the CPU, launcher to agent alone", through / alone, "")]


# --- what it does while it runs ---------------------------------------------------------------------------------------


def look_ms(host: Endpoint, times: int) -> float:
    """CPU ms of one look as the launcher starts it: the median."""
    places = ["--root", str(host.root), "--etc", str(host.etc), "--home", str(host.home)]
    spent = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([PYTHON, "-I", str(host.program), "check", *places], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert json.loads(done.stdout)["fresh"], done.stdout
    return median(spent) * 1000


def looks(host: Endpoint) -> list[tuple[str, object, str]]:
    quiet_ms = look_ms(host, LOOKS)
    two = build_release("agent", "2.0.0", 2)
    repository = host.cell.repository
    repository.offer(repository.publish("2.0.0", two.bundle, 2))
    news = []
    for _ in range(LOOKS):
        shutil.rmtree(host.root / install.VERSIONS / two.release_id, ignore_errors=True)
        news.append(look_ms(host, 1))
    repository.leased = []
    python_ms = [_python_ms() for _ in range(LOOKS)]
    return [
        ("a look without news, CPU ms", quiet_ms, "a process of its own, TLS included; each hour and at each start"),
        (
            "a look with a new release, CPU ms",
            median(news),
            f"{len(two.bundle) >> 10} KiB fetched, unpacked",
        ),
        ("of both: Python that does nothing, CPU ms", median(python_ms), "python3 -I -c pass"),
        ("looks of a day, % of a core", quiet_ms * 24 / 86_400_000 * 100, ""),
        ("a look's share of a check-in, CPU ms", quiet_ms / 60, "60 check-ins in an hour"),
    ]


def _python_ms() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([PYTHON, "-I", "-c", "pass"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def hashing(host: Endpoint) -> list[tuple[str, object, str]]:
    disk, current = RealDisk(host.root), host.record().current
    folder = host.root / install.VERSIONS / current
    octets = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    before = time.process_time()
    for _ in range(HASHES):
        assert not install.verify(disk, current)
    spent_ms = (time.process_time() - before) * 1000 / HASHES
    return [("hash of every file before exec, CPU ms", spent_ms, f"{octets >> 10} KiB")]


def idle(made: Measured) -> list[tuple[str, object, str]]:
    host, known = made.host, len(made.plane.check_ins)
    host.stubbed = False  # the stub has become the launcher by then
    host.start()
    assert host.process is not None
    launcher = host.process.pid
    made.plane.wait_until(lambda c: len(c.check_ins) > known)
    time.sleep(5)
    (agent,) = [int(pid) for pid in _children(launcher)]
    before = on_cpu_s(launcher)
    time.sleep(IDLE_S)
    spent = on_cpu_s(launcher) - before
    memory, both = pss_mib([launcher]), pss_mib([launcher, agent])
    rss = int(Path(f"/proc/{launcher}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    host.stop()
    return [
        ("launcher idle: PSS beside the agent, MiB", memory, "pages of the interpreter are shared"),
        ("launcher idle: RSS, MiB", rss, ""),
        ("launcher and agent: PSS, MiB", both, "the agent alone: `./dev bench agent_footprint`"),
        ("launcher idle: CPU, % of a core", spent / IDLE_S * 100, f"over {IDLE_S} s, by the scheduler's count"),
    ]


def on_cpu_s(pid: int) -> float:
    """Seconds on a CPU, in the scheduler's nanoseconds; children not included."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def children_cpu_s(pid: int) -> float:
    """Of children that have ended and been waited for."""
    fields = stat(pid)
    return sum(int(ticks) for ticks in fields[13:15]) / TICKS_PER_S


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def main(argv: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="bl-launcher-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        made = stack.enter_context(enrolled(folder / "now"))
        before = None
        if "--before" in argv:
            package = Path(argv[argv.index("--before") + 1])
            before = stack.enter_context(enrolled(folder / "before", package))
        rows = [*sizes(), *starts(made, before)]
        if "--starts" not in argv:
            rows += [*hashing(made.host), *looks(made.host), *idle(made)]
    report(rows, argv)


if __name__ == "__main__":
    main(sys.argv[1:])
