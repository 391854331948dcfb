"""Somebody logged in on a real system with systemd: warned, puts a restart off, is waited for, and at last overruled.

The helper runs as its unit lets it, with the system's own logind, `loginctl` and `wall`; the order is signed, and there
is no cell. What follows the deadline is a real restart of the system.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.system.box import Box
from tests.system.test_restart_by_order import ASK
from tests.system.world import wait_for
from tools.fleetbox import endpoint

import brakeline
from brakeline.protocol import codec
from brakeline.protocol.messages import RESTART_CONTEXT, RestartOrder, SignedOrder
from brakeline.trust import ed25519

SEED = bytes(range(32))
ENDPOINT = "ep_01JD0000000000000000000001"
NAME = "eu1"
PARTS = ("__init__.py", "agent", "core", "protocol", "trust")
PYTHON = "env PYTHONPATH=/opt/brakeline python3 -m brakeline.agent"
HELPER = f"""mkdir -p /run/brakeline /var/lib/brakeline-helper /etc/brakeline
systemd-run --unit=brakeline-helper --property=ProtectHome=yes --property=UMask=0077 {PYTHON} helper"""
BOOT = "import sys; sys.path.insert(0, '/opt/brakeline'); from brakeline.agent.clock import boot_id; print(boot_id())"
NEVER_MS = 4_000_000_000_000
# The session bus of whoever is logged in, and somebody who writes down what passes on it.
BUS = """install -d -o 65534 -g 65534 -m 700 /run/user/65534
at=unix:path=/run/user/65534/bus
systemd-run --unit=bus --property=User=65534 dbus-daemon --session --address=$at --nofork --nopidfile
until [ -S /run/user/65534/bus ]; do sleep 0.2; done
systemd-run --unit=seen --property=User=65534 --setenv=DBUS_SESSION_BUS_ADDRESS=$at \\
    --property=StandardOutput=file:/run/seen dbus-monitor interface=org.freedesktop.Notifications"""

# What a login does without PAM: systemd-logind is asked for a session, which lasts as long as this process keeps it.
LOGIN = """cat > /root/login.py <<'END'
import array, os, socket, struct, time
def s(t): t = t.encode(); return struct.pack("<I", len(t)) + t + b"\\0"
def pad(b, n): return b + b"\\0" * (-len(b) % n)
def call(serial, dest, path, iface, member, sig="", body=b""):
    f = b""
    for code, kind, text in ((1, "o", path), (2, "s", iface), (3, "s", member), (6, "s", dest)):
        f = pad(f, 8) + bytes([code, 1]) + kind.encode() + b"\\0" + s(text)
    if sig:
        f = pad(f, 8) + bytes([8, 1]) + b"g\\0" + bytes([len(sig)]) + sig.encode() + b"\\0"
    m = struct.pack("<BBBBIII", ord("l"), 1, 0, 1, len(body), serial, len(f)) + f
    return pad(m, 8) + body
c = socket.socket(socket.AF_UNIX); c.connect("/run/dbus/system_bus_socket")
c.sendall(b"\\0AUTH EXTERNAL 30\\r\\n"); assert c.recv(512).startswith(b"OK")
c.sendall(b"NEGOTIATE_UNIX_FD\\r\\n"); c.recv(512)
c.sendall(b"BEGIN\\r\\n")
bus = "org.freedesktop.DBus"
c.sendall(call(1, bus, "/org/freedesktop/DBus", bus, "Hello"))
b = struct.pack("<II", 65534, os.getpid())
for t in ("login", "x11", "user", "", ""):
    b = pad(b, 4) + s(t)
b = pad(b, 4) + struct.pack("<I", 0)
for t in ("", ""):
    b = pad(b, 4) + s(t)
b = pad(b, 4) + struct.pack("<I", 0)
for t in ("", ""):
    b = pad(b, 4) + s(t)
b = pad(b, 4) + struct.pack("<I", 0)
b = pad(b, 8)
one = "org.freedesktop.login1"
c.sendall(call(2, one, "/org/freedesktop/login1", one + ".Manager", "CreateSession", "uusssssussbssa(sv)", b))
kept, said = array.array("i"), b""
while b"/session/" not in said and b"Error" not in said:
    data, ancillary, _, _ = c.recvmsg(65536, socket.CMSG_SPACE(64))
    said += data
    for _, _, fds in ancillary:
        kept.frombytes(fds[: len(fds) - len(fds) % kept.itemsize])
print(said[-200:], list(kept), flush=True)
time.sleep(1e6)
END
systemctl start systemd-logind; systemd-run --unit=somebody python3 /root/login.py"""


def install(box: Box) -> None:
    """The very code of this checkout, below /opt, and who the endpoint would be."""
    root = Path(f"/proc/{endpoint.init_pid(box.place, NAME)}/root")
    for part in PARTS:
        source = Path(brakeline.__file__).parent / part
        target = root / "opt/brakeline/brakeline" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    config = {"server_url": "https://x", "ca_pem": "", "endpoint_id": ENDPOINT,
              "cell_key": ed25519.public_key(SEED).hex()}  # fmt: skip
    (root / "etc/brakeline").mkdir(exist_ok=True)
    (root / "etc/brakeline/agent.json").write_text(json.dumps(config))


def signed(boot_id: str) -> SignedOrder:
    payload = codec.encode(RestartOrder(ENDPOINT, "ro_x", boot_id, 1, NEVER_MS))
    return SignedOrder(payload.decode(), ed25519.sign(SEED, RESTART_CONTEXT + payload).hex())


def asker(box: Box, order: SignedOrder) -> Callable[[], dict[str, Any]]:
    request = {"verb": "restart", "order": codec.to_plain(order), "server_ms": 0}

    def ask() -> dict[str, Any]:
        done = box.execute(NAME, ASK.format(request=repr(request)))
        said: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip().startswith("{") else {}
        return said

    return ask


@pytest.mark.long
def test_somebody_who_is_logged_in_is_warned_heard_waited_for_and_overruled_where_root_says_so(box: Box) -> None:
    box.up(1, ("eu",), None, enrolled=False)
    install(box)
    again, sessions = f'python3 -c "{BOOT}"', "loginctl list-sessions --no-legend"
    boot = box.run(NAME, again).strip()
    ask = asker(box, signed(boot))
    patient = {"restarts_a_day": 1, "warn_min": 5, "deferrals": 1, "defer_min": 60}
    box.run(NAME, f"echo '{json.dumps(patient)}' > /etc/brakeline/restart.json; {HELPER}")
    box.run(NAME, LOGIN)
    wait_for("a session of a person", lambda: box.run(NAME, sessions).strip(), 60.0)
    box.run(NAME, BUS)
    wait_for("somebody who looks at the bus", lambda: box.execute(NAME, "cat /run/seen").stdout, 60.0)
    said = wait_for("the helper", ask, 60.0)
    assert said["code"] == "people", (said, box.execute(NAME, "journalctl -u brakeline-helper -n 20").stdout)
    assert said["people"] == {"deferred": 0, "deferrals": 1, "latest_ms": 0, "people": 1, "until_ms": 0}
    assert "as soon as nobody is logged in" in box.run(NAME, "cat /run/motd.d/brakeline")
    assert box.run(NAME, "stat -c %a /run/brakeline/defer").strip() == "1733"
    seen = "grep -c 'This machine restarts as soon as nobody is logged in' /run/seen"
    wait_for("a notification on the desktop's bus", lambda: box.execute(NAME, seen).stdout.strip() == "1", 60.0)

    nobody = f"setpriv --reuid 65534 --regid 65534 --clear-groups {PYTHON} defer"
    assert "Asked for." in box.run(NAME, nobody)
    people = ask()["people"]
    assert people["deferred"] == 1
    assert people["until_ms"] > 0
    assert "Nothing is left" in box.execute(NAME, nobody).stderr
    assert ask()["code"] == "people", "what was put off stands"
    assert "cannot be found out" not in box.run(NAME, "journalctl -u brakeline-helper --no-pager")

    hasty = {"restarts_a_day": 1, "warn_min": 1, "deadline_h": 1}
    box.run(NAME, f"rm /var/lib/brakeline-helper/people; echo '{json.dumps(hasty)}' > /etc/brakeline/restart.json")
    before = endpoint.init_pid(box.place, NAME)
    wait_for("the end of the warning", lambda: ask().get("code") != "people", 300.0, every_s=5.0)
    # From outside: whoever runs something inside while it goes down is stopped with it.
    wait_for("another start", lambda: endpoint.init_pid(box.place, NAME) not in (0, before), 150.0)
    wait_for("another boot", lambda: box.execute(NAME, again).stdout.strip() not in ("", boot), 150.0)
    assert boot in box.run(NAME, "cat /var/lib/brakeline-helper/reboots")
