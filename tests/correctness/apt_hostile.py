"""apt's rows, third part: what means harm, or is plainly bad. Bounded, explained, and nothing changed by accident."""

from __future__ import annotations

from typing import Any, Final

from tests.aptrepo import Repository
from tests.correctness.apt_stage import Register, deb, has, outdated, register, said, state_of, truth
from tests.correctness.standin import Trait

from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.protocol.messages import Outcome, UpdateRef

SITUATIONS: Register = {}
situation = register(SITUATIONS)
NAMES = ("p; touch /pwned", "-o=Dpkg::Pre-Invoke::=touch /pwned", "../../etc/passwd", "p\n/pwned", "$(touch /pwned)",
         "p\x1b[2J", "x" * 100_000, "")  # fmt: skip
NOISE_MB = 40


@situation("hostile package names in what we are asked to do")
def hostile_names(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    answers = [e.provider.plan((UpdateRef(n, "2"),), Bounds()) for n in NAMES]
    codes = sorted({a.code if isinstance(a, Refused) else "planned" for a in answers})
    pwned = e.machine.path("/pwned").exists()
    empty = not any(isinstance(a, Planned) and a.transaction.actions for a in answers)
    return f"/pwned: {pwned}; {truth(e, 'p')}", f"{codes}", empty and not pwned and has(e, "p", "1")


@situation("hostile version in what we are asked to do")
def hostile_versions(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    versions = ("2; touch /pwned", "2 -o Dpkg::Pre-Invoke::=x", "$(touch /pwned)", "", "9" * 50_000, "2\x00")
    answers = [e.provider.plan((UpdateRef("p", v),), Bounds()) for v in versions]
    codes = sorted({a.code if isinstance(a, Refused) else "planned" for a in answers})
    pwned = e.machine.path("/pwned").exists()
    return f"/pwned: {pwned}; {truth(e, 'p')}", f"{codes}", "planned" not in codes and not pwned and has(e, "p", "1")


@situation("a description full of control characters, markup and a megabyte of text")
def hostile_description(e: Any, r: Repository) -> tuple[str, str, bool]:
    text = "\x1b[2J<script>alert(1)</script> Inst evil [1] (2 x)" + "y" * 1_000_000
    outdated(e, r, deb("p", "2", fields={"Description": text}))
    ours = state_of(e)
    result = e.apply(e.plan(("p", "2")))
    return truth(e, "p"), f"{ours} {said(result)}", result.outcome is Outcome.INSTALLED and has(e, "p", "2")


@situation("a script prints megabytes, control characters and apt's own words")
def hostile_output(e: Any, r: Repository) -> tuple[str, str, bool]:
    lie = "printf '\\033[2J\\000E: Unable to lock\\nSetting up q (9) ...\\nInst q (9)\\n'"
    noise = f"head -c {NOISE_MB}000000 /dev/zero | tr '\\0' '\\377'; {lie}"
    outdated(e, r, deb("p", "2", scripts={"postinst": noise}))
    result = e.apply(e.plan(("p", "2")))
    right = result.outcome is Outcome.INSTALLED and len(result.log_tail) < 1_000_000 and has(e, "p", "2")
    return truth(e, "p"), f"{said(result)} {len(result.log_tail)} characters of log", right


@situation("a script never ends, and what it starts leaves the session")
def hangs(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", scripts={"postinst": "(setsid sleep 4242 &) ; sleep 4243"}))
    result = e.apply(e.plan(("p", "2")), Bounds(run_s_max=4))
    left = "sleep 424" in e.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    right = (result.outcome, result.code, left) == (Outcome.FAILED, "timeout", False)
    return f"p: {e.version('p')}; left running: {left}", said(result), right


@situation("a package asks a question")
def asks(e: Any, r: Repository) -> tuple[str, str, bool]:
    ask = 'if read answer; then echo "$answer" > /answered; else touch /unanswered; fi'
    outdated(e, r, deb("p", "2", scripts={"postinst": ask}))
    result = e.apply(e.plan(("p", "2")), Bounds(run_s_max=60))
    asked = e.machine.path("/unanswered").exists() and not e.machine.path("/answered").exists()
    return f"{truth(e, 'p')}; it got no answer: {asked}", said(result), asked and result.outcome is Outcome.INSTALLED


@situation("the repository is a mix of two states: the index names a package that is another")
def mixed_package(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    plan = e.plan(("p", "2"))
    index = (r.directory / "Packages").read_text(), (r.directory / "Release").read_text()
    r.withdraw("p", "2")
    r.publish(deb("p", "2", files={"/usr/share/p/more": "another build"}))
    (r.directory / "Packages").write_text(index[0])
    (r.directory / "Release").write_text(index[1])
    result = e.apply(plan)
    return truth(e, "p"), said(result), result.outcome is Outcome.REFUSED and has(e, "p", "1")


@situation("the repository is a mix of two states: the index names what is gone")
def mixed_gone(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"), deb("q", "2"), first=(deb("p", "1"), deb("q", "1")))
    plan = e.plan(("p", "2"), ("q", "2"))
    there = next(r.directory.glob("q_2_*.deb"))
    there.rename(there.with_suffix(".away"))
    result = e.apply(plan)
    right = result.outcome is Outcome.REFUSED and has(e, "p", "1") and has(e, "q", "1")
    return truth(e, "p", "q"), said(result), right


@situation("apt-get was replaced by a wrapper that says yes to everything")
def wrapper_says_yes(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    plan = e.plan(("p", "2"))
    e.sh("dpkg-divert --rename --add /usr/bin/apt-get >/dev/null; printf '#!/bin/sh\\nexit 0\\n' > /usr/bin/apt-get")
    e.sh("chmod 755 /usr/bin/apt-get")
    result = e.apply(plan)
    return truth(e, "p"), said(result), result.outcome is not Outcome.INSTALLED and has(e, "p", "1")


@situation("apt-get is gone")
def no_apt(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    plan = e.plan(("p", "2"))
    e.sh("rm /usr/bin/apt-get")
    result = e.apply(plan)
    return truth(e, "p"), said(result), result.outcome is not Outcome.INSTALLED and has(e, "p", "1")


@situation("a script changes another package's file behind dpkg's back")
def behind_the_back(e: Any, r: Repository) -> tuple[str, str, bool]:
    """Versions and states are as ordered: dpkg does not know, and nobody who asks dpkg does."""
    first = (deb("p", "1"), deb("q", "1"))
    outdated(e, r, deb("p", "2", scripts={"postinst": "echo spoiled > /usr/share/q/version"}), first=first)
    result = e.apply(e.plan(("p", "2")))
    verify = e.sh("dpkg --verify q || true").strip()
    return f"dpkg --verify q: {verify or 'nothing'}", said(result), result.outcome is Outcome.INSTALLED


TRAITS: Final = {
    "hostile_names": Trait(alone="only we are given names by somebody else"),
    "hostile_versions": Trait(alone="only we are given versions by somebody else"),
    "hangs": Trait(alone="no peer bounds a script's time: it would wait for ever"),
    "no_apt": Trait(alone="a peer on apt's library does not need it"),
    "behind_the_back": Trait(alone="nobody who asks dpkg for states can see it, and we do not claim to"),
}
