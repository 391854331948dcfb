"""The one part that changes something: under rpm's lock, after rpm's own list was compared with the order."""

import fcntl
import json
import os
import struct
import sys
import time
from typing import Any

from brakeline.agent.providers.dnf.child.base import Refuse, flat, library, named
from brakeline.agent.providers.dnf.child.fetching import downloaded
from brakeline.agent.providers.dnf.child.opening import filled
from brakeline.agent.providers.dnf.child.ordering import ordered

COMM = "brakeline-dnf"  # what this process calls itself: a time-out lets it record what its scripts came to
FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid


def apply(request: "dict[str, Any]") -> "dict[str, Any]":
    """The transaction itself. The verdict is on disk before rpm starts."""
    with open("/proc/self/comm", "w", encoding="utf-8") as f:
        f.write(COMM)
    dnf, rpmtrans = library("dnf"), library("dnf.yum.rpmtrans")
    lock = rpm_lock(request)
    base = filled(request)
    ordered(base, request)
    if not request.get("back"):
        downloaded(base, list(base.transaction.install_set))
    if not callable(getattr(base, "_run_transaction", None)):
        raise Refuse("refused", "This dnf is none that the exactness of a transaction was proven with.")
    run, errors = base._run_transaction, []

    class Display(rpmtrans.TransactionDisplay):  # type: ignore[misc,name-defined]
        def error(self, message: str) -> None:
            errors.append(flat(message))
            sys.stderr.write(str(message) + "\n")

        def scriptout(self, msgs: str) -> None:
            sys.stderr.write(str(msgs or ""))

    def gated(cb: Any) -> Any:
        compare(base._ts, request)
        write_verdict(request, {"same": True, "difference": ""})
        return run(cb=cb)

    base._run_transaction = gated
    try:
        base.do_transaction(Display())
    except dnf.exceptions.Error as e:
        errors.append(flat(e))
    finally:
        os.close(lock)
    return {"errors": errors}


def rpm_lock(request: "dict[str, Any]") -> int:
    """rpm's own lock, held by this process until it ends; past the bound it says who has it."""
    rpm = library("rpm")
    path = os.path.join(request["root"], rpm.expandMacro("%{_dbpath}").lstrip("/"), ".rpm.lock")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + request["lock_wait_s"]
    while True:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except OSError:
            pid = struct.unpack(FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0)))[4]
        if time.monotonic() >= deadline:
            waited = str(int(request["lock_wait_s"]))
            raise Refuse(
                "lock_timeout", path + " has been held by " + named(pid) + " for the " + waited + " s we waited."
            )
        time.sleep(0.2)


def compare(transaction: Any, request: "dict[str, Any]") -> None:
    """rpm's own list against the order."""
    rpm = library("rpm")
    added: set[Any] = set()
    removed: set[Any] = set()
    for element in transaction:
        epoch = str(element.E() or "0")
        nevra = (element.N(), element.A(), ("" if epoch == "0" else epoch + ":") + element.V() + "-" + element.R())
        (added if element.Type() == rpm.TR_ADDED else removed).add(nevra)
    want_added = {(n, a, after) for n, a, _, after in request["actions"] if after}
    want_removed = {(n, a, before) for n, a, before, _ in request["actions"] if before}
    wrong = sorted(added ^ want_added) + sorted(removed ^ want_removed)
    if wrong:
        difference = "; ".join(" ".join(w) for w in wrong[:6])
        write_verdict(request, {"same": False, "difference": difference})
        raise Refuse("changed", "What rpm was about to do was not what was ordered: " + difference + ".")


def write_verdict(request: "dict[str, Any]", verdict: "dict[str, Any]") -> None:
    with open(request["verdict"], "w", encoding="utf-8") as f:
        json.dump(verdict, f)
        f.flush()
        os.fsync(f.fileno())
