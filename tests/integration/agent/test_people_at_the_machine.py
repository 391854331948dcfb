"""People at the machine before a restart, over the helper's real socket, record and files; the system's own tools are
programs that note how they were called. The machine itself is a port: a test must not restart the one it runs on.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support import require

from brakeline.agent import desk as desks
from brakeline.agent import helper as serving
from brakeline.agent import helper_socket, wiring
from brakeline.agent.__main__ import main
from brakeline.agent.clock import boot_id
from brakeline.agent.config import Config
from brakeline.agent.desk import Desk, NoTool, blocked, desktop_call, people_of
from brakeline.agent.helper_client import Declined, Going, HelperClient
from brakeline.agent.reboots import Machine, Reboots
from brakeline.agent.transactions import Transactions
from brakeline.agent.warnings import RECORD, Warnings, terms_of
from brakeline.protocol import codec
from brakeline.protocol.messages import RESTART_CONTEXT, PeopleTerms, PeopleWait, RestartOrder, SignedOrder

CELL = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
ENDPOINT = "ep_01JD0000000000000000000001"
NOW_MS = 1_800_000_000_000
H = 3600.0
ROOT = {"restarts_a_day": 1, "warn_min": 15, "deferrals": 1, "defer_min": 60, "deadline_h": 8}
TOOLS = {
    "loginctl": 'case $1 in list-sessions) cat "$0.sessions";; *) cat "$0.shown";; esac',
    "wall": 'cat >> "$0.said"',
    "systemd-run": 'echo "$@" >> "$0.said"',
    "busctl": 'echo "s \\"$(cat "$0.blocks")\\""',
}
SESSION = "User={uid}\nClass=user\nState=active\nType={kind}\n"


@dataclass
class Place:
    """The machine: its tools, its people, its hours since the start."""

    at: Path
    up: float = H
    sides: list[str] = field(default_factory=list)  # how it was restarted
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, body in TOOLS.items():
            (self.at / name).write_text(f"#!/bin/sh\n{body}\n")
            (self.at / name).chmod(0o755)
        (self.at / "busctl.blocks").write_text("idle:handle-power-key")
        self.log_in()

    def log_in(self, *people: tuple[int, str]) -> None:
        (self.at / "loginctl.sessions").write_text("".join(f" c{i} {u} x\n" for i, (u, _) in enumerate(people)))
        (self.at / "loginctl.shown").write_text("\n".join(SESSION.format(uid=u, kind=k) for u, k in people))

    def tool(self, *command: str, said: str = "") -> str:
        return desks.tool(str(self.at / command[0]), *command[1:], said=said)

    def said(self, name: str = "wall") -> str:
        path = self.at / f"{name}.said"
        return path.read_text() if path.exists() else ""

    def desk(self) -> Desk:
        return Desk(self.problems.append, self.at / "run", self.at / "motd.d", self.tool)

    def _down(self, how: str) -> Callable[[], str]:
        def go() -> str:
            self.sides.append(how)
            return ""

        return go

    def reboots(self) -> Reboots:
        terms = terms_of(self.at / "restart.json")
        warnings = Warnings(self.at, lambda: terms, self.desk(), "boot-1", lambda: self.up, lambda _: "Friday 18:00")
        machine = Machine("boot-1", lambda: self.up, self._down("asked"), self._down("over people"))
        return Reboots(self.at, lambda: 1, machine, warnings)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "restart.json").write_text(json.dumps(ROOT))
    return Place(tmp_path)


@pytest.fixture
def client(tmp_path: Path, place: Place) -> Iterator[HelperClient]:
    def no_provider() -> object:
        raise AssertionError

    helper = serving.Helper(
        Config("https://x", "", ENDPOINT, CELL.public_key().public_bytes_raw().hex()),
        Transactions(tmp_path / "helper", None), no_provider, frozenset({os.getuid()}), threading.Lock(),  # type: ignore[arg-type]
        threading.Lock(), reboots=place.reboots(),
    )  # fmt: skip
    path = tmp_path / "helper.sock"
    listener = helper_socket._listen(path, "nobody-of-this-name")
    thread = threading.Thread(target=helper_socket._accept_until_idle, args=(listener, helper, 3.0), daemon=True)
    thread.start()
    yield HelperClient(str(path))
    listener.close()
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as wake:
        wake.connect(str(path))
    thread.join(5.0)


def order(people: PeopleTerms | None = None) -> SignedOrder:
    payload = codec.encode(RestartOrder(ENDPOINT, "ro_x", "boot-1", NOW_MS, NOW_MS + 86_400_000, people))
    return SignedOrder(payload.decode(), CELL.sign(RESTART_CONTEXT + payload).hex())


def waits(answer: object) -> PeopleWait:
    assert isinstance(answer, Declined), answer
    assert answer.code == "people"
    assert answer.people is not None
    return answer.people


def test_whoever_is_there_is_told_everywhere_and_puts_it_off_once_and_no_more(
    client: HelperClient, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.log_in((os.getuid(), "wayland"), (4242, "tty"))
    assert waits(client.restart(order(), NOW_MS)) == PeopleWait(2, NOW_MS + 900_000, 0, 1, NOW_MS + 8 * 3_600_000)
    assert "restarts at Friday 18:00" in place.said()
    assert f"User={os.getuid()}" in place.said("systemd-run"), "whoever has a desktop"
    assert "User=4242" not in place.said("systemd-run")
    motd = place.at / "motd.d/brakeline"
    assert "brakeline-agent defer (1 of 1 left)" in motd.read_text()
    assert stat.S_IMODE(motd.stat().st_mode) == 0o644
    assert stat.S_IMODE((place.at / "run/defer").stat().st_mode) == 0o1733

    shown = json.loads((place.at / "run/restart.json").read_text())
    (place.at / "run/restart.json").write_text(json.dumps({**shown, "boot_id": boot_id()}))
    assert main(["defer", "--run", str(place.at / "run")]) == 0
    assert "Asked for." in capsys.readouterr().out
    place.up += 60
    assert waits(client.restart(order(), NOW_MS)).deferred == 1
    assert "put off until Friday 18:00 (0 of 1 deferrals left)" in place.said()
    assert "cannot be put off any more" in motd.read_text()

    for _ in range(100):
        place.up += 60
        if isinstance(client.restart(order(), NOW_MS), Going):
            break
    assert place.sides == ["over people"]
    assert place.up >= H + 900 + 3600


def test_when_they_leave_it_goes_on_at_once_and_nobody_is_overruled(client: HelperClient, place: Place) -> None:
    place.log_in((4242, "tty"))
    waits(client.restart(order(), NOW_MS))
    place.log_in()
    assert client.restart(order(), NOW_MS) == Going()
    assert place.sides == ["asked"]


def test_an_order_that_is_taken_back_is_told_and_leaves_nothing_behind(client: HelperClient, place: Place) -> None:
    place.log_in((4242, "tty"))
    waits(client.restart(order(), NOW_MS))
    client.stand_down()
    assert "was called off" in place.said()
    assert not (place.at / "motd.d/brakeline").exists()
    assert not (place.at / "run/restart.json").exists()
    said = place.said()
    client.stand_down()
    assert place.said() == said, "once"


def test_without_a_word_of_root_an_order_brings_a_warning_and_never_overrules(
    client: HelperClient, place: Place, tmp_path: Path
) -> None:
    terms = PeopleTerms(warn_s=600, deferrals=9, defer_s=600, deadline_s=1)
    (tmp_path / "restart.json").write_text('{"restarts_a_day": 1}')
    reboots = place.reboots()
    place.log_in((4242, "tty"))
    asked = RestartOrder(ENDPOINT, "ro_x", "boot-1", NOW_MS, NOW_MS + 86_400_000)
    for _ in range(30):
        place.up += 60
        no = reboots.follow(replace(asked, people=terms), NOW_MS, busy=False)
        assert no is not None
        assert no.code == "people"
    assert "as soon as nobody is logged in" in place.said()
    assert reboots.follow(asked, NOW_MS, busy=False) is None, "without terms systemd is asked, which refuses"
    assert place.sides == ["asked"]
    assert client


def test_who_is_not_logged_in_puts_nothing_off_and_what_is_odd_is_taken_away(place: Place) -> None:
    require(os.geteuid() == 0, "root: a file is given to somebody else")
    desk, folder = place.desk(), place.at / "run/defer"
    desk.show("x", 1, "boot-1")
    someone = desks.Person(4242, False)
    desks.ask(place.at / "run")
    os.chown(folder / str(os.getuid()), 4243, -1)
    os.symlink("/etc/passwd", folder / "link")
    os.mkdir(folder / "directory")
    assert not desk.asked([someone])
    assert not list(folder.iterdir())
    assert (place.at / "run/defer-odd").stat().st_mode & 0o077 == 0
    desks.ask(place.at / "run")
    assert desk.asked([someone]), "root may"
    assert not desk.asked([someone]), "a word counts once"


def test_whoever_fills_the_folder_hides_nobodys_word(place: Place) -> None:
    require(os.geteuid() == 0, "root: files are given to others")
    desk, folder = place.desk(), place.at / "run/defer"
    desk.show("x", 1, "boot-1")
    mallory, someone = 4243, desks.Person(4242, False)
    for n in range(10 * desks.ASKS_MAX):
        odd = folder / f"{n}-taken"
        (odd / "full").mkdir(parents=True)
        os.chown(odd, mallory, -1)
    mine = folder / str(someone.uid)
    mine.touch()
    os.chown(mine, someone.uid, -1)
    assert desk.asked([someone]), "looked for by name, before whatever else lies there"
    assert not mine.exists()
    mine.mkdir()  # in the place of the word itself
    os.chown(mine, mallory, -1)
    assert not desk.asked([someone])
    assert not mine.exists(), "the place is free again"
    for _ in range(10):
        desk.asked([])
    assert not list(folder.iterdir()), "and at last everything is taken away"


def test_missing_tools_are_said_and_stop_nothing(place: Place) -> None:
    place.log_in((4242, "x11"))
    desk = place.desk()
    for name in ("wall", "systemd-run"):
        (place.at / name).unlink()
    desk.call("hello", [desks.Person(4242, True)])
    assert len(place.problems) == 2
    (place.at / "loginctl").unlink()
    assert desk.there() is None
    assert "who is logged in cannot be found out" in place.problems[-1]
    asked = RestartOrder(ENDPOINT, "ro_x", "boot-1", NOW_MS, NOW_MS + 86_400_000)
    assert place.reboots().follow(asked, NOW_MS, busy=False) is None
    assert place.sides == ["asked"], "systemd judges who is logged in: nobody is overruled"


def test_a_damaged_record_warns_anew_with_nothing_left(place: Place) -> None:
    place.log_in((4242, "tty"))
    asked = RestartOrder(ENDPOINT, "ro_x", "boot-1", NOW_MS, NOW_MS + 86_400_000)
    place.reboots().follow(asked, NOW_MS, busy=False)
    (place.at / RECORD).write_bytes(b'{"boot_id"')
    place.up += 3 * H
    no = place.reboots().follow(asked, NOW_MS, busy=False)
    assert no is not None
    assert no.people == PeopleWait(1, NOW_MS + 900_000, 1, 1, NOW_MS + 8 * 3_600_000)


def test_an_inhibitor_stands_whoever_is_overruled(place: Place) -> None:
    assert blocked(place.tool) == ""
    (place.at / "busctl.blocks").write_text("shutdown:sleep")
    assert "inhibits a restart" in blocked(place.tool)
    (place.at / "busctl").unlink()
    assert "cannot be found out" in blocked(place.tool)


def test_sessions_of_people_alone_count() -> None:
    text = "User=1\nClass=user\nState=closing\n\nUser=2\nClass=greeter\nState=active\n\n" + SESSION.format(
        uid=3, kind="wayland"
    )
    assert people_of(text) == (desks.Person(3, True),)
    assert desktop_call(3, "x")[0] == "systemd-run"
    with pytest.raises(NoTool, match="ended with 3"):
        desks.tool("sh", "-c", "exit 3")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        (json.dumps(ROOT), PeopleTerms(900, 1, 3600, 8 * 3600)),
        ('{"restarts_a_day": 1}', PeopleTerms()),
        ('{"warn_min": true}', PeopleTerms()),
        ('{"warn_min": "15", "deadline_h": 1}', PeopleTerms()),
        ('{"warn_min": -1}', PeopleTerms()),
        ('{"deadline_h": 99999, "warn_min": 1}', PeopleTerms(60, 0, 0, 7 * 24 * 3600)),
        ("[]", PeopleTerms()),
        ("{", PeopleTerms()),
    ],
)
def test_roots_terms_are_read_as_they_are_or_not_at_all(tmp_path: Path, text: str, terms: PeopleTerms) -> None:
    (tmp_path / "restart.json").write_text(text)
    assert terms_of(tmp_path / "restart.json") == terms
    assert terms_of(tmp_path / "none") == PeopleTerms()


def test_an_agent_that_was_started_anew_knows_that_people_were_told(tmp_path: Path, place: Place) -> None:
    config = Config("https://x", "", ENDPOINT, "00", helper_socket=str(tmp_path / "run/helper.sock"))
    assert not wiring._warned(config)
    place.desk().show("x", 1, "boot-1")
    assert wiring._warned(config)
    place.desk().clear()
    assert not wiring._warned(config)


def test_nothing_waits_nothing_is_put_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["defer", "--run", str(tmp_path)]) == 1
    assert "No restart waits for you" in capsys.readouterr().out
    (tmp_path / "restart.json").write_text(json.dumps({"text": "soon", "left": 0, "boot_id": boot_id()}))
    assert main(["defer", "--run", str(tmp_path)]) == 1
    (tmp_path / "restart.json").write_text(json.dumps({"text": "soon", "left": 1, "boot_id": boot_id()}))
    assert main(["defer", "--run", str(tmp_path)]) == 2, "the folder is not there: it says so"
