"""What the launcher costs: start to READY with and without it, hashing before exec, a look, idling, and its size.

The real launcher and the real agent, as zipapps under `/usr/bin/python3 -I`, root and a user for the release; a cell
over real TLS serves signed documents. READY is seen in the launcher's own record, or in the pipe where the agent is
started directly. Times are medians, CPU means (kernel ticks of 10 ms); ratios inside one run are what can be compared.
`--json FILE`. Needs root.
"""

from __future__ import annotations

import ast
import io
import json
import os
import pwd
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tokenize
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support_cell import TOKEN, Pki, serving
from tests.support_cell import Cell as AgentPlane
from tests.support_launcher import Endpoint, endpoint, user

from bench._proc import cpu_s, pss_mib, report
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


@contextmanager
def enrolled(folder: Path) -> Iterator[Endpoint]:
    """An endpoint with the real agent as its confirmed release, enrolled; its server has signed documents only."""
    with user(f"bl-bench-{os.getpid() % 100_000}") as name, endpoint(folder / "endpoint", folder / "tls", name) as host:
        host.base.mkdir()
        host.knobs = {"check_every_s": 3600}
        host.prepare(build_release("agent", "1.0.0", 1).bundle)
        agent = host.root / install.VERSIONS / host.record().current / "agent.pyz"
        pki = Pki(folder)
        with serving(AgentPlane(), pki) as plane:
            command = [PYTHON, "-I", str(agent), "enrol", "--server", plane.url, "--token", TOKEN, "--ca"]
            where = ["--config", str(folder / "agent.json"), "--state", str(host.home)]
            subprocess.run([*command, str(pki.ca_file), *where], check=True, capture_output=True)
        known = json.loads((folder / "agent.json").read_text())
        ours = json.loads((host.etc / "agent.json").read_text())
        merged = known | {name: ours[name] for name in ("server_url", "ca_pem")}
        (host.etc / "agent.json").write_text(json.dumps(merged))
        (host.etc / "agent.json").chmod(0o644)
        own = json.loads((host.etc / "launcher.json").read_text())
        own["arguments"] = ["run", "--config", str(host.etc / "agent.json"), "--state", str(host.home)]
        (host.etc / "launcher.json").write_text(json.dumps(own))
        account = pwd.getpwnam(name)
        for path in (host.home, *host.home.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
        yield host


def direct(host: Endpoint) -> tuple[float, float]:
    """(ms, CPU ms) from exec to READY without the launcher."""
    agent = host.root / install.VERSIONS / host.record().current / "agent.pyz"
    command = [PYTHON, "-I", str(agent), "run", "--config", str(host.etc / "agent.json"), "--state", str(host.home)]
    read_end, write_end = os.pipe()
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(write_end,), user=host.user,
        env={"PATH": "/usr/bin:/bin", "HOME": str(host.home), "BRAKELINE_LAUNCHER_FD": str(write_end)},
    )  # fmt: skip
    os.close(write_end)
    word = os.read(read_end, 6)
    took, spent = time.monotonic() - began, cpu_s([process.pid])
    assert word.startswith(b"READY"), word
    os.close(read_end)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return took * 1000, spent * 1000


def is_ready(host: Endpoint) -> bool:
    """Whether the release of this very start has said READY; what was ended in order is marked clean."""
    run = host.record().run
    return run is not None and run.ready and not run.clean


def launched(host: Endpoint) -> tuple[float, float, float]:
    """(ms to the exec of the agent, ms to READY, CPU ms of launcher and look) from exec of the launcher."""
    (host.base / "log").write_bytes(b"")
    began = time.monotonic()
    host.start()
    assert host.process is not None
    executed = 0.0
    while not is_ready(host):
        if not executed and "is being executed" in host.log():
            executed = time.monotonic() - began
        time.sleep(0.002)
    took, spent = time.monotonic() - began, cpu_s([host.process.pid])
    host.stop()
    return (executed or took) * 1000, took * 1000, spent * 1000


def starts(host: Endpoint) -> list[tuple[str, object, str]]:
    alone, through = [], []
    for _ in range(STARTS):  # in turns, so that both have the same neighbours
        alone.append(direct(host))
        through.append(launched(host))
    alone_ms = statistics.median(t for t, _ in alone)
    executed_ms, ready_ms = (statistics.median(x[n] for x in through) for n in (0, 1))
    spent_ms, alone_spent_ms = statistics.mean(x[2] for x in through), statistics.mean(s for _, s in alone)
    return [
        ("agent alone: exec to READY, ms", alone_ms, f"median of {STARTS}"),
        ("with launcher: exec to READY, ms", ready_ms, "the look for recalls and releases included"),
        ("of that: until the agent is executed, ms", executed_ms, ""),
        ("of that: exec of the agent to READY, ms", ready_ms - executed_ms, ""),
        ("ratio", ready_ms / alone_ms, ""),
        ("agent alone: CPU to READY, ms", alone_spent_ms, "mean"),
        ("launcher and its look: CPU to READY, ms", spent_ms, "mean; comes on top"),
    ]


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
    return statistics.median(spent) * 1000


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
            statistics.median(news),
            f"{len(two.bundle) >> 10} KiB fetched, unpacked",
        ),
        ("of both: Python that does nothing, CPU ms", statistics.median(python_ms), "python3 -I -c pass"),
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


def idle(host: Endpoint) -> list[tuple[str, object, str]]:
    host.start()
    assert host.process is not None
    launcher = host.process.pid
    host.until(lambda: is_ready(host))
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


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def main(argv: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="bl-launcher-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with enrolled(folder) as host:
            rows = [*sizes(), *starts(host), *hashing(host), *looks(host), *idle(host)]
    report(rows, argv)


if __name__ == "__main__":
    main(sys.argv[1:])
