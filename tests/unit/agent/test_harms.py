"""What the agent says was done to its machine: read from real layouts in a directory, and counted once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from brakeline.agent import losses, ports, refusals
from brakeline.agent.harms import ASK_EVERY_S, PORTS_EVERY_S, WATCHED_MS, HarmsProbe
from brakeline.agent.losses import Kept
from brakeline.agent.model import Durable, Instant, Link, Preparation, Self, State
from brakeline.protocol.messages import Candidate

# /proc/net/tcp as a Debian kernel prints it: sshd of root on 22, a system account's 443, people's 8000, an ephemeral
# listener of root, and a connection that is no listener.
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7111406 1 0 100 0 0 10 0
   1: 0100007F:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 7114683 1 0 100 0 0 10 0
   2: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 7114684 1 0 100 0 0 10 0
   3: 0100007F:B39F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7114685 1 0 100 0 0 10 0
   4: 0100007F:0050 0100007F:B6F9 01 00000000:00000000 00:00000000 00000000     0        0 7114686 1 0 100 0 0 10 0
   5: 00000000:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000 61500        0 7114687 1 0 100 0 0 10 0
"""
LONG_AGO_NS, NOW_NS = 10**18, 2 * 10**18


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A merged-/usr Debian in miniature: two packages, one of whose files was never there."""
    root = tmp_path / "root"
    for d in ("usr/bin", "usr/lib/x86_64-linux-gnu", "var/lib/dpkg/info", "proc/net", "etc/systemd/system"):
        (root / d).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    for name in ("usr/bin/curl", "usr/bin/ls", "usr/lib/x86_64-linux-gnu/libz.so.1"):
        (root / name).touch()
    packages = {"curl": ["/usr/bin/curl"], "coreutils": ["/.", "/bin", "/bin/ls", "/usr/bin/left-out"],
                "zlib1g:amd64": ["/usr/lib/x86_64-linux-gnu/libz.so.1", "/usr/share/doc/zlib1g/copyright"]}  # fmt: skip
    for name, files in packages.items():
        (root / f"var/lib/dpkg/info/{name}.list").write_text("\n".join([*files, ""]))
        os.utime(root / f"var/lib/dpkg/info/{name}.list", ns=(LONG_AGO_NS, LONG_AGO_NS))
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\nolga:x:1000:1000::/home:/bin/sh\n"
    )
    (root / "proc/net/tcp").write_text(TCP)
    return root


def look(root: Path, kept: Kept, at_ns: int = NOW_NS) -> tuple[losses.Losses, Kept]:
    return losses.look(root, kept, at_ns, lambda: 0.0)


def remove(root: Path, name: str) -> None:
    """As a scanner would, at a time that no other change of the directory has."""
    (root / name).unlink()
    parent = (root / name).parent
    stamp = parent.stat().st_mtime_ns + 1_000_000
    os.utime(parent, ns=(stamp, stamp))


# --- ports ----------------------------------------------------------------------------------------------------------


def test_ports_of_system_accounts_below_the_ephemeral_range_are_told(machine: Path) -> None:
    assert ports.listening(machine) == (22, 443, 5432)
    (machine / "proc/sys/net/ipv4").mkdir(parents=True)
    (machine / ports.RANGE).write_text("400\t60999\n")
    assert ports.listening(machine) == (22,)


def test_a_machine_that_shows_no_table_tells_no_ports(tmp_path: Path) -> None:
    assert ports.listening(tmp_path) is None


# --- losses ---------------------------------------------------------------------------------------------------------


def test_what_was_never_there_is_not_gone_and_what_goes_is_at_the_second_look(machine: Path) -> None:
    lost, kept = look(machine, Kept())
    assert (lost.files_gone, set(kept.missing)) == (0, {"usr/bin/left-out"})
    remove(machine, "usr/bin/curl")
    lost, kept = look(machine, kept)
    assert (lost.files_gone, set(kept.doubtful)) == (0, {"usr/bin/curl"})
    lost, kept = look(machine, kept)
    assert (lost.files_gone, kept.named) == (1, ("gone: /usr/bin/curl",))
    assert look(machine, kept)[0].files_gone == 1


def test_a_file_under_its_old_name_is_the_same_file(machine: Path) -> None:
    _, kept = look(machine, Kept())
    remove(machine, "usr/bin/ls")
    for _ in range(2):
        lost, kept = look(machine, kept)
    assert (lost.files_gone, kept.named) == (1, ("gone: /bin/ls",))


@pytest.mark.parametrize("how", ["removed", "changed", "back"])
def test_what_a_package_change_drops_is_its_own_business(machine: Path, how: str) -> None:
    _, kept = look(machine, Kept())
    remove(machine, "usr/bin/curl")
    record = machine / "var/lib/dpkg/info/curl.list"
    if how == "changed":
        os.utime(record, ns=(NOW_NS + 1, NOW_NS + 1))
    _, kept = look(machine, kept)
    if how == "removed":  # dpkg was in the middle of it
        record.unlink()
    if how == "back":
        (machine / "usr/bin/curl").touch()
    for _ in range(2):
        lost, kept = look(machine, kept)
    assert lost.files_gone == 0


def test_a_look_that_takes_too_long_tells_nothing_and_begins_anew(machine: Path) -> None:
    ticks = iter([0.0, *[9.0] * 99])
    lost, kept = losses.look(machine, Kept(gone=4), NOW_NS, lambda: next(ticks))
    assert (lost.files_gone, kept.looked_ns, kept.gone) == (None, 0, 4)
    assert look(machine, kept)[0].files_gone == 4


def test_masked_units_and_closed_accounts(machine: Path) -> None:
    lost, kept = look(machine, Kept())
    assert (lost.units_masked, lost.accounts_closed) == (0, 0)
    (machine / "etc/systemd/system/ssh.service").symlink_to("/dev/null")
    (machine / "etc/systemd/system/mine.service").symlink_to("/lib/systemd/system/mine.service")
    (machine / "etc/passwd").write_text("root:x:0:0:root:/root:/usr/sbin/nologin\nnew:x:1001:1001::/home:/bin/sh\n")
    lost, _ = look(machine, kept)
    assert (lost.units_masked, lost.accounts_closed) == (1, 2)


def test_a_system_without_these_files_cannot_tell(tmp_path: Path) -> None:
    assert look(tmp_path, Kept())[0] == losses.Losses(None, None, None)


# --- refusals -------------------------------------------------------------------------------------------------------

# One line of each kind as kernels and audit daemons write them.
REFUSED = (
    'audit: type=1400 audit(1717430600.947:2040): apparmor="DENIED" operation="open" class="file" '
    'profile="child-pager" name="/usr/share/file/misc/magic.mgc" pid=3053 comm="more" requested_mask="r" '
    'denied_mask="r" fsuid=1001 ouid=0',
    'type=AVC msg=audit(1713888061.568:5491): avc:  denied  { read } for  pid=434128 comm="awstats.pl" name="cgi-bin" '
    'dev="dm-0" ino=51656323 scontext=system_u:system_r:awstats_t:s0 tcontext=system_u:object_r:bin_t:s0 tclass=dir '
    "permissive=0",
    'audit: type=1400 audit(1381229700.998:14): avc:  denied  { read } for  pid=548 comm="systemd-hostnam" '
    'name="hostname" dev="vda1" ino=1397 scontext=system_u:system_r:a_t:s0 tcontext=system_u:object_r:b_t:s0 '
    "tclass=file",
    "type=FANOTIFY msg=audit(1600385147.372:590): resp=2 ctx_type=1 fan_ctx=17",
    "audit: type=1331 audit(1600385147.372:590): resp=2",
    'audit: type=1326 audit(1600385147.372:591): auid=1000 uid=1000 gid=1000 ses=3 pid=7 comm="chrome" '
    'exe="/opt/chrome" sig=31 arch=c000003e syscall=41 compat=0 ip=0x7f code=0x80000000',
)
NOT_REFUSED = (
    'type=AVC msg=audit(1717430600.947:2040): apparmor="ALLOWED" operation="open" class="file" profile="lspci" '
    'name="/run/modprobe.d/" pid=3053 comm="lspci" requested_mask="r" denied_mask="r" fsuid=1000 ouid=0',
    'audit: type=1400 audit(1625030195.320:3): apparmor="STATUS" operation="profile_load" profile="unconfined" '
    'name="lsb_release" pid=1909 comm="apparmor_parser"',
    'type=AVC msg=audit(1565686206.531:9952): avc:  denied  { read } for  pid=18463 comm="httpd" name="manifests" '
    'dev="vda1" ino=6804073 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:c_t:s0 tclass=dir '
    "permissive=1",
    "type=FANOTIFY msg=audit(1600385147.372:590): resp=1",
    "usb 1-1: device descriptor read/64, error -71",
)


@pytest.mark.parametrize("line", REFUSED)
def test_each_kind_of_refusal_is_one(line: str) -> None:
    assert refusals.DENIED.search(line)


@pytest.mark.parametrize("line", NOT_REFUSED)
def test_what_was_allowed_or_only_noted_is_none(line: str) -> None:
    assert not refusals.DENIED.search(line)


def count(tmp_path: Path, boot: str = "a") -> refusals.Refusals:
    state = tmp_path / "helper"
    state.mkdir(exist_ok=True)
    return refusals.count(state, tmp_path / "etc", boot, tmp_path / "root")


def test_the_audit_log_is_counted_from_the_first_look_on_each_line_once(tmp_path: Path) -> None:
    log = tmp_path / "root" / refusals.AUDIT
    assert count(tmp_path).refused is None  # neither log is there
    log.parent.mkdir(parents=True)
    log.write_text("\n".join([REFUSED[1], REFUSED[3], "type=AVC msg=audit(1:1): avc:  den"]))
    assert count(tmp_path).refused == 2
    with log.open("a") as f:
        f.write(f'ied  {{ read }} for  pid=1 comm="sh" permissive=0\n{NOT_REFUSED[0]}\n')
    found = count(tmp_path)
    assert (found.refused, found.named) == (3, ("refused: sh", "refused: awstats.pl"))
    assert count(tmp_path, "b").refused == 3
    log.unlink()
    log.write_text(REFUSED[1] + "\n")  # rotated
    assert count(tmp_path).refused == 4


def test_the_kernel_s_ring_is_read_whole_each_time_and_each_record_counts_once(tmp_path: Path) -> None:
    ring, into = os.pipe2(os.O_DIRECT | os.O_NONBLOCK | os.O_CLOEXEC)  # a record a read, then EAGAIN: as /dev/kmsg
    (tmp_path / "root/dev").mkdir(parents=True)
    (tmp_path / "root/dev/kmsg").symlink_to(f"/proc/self/fd/{ring}")
    try:
        lines = [f"4,{n},{n}000,-;{text}\n SUBSYSTEM=x\n".encode() for n, text in enumerate(REFUSED + NOT_REFUSED)]
        found = []
        for upto, boot in ((1, "a"), (5, "a"), (len(lines), "a"), (2, "b")):
            for line in lines[:upto]:
                os.write(into, line)
            found.append(count(tmp_path, boot).refused)
    finally:
        os.close(ring)
        os.close(into)
    assert found == [0, 4, 5, 7]  # the first look sees the past; after a restart of the machine numbers begin anew


def test_a_log_that_was_there_before_the_first_look_is_the_past(tmp_path: Path) -> None:
    log = tmp_path / "root" / refusals.AUDIT
    log.parent.mkdir(parents=True)
    log.write_text(REFUSED[1] + "\n")
    assert count(tmp_path).refused == 0
    assert count(tmp_path).refused == 0


def test_files_in_quarantine_are_counted_where_root_says(tmp_path: Path) -> None:
    assert count(tmp_path).quarantined is None
    (tmp_path / "etc").mkdir()
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked/one").touch()
    (tmp_path / "etc/quarantine.json").write_text(f'["{tmp_path}/locked"]')
    assert count(tmp_path).quarantined == 1
    (tmp_path / "etc/quarantine.json").write_text(f'["{tmp_path}/locked", "/nowhere"]')
    assert count(tmp_path).quarantined is None  # a part would look like a loss


# --- the probe ------------------------------------------------------------------------------------------------------

CANDIDATE = Candidate("ro_1", 1, ())
STATE = State(Self("ep_1", "00", "0.2", "boot", can_patch=True), Durable(), link=Link(ever=True))
WATCHED = replace(STATE, preparations=(Preparation(CANDIDATE),))


class Asked:
    """A helper that counts how often it was asked."""

    def __init__(self, answer: dict[str, Any] | None) -> None:
        self.answer, self.times = answer, 0

    def __call__(self) -> dict[str, Any] | None:
        self.times += 1
        return self.answer


def probe(machine: Path, ask: Asked) -> HarmsProbe:
    return HarmsProbe(machine.parent, ask, lambda: 0.0, machine)


def at(s: float, ms: int = 10**12) -> Instant:
    return Instant(s, ms + round(1000 * s))


def test_root_is_asked_only_while_a_rollout_names_this_endpoint_and_for_three_days(machine: Path) -> None:
    ask = Asked({"ok": True, "refused": 7, "quarantined": None, "named": ["refused: sh"]})
    p = probe(machine, ask)
    told = p.sample(STATE, at(0))
    assert told is not None
    assert (told.refused, told.files_gone, told.ports, ask.times) == (None, 0, (22, 443, 5432), 0)
    told = p.sample(WATCHED, at(1))
    assert told is not None
    assert (told.refused, told.quarantined, told.named, ask.times) == (7, None, ("refused: sh",), 1)
    p.sample(WATCHED, at(60))
    p.sample(STATE, at(ASK_EVERY_S + 2))  # installed: no candidate any more, and still compared
    assert ask.times == 2
    again = probe(machine, ask)  # the agent was restarted
    again.sample(STATE, at(2 * ASK_EVERY_S))
    assert ask.times == 3
    again.sample(STATE, at(WATCHED_MS / 1000 + 100))
    assert ask.times == 3


def test_being_heard_comes_before_looking(machine: Path) -> None:
    ask = Asked({})
    assert probe(machine, ask).sample(replace(WATCHED, link=Link()), at(0)) is None
    assert ask.times == 0


def test_a_helper_that_gives_no_answer_is_not_told_as_zero(machine: Path) -> None:
    told = probe(machine, Asked(None)).sample(WATCHED, at(0))
    assert told is not None
    assert (told.refused, told.quarantined) == (None, None)


def test_a_service_that_is_being_restarted_has_closed_no_port(machine: Path) -> None:
    p = probe(machine, Asked(None))
    p.sample(STATE, at(0))
    (machine / "proc/net/tcp").write_text(TCP.splitlines()[0])
    told = [p.sample(STATE, at(PORTS_EVERY_S * i)) for i in (1, 2)]
    assert [t.ports if t else None for t in told] == [(22, 443, 5432), ()]


def test_what_is_gone_is_remembered_over_a_restart_of_the_agent(machine: Path) -> None:
    probe(machine, Asked(None)).sample(STATE, Instant(0, NOW_NS // 10**6))
    remove(machine, "usr/bin/curl")
    for i in (1, 2):
        told = probe(machine, Asked(None)).sample(STATE, Instant(60 * i, NOW_NS // 10**6 + i))
    assert told is not None
    assert (told.files_gone, told.named) == (1, ("gone: /usr/bin/curl",))
