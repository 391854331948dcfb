"""Which faults are made of strace's log."""

from __future__ import annotations

from tools.crashtest import calls
from tools.crashtest.calls import KILL, Call, Fault

LOG = """\
41 execve("/usr/bin/python3", ["/usr/bin/python3", "-I"], 0x7ff) = 0
41 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
41 read(3</usr/lib/libc.so.6>, "\\177ELF", 832) = 832
41 openat(AT_FDCWD, "/root/report.json.new", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 4
41 write(4</root/report.json.new>, "{}", 2) = 2
42 write(5</proc/42/oom_score_adj>, "900", 3 <unfinished ...>
41 write(2<pipe:[7]>, "line", 4 <unfinished ...>
42 <... write resumed>) = 3
41 <... write resumed>) = 4
41 read(6<TCP:[127.0.0.1:5->127.0.0.1:6]>, "x", 5) = 1
41 execve("/usr/bin/sh", ["sh"], 0x7ff) = 0
41 getpid() = 41
"""


def test_calls_are_counted_as_strace_counts_them() -> None:
    found = [(c.name, c.n) for c in calls.recorded("launcher", LOG)]
    assert found == [("openat", 2), ("write", 1), ("write", 2), ("read", 2), ("execve", 1)]


def test_the_first_exec_is_strace_s_own() -> None:
    log = 'execve("/usr/bin/env", ["env"], 0) = 0\nexecve("/usr/bin/python3", ["python3"], 0) = 0\n'
    assert [(c.name, c.n) for c in calls.recorded("look", log)] == [("execve", 1)]


def test_every_call_is_killed_and_every_writer_refused() -> None:
    found = [Call("look", "write", 1), Call("look", "write", 2), Call("look", "connect", 1)]
    assert [f.call for f in calls.kills(found)] == found
    refused = calls.errors(found)
    assert {(f.call.n, f.how) for f in refused if not f.lasting} == {(n, e) for n in (1, 2) for e in calls.ERRORS}
    assert {f.call.n for f in refused if f.lasting} == {1}
    assert {f.call.name for f in refused} == {"write"}


def test_a_sample_has_the_first_the_middle_and_the_last() -> None:
    found = [Call("look", "write", n) for n in range(1, 10)]
    assert [f.call.n for f in calls.sample(calls.kills(found))] == [1, 5, 9]
    some = calls.sample(calls.errors(found))
    assert [f.call.n for f in some if not f.lasting] == [1, 5, 9]
    assert [f.call.n for f in some if f.lasting] == [1]


def test_what_strace_is_told() -> None:
    fault = Fault(Call("look", "fsync", 3), "EIO", lasting=True)
    assert fault.arguments == ("-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=3+")
    assert Fault(Call("look", "fsync", 3), KILL).arguments[-1] == "inject=fsync:signal=KILL:when=3"


def test_only_strace_says_that_a_fault_fired() -> None:
    assert calls.has_fired("+++ killed by SIGKILL +++")
    assert calls.has_fired("fsync(3) = -1 EIO (Input/output error) (INJECTED)")
    assert not calls.has_fired("fsync(3) = 0")
