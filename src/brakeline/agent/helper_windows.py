"""The helper on Windows: the verbs of `helper` behind a named pipe, for SYSTEM and the agent's account alone.

A service keeps it (`windows_service`); started by hand it ends with its standard input. Before it listens it takes up
what a power cut has left open. A request is read first and then judged by who wrote it, because only then does Windows
say who that is; nothing is done for anybody before. Restarts by order and counts of refusals are not offered here.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from brakeline.agent import access, content, helper_wire, local_limits, wiring
from brakeline.agent import config as configuration
from brakeline.agent.helper import CONNECTIONS_MAX, REQUEST_S_MAX, Helper, refuse
from brakeline.agent.helper_wire import BadFrame
from brakeline.agent.transactions import Transactions

assert sys.platform == "win32"
from brakeline.agent import windows_accounts  # noqa: E402 - Windows alone
from brakeline.agent.windows_pipe import Listener, PipeConnection  # noqa: E402
from brakeline.agent.windows_unit import JobStarter  # noqa: E402

LOOK_S: Final = 0.5  # how late it hears that it is to end


def serve(config_path: Path, state_dir: Path, pipe: str, stopping: Callable[[], bool]) -> int:
    """Answer until `stopping`. Exit code 0."""
    config = configuration.load(config_path)
    agent = windows_accounts.sid_of(config.agent_user)
    if not agent:
        print(f"account {config.agent_user} does not exist: only SYSTEM may talk to the helper", file=sys.stderr)
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    windows_accounts.protect(state_dir, access.helper_folder())
    rules = content.load().rules
    helper = Helper(
        config=config,
        transactions=Transactions(state_dir, JobStarter(wiring.program(), state_dir)),
        provider=lambda: wiring.provider(rules),
        allowed_uids=access.may_ask(agent),
        refreshing=threading.Lock(),
        beginning=threading.Lock(),
        rules=rules,
        limits=partial(local_limits.load, config_path),
        system=wiring.system_name(),
        prepare=lambda transaction: wiring.prepare(transaction, state_dir),
    )
    listener = Listener(pipe, agent, CONNECTIONS_MAX + 1)  # where another helper listens, this one does nothing
    helper.transactions.resume()
    print(f"helper: listens on {pipe}", flush=True)
    _accept(listener, helper, stopping)
    return 0


def _accept(listener: Listener, helper: Helper, stopping: Callable[[], bool]) -> None:
    places = threading.BoundedSemaphore(CONNECTIONS_MAX)
    while not stopping():
        if not places.acquire(timeout=LOOK_S):
            continue
        connection = listener.accept(LOOK_S)
        if connection is None:
            places.release()
            continue
        threading.Thread(target=_serve_one, args=(connection, helper, places), daemon=True).start()
    listener.close()


def _serve_one(connection: PipeConnection, helper: Helper, places: threading.BoundedSemaphore) -> None:
    try:
        with connection:
            connection.settimeout(REQUEST_S_MAX)
            try:
                request = helper_wire.receive(connection)
            except BadFrame as e:
                reply = refuse(e.code, str(e))
            else:
                reply = helper.answer(windows_accounts.caller_of(connection.handle), request)
            helper_wire.send(connection, reply)
    except OSError:
        return  # the other side has gone, or who it is cannot be told; what was begun goes on and can be asked for
    finally:
        places.release()
