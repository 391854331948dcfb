"""Starting, watching and ending processes: the release as its own unprivileged user, and the look as a short child.

Invariants: the release inherits nothing but one pipe, a clean environment and hard limits; what it starts dies with
it, fork bombs and those that ignore SIGTERM included; nothing here waits without a time.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from brakeline.launcher.settings import REPORT, Budget, Settings

if sys.platform != "win32":  # what follows is for Unix; `windows` uses what is not about users and signals
    import fcntl
    import pwd
    import resource

TAIL_BYTES = 1024
NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # of Windows
DRAIN_MAX = 64  # reads of 4 KiB in a row: a flood of log must not keep us from anything else
SCRIPT_S = 20  # of a little program that keeps or gives back
WAIT_S = 0.05
SAID_BYTES_MAX = 64 * 1024 * 1024  # of such a program: what is kept, in base64, is less
WORDS = ("READY", "HEALTHY")
CONTENT = "BRAKELINE_CONTENT"  # where the release finds its content; not set: it has defaults of its own


Failed = subprocess.SubprocessError  # the child could not even become the release's user


@dataclass(slots=True)
class Child:
    """A process of ours with the pipes that we read from it."""

    process: subprocess.Popen[bytes]
    words: int = -1  # read end of the pipe for READY and HEALTHY
    stderr: int = -1
    tail: bytearray = field(default_factory=bytearray)
    written: int = 0  # bytes of log since `since_s`
    heard: bytearray = field(default_factory=bytearray)

    def watched(self) -> list[int]:
        return [fd for fd in (self.words, self.stderr) if fd >= 0]

    def close(self) -> None:
        for fd in self.watched():
            with contextlib.suppress(OSError):
                os.close(fd)
        self.words = self.stderr = -1


def start_release(settings: Settings, entry: tuple[str, ...], folder: Path, content: str = "") -> Child:
    """Execute a release. Raises `OSError` when the system refuses (no such file, wrong architecture, no processes)."""

    def start(words: int, log: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command(settings, entry, folder), *settings.arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(words,),
            env=_environment(settings, words) | told(settings, folder, content),
            preexec_fn=lambda: _become(settings.user, settings.budget),
            start_new_session=True,
        )

    return piped(start)


def piped(start: Callable[[int, int], subprocess.Popen[bytes]]) -> Child:
    """What `start` starts, given the write ends of two pipes: one for its words, one for its log."""
    (words, words_end), (log, log_end) = os.pipe(), os.pipe()
    try:
        child = Child(start(words_end, log_end), words, log)
    except (OSError, subprocess.SubprocessError):
        os.close(words)
        os.close(log)
        raise
    finally:
        os.close(words_end)
        os.close(log_end)
    for fd in child.watched():
        os.set_blocking(fd, False)
    return child


def command(settings: Settings, entry: tuple[str, ...], folder: Path) -> list[str]:
    """The interpreter filled in, the release's own files by their whole path: none is ever looked for elsewhere."""
    first = settings.python if entry[0] == "@python" else str(folder / entry[0])
    return [first, *(str(folder / word) if (folder / word).is_file() else word for word in entry[1:])]


def told(settings: Settings, folder: Path, content: str) -> dict[str, str]:
    """What every release is told: which one it is, its content, and where to read what the launcher says about it."""
    always = {"BRAKELINE_RELEASE": folder.name, "BRAKELINE_LAUNCHER_REPORT": str(settings.root / REPORT)}
    return always | ({CONTENT: str(folder.parent / content)} if content else {})


def _environment(settings: Settings, write_end: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("LANG", "TZ", "NOTIFY_SOCKET_AGENT") if name in os.environ}
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    ours = {"PATH": path, "HOME": str(settings.home), "BRAKELINE_LAUNCHER_FD": str(write_end)}
    return kept | ours


def _become(user: str, budget: Budget) -> None:
    """In the child, before exec: another user, hard limits, the first to be killed when memory is short."""
    limits = ((resource.RLIMIT_AS, budget.memory_bytes), (resource.RLIMIT_NOFILE, 256), (resource.RLIMIT_CORE, 0))
    for what, most in limits:
        resource.setrlimit(what, (most, most))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")
    if os.getuid() == 0:
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        resource.setrlimit(resource.RLIMIT_NPROC, (budget.processes, budget.processes))  # counts this user only
    os.umask(0o077)


def listen_quietly(child: Child) -> None:
    """Everything that a look has said so far, into `heard`."""
    for data in _drain(child, "stderr"):
        child.heard += data


def listen(child: Child) -> list[str]:
    """Words that came in since; the log goes on to our own, its end is kept."""
    for data in _drain(child, "stderr"):
        child.written += len(data)
        child.tail = (child.tail + data)[-TAIL_BYTES:]
        with contextlib.suppress(OSError):
            os.write(2, data)
    for data in _drain(child, "words"):
        child.heard = (child.heard + data)[-64:]
    lines = child.heard.split(b"\n")
    child.heard = lines.pop()
    return [w for line in lines if (w := line.decode(errors="replace")) in WORDS]


def _drain(child: Child, pipe: str) -> Iterator[bytes]:
    """What can be read now, a bounded amount; a pipe whose other end is gone is watched no more."""
    for _ in range(DRAIN_MAX):
        fd = getattr(child, pipe)
        if fd < 0:
            return
        try:
            data = os.read(fd, 4096)
        except OSError:
            return  # nothing there now
        if not data:
            os.close(fd)
            setattr(child, pipe, -1)
            return
        yield data


def end(child: Child) -> None:
    """SIGTERM to the release."""
    with contextlib.suppress(OSError):
        os.killpg(child.process.pid, signal.SIGTERM)


def kill_group(child: Child) -> None:
    """SIGKILL to a child of our own with its group."""
    with contextlib.suppress(OSError):
        os.killpg(child.process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.process.wait(5)


def kill_all(settings: Settings, child: Child) -> None:
    """SIGKILL to everything that the release has started: its group, and every process of its user."""
    kill_group(child)
    bury(settings)


def bury(settings: Settings) -> None:
    """End what a launcher before us has left running."""
    if os.getuid() == 0 and settings.user != "root":
        _kill_user(settings.user)


def _kill_user(user: str) -> None:
    """From a process of that user: one system call that a fork bomb cannot outrun."""
    try:
        account = pwd.getpwnam(user)
        pid = os.fork()
    except (KeyError, OSError):
        return
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            os.kill(-1, signal.SIGKILL)
        os._exit(0)
    with contextlib.suppress(OSError):
        os.waitpid(pid, 0)


def over_budget(settings: Settings, child: Child) -> str:
    """What the release takes more of than it may; "" = nothing."""
    budget = settings.budget
    try:
        pages = int(Path(f"/proc/{child.process.pid}/statm").read_text().split()[1])
        if pages * os.sysconf("SC_PAGE_SIZE") > budget.resident_bytes:
            return f"memory: {pages * os.sysconf('SC_PAGE_SIZE') >> 20} MiB resident"
    except (OSError, IndexError, ValueError):
        pass
    return over_disk(settings)


def over_disk(settings: Settings) -> str:
    """Whether its directory is too large; "" = it is not."""
    used = _size_of(settings.home)
    return f"disk: {used >> 20} MiB in its directory" if used > settings.budget.home_bytes else ""


def _size_of(folder: Path, most: int = 20_000) -> int:
    """Bytes below a directory; stops counting after `most` files, which is too many anyway."""
    total = 0
    waiting = [folder]
    while waiting and most > 0:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    most -= 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        stat = entry.stat(follow_symlinks=False)
                        total += getattr(stat, "st_blocks", stat.st_size // 512 + 1) * 512
        except OSError:
            continue
    return total if most > 0 else 1 << 62


def purge(settings: Settings) -> None:
    """Empty what the release may fill: staging and work. As its user, so that no link can lead anywhere else."""
    script = "import shutil,sys; [shutil.rmtree(p, ignore_errors=True) for p in sys.argv[1:]]"
    as_release(settings, script, [str(settings.home / name) for name in ("staging", "work", "tmp")])


def as_release(settings: Settings, script: str, arguments: list[str], data: bytes = b"") -> bytes:
    """What a little program prints that runs as the release's user, with its limits; b"" when it failed."""

    def become() -> None:
        _become(settings.user, settings.budget)
        signal.alarm(SCRIPT_S)  # the kernel ends it then: nothing here depends on what a clock says

    command = [settings.python, "-I", "-S", "-c", script, *arguments]
    try:
        if sys.platform == "win32":
            return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True, timeout=SCRIPT_S).stdout
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=become) as process:
            said = _said(process, data)
        return said if process.returncode == 0 else b""
    except (OSError, subprocess.SubprocessError):
        return b""


def _said(process: subprocess.Popen[bytes], data: bytes) -> bytes:
    """Give it `data` and hear it until it ends. Others of its user may hold its pipes open, or stop it so that no alarm
    reaches it: nobody is waited for but the process, and that for a number of waits, whatever a clock says.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    into, out = process.stdin.fileno(), process.stdout.fileno()
    rest, said, waits, over = memoryview(data), bytearray(), 0.0, False
    for fd in (into, out):
        os.set_blocking(fd, False)
    if not rest:
        process.stdin.close()
    while process.poll() is None and waits < (SCRIPT_S + 5) / WAIT_S and len(said) <= SAID_BYTES_MAX:
        ready = select.select([] if over else [out], [into] if rest else [], [], WAIT_S)
        waits += 0.05 if ready[0] or ready[1] else 1.0
        if ready[1]:
            try:
                rest = rest[os.write(into, rest[:65_536]) :]
            except BlockingIOError:
                pass
            except OSError:  # it reads no more
                rest = rest[:0]
            if not rest:
                process.stdin.close()
        if ready[0]:
            over = not _hear(out, said, 1)
    process.kill()
    _hear(out, said, SAID_BYTES_MAX // 65_536)
    return bytes(said)


def _hear(out: int, said: bytearray, reads: int) -> bool:
    """What can be read now, so many times at most; whether there may be more."""
    for _ in range(reads):
        try:
            piece = os.read(out, 65_536)
        except BlockingIOError:
            return True
        said += piece
        if not piece:
            return False
    return True


def start_check(arguments: list[str]) -> Child:
    """The look, as a child whose answer is one line on its standard output."""
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True, creationflags=NO_WINDOW
    )
    assert process.stdout is not None
    fd = os.dup(process.stdout.fileno())
    process.stdout.close()
    os.set_blocking(fd, False)
    return Child(process, words=-1, stderr=fd)


def wake_by_signals() -> int:
    """What to give to `wait_for`, so that a signal ends it: Python itself would go on waiting after one."""
    read_end, write_end = os.pipe()
    for fd in (read_end, write_end):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    return read_end


def wait_for(fds: list[int], seconds: float, woken: int) -> None:
    """Until something can be read, a signal comes or the time is over."""
    with contextlib.suppress(OSError, ValueError):
        if woken in select.select([*fds, woken], [], [], max(seconds, 0.0))[0]:
            os.read(woken, 64)


def lock(path: Path) -> int | None:
    """A handle that keeps a second launcher out while it is open; None = there is one. Raises `OSError`."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def tell_systemd(text: str) -> None:
    """One datagram to the service manager, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    import socket

    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect("\0" + address[1:] if address.startswith("@") else address)
        s.send(text.encode())
