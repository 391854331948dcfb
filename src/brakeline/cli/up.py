"""`brakeline up`: a server here and this machine as its first endpoint, in one foreground program.

Two children: `brakeline server run`, whose output is passed on, and, once it is ready, the launcher, which runs the
agent. Both as the unprivileged user `nobody` (as root) or as oneself, and without a root helper: this machine can only
be assessed, nothing that the server says could change it. SIGTERM or Ctrl-C ends both in order, exit code 0.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer

KIT: Final = "/agent/kit.tar"  # as `server.install` serves it
UNPRIVILEGED: Final = "nobody"
AGENT_STOP_S: Final = 2.0  # the launcher ends its agent; with the server the whole must end within 5 s of SIGTERM
AGENT_RESTART_S: Final = 10.0  # an agent that ends by itself is started again after this long
SYSTEM_PYTHON: Final = Path("/usr/bin/python3")  # readable by every user, unlike a developer's own build


class Stopping(Protocol):
    """What the agent's keeper needs of `threading.Event`."""

    def wait(self, timeout: float) -> bool: ...
    def is_set(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class LocalAgent:
    """Where this machine's launcher and agent live and who runs them. `user` "" = whoever runs us."""

    home: Path
    python: Path
    user: str = ""

    @property
    def config(self) -> Path:
        return self.home / "agent.json"

    def command(self, verb: str, *arguments: str) -> list[str]:
        """The command line of one verb of the launcher."""
        launcher, stub = str(self.home / "launcher"), ("--root", str(self.home / "launcher"), "--lib", str(self.home))
        places = ("--root", launcher, "--etc", str(self.home), "--home", str(self.home / "state"))
        return [str(self.python), "-I", str(self.home / "stub.py"), *stub, verb, *places, *arguments]

    @property
    def own_places(self) -> list[str]:
        """What the agent itself must be told, because it is not where it would be on an endpoint."""
        return ["--config", str(self.config), "--state", str(self.home / "state")]

    def identity(self) -> dict[str, str | list[str]]:
        """Keyword arguments for `subprocess` that drop root."""
        return {"user": self.user, "group": "nogroup", "extra_groups": []} if self.user else {}

    def run(self, verb: str, *arguments: str, told: str = "") -> None:
        """One verb, to its end. `told` comes by standard input. Raises `RuntimeError` with what it said."""
        command = self.command(verb, *arguments)
        done = subprocess.run(command, input=told, capture_output=True, text=True, check=False, **self.identity())  # type: ignore[call-overload]
        if done.returncode:
            raise RuntimeError(done.stderr.strip())


def place_agent(data: Path) -> LocalAgent:
    """Below the data directory if the unprivileged user can get there, else below /var/lib."""
    if os.geteuid() != 0:
        return LocalAgent(data / "agent", Path(sys.executable))
    home = data / "agent"
    python = SYSTEM_PYTHON if SYSTEM_PYTHON.exists() else Path(sys.executable)
    if not _can_enter(UNPRIVILEGED, data):
        home = Path("/var/lib/brakeline-local") / sha256(str(data).encode()).hexdigest()[:12]
    return LocalAgent(home, python, UNPRIVILEGED)


def _can_enter(user: str, directory: Path) -> bool:
    probe = ["test", "-x", str(directory)]
    return subprocess.run(probe, user=user, group="nogroup", extra_groups=[], check=False).returncode == 0


def install(agent: LocalAgent, kit: bytes) -> None:
    """Put the kit in place, hand it over, and adopt the first release. Again changes nothing that works."""
    for folder in (agent.home, agent.home / "state", agent.home / "launcher"):
        folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(kit)) as tar:
        tar.extractall(agent.home, filter="data")
    own = {"user": agent.user or "self", "arguments": ["run", *agent.own_places]}
    (agent.home / "launcher.json").write_text(json.dumps(own))
    if agent.user:
        owner = pwd.getpwnam(agent.user).pw_uid
        for path in (agent.home, agent.home / "state", agent.home / "launcher"):
            os.chown(path, owner, -1)
    agent.run("adopt", str(agent.home / "agent.tar"))


def fetch_kit(url: str, data: Path) -> bytes:
    """The kit, from our own server. Raises `OSError`, `RuntimeError`."""
    trust = ssl.create_default_context(cafile=json.loads((data / "context.json").read_text())["ca_file"])
    connection = http.client.HTTPSConnection(url.removeprefix("https://"), context=trust, timeout=60)
    connection.request("GET", KIT)
    answer = connection.getresponse()
    kit = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(kit.decode(errors="replace"))
    return kit


def enrolled_here(agent: LocalAgent, url: str) -> bool:
    """Whether the agent has an identity with this server."""
    try:
        return bool(json.loads(agent.config.read_text())["server_url"] == url)
    except (OSError, ValueError, KeyError):
        return False


def enrol(agent: LocalAgent, url: str, data: Path) -> None:
    """Make a once-usable token as the local administrator and enrol this machine with it."""
    command = [
        sys.executable,
        "-m",
        "brakeline.cli",
        "enrol",
        "token",
        "create",
        "--ttl",
        "10m",
        "--tag",
        "this-machine",
    ]
    environment = os.environ | {"BRAKELINE_CONTEXT": str(data / "context.json")}
    made = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(made.stderr.strip())
    authority = agent.home / "ca.pem"
    shutil.copy(json.loads((data / "context.json").read_text())["ca_file"], authority)
    authority.chmod(0o644)
    token = json.loads(made.stdout)["token"]
    words = ("--server", url, "--ca", str(authority), "--token", "-", "--force")
    agent.run("exec", "enrol", *words, *agent.own_places, told=token)


def say(text: str) -> None:
    print(f"brakeline: {text}", file=sys.stderr, flush=True)


class Up:
    """The two children and their end. `run` returns the exit code."""

    def __init__(self, data: Path, server: list[str], with_agent: bool) -> None:
        self._data = data
        self._server_command = server
        self._with_agent = with_agent
        self._stopping = threading.Event()
        self._server: subprocess.Popen[str] | None = None
        self._agent: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: self.stop())
        # a session of its own: Ctrl-C reaches us alone, and we end the children in order
        self._server = subprocess.Popen(
            self._server_command, stdout=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
        )
        assert self._server.stdout is not None
        for line in self._server.stdout:
            print(line, end="", flush=True)
            if self._with_agent and line.startswith("ready "):
                threading.Thread(target=self._keep_agent, args=(line.split()[1],), daemon=True).start()
        code = self._server.wait()
        self._end(self._agent)
        return 0 if self._stopping.is_set() else code

    def stop(self) -> None:
        """End the agent first, so that it can say goodbye, then the server."""
        self._stopping.set()
        self._end(self._agent)
        if self._server is not None:
            self._server.terminate()

    @staticmethod
    def _end(child: subprocess.Popen[bytes] | None) -> None:
        if child is None or child.poll() is not None:
            return
        child.terminate()
        try:
            child.wait(timeout=AGENT_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()

    def _keep_agent(self, url: str) -> None:
        agent = place_agent(self._data)
        try:
            install(agent, fetch_kit(url, self._data))
            if not enrolled_here(agent, url):
                enrol(agent, url, self._data)
                say("this machine is enrolled, assess only: nothing can change it without a root helper")
        except (OSError, RuntimeError) as e:
            say(f"this machine could not be enrolled: {e}. The server goes on; try again with a restart.")
            return
        keep_running(self._start_agent(agent), self._stopping)

    def _start_agent(self, agent: LocalAgent) -> Callable[[], int]:
        def start() -> int:
            with (agent.home / "agent.log").open("ab") as log:
                self._agent = subprocess.Popen(
                    agent.command("run"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True, **agent.identity(),
                )  # type: ignore[call-overload]  # fmt: skip
            assert self._agent is not None
            return self._agent.wait()

        return start


def keep_running(start: Callable[[], int], stopping: Stopping) -> None:
    """Start again and again, with a pause, until told to stop."""
    while not stopping.is_set():
        code = start()
        if not stopping.is_set():
            say(f"this machine's agent ended with {code}; it starts again in {AGENT_RESTART_S:.0f} s")
            stopping.wait(AGENT_RESTART_S)


app = typer.Typer(help="A server here, and this machine enrolled, assess only.", add_completion=False)


@app.callback(invoke_without_command=True)
def up(
    data: Annotated[Path, typer.Option(help="Where the server keeps everything.")] = Path("var"),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 = any free one.")] = 8443,
    no_enrol: Annotated[bool, typer.Option("--no-enrol", help="Do not enrol this machine.")] = False,
) -> None:
    """Start a server here and enrol this machine, assess only."""
    data = data.resolve()
    server = [sys.executable, "-m", "brakeline.cli", "server", "run", "--data", str(data), "--port", str(port)]
    raise typer.Exit(Up(data, server, with_agent=not no_enrol).run())
