"""Own packages with real scripts: what runs, what is refused, what is told, what is taken back, what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from tests.aptroot import order
from tests.ownpackages import ANN, BOB, Endpoint, artifact, package, script, signed
from tests.pipindex import Index
from tests.support import require

from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refused
from brakeline.agent.providers.own.looking import RECORDS
from brakeline.protocol.messages import Action, ActionKind, Outcome, TransactionResult, UpdateRef, UpdateState
from brakeline.protocol.software import Document
from brakeline.protocol.trusted_authors import AUTHORS
from brakeline.trust import ed25519


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    return Endpoint(tmp_path)


def ref(*documents: Document) -> tuple[UpdateRef, ...]:
    return tuple(UpdateRef(f"{d.software.name}:own", d.version) for d in documents)


def planned(endpoint: Endpoint, *documents: Document, number: int = 1) -> Order:
    answer = endpoint.provider.plan(ref(*documents), Bounds())
    assert isinstance(answer, Planned), answer
    return replace(order(answer.transaction, number=number), rollout_id=f"ro_{number}")


def bring(endpoint: Endpoint, *documents: Document, number: int = 1) -> TransactionResult:
    """As the helper does it: prepared from content, then applied in a unit that has none."""
    told = planned(endpoint, *documents, number=number)
    assert endpoint.provider.prepare(told.transaction) is None
    return endpoint.in_unit.apply(told, [].append)


def back(endpoint: Endpoint, number: int) -> Order:
    left = endpoint.in_unit.undo(f"ro_{number}", look=True)
    assert isinstance(left, Inverse), left
    bounds = Bounds(allow_downgrades=True, allow_removals=True)
    return replace(order(left.transaction, bounds, 50 + number), inverse=left)


def refusal(endpoint: Endpoint, *documents: Document) -> Refused:
    answer = endpoint.provider.plan(ref(*documents), Bounds())
    assert isinstance(answer, Refused), answer
    return answer


def test_installed_with_its_artifact_and_every_step(endpoint: Endpoint) -> None:
    data = b"payload\n" * 100
    plain = package(
        artifact=artifact(data),
        pre=script('test -z "$BRAKELINE_BEFORE"'),
        install=script('mkdir -p "$ROOT/opt/payroll"; cp "$BRAKELINE_ARTIFACT" "$ROOT/opt/payroll/data.bin"'),
        post=script('echo "version=$BRAKELINE_VERSION" > "$ROOT/opt/payroll/VERSION"; echo all well'),
    )
    document = endpoint.publish(signed(plain), data)
    lines: list[str] = []
    told = planned(endpoint, document)
    assert [(a.kind, a.name, a.architecture, a.after) for a in told.transaction.actions] == [
        (ActionKind.INSTALL, "payroll", "own", document.version)
    ]
    assert endpoint.provider.prepare(told.transaction) is None
    result = endpoint.in_unit.apply(told, lines.append)
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result
    assert (endpoint.root / "opt/payroll/data.bin").read_bytes() == data
    assert "  all well" in lines
    (found,) = endpoint.provider.inventory()
    assert (found.name, found.architecture, found.version, found.state) == ("payroll", "own", document.version, "ii")


def test_an_update_is_found_by_detection_and_taken_back_to_the_very_package_before(endpoint: Endpoint) -> None:
    one = endpoint.publish(signed(package(version="1")))
    assert bring(endpoint, one).outcome is Outcome.INSTALLED
    two = endpoint.publish(signed(package(version="2")))
    (waits,) = endpoint.provider.available()
    assert (waits.installed, waits.candidate, waits.state) == (one.version, two.version, UpdateState.AVAILABLE)
    done = bring(endpoint, two, number=2)
    assert done.way_back is not None
    assert (done.way_back.stored, endpoint.has("payroll")) == (True, "2")
    (endpoint.root / "content" / one.file).unlink()  # the content has moved on; root has kept what it needs
    result = endpoint.in_unit.apply(back(endpoint, 2), [].append)
    assert (result.outcome, endpoint.has("payroll")) == (Outcome.INSTALLED, "1"), result
    assert endpoint.provider.inventory()[0].version == one.version
    gone = endpoint.in_unit.apply(back(endpoint, 1), [].append)
    assert (gone.outcome, endpoint.has("payroll")) == (Outcome.INSTALLED, ""), gone
    assert endpoint.provider.inventory() == ()


def test_no_way_back_is_told_where_there_is_none(endpoint: Endpoint) -> None:
    plain = package()
    del plain["uninstall"]
    result = bring(endpoint, endpoint.publish(signed(plain)))
    assert result.way_back is not None
    assert result.way_back.told == "no way back: Payroll has no uninstall script."
    (endpoint.root / "opt/payroll/VERSION").write_text("version=0.5\n")  # brought by somebody else
    other = endpoint.publish(signed(package(version="2")))
    result = bring(endpoint, other, number=2)
    assert result.way_back is not None
    assert "the package that installed payroll 0.5 is not on this endpoint" in result.way_back.told.lower()


def test_a_script_without_an_artifact_is_a_package_and_runs_once(endpoint: Endpoint) -> None:
    plain = package("rotate-keys", "2026.1", detection={"kind": "record"}, install=script('echo x >> "$ROOT/ran"'))
    del plain["uninstall"]
    document = endpoint.publish(signed(plain))
    assert bring(endpoint, document).outcome is Outcome.INSTALLED
    assert endpoint.provider.inventory()[0].version == document.version
    assert refusal(endpoint, document).code == "nothing_to_do"
    assert (endpoint.root / "ran").read_text() == "x\n"


@pytest.mark.parametrize("case", ["no file", "nonsense", "another author", "one of two", "a letter more"])
def test_nothing_runs_that_root_s_authors_have_not_signed(endpoint: Endpoint, case: str) -> None:
    authors = endpoint.runner.path(AUTHORS)
    document = signed(package())
    ann, bob = (ed25519.public_key(seed).hex() for seed in (ANN, BOB))
    match case:
        case "no file":
            authors.unlink()
        case "nonsense":
            authors.write_text('{"authors": {"ann": "key"}}')
        case "another author":
            endpoint.believe({"bob": bob}, 1)
        case "one of two":
            endpoint.believe({"ann": ann, "bob": bob})  # root says no number: two
        case _:
            text = document.text.replace("payroll client", "payroll Client")
            document = replace(document, text=text)
    endpoint.publish(document)
    answer = refusal(endpoint, document)
    assert (answer.code, "authors.json" in answer.reason) == ("not_allowed", True)
    (endpoint.root / "opt/payroll").mkdir(parents=True)
    (endpoint.root / "opt/payroll/VERSION").write_text("version=0.1\n")
    assert [(u.state, u.reason) for u in endpoint.provider.available()] == [(UpdateState.KEPT_BACK, answer.reason)]


def test_two_authors_are_enough_where_two_are_needed(endpoint: Endpoint) -> None:
    endpoint.believe({n: ed25519.public_key(s).hex() for n, s in (("ann", ANN), ("bob", BOB))})
    assert bring(endpoint, endpoint.publish(signed(package(), ANN, BOB))).outcome is Outcome.INSTALLED


def test_root_takes_an_author_away_between_plan_and_run(endpoint: Endpoint) -> None:
    document = endpoint.publish(signed(package()))
    told = planned(endpoint, document)
    assert endpoint.provider.prepare(told.transaction) is None
    endpoint.runner.path(AUTHORS).unlink()
    result = endpoint.in_unit.apply(told, [].append)
    assert (result.outcome, result.code, endpoint.has("payroll")) == (Outcome.REFUSED, "not_allowed", "")


def test_too_little_space_and_a_stop_are_known_before_anything_is_run(endpoint: Endpoint) -> None:
    told = planned(endpoint, endpoint.publish(signed(package())))
    greedy = replace(told, bounds=Bounds(disk_reserve_bytes=1 << 60))
    assert endpoint.provider.apply(greedy, [].append).code == "no_space"
    stopped = replace(endpoint.provider, stopping=lambda: True).apply(told, [].append)
    assert (stopped.outcome, stopped.code, endpoint.has("payroll")) == (Outcome.REFUSED, "shutdown", "")


@pytest.mark.parametrize("after", ["an older one", "nothing"])
def test_an_order_never_puts_an_older_version_back_or_removes_whatever_it_calls_that(
    endpoint: Endpoint, after: str
) -> None:
    one = endpoint.publish(signed(package(version="1")))
    bring(endpoint, endpoint.publish(signed(package(version="2"))))
    version = endpoint.provider.inventory()[0].version
    forged = Action(ActionKind.UPGRADE, "payroll", "own", version, one.version if after != "nothing" else "")
    told = replace(order(make_transaction([forged]), Bounds(allow_removals=True), 2), rollout_id="ro_2")
    result = endpoint.provider.apply(told, [].append)
    assert (result.outcome, endpoint.has("payroll")) == (Outcome.REFUSED, "2")
    assert "only a way back" in result.detail


def test_a_damaged_artifact_never_reaches_a_script(endpoint: Endpoint) -> None:
    document = signed(package(artifact=artifact(b"good")))
    endpoint.publish(document, b"good")
    told = planned(endpoint, document)
    for path in (endpoint.root / "content/payloads").iterdir():
        path.write_bytes(b"evil")
    answer = endpoint.provider.prepare(told.transaction)
    assert isinstance(answer, Refused)
    assert answer.code == "hash_mismatch"
    result = endpoint.in_unit.apply(told, [].append)
    assert (result.outcome, result.code, endpoint.has("payroll")) == (Outcome.REFUSED, "refused", "")


def test_an_artifact_is_fetched_from_its_address_and_compared(endpoint: Endpoint, tmp_path: Path) -> None:
    index = Index(tmp_path / "vendor")
    try:
        (index.directory / "tool.bin").write_bytes(b"tool" * 1000)
        url = f"{index.url}tool.bin"
        good = endpoint.publish(signed(package("tool", artifact=artifact(b"tool" * 1000, "tool.bin", url))))
        assert bring(endpoint, good).outcome is Outcome.INSTALLED
        longer = package("tool", "2", artifact=artifact(b"tool" * 999, "tool.bin", url))
        result = bring(endpoint, endpoint.publish(signed(longer)), number=2)
        assert (result.outcome, result.code, endpoint.has("tool")) == (Outcome.REFUSED, "hash_mismatch", "1")
    finally:
        index.stop()
    third = endpoint.publish(signed(package("tool", "3", artifact=artifact(b"no", "tool.bin", url))))
    result = bring(endpoint, third, number=3)
    assert (result.outcome, result.code, endpoint.has("tool")) == (Outcome.REFUSED, "network", "1")


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("exit 7", "maintainer_script_failed", "ended with 7"),
        ("read answer; exit $?", "maintainer_script_failed", "ended with 1"),
        ('printf "Licence accepted [y/n]?"; read a || exit 3', "maintainer_script_failed", "nobody answers here"),
        ("sleep 600 & sleep 600", "timeout", "had not ended after 1 s"),
        ("yes", "output", "said more than 1 MiB"),
        ("true", "verify_failed", "detection sees something else"),
    ],
)
def test_a_script_that_fails_asks_or_never_ends_is_ended_and_told(
    endpoint: Endpoint, text: str, code: str, says: str
) -> None:
    timeout_s = 1 if code == "timeout" else 60
    result = bring(endpoint, endpoint.publish(signed(package(install=script(text, timeout_s=timeout_s)))))
    assert (result.outcome, result.code, says in result.detail) == (Outcome.FAILED, code, True), result
    assert endpoint.has("payroll") == ""


def test_after_a_failure_nothing_more_is_begun_and_the_next_package_stays(endpoint: Endpoint) -> None:
    bad = endpoint.publish(signed(package("aaa", install=script("exit 1"))))
    good = endpoint.publish(signed(package("bbb")))
    result = bring(endpoint, bad, good)
    assert (result.outcome, endpoint.has("bbb")) == (Outcome.FAILED, "")


def test_held_quarantined_and_changed(endpoint: Endpoint) -> None:
    one, two = (endpoint.publish(signed(package(version=v))) for v in "12")
    bring(endpoint, one)
    answer = endpoint.provider.plan(ref(two), Bounds(without=(UpdateRef("payroll", two.version),)))
    assert isinstance(answer, Refused)
    assert answer.code == "quarantined"
    told = planned(endpoint, two, number=2)
    endpoint.hold("payroll")
    assert refusal(endpoint, two).code == "held"
    assert endpoint.provider.apply(told, [].append).code == "held"
    endpoint.hold("")
    (endpoint.root / "opt/payroll/VERSION").write_text("version=1.5\n")
    result = endpoint.provider.apply(told, [].append)
    assert (result.outcome, result.code, endpoint.has("payroll")) == (Outcome.REFUSED, "changed", "1.5")


CHILD = """
    import pathlib, sys
    from tests.ownpackages import Endpoint
    from brakeline.agent.providers.model import Order
    from brakeline.protocol.codec import decode
    endpoint = Endpoint(pathlib.Path(sys.argv[1]))
    endpoint.in_unit.apply(decode(Order, sys.stdin.buffer.read()), lambda line: print(line, flush=True))
"""


def killed(endpoint: Endpoint, told: Order) -> None:
    """The run is killed -9, with everything it started, while its script waits for ever."""
    from brakeline.protocol.codec import encode

    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(endpoint.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(encode(told))
        child.stdin.close()
        fifo = endpoint.root / "reached"
        with open(fifo, "rb") as f:  # opens when the script has come so far
            pids = [int(word) for word in f.read().split()]
        for pid in (child.pid, *pids):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("repeatable", [False, True])
def test_a_lost_run_is_examined_and_repeated_only_where_its_author_says_so(
    endpoint: Endpoint, repeatable: bool
) -> None:
    os.mkfifo(endpoint.root / "reached")
    waits = 'touch "$ROOT/again"; echo $$ $PPID > "$ROOT/reached"; while :; do sleep 9; done'
    hangs = f'test -e "$ROOT/again" || {{ {waits}; }}\n'
    plain = package(repeatable=repeatable)
    plain["install"] = script(hangs + plain["install"]["text"])
    told = planned(endpoint, endpoint.publish(signed(plain)))
    assert endpoint.provider.prepare(told.transaction) is None
    killed(endpoint, told)
    result = endpoint.in_unit.recover(told, [].append)
    assert result.outcome is Outcome.INTERRUPTED
    if repeatable:
        assert (result.code, endpoint.has("payroll")) == ("interrupted_repaired", "1"), result
    else:
        assert (result.code, endpoint.has("payroll")) == ("interrupted_broken", ""), result
        assert "in the middle of payroll: install; nothing is run a second time" in result.detail


@pytest.mark.parametrize(("place", "mode"), [("VERSION", 0o600), ("", 0o700)])
def test_what_only_root_may_read_is_not_seen_by_root_either(endpoint: Endpoint, place: str, mode: int) -> None:
    bring(endpoint, endpoint.publish(signed(package())))
    assert len(endpoint.provider.inventory()) == 1
    (endpoint.root / "opt/payroll" / place).chmod(mode)
    assert endpoint.provider.inventory() == endpoint.in_unit.inventory() == ()


def test_what_is_no_package_in_content_is_told_and_stops_no_other(endpoint: Endpoint) -> None:
    (endpoint.root / "content/software/odd.json").write_text(json.dumps({"format": 1, "package": "{}"}))
    assert bring(endpoint, endpoint.publish(signed(package()))).outcome is Outcome.INSTALLED
    (problem,) = endpoint.provider.health().problems
    assert problem.startswith("odd.json: ")


def test_a_lost_record_leaves_the_plain_version_and_a_dead_link_no_trouble(endpoint: Endpoint) -> None:
    bring(endpoint, endpoint.publish(signed(package())))
    for path in endpoint.runner.path(RECORDS).iterdir():
        path.write_text("{")
    assert [p.version for p in endpoint.provider.inventory()] == ["1"]


def test_disk_that_fills_up_in_mid_run_is_told_and_done_when_space_is_back(endpoint: Endpoint) -> None:
    require(os.geteuid() == 0, "root: a small file system is mounted")
    place = endpoint.root / "opt/payroll"
    bring(endpoint, endpoint.publish(signed(package())))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(place)], check=True)
    try:
        (place / "VERSION").write_text("version=1\n")
        plain = package(version="2")
        room = 'head -c 4000000 /dev/zero > "$ROOT/opt/payroll/data"'
        plain["install"] = script(f"set -e\n{room}\n{plain['install']['text']}")
        big = endpoint.publish(signed(plain))
        full = bring(endpoint, big, number=2)
        assert (full.outcome, full.code, full.changes) == (Outcome.FAILED, "maintainer_script_failed", ())
        assert "No space left on device" in full.detail
        assert endpoint.has("payroll") == "1"
        subprocess.run(["mount", "-o", "remount,size=32m", str(place)], check=True)
        assert bring(endpoint, big, number=3).outcome is Outcome.INSTALLED
        assert endpoint.has("payroll") == "2"
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_script_is_told_which_step_it_is_and_so_are_people(endpoint: Endpoint) -> None:
    plain = package(pre=script('test "$BRAKELINE_STEP" = pre'), post=script('test "$BRAKELINE_STEP" = install'))
    result = bring(endpoint, endpoint.publish(signed(plain)))
    assert (result.code, "Its post script ended with 1" in result.detail) == ("maintainer_script_failed", True), result
