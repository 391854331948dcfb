"""What the agent relies on of the system below it: one suite, two implementations.

It runs here, and under the official CPython for Windows (tests/system/test_windows_agent.py starts this very file
there); so it imports nothing but pytest, the agent and the standard library. BRAKELINE_TEST_TLS names a directory with
a cell's certificate where none can be made.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brakeline.agent import facts, files, loop
from brakeline.agent.clock import boot_id
from brakeline.agent.health import HealthProbe
from brakeline.agent.identity import Counter, Identity
from brakeline.agent.launcher_link import LauncherLink
from brakeline.agent.limits import DiskReserve
from brakeline.agent.memory import Memory
from brakeline.agent.model import CellTime, Durable
from brakeline.agent.spool import Spool
from brakeline.agent.status import StatusFile
from brakeline.agent.transport import CellUnreachable, Transport
from brakeline.core.ids import make_id
from brakeline.protocol.messages import Outcome, TransactionResult

WINDOWS = sys.platform == "win32"
NASTY = b"\n\r\n\x1a\x00" + bytes(range(256))  # what a file in Windows' text mode would change or end at
TX = make_id("tx", 1, bytes(10))


class Broken(Exception):
    """Raised by a signal's handler, as `loop.StopRequested` is."""


@pytest.fixture
def stoppable() -> Iterator[Callable[[float], None]]:
    """Call it with a delay: then the process is told to end, as a service manager or a launcher does it here."""

    def raise_it(*_: object) -> None:
        raise Broken

    def tell() -> None:
        if sys.platform == "win32":
            import _thread

            _thread.interrupt_main()
        else:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, raise_it)
    timers: list[threading.Timer] = []

    def later(seconds: float) -> None:
        timers.append(threading.Timer(seconds, tell))
        timers[-1].start()

    yield later
    for timer in timers:
        timer.join()
    signal.signal(signal.SIGINT, before)


# --- files ---------------------------------------------------------------------------------------------------------


def test_files_hold_byte_for_byte_what_was_written(tmp_path: Path) -> None:
    files.write_durably(tmp_path / "f", b"old")
    files.write_durably(tmp_path / "f", NASTY)
    assert (tmp_path / "f").read_bytes() == NASTY
    files.remove_durably(tmp_path / "f")
    files.remove_durably(tmp_path / "f")
    assert os.listdir(tmp_path) == []


def test_a_reader_who_is_in_the_way_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    files.write_durably(path, b"old")
    with path.open("rb") as reader:
        let_go = threading.Timer(0.3, reader.close)
        let_go.start()
        files.write_durably(path, b"new")
        let_go.join()
    assert path.read_bytes() == b"new"
    with path.open("rb") as reader:
        let_go = threading.Timer(0.3, reader.close)
        let_go.start()
        files.remove_durably(path)
        let_go.join()
    assert not path.exists()


def test_a_reader_who_stays_is_named_and_the_old_content_stays_whole(tmp_path: Path) -> None:
    """Elsewhere than on Windows nobody can be in the way."""
    path = tmp_path / "state.json"
    files.write_durably(path, b"old")
    with path.open("rb"):
        if WINDOWS:
            with pytest.raises(OSError, match="is held open by another program"):
                files.write_durably(path, b"new")
            assert path.read_bytes() == b"old"
        else:
            files.write_durably(path, b"new")
            assert path.read_bytes() == b"new"
    files.write_durably(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_status_is_a_courtesy_that_never_raises(tmp_path: Path) -> None:
    from brakeline.agent.model import Instant, Self, State

    shown = StatusFile(tmp_path / "status.json")
    state = State(Self("ep_1", "00", "1", "b", False), Durable())
    shown.show(state, Instant(1.0, 1))
    before = (tmp_path / "status.json").read_bytes()
    with (tmp_path / "status.json").open("rb"):
        shown.show(State(Self("ep_2", "00", "1", "b", False), Durable()), Instant(2.0, 2))
    shown.show(State(Self("ep_2", "00", "1", "b", False), Durable()), Instant(3.0, 3))
    assert before != (tmp_path / "status.json").read_bytes()


# --- what is kept --------------------------------------------------------------------------------------------------


def test_the_key_is_kept_whatever_bytes_it_has(tmp_path: Path) -> None:
    made = Identity.create(tmp_path / "home")
    assert Identity.load(tmp_path / "home").public_hex == made.public_hex
    files.write_durably(tmp_path / "home/key", NASTY[:32])
    assert Identity.load(tmp_path / "home").sign(b"m") == Identity(NASTY[:32]).sign(b"m")


def test_numbers_of_requests_only_rise(tmp_path: Path) -> None:
    seen = [number for _ in range(3) for counter in [Counter(tmp_path)] for number in (counter.next(), counter.next())]
    assert seen == sorted(set(seen))


def test_results_wait_until_they_are_forgotten_or_set_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", DiskReserve(tmp_path / "reserve"))
    result = TransactionResult(TX, "of_1", "ro_1", 1, Outcome.INSTALLED, "ok", "done")
    for _ in range(2):
        spool.put(result)
        assert spool.pending() == (TX,)
        spool.set_aside(TX)  # twice: what was set aside before is replaced
    assert (spool.pending(), spool.refused()) == ((), 1)
    spool.put(result)
    assert TX.encode() in spool.batch((TX,))
    spool.forget((TX,))
    assert spool.pending() == ()


def test_the_state_comes_back(tmp_path: Path) -> None:
    durable = Durable(time=CellTime("boot", 5, 7))
    Memory(tmp_path / "state.json").save(durable)
    assert Memory(tmp_path / "state.json").load() == durable


def test_the_reserve_has_its_size_and_is_given_up_once(tmp_path: Path) -> None:
    reserve = DiskReserve(tmp_path / "reserve", 65536)
    assert reserve.keep()
    assert reserve.keep()
    assert (tmp_path / "reserve").stat().st_size == 65536
    assert (reserve.give_up(), reserve.give_up()) == (True, False)


# --- the machine ---------------------------------------------------------------------------------------------------


def test_the_machine_says_what_it_is() -> None:
    said = facts.gather("1.2.3")
    assert said.hostname == socket.gethostname()
    assert (said.os_id == "windows") == WINDOWS
    assert (said.package_manager == "windows") == WINDOWS
    assert all((said.os_name, said.kernel, said.architecture))
    assert said.machine_class in ("server", "desktop", "laptop")


def test_the_machine_says_how_it_is() -> None:
    health = HealthProbe().sample()
    assert health.disk_free_bytes > 0
    assert health.memory_available_bytes > 0


def test_a_boot_has_a_name_that_fits_into_a_header() -> None:
    assert boot_id().isprintable()
    assert 0 < len(boot_id()) <= 64
    assert " " not in boot_id()


def test_a_process_can_be_bound() -> None:
    """In a child, because it is for good."""
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}\nfrom brakeline.agent import limits\n"
        "limits.be_modest(); limits.idle_io(); limits.restrain(limits.RESIDENT); print('bound')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert done.stdout.split() == [b"bound"], done.stderr.decode(errors="replace")


# --- the launcher --------------------------------------------------------------------------------------------------


def test_words_reach_the_launcher_and_no_child_inherits_the_pipe() -> None:
    read_end, write_end = os.pipe()
    if sys.platform == "win32":
        import msvcrt

        handle = msvcrt.get_osfhandle(write_end)
        os.set_handle_inheritable(handle, True)
        link = LauncherLink({"BRAKELINE_LAUNCHER_HANDLE": str(handle)})
        assert not os.get_handle_inheritable(handle)
    else:
        os.set_inheritable(write_end, True)
        link = LauncherLink({"BRAKELINE_LAUNCHER_FD": str(write_end)})
        assert not os.get_inheritable(write_end)
    link.say("READY")
    assert os.read(read_end, 64) == b"READY\n"
    os.close(read_end)
    link.say("HEALTHY")  # the launcher is gone: no reason to fail
    link.say("HEALTHY")


# --- waiting -------------------------------------------------------------------------------------------------------


def test_a_pause_is_broken_off_by_being_told_to_end(stoppable: Callable[[float], None]) -> None:
    began = time.monotonic()
    stoppable(0.2)
    with pytest.raises(Broken):
        loop._wait_for([], 60.0)
    assert time.monotonic() - began < 30


class Patience:
    """A cell that takes its time: one TLS connection, one request, an answer in two pieces, or none."""

    def __init__(self, folder: Path, pause_s: float, answers: bool) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.crt", folder / "server.key")
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._pause_s, self._answers, self._over = pause_s, answers, threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        plain, _ = self._listening.accept()
        with self._context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(65536)
            if self._answers:
                time.sleep(self._pause_s)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwe")
                time.sleep(self._pause_s)
                connection.sendall(b"ll")
            self._over.wait(60)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._listening.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ca.crt, server.crt, server.key."""
    given = os.environ.get("BRAKELINE_TEST_TLS")
    if given:
        return Path(given)
    from brakeline.platform.clock import SystemClock
    from brakeline.platform.tls import ensure_tls

    made = ensure_tls(tmp_path_factory.mktemp("tls"), (), SystemClock())
    folder = made.ca_file.parent
    for file, name in ((made.ca_file, "ca.crt"), (made.certificate_file, "server.crt"), (made.key_file, "server.key")):
        (folder / name).write_bytes(file.read_bytes())
    return folder


def test_an_answer_that_comes_late_and_in_pieces_is_read_whole(certificates: Path) -> None:
    cell = Patience(certificates, 0.8, answers=True)
    transport = Transport(f"https://127.0.0.1:{cell.port}", (certificates / "ca.crt").read_text(), 0)
    answer = transport.post("/x", b"{}", {}, wait_s=20)
    assert (answer.status, answer.body) == (200, b"well")
    transport.close()
    cell.close()


def test_a_cell_that_never_answers_costs_a_bounded_time(certificates: Path) -> None:
    cell = Patience(certificates, 0.0, answers=False)
    transport = Transport(f"https://127.0.0.1:{cell.port}", (certificates / "ca.crt").read_text(), 0)
    transport.answer_s_max = 1.2
    with pytest.raises(CellUnreachable):
        transport.post("/x", b"{}", {})
    cell.close()


def test_a_long_poll_is_broken_off_by_being_told_to_end(certificates: Path, stoppable: Callable[[float], None]) -> None:
    cell = Patience(certificates, 0.0, answers=False)
    transport = Transport(f"https://127.0.0.1:{cell.port}", (certificates / "ca.crt").read_text(), 0)
    began = time.monotonic()
    stoppable(0.5)
    with pytest.raises(Broken):
        transport.post("/x", b"{}", {}, wait_s=55)
    assert time.monotonic() - began < 40
    transport.close()
    cell.close()
