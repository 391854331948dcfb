"""The root helper's socket, where there are Unix sockets: who asks is told by the kernel; ends when idle.

systemd opens the socket and starts the helper when somebody asks; without it the helper makes the socket itself and
stays. On Windows `helper_windows` does this by a named pipe.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from brakeline.agent import config as configuration
from brakeline.agent import content, helper_wire, local_limits
from brakeline.agent.clock import boot_id, local_time, up_s
from brakeline.agent.helper import CONNECTIONS_MAX, REQUEST_S_MAX, Helper, refuse
from brakeline.agent.helper_wire import BadFrame
from brakeline.agent.reboots import RESTART_FILE, Machine, Reboots, over_people, reboot, restarts_a_day
from brakeline.agent.transactions import Transactions

assert sys.platform != "win32"
import pwd  # noqa: E402 - must come after the assertion, which tells type checkers what this file is for

PATIENCE, PATIENCE_S = 40, 0.05  # so often an outdated helper looks whether its last answers are through
AGE_S_MAX = 3600.0  # then one that systemd can start again leaves the next question to it; the unit kills what hangs
IDLE_S = 60.0  # without a request, a helper that systemd can start again ends: nothing of root stays resident
_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid
_FIRST_PASSED_FD = 3  # sd_listen_fds(3)


def serve(config_path: Path, state_dir: Path, socket_path: Path) -> int:
    """Answer until idle (socket-activated) or told to end. Exit code 0."""
    from brakeline.agent import journal, refusals, wiring
    from brakeline.agent.transaction_unit import starter

    config = configuration.load(config_path)
    rules = content.load().rules
    helper = Helper(
        config=config,
        transactions=Transactions(state_dir, starter(wiring.program(), state_dir)),
        provider=lambda: wiring.provider(rules),
        allowed_uids=allowed_uids(config.agent_user),
        refreshing=threading.Lock(),
        beginning=threading.Lock(),
        rules=rules,
        reboots=reboots_of(config_path, state_dir),
        refusals=lambda: refusals.count(state_dir, config_path.parent, boot_id()),
        errors=journal.count,
        limits=partial(local_limits.load, config_path),
        system=wiring.system_name(),
        prepare=lambda transaction: wiring.prepare(transaction, state_dir),
    )
    passed = _passed_socket()
    listener = passed or _listen(socket_path, config.agent_user)
    helper.transactions.resume()
    _accept_until_idle(listener, helper, IDLE_S if passed else None, content.outdated if passed else _never)
    return 0


def _never() -> bool:
    return False


def reboots_of(config_path: Path, state_dir: Path) -> Reboots:
    """Restarts of this machine, with whoever sits at it."""
    from brakeline.agent.desk import Desk
    from brakeline.agent.warnings import Warnings, terms_of

    said = partial(print, file=sys.stderr, flush=True)
    boot, terms = boot_id(), partial(terms_of, config_path.with_name(RESTART_FILE))
    warnings = Warnings(state_dir, terms, Desk(said), boot, up_s, local_time)
    reboots = Reboots(
        state_dir, partial(restarts_a_day, config_path), Machine(boot, up_s, reboot, over_people), warnings
    )
    with suppress(OSError):
        reboots.note_boot()
    return reboots


def allowed_uids(user: str) -> frozenset[int | str]:
    """Root and the agent's user. An unknown user is nobody."""
    try:
        return frozenset({0, pwd.getpwnam(user).pw_uid})
    except KeyError:
        return frozenset({0})


def _passed_socket() -> socket.socket | None:
    """The socket that systemd opened for us (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1":
        return socket.socket(fileno=_FIRST_PASSED_FD)
    return None


def _listen(path: Path, user: str) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    previous = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(previous)
    try:
        os.chown(path, pwd.getpwnam(user).pw_uid, 0)
    except KeyError:
        print(f"user {user} does not exist: only root may talk to the helper", file=sys.stderr)
    listener.listen(CONNECTIONS_MAX)
    return listener


def _accept_until_idle(
    listener: socket.socket, helper: Helper, idle_s: float | None, outdated: Callable[[], bool] = _never
) -> None:
    """`outdated`: another release or other content is due by now, so whoever asks next is left to the helper that
    systemd starts anew. Each one answers once before it looks: it may be wrong, and must not end for ever."""
    places = threading.BoundedSemaphore(CONNECTIONS_MAX)
    listener.settimeout(idle_s)
    answered, patience, until_s = False, PATIENCE, time.monotonic() + AGE_S_MAX
    while True:
        try:
            asked = select.select([listener], [], [], idle_s)[0]
            aged = idle_s is not None and time.monotonic() > until_s
            old = bool(asked) and answered and (aged or outdated()) and not helper.transactions.unfinished()
            if old and threading.active_count() > 1 and patience > 0:  # an answer is on its way
                patience -= 1
                time.sleep(PATIENCE_S)
                continue
            if (old or not asked) and threading.active_count() == 1 and not helper.transactions.unfinished():
                return
            if not asked:
                continue
            patience = PATIENCE
            connection, _ = listener.accept()
            answered = True
        except TimeoutError:
            continue
        except (OSError, ValueError):
            if listener.fileno() == -1:
                return  # closed by whoever started us: told to end
            raise
        places.acquire()
        threading.Thread(target=_serve_one, args=(connection, helper, places)).start()


def _serve_one(connection: socket.socket, helper: Helper, places: threading.BoundedSemaphore) -> None:
    try:
        with connection:
            connection.settimeout(REQUEST_S_MAX)
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            _, uid, _ = _PEER.unpack(raw)
            try:
                request = helper_wire.receive(connection)
            except BadFrame as e:
                reply = refuse(e.code, str(e))
            else:
                reply = helper.answer(uid, request)
            helper_wire.send(connection, reply)
    except OSError:
        return  # the other side has gone; what was begun goes on and can be asked for
    finally:
        places.release()
