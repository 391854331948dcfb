"""The launcher's own update under the frozen stub: real launchers, good and bad, and an agent that they run.

In every case the last good launcher runs in the end, exactly one agent with it, and nobody has touched anything.
"""

from __future__ import annotations

import os
import signal

import pytest
from tests.support_launcher import Endpoint, release_bytes

from brakeline.launcher import stub
from brakeline.releases import zipapp

NEXT = "1.1.0"


def launcher(before: str = "") -> bytes:
    """A real launcher, with something planted in front of it."""
    files = zipapp.sources("launcher", NEXT)
    files["__main__.py"] = before.encode() + files["__main__.py"]
    return zipapp.SHEBANG + zipapp._zipped(files)


def after(seconds: float, what: str) -> str:
    return f"import os, threading\nthreading.Timer({seconds}, lambda: {what}).start()\n"


def begin(host: Endpoint) -> str:
    """The factory's launcher runs a good agent. The agent's release_id."""
    baseline = host.prepare(release_bytes("1.0.0"))
    host.under_a_stub()
    host.start()
    host.until_running(baseline)
    return baseline


def until_in_use(host: Endpoint, release_id: str, seconds: float = 60) -> None:
    host.until(lambda: (r := host.report()).launcher_release == release_id and not r.launcher_trial, seconds,
               f"launcher {release_id or 'of the factory'} in use")  # fmt: skip


def until_failed(host: Endpoint, release_id: str, seconds: float = 60) -> None:
    host.until(lambda: release_id in host.report().launcher_failed, seconds, f"launcher {release_id} given up")


def settled(host: Endpoint, agent: str) -> None:
    """The agent runs, once."""
    host.until_running(agent)
    host.until(lambda: len(host.left()) == 1, 10, "exactly one agent")


@pytest.mark.long
def test_a_good_launcher_is_tried_and_confirmed_and_so_is_the_next_one(host: Endpoint) -> None:
    agent = begin(host)
    one = host.launcher_release("1.1.0", 2, launcher())
    until_in_use(host, one)
    report = host.report()
    assert report.launcher_last_trial is not None
    assert (report.launcher_last_trial.release_id, report.launcher_last_trial.outcome) == (one, "confirmed")
    assert host.selector().confirmed == "a"
    settled(host, agent)
    two = host.launcher_release("1.2.0", 3, launcher("# another one\n"))
    until_in_use(host, two)
    assert (host.selector().confirmed, sorted(host.selector().slots)) == ("b", ["a", "b"])
    host.until(lambda: host.record().floors.launcher_sequence == 3, what="the floor of launchers")
    settled(host, agent)


BAD = {
    "never_ready": b"import time\ntime.sleep(600)\n",
    "exits_at_once": b"",
    "does_not_even_parse": b"this is no python\n",
    "crashes_after_ready": launcher(after(2.5, "os._exit(9)")),
    "agent_never_runs": launcher("import sys\nif 'run' in sys.argv: import brakeline.launcher.supervise as s; "
                                 "s.start_release = lambda *a: (_ for _ in ()).throw(OSError(5, 'no'))\n"),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", BAD)
def test_a_bad_launcher_runs_once_and_the_one_before_goes_on(host: Endpoint, name: str) -> None:
    host.knobs |= {"launcher_ready_s": 2 if name == "never_ready" else 5, "launcher_trial_s": 8}
    if name == "crashes_after_ready":
        host.knobs["launcher_probation_s"] = 20
    agent = begin(host)
    bad = host.launcher_release(NEXT, 2, BAD[name])
    until_failed(host, bad)
    until_in_use(host, "")
    settled(host, agent)
    end = host.report().launcher_last_trial
    assert end is not None
    assert (end.release_id, end.outcome) == (bad, "reverted")
    good = host.launcher_release("1.2.0", 3, launcher())
    until_in_use(host, good)
    settled(host, agent)


def confirmed(host: Endpoint, *versions: str) -> tuple[str, list[str]]:
    """An endpoint on which these launchers were confirmed one after the other; nothing more is leased."""
    agent = begin(host)
    ids = []
    for number, version in enumerate(versions):
        ids.append(host.launcher_release(version, 2 + number, launcher(f"# {version}\n")))
        until_in_use(host, ids[-1])
    host.cell.repository.leased.clear()
    return agent, ids


@pytest.mark.long
def test_a_recalled_launcher_gives_way_to_the_other_slot(host: Endpoint) -> None:
    agent, (one, two) = confirmed(host, "1.1.0", "1.2.0")
    host.cell.repository.recalled.append(two)
    host.cell.repository.bump("recall")
    until_in_use(host, one)
    settled(host, agent)
    host.cell.repository.recalled.append(one)
    host.cell.repository.bump("recall")
    until_in_use(host, "")
    settled(host, agent)


@pytest.mark.long
def test_damaged_slots_and_lost_selectors_end_at_a_launcher_that_is_whole(host: Endpoint) -> None:
    agent, (one, two) = confirmed(host, "1.1.0", "1.2.0")
    for path in stub.SELECTORS:
        (host.root / path).write_bytes(os.urandom(stub.SELECTOR_BYTES))
    host.restart()
    host.until(lambda: host.selector().generation, what="a selector")
    until_in_use(host, two)
    (host.root / "launcher/b/launcher.pyz").write_bytes(b"torn")
    host.restart()
    until_in_use(host, one)
    (host.root / "launcher/a/launcher.pyz").unlink()
    host.restart()
    until_in_use(host, "")
    settled(host, agent)
    host.cell.repository.offer(two)  # what was damaged is fetched again when it is offered again
    until_in_use(host, two)
    settled(host, agent)


@pytest.mark.long
def test_a_confirmed_launcher_that_does_not_start_any_more_is_left(host: Endpoint) -> None:
    agent = begin(host)
    broken = host.base / "broken"
    own = host.launcher_release(NEXT, 2, launcher(f"import os\nif os.path.exists({str(broken)!r}): os._exit(1)\n"))
    until_in_use(host, own)
    host.cell.repository.leased.clear()
    broken.touch()
    host.restart()
    until_in_use(host, "")
    settled(host, agent)
    assert (host.selector().confirmed, host.selector().slots) == ("", {})


@pytest.mark.long
def test_no_agent_and_no_launcher_are_on_trial_at_the_same_time(host: Endpoint) -> None:
    host.knobs |= {"launcher_probation_s": 4}
    begin(host)
    own = host.launcher_release(NEXT, 2, launcher())
    host.until(lambda: host.report().launcher_trial == own, 60, "the launcher on trial")
    host.cell.repository.leased.append(
        {"release_id": host.cell.repository.publish("2.0.0", release_bytes("2.0.0", sequence=2), 2)}
    )
    seen: list[tuple[str, str]] = []
    host.until(lambda: seen.append((host.report().trial, host.report().launcher_trial)) or host.report().confirmed
               .startswith("2.0.0"), 60, "the agent confirmed")  # fmt: skip
    assert not [both for both in seen if all(both)]
    until_in_use(host, own)


@pytest.mark.long
def test_cut_off_in_the_trial_it_is_excused_and_tried_again(host: Endpoint) -> None:
    host.knobs |= {"launcher_probation_s": 20}
    agent = begin(host)
    own = host.launcher_release(NEXT, 2, launcher())
    host.until(lambda: host.selector().tries == 0 and host.report().launcher_trial == own, 60, "the trial")
    host.stop(signal.SIGKILL)
    host.knobs |= {"launcher_probation_s": 1}
    host.configure()
    host.start()
    host.until(lambda: host.selector().excuses == 1 or host.report().launcher_release == own, 60, "an excuse")
    until_in_use(host, own)
    settled(host, agent)


def test_without_a_stub_no_launcher_is_taken(host: Endpoint) -> None:
    baseline = host.prepare(release_bytes("1.0.0"))
    host.launcher_release(NEXT, 2, launcher())
    host.start()
    host.until_running(baseline)
    assert host.report().launcher_waits.startswith("no stub")
    assert not (host.root / "launcher").exists()
    assert list((host.root / "versions").iterdir()) == [host.root / "versions" / baseline]
