"""Attacks on a real launcher: over the network by whoever holds the cell or some of its keys, and from its own agent.

In each the last good release runs on, nothing that was not signed, granted and leased is installed, and the reason is
in the report that goes to the server. At the end the endpoint takes a genuine release: it was able to, all along.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support_launcher import GOOD, Endpoint, release_bytes
from tests.support_trust import Repository, text_of, without
from tuf.api.metadata import Metadata

from brakeline.trust.model import Documents
from brakeline.trust.times import instant

Forgery = Callable[[Documents], Documents]
ONLINE = ("snapshot", "timestamp", "conductor", "cell", "recall")


def attacks(repo: Repository, two: str, windows: str) -> dict[str, tuple[str, Forgery]]:
    """Name -> (code of the problem that is reported, "" = none is due; what the thief serves)."""
    withdrawn = repo.publish("1.5.0", release_bytes("1.5.0", GOOD, 2), 2)
    old, old_lease = repo.documents(), repo.lease(withdrawn)
    del repo.files["agent/1.5.0/any/bundle.tar"]
    repo.bump()
    repo.versions["targets"] += 1
    newer = repo.documents().targets
    repo.versions["targets"] -= 1
    evil = Repository(now_ms=repo.now_ms)
    evil.keys.update({name: repo.keys[name] for name in ONLINE})  # everything that a cell has
    evil.versions = {name: n + 5 for name, n in repo.versions.items()} | {"recall": repo.versions["recall"]}
    nine = evil.publish("9.9.9", release_bytes("9.9.9", GOOD, 9), 9)

    def leased(**fields: object) -> Forgery:
        return lambda genuine: replace(genuine, leases=(repo.lease(two, **fields),))  # type: ignore[arg-type]

    def aged(after_s: int, expires_s: int) -> Forgery:
        def forge(genuine: Documents) -> Documents:
            issued, expires = instant(repo.now_ms - after_s * 1000), instant(repo.now_ms + expires_s * 1000)
            grant = repo.grant(two, issued=issued, expires=expires)
            return replace(genuine, leases=(repo.lease(two, grant=grant, issued=issued, expires=expires),))

        return forge

    def expired(genuine: Documents) -> Documents:
        repo.lifetimes_d["timestamp"] = -1
        made = replace(repo.documents(), time=genuine.time, leases=(repo.lease(two),))
        repo.lifetimes_d["timestamp"] = 1
        return made

    def forward(genuine: Documents) -> Documents:
        timestamp = Metadata.from_bytes(genuine.timestamp.encode())
        timestamp.signed.version = 2**31
        return replace(genuine, timestamp=text_of(timestamp.signed, [repo.keys["timestamp"]]))

    def replayed_root(genuine: Documents) -> Documents:
        return replace(genuine, roots=(evil.roots[0].replace('"version":1', '"version":2'),))

    return {
        "arbitrary software": ("threshold", lambda _: replace(evil.documents(), leases=(evil.lease(nine),))),
        "unsigned, leased with stolen cell and conductor keys": (
            "unsigned", lambda genuine: replace(genuine, leases=(evil.lease(nine),))),
        "rollback": ("rollback", lambda genuine: replace(old, time=genuine.time, leases=(old_lease,))),
        "mix and match": ("mix_and_match", lambda genuine: replace(genuine, targets=newer)),
        "freeze": ("metadata_expired", expired),
        "fast-forward": ("version_jump", forward),
        "endless data": ("too_large", lambda genuine: replace(genuine, snapshot=genuine.snapshot + " " * 1_100_000)),
        "nothing but leases": ("", lambda genuine: without(genuine, "timestamp", "snapshot", "targets", "content")),
        "an own root": ("threshold", replayed_root),
        "wrong software": ("wrong_platform", lambda genuine: replace(genuine, leases=(repo.lease(windows),))),
        "lease beyond the grant": ("widened", leased(grant=repo.grant(two, draw_below=1))),
        "lease by the conductor": ("threshold", leased(key="conductor")),
        "replayed lease": ("expired", aged(700, -100)),
        "lease for later": ("ahead", aged(-700, 1_300)),
        "lease for a day": ("too_long", aged(0, 86_400)),
        "lease by the recall key": ("threshold", leased(key="recall")),
        "lease of another cell": ("other_cell", leased(cell="cell-2")),
        "lease for other endpoints": ("", leased(draw_below=0)),
        "lease for those who were there before": ("", leased(enrolled_before_ms=1)),
        "time of another question": ("stale", lambda g: replace(g, time=repo.time("ab" * 16), leases=())),
    }  # fmt: skip


def reported(host: Endpoint, code: str) -> bool:
    return any(p.partition(":")[0] == code for p in host.report().problems)


QUICK = ("unsigned, leased with stolen cell and conductor keys", "rollback", "lease beyond the grant")


@pytest.mark.parametrize("chosen", [QUICK, pytest.param((), marks=pytest.mark.long)], ids=["some", "all"])
def test_whatever_a_thief_serves_the_last_good_release_runs_on(host: Endpoint, chosen: tuple[str, ...]) -> None:
    host.knobs |= {"check_every_s": 0.2}
    repo = host.cell.repository
    baseline = host.prepare(release_bytes("1.0.0"))
    two = repo.publish("2.0.0", release_bytes("2.0.0", GOOD, 2), 2)
    windows = repo.publish(
        "2.1.0", release_bytes("2.1.0", GOOD, 3, platform="windows-x86_64"), 3, platform="windows-x86_64"
    )
    table = attacks(repo, two, windows)
    host.start()
    host.until_running(baseline)
    seen = ""
    for name in chosen or table:
        code, forge = table[name]
        assert not code or code != seen, f"{name}: the report before says the same"
        host.cell.forge, asked, seen = forge, len(host.cell.asked), code
        if code:
            host.until(lambda: reported(host, code), what=f"{code} reported for {name}")  # noqa: B023
        else:
            host.until(lambda: len(host.cell.asked) > asked + 2, what=f"looks during {name}")  # noqa: B023
        assert (host.report().running, host.report().trial) == (baseline, ""), name
        assert sorted(p.name for p in (host.root / "versions").iterdir()) == [baseline], name
    host.cell.forge = lambda genuine: replace(genuine, leases=(repo.lease(two),))
    host.until_confirmed(two)
    assert host.runs("9.9.9") == host.runs("2.1.0") == host.runs("1.5.0") == 0


@pytest.mark.long
def test_a_stolen_recall_key_stops_and_installs_nothing_and_the_offline_keys_undo_it(host: Endpoint) -> None:
    repo = host.cell.repository
    baseline = host.prepare(release_bytes("1.0.0"))
    host.start()
    host.until_running(baseline)
    repo.recalled.append(baseline)
    repo.versions["recall"] = 7
    host.until(lambda: host.report().running == "", what="nothing that may run")
    assert sorted(p.name for p in (host.root / "versions").iterdir()) == [baseline]
    repo.rotate("recall")  # the thief's key is worth nothing any more
    repo.recalled.clear()
    repo.versions["recall"] = 8
    repo.pardons.append({"release_id": baseline, "recall": 8})
    repo.bump()
    host.until_running(baseline)


@pytest.mark.long
@pytest.mark.parametrize("how", ["other bytes", "endless", "slow", "cut off", "not there"])
def test_a_bundle_that_is_not_what_was_signed(host: Endpoint, how: str) -> None:
    """By a mirror, by a peer, by a thief of the connection."""
    host.knobs |= {"check_s": 3}
    repo = host.cell.repository
    baseline = host.prepare(release_bytes("1.0.0"))
    two = repo.publish("2.0.0", release_bytes("2.0.0", GOOD, 2), 2)
    repo.offer(two)
    good = dict(repo.blobs)
    poisoned = good[repo.target(two).hashes["sha256"]][:-1] + b"x"

    def misbehave(request: object) -> bool:
        if "/target" not in request.path:  # type: ignore[attr-defined]
            return False
        request.send_response(404 if how == "not there" else 200)  # type: ignore[attr-defined]
        request.send_header("Content-Length", str(10**9 if how == "endless" else len(poisoned)))  # type: ignore[attr-defined]
        request.end_headers()  # type: ignore[attr-defined]
        write = request.wfile.write  # type: ignore[attr-defined]
        if how == "endless":
            for _ in range(2000):
                write(poisoned)
        elif how == "slow":
            for byte in poisoned:
                write(bytes([byte]))
                time.sleep(0.2)
        elif how != "not there":
            write(poisoned if how == "other bytes" else poisoned[:500])
        request.close_connection = True  # type: ignore[attr-defined]
        return True

    host.cell.misbehave = misbehave
    host.start()
    host.until_running(baseline)
    words = {"other bytes": ("hash",), "endless": ("hash",), "slow": ("check", "download")}.get(how, ("download",))
    host.until(lambda: any(reported(host, word) for word in words), what="the reason")
    assert (host.report().running, host.runs("2.0.0")) == (baseline, 0)
    host.cell.misbehave = lambda _: False
    host.until_confirmed(two)


# --- from the agent's side -------------------------------------------------------------------------------------------


def traps(host: Endpoint, sha256: str, length: int) -> dict[str, Callable[[], object]]:
    """What a hostile agent, or a peer that it has asked, can lay into its own directory."""
    follow, staging = host.home / "follow.json", host.home / "staging"
    bundle, trust = staging / f"{sha256}.tar", staging / "trust.json"
    order = json.dumps({"signatures": [], "signed": {"_type": "follow", "channel": "\ud800"}})
    forged = Repository().follow(self_update=False, pin="1.0.0-000000000000")
    return {
        "pipes": lambda: [os.mkfifo(path) for path in (follow, trust, bundle)],
        "endless devices": lambda: [path.symlink_to("/dev/zero") for path in (follow, trust, bundle)],
        "a file of root's": lambda: follow.symlink_to("/etc/shadow"),
        "an order nested without end": lambda: follow.write_text('{"signed":' + "[" * 200_000),
        "a channel that is no text": lambda: follow.write_text(order),
        "a channel that every server refuses": lambda: follow.write_text(order.replace("\\ud800", "a\\u0000")),
        "a forged order and a poisoned bundle": lambda: (follow.write_text(forged), bundle.write_bytes(b"x" * length)),
        "directories": lambda: [path.mkdir() for path in (follow, trust, bundle)],
    }


def test_nothing_that_its_own_agent_lays_out_keeps_it_from_looking(host: Endpoint) -> None:
    """A look that can be held up is a recall that does not arrive."""
    host.knobs |= {"check_every_s": 0.2, "check_s": 3}
    repo = host.cell.repository
    baseline = host.prepare(release_bytes("1.0.0"))
    two = repo.publish("2.0.0", release_bytes("2.0.0", GOOD, 2), 2)
    target = repo.target(two)
    (host.home / "staging").mkdir()
    host.start()
    host.until_running(baseline)
    for name, lay in traps(host, target.hashes["sha256"], target.length).items():
        lay()
        repo.bump()
        host.until(
            lambda: host.report().trust_versions[1] >= repo.versions["timestamp"], 10, f"a whole look with {name}"
        )
        assert "root:" not in "".join(host.report().problems), "words of a file that the agent may not read"
        assert host.report().running == baseline
        for path in (host.home / "follow.json", *(host.home / "staging").iterdir()):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
    traps(host, target.hashes["sha256"], target.length)["a forged order and a poisoned bundle"]()
    repo.offer(two)
    host.until_confirmed(two)
