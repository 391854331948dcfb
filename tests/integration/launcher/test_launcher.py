"""The launcher as a real process with real releases: it updates before it runs, confirms, reverts, heals."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time

import pytest
from tests.support_launcher import GOOD, HEALTHY, PYTHON, RAN, READY, SAY, STAY, Endpoint, release_bytes
from tests.support_trust import bundle

CRASHES = SAY + RAN + 'sys.exit("it crashed")\n'


def begin(host: Endpoint) -> str:
    """A running endpoint with a good release 1.0.0."""
    baseline = host.prepare(release_bytes("1.0.0"))
    host.start()
    host.until_running(baseline)
    return baseline


def offer(host: Endpoint, version: str, program: str, sequence: int) -> str:
    release_id = host.cell.repository.publish(version, release_bytes(version, program, sequence), sequence)
    host.cell.repository.offer(release_id)
    return release_id


def test_a_good_release_is_tried_and_confirmed(host: Endpoint) -> None:
    baseline = begin(host)
    two = offer(host, "2.0.0", GOOD, 2)
    host.until_confirmed(two)
    report = host.report()
    assert (report.running, report.last_known_good, report.trial) == (two, baseline, "")
    assert report.last_trial is not None
    assert (report.last_trial.outcome, report.last_trial.runs) == ("confirmed", 1)
    assert host.record().floors.sequence == 2


WITHOUT_AUTHORITIES = """
import ssl, sys
sys.path.insert(0, sys.argv[1])

def never(*_, **__):
    sys.exit("the authorities of this system were to be read")

ssl._create_default_https_context = ssl.create_default_context = ssl.SSLContext.load_default_certs = never
from brakeline.launcher.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


def test_a_look_reads_no_authority_of_the_system(host: Endpoint) -> None:
    """They cost a fifth of a look, and none of them counts."""
    host.prepare(release_bytes("1.0.0"))
    places = ["--root", str(host.root), "--etc", str(host.etc), "--home", str(host.home)]
    command = [PYTHON, "-I", "-c", WITHOUT_AUTHORITIES, str(host.program), "check", *places]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fresh"]


DESTROYS = (
    SAY
    + RAN
    + """
home = os.environ["HOME"]
os.unlink(home + "/key")
os.unlink(home + "/counter")
open(home + "/state.json", "w").write("rubbish")
os.symlink("/etc/shadow", home + "/key.new")
sys.exit(1)
"""
)


def test_what_a_bad_release_destroys_is_given_back_to_the_one_before(host: Endpoint) -> None:
    baseline = begin(host)
    key, state, counter = (host.home / name for name in ("key", "state.json", "counter"))
    for path, data in ((key, b"k" * 32), (state, b'{"sessions": []}'), (counter, b"513")):
        path.write_bytes(data)
        shutil.chown(path, host.user, host.user)
    bad = offer(host, "2.0.0", DESTROYS, 2)
    host.until_quarantined(bad)
    host.until_running(baseline)
    assert (key.read_bytes(), state.read_bytes()) == (b"k" * 32, b'{"sessions": []}')
    assert int(counter.read_text()) == 513 + (1 << 20), (
        "far ahead: a number that comes twice looks like a second machine"
    )
    assert key.owner() == host.user
    keepsake = host.root / "keepsake.json"
    assert keepsake.stat().st_mode & 0o777 == 0o600, "the key of the endpoint is root's alone"
    assert "root:" not in keepsake.read_text()


@pytest.mark.long
def test_what_could_never_be_tried_is_not_given_up(host: Endpoint) -> None:
    """Nothing can be kept of what it could destroy, so it is not tried; that counts as no try, however often."""
    begin(host)
    (host.home / "key").write_bytes(b"k" * 32)
    shutil.chown(host.home / "key", host.user, host.user)
    (host.root / "keepsake.json.new").mkdir()
    two = offer(host, "2.0.0", GOOD, 2)
    host.until(lambda: host.log().count("nothing is kept of what") > 4, 40, "five vain attempts")
    assert host.runs("2.0.0") == 0
    (host.root / "keepsake.json.new").rmdir()
    host.until_confirmed(two)
    assert host.record().attempt(two).runs == 1


def test_a_program_of_the_release_s_own_is_executed_out_of_its_own_tree(host: Endpoint) -> None:
    """An entry without a directory is not looked for on the endpoint's PATH."""
    host.prepare(release_bytes("1.0.0"))
    script = '#!/bin/sh\necho ours > "$HOME/who"\necho READY >&"$BRAKELINE_LAUNCHER_FD"\nexec sleep 600\n'
    data = bundle("2.0.0", {"true": script.encode()}, 2, entry=["true"])
    two = host.cell.repository.publish("2.0.0", data, 2)
    host.cell.repository.offer(two)
    host.start()
    host.until(lambda: (host.home / "who").exists(), what="the release's own program")
    assert (host.home / "who").read_text() == "ours\n"


def test_it_looks_before_it_runs_anything(host: Endpoint) -> None:
    """A release that would crash is never executed, because the newer one is found first."""
    host.prepare(release_bytes("1.0.0", CRASHES))
    two = offer(host, "2.0.0", GOOD, 2)
    host.start()
    host.until_confirmed(two)
    assert host.runs("1.0.0") == 0


BAD = {
    "exits_at_once": CRASHES,
    "does_not_even_parse": "this is no python\n",
    "never_ready": SAY + RAN + STAY,
    "never_healthy": SAY + RAN + READY + STAY,
    "healthy_without_ready": SAY + RAN + HEALTHY + STAY,
    "dies_after_ready": SAY + RAN + READY + HEALTHY + "time.sleep(0.3)\nos._exit(3)\n",
    "kills_itself": SAY + RAN + READY + "os.kill(os.getpid(), 9)\n",
    "asks_for_ever": SAY + RAN + READY + "sys.exit(75)\n",
    "deaf": SAY + RAN + READY + "import signal\nsignal.signal(15, signal.SIG_IGN)\n" + STAY,
    "closes_its_pipes": SAY + RAN + "os.close(fd); os.close(1); os.close(2)\n" + STAY,
    "eats_memory": SAY + RAN + READY + "x = []\nwhile True:\n    x.append(bytearray(1 << 24))\n",
}

# of each kind one, the others are as slow
REQUIRED = ("exits_at_once", "dies_after_ready")


@pytest.mark.parametrize("name", [n if n in REQUIRED else pytest.param(n, marks=pytest.mark.long) for n in BAD])
def test_a_bad_release_runs_three_times_at_most_and_the_last_good_one_goes_on(host: Endpoint, name: str) -> None:
    host.knobs |= {"ready_s": 1, "healthy_s": 1.5}
    if name == "dies_after_ready":  # later than its probation, as a busy machine may see it, it would be confirmed
        host.knobs |= {"probation_s": 5, "healthy_s": 10}
    baseline = begin(host)
    bad = offer(host, "2.0.0", BAD[name], 2)
    host.until_quarantined(bad)
    host.until_running(baseline)
    assert host.runs("2.0.0") <= 3
    end = host.report().last_trial
    assert end is not None
    assert (end.release_id, end.outcome) == (bad, "reverted")
    assert end.detail
    three = offer(host, "3.0.0", GOOD, 3)
    host.until_confirmed(three)
    assert host.runs("2.0.0") <= 3


def test_a_fork_bomb_dies_whole(host: Endpoint) -> None:
    host.knobs |= {"healthy_s": 1.5}
    forks = "while True:\n    try: os.fork()\n    except OSError: time.sleep(0.01)\n"
    bomb = SAY + RAN + READY + "if os.fork() == 0: os.setsid()\n" + forks
    baseline = begin(host)
    bad = offer(host, "2.0.0", bomb, 2)
    host.until_quarantined(bad)
    host.until_running(baseline)
    assert len(host.left()) == 1


def test_a_recalled_release_is_ended_and_the_last_known_good_runs(host: Endpoint) -> None:
    baseline = begin(host)
    two = offer(host, "2.0.0", GOOD, 2)
    host.until_confirmed(two)
    host.cell.repository.recalled.append(two)
    host.cell.repository.bump("recall")
    host.until_running(baseline)
    assert two in host.report().recalled
    runs = host.runs("2.0.0")
    host.restart()
    host.until_running(baseline)
    assert host.runs("2.0.0") == runs


def test_recalled_and_nothing_else_to_run_it_stays_alone_and_heals(host: Endpoint) -> None:
    baseline = begin(host)
    host.cell.repository.recalled.append(baseline)
    host.cell.repository.bump("recall")
    host.until(lambda: host.report().running == "", what="ended")
    two = offer(host, "2.0.0", GOOD, 2)
    host.until_confirmed(two)


@pytest.mark.long
def test_a_confirmed_release_that_turns_bad_gives_way(host: Endpoint) -> None:
    """It crashes for ever after a while: the last known good one runs, the cell can recall or replace it."""
    baseline = begin(host)
    late = (
        SAY
        + RAN
        + READY
        + HEALTHY
        + 'd = os.environ["HOME"] + "/bad"\nwhile not os.path.exists(d):\n    time.sleep(0.05)\nsys.exit(1)\n'
    )
    two = offer(host, "2.0.0", late, 2)
    host.until_confirmed(two)
    (host.home / "bad").touch()
    host.until_running(baseline)
    three = offer(host, "3.0.0", GOOD, 3)
    host.until_confirmed(three)


def test_killed_at_any_time_it_goes_on(host: Endpoint) -> None:
    begin(host)
    two = offer(host, "2.0.0", GOOD, 2)
    for pause_s in (0.05, 0.3, 0.9, 1.4):
        time.sleep(pause_s)
        host.stop(signal.SIGKILL)
        host.start()
    host.until_confirmed(two)
    assert host.report().problems == ()


def test_damaged_files_are_never_executed_and_are_fetched_again(host: Endpoint) -> None:
    begin(host)
    two = offer(host, "2.0.0", GOOD, 2)
    host.until_confirmed(two)
    host.stop()
    runs = host.runs("2.0.0")
    agent = host.root / "versions" / two / "agent.pyz"
    evil = host.home / "evil"
    agent.write_text(f'open({str(evil)!r}, "w")\n')
    host.cell.repository.leased = []
    host.start()
    host.until(lambda: host.runs("2.0.0") > runs, what="the mended release")
    assert not evil.exists()
    assert host.report().running == two


def test_a_release_that_has_vanished_is_fetched_again(host: Endpoint) -> None:
    """The only one there was, and no lease for it: the holders of the offline keys have signed it, that is enough."""
    baseline = host.prepare(release_bytes("1.0.0"))
    shutil.rmtree(host.root / "versions" / baseline)
    host.start()
    host.until_running(baseline)


def test_the_release_can_write_none_of_the_launchers_files(host: Endpoint) -> None:
    program = SAY + RAN + READY + (
        "import glob\n"
        'root = os.path.dirname(os.path.dirname(os.getcwd()))\n'
        "bad = []\n"
        "for folder, folders, files in os.walk(root):\n"
        "    for name in files + [\"new\"]:\n"
        "        try: open(os.path.join(folder, name), 'ab'); bad.append(name)\n"
        "        except OSError: pass\n"
        'open(os.environ["HOME"] + "/written", "w").write(repr(bad))\n'
    ) + HEALTHY + STAY  # fmt: skip
    begin(host)
    two = offer(host, "2.0.0", program, 2)
    host.until_confirmed(two)
    assert (host.home / "written").read_text() == "[]"


def test_same_version_with_another_hash_and_a_quarantined_one_offered_again(host: Endpoint) -> None:
    begin(host)
    bad = offer(host, "2.0.0", CRASHES, 2)
    host.until_quarantined(bad)
    runs = host.runs("2.0.0")
    host.restart()
    host.until(
        lambda: any(p.startswith("quarantined") for p in host.report().problems) or bad in host.report().quarantined
    )
    time.sleep(1.5)
    assert host.runs("2.0.0") == runs
    again = offer(host, "2.0.0", GOOD, 3)
    assert again != bad
    host.until_confirmed(again)


def test_told_to_stop_it_ends_what_it_started(host: Endpoint) -> None:
    begin(host)
    assert host.stop() == 0
    assert host.left() == []
    assert host.record().run is not None
    assert host.record().run.clean
