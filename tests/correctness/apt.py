"""apt's rows of the table of correctness: updates, their planning and their application. Real Debian, real apt.

A body gets a fresh clone of a Debian root and a repository, provokes its situation and answers truth, ours, right.
`apt_more` has the lists, broken states, services and hostile input; `TRAITS` is what the rules for peers have to know.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from tests.aptrepo import Repository
from tests.correctness import apt_hostile, apt_more
from tests.correctness.apt_stage import MANAGER, Register, deb, has, outdated, register, said, state_of, truth
from tests.correctness.standin import Trait

from brakeline.agent.providers.model import Bounds, Inverse, Refused
from brakeline.protocol.messages import Outcome

__all__ = ["MANAGER", "QUICK", "SITUATIONS", "TRAITS"]

_OURS: Register = {}
situation = register(_OURS)
TIGHT = Bounds(disk_reserve_bytes=0)


@situation("plain update")
def plain(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    result = e.apply(e.plan(("p", "2")))
    return truth(e, "p"), said(result), has(e, "p", "2") and result.outcome is Outcome.INSTALLED


@situation("held by the owner")
def held(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    e.sh("apt-mark hold p")
    ours, refused = state_of(e), e.refusal(("p", "2"))
    return truth(e, "p"), f"{ours} {said(refused)}", ours.startswith("held") and refused.code == "held"


@situation("phased: offered to nobody yet")
def phased(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", phased=0))
    e.sh("printf '%s\\n' 11111111111111111111111111111111 > /etc/machine-id")
    told, ours = "phased 0%" in e.sh("apt-get -s upgrade; apt-cache policy p"), state_of(e)
    return f"apt says phased 0%: {told}", ours, told and ours.startswith("phased")


@situation("needs a package that is not installed")
def needs_new(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", depends="q"), deb("q", "1"))
    ours = state_of(e)
    result = e.apply(e.plan(("p", "2")))
    right = ours.startswith("needs_new") and result.outcome is Outcome.INSTALLED and has(e, "q", "1")
    return truth(e, "p", "q"), f"{ours} {said(result)}", right


@situation("new packages come along only where they may")
def new_packages(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", depends="q"), deb("q", "1"))
    refused = e.refusal(("p", "2"), bounds=Bounds(allow_new_packages=False))
    return truth(e, "p", "q"), said(refused), "q" in refused.reason and has(e, "q", "")


@situation("another package would have to go")
def removal(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", conflicts="q"), first=(deb("p", "1"), deb("q", "1")))
    ours, refused, allowed = state_of(e), e.refusal(("p", "2")), Bounds(allow_removals=True)
    result = e.apply(e.plan(("p", "2"), bounds=allowed), allowed)
    right = ours.startswith("needs_removal") and refused.code == "refused" and has(e, "p", "2") and has(e, "q", "")
    return truth(e, "p", "q"), f"{ours} {said(result)}", right and result.outcome is Outcome.INSTALLED


@situation("told to upgrade where that would remove another package")
def removal_run(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", conflicts="q"), first=(deb("p", "1"), deb("q", "1")))
    refused = e.refusal(("p", "2"))
    return truth(e, "p", "q"), said(refused), refused.code == "refused" and has(e, "p", "1") and has(e, "q", "1")


@situation("kept back: a dependency cannot be had")
def kept_back(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", depends="nowhere (>= 3)"))
    ours = state_of(e)
    return truth(e, "p"), ours, ours.startswith("kept_back") and "nowhere" in ours


@situation("told to upgrade where a dependency cannot be had")
def kept_back_run(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", depends="nowhere (>= 3)"))
    refused = e.refusal(("p", "2"))
    return truth(e, "p"), said(refused), "nowhere" in refused.reason and has(e, "p", "1")


@situation("a dependency is held")
def held_dependency(e: Any, r: Repository) -> tuple[str, str, bool]:
    first = (deb("p", "1"), deb("q", "1"))
    outdated(e, r, deb("p", "2", depends="q (>= 2)"), deb("q", "2"), first=first)
    e.sh("apt-mark hold q")
    refused = e.refusal(("p", "2"))
    return truth(e, "p", "q"), said(refused), "q" in refused.reason and has(e, "p", "1")


@situation("pinned to the old version by the owner")
def pinned(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    e.sh("printf 'Package: p\\nPin: version 1\\nPin-Priority: 1001\\n' > /etc/apt/preferences.d/p")
    candidate = [x.split()[1] for x in e.sh("apt-cache policy p").splitlines() if "Candidate:" in x]
    ours = state_of(e)
    return f"apt's candidate is {candidate}", ours, candidate == ["1"] and "available" not in ours


@situation("security is what the suite says: no CVE is named")
def security(e: Any, r: Repository) -> tuple[str, str, bool]:
    r.label, r.suite = "Debian-Security", "oldstable-security"
    outdated(e, r, deb("p", "2"))
    found = [(u.security, u.suite) for u in e.provider.available()]
    return "the suite is oldstable-security", found, found == [(True, "Debian-Security:1/oldstable-security")]


@situation("mixed origins: each update is told with its own")
def mixed_origins(e: Any, r: Repository) -> tuple[str, str, bool]:
    other = Repository(r.directory.parent / "other", "Vendor", "extra")
    try:
        first = (deb("p", "1"), deb("q", "1"))
        outdated(e, r, deb("p", "2"), first=first)
        other.publish(deb("q", "2"))
        e.use(r, other)
        found = {u.name: u.suite for u in e.provider.available()}
        inventory = {p.name: p.origin for p in e.provider.inventory() if p.name in ("p", "q")}
        right = found == {"p": "Test:1/stable", "q": "Vendor:1/extra"} and inventory["p"] == "Test"
        return "p 2 is in Test, q 2 in Vendor", f"{found}; {inventory}", right
    finally:
        other.stop()


@situation("the same version was published anew with one more dependency")
def moved_on(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    plan = e.plan(("p", "2"))
    r.withdraw("p", "2")
    r.publish(deb("p", "2", depends="q"), deb("q", "1"))
    e.sh("apt-get -q -eany update")
    result = e.apply(plan)
    right = (result.outcome, result.code) == (Outcome.REFUSED, "changed") and "q" in result.detail
    return truth(e, "p", "q"), said(result), right and has(e, "p", "1")


@situation("the version asked for was superseded")
def superseded(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    r.withdraw("p", "2")
    r.publish(deb("p", "3"))
    e.sh("apt-get -q -eany update")
    refused = e.refusal(("p", "2"))
    return truth(e, "p"), said(refused), "now have 3" in refused.reason and has(e, "p", "1")


@situation("the version asked for is in no list yet")
def not_yet(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r)
    refused = e.refusal(("p", "2"))
    return truth(e, "p"), said(refused), refused.code == "lists_stale" and has(e, "p", "1")


@situation("updated by hand between plan and order")
def done_already(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    plan = e.plan(("p", "2"))
    e.sh("apt-get -qy install p")
    result = e.apply(plan)
    return truth(e, "p"), said(result), result.code == "nothing_to_do" and has(e, "p", "2")


@situation("what apt hands to dpkg is not what was ordered")
def bent(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"), deb("rider", "1"))
    plan = e.plan(("p", "2"))
    wrapped(e, 'case "$*" in *--no-download*) exec /usr/bin/apt-get.distrib "$@" --download rider;; esac')
    result = e.apply(plan)
    right = (result.outcome, result.code) == (Outcome.REFUSED, "changed") and "rider" in result.detail
    return truth(e, "p", "rider"), said(result), right and has(e, "p", "1") and has(e, "rider", "")


def wrapped(e: Any, line: str) -> None:
    """apt-get is replaced by a wrapper, for every user of it."""
    e.sh("dpkg-divert --rename --add /usr/bin/apt-get >/dev/null")
    text = f'#!/bin/sh\n{line}\nexec /usr/bin/apt-get.distrib "$@"\n'
    e.machine.path("/usr/bin/apt-get").write_text(text)
    e.sh("chmod 755 /usr/bin/apt-get")


@situation("a run that ends with 0 and did nothing")
def did_nothing(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    plan = e.plan(("p", "2"))
    wrapped(e, 'case "$*" in *-s*|*--simulate*|*update*|*--download-only*) ;; *) exit 0;; esac')
    result = e.apply(plan)
    return truth(e, "p"), said(result), result.outcome is not Outcome.INSTALLED and has(e, "p", "1")


@situation("configuration file changed by the owner: kept")
def conffile_kept(e: Any, r: Repository) -> tuple[str, str, bool]:
    return _conffile(e, r, "keep", "local\n", ("/etc/p.conf",))


@situation("configuration file changed by the owner: replaced by policy")
def conffile_replaced(e: Any, r: Repository) -> tuple[str, str, bool]:
    return _conffile(e, r, "replace", "two\n", ())


def _conffile(e: Any, r: Repository, policy: str, content: str, kept: tuple[str, ...]) -> tuple[str, str, bool]:
    one, two = (deb("p", v, files={"/etc/p.conf": t}, conffiles=("/etc/p.conf",)) for v, t in
                (("1", "one\n"), ("2", "two\n")))  # fmt: skip
    outdated(e, r, two, first=(one,))
    e.sh("echo local > /etc/p.conf")
    bounds = Bounds(conffile_policy=policy)
    result = e.apply(e.plan(("p", "2"), bounds=bounds), bounds)
    there = e.sh("cat /etc/p.conf")
    right = (result.outcome, result.conffiles_kept, there) == (Outcome.INSTALLED, kept, content)
    return f"{truth(e, 'p')}; /etc/p.conf: {there.strip()}", f"{said(result)} Kept: {result.conffiles_kept}", right


@situation("marks of what was installed by hand stay as they were")
def marks(e: Any, r: Repository) -> tuple[str, str, bool]:
    first = (deb("p", "1", depends="q"), deb("q", "1"))
    outdated(e, r, deb("p", "2", depends="q (= 2)"), deb("q", "2"), first=first)
    e.sh("apt-mark auto q")
    result = e.apply(e.plan(("p", "2")))
    marked = e.sh("apt-mark showauto p q").split()
    return f"{truth(e, 'p', 'q')}; automatic: {marked}", said(result), marked == ["q"] and has(e, "q", "2")


@situation("downgrade, by the way back that was stored")
def way_back(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2", depends="q"), deb("q", "1"))
    went = e.apply(e.plan(("p", "2")))
    r.withdraw("p", "1")
    e.sh("apt-get -q -eany update; apt-get clean")
    inverse = e.provider.undo("ro_1", look=True)
    assert isinstance(inverse, Inverse), inverse
    bounds = Bounds(allow_downgrades=True, allow_removals=True)
    told = replace(_order(inverse, bounds), inverse=inverse)
    back = e.provider.apply(told, e.said.append)
    right = went.outcome is back.outcome is Outcome.INSTALLED and has(e, "p", "1") and has(e, "q", "")
    return truth(e, "p", "q"), said(back), right


def _order(inverse: Inverse, bounds: Bounds) -> Any:
    from tests.aptroot import order

    return order(inverse.transaction, bounds, 2)


@situation("the former version cannot be had any more: no way back")
def no_way_back(e: Any, r: Repository) -> tuple[str, str, bool]:
    outdated(e, r, deb("p", "2"))
    r.withdraw("p", "1")
    e.sh("apt-get -q -eany update; apt-get clean")
    result = e.apply(e.plan(("p", "2")))
    told = result.way_back.told if result.way_back else "nothing"
    undo = e.provider.undo("ro_1", look=True)
    right = told.startswith("no way back: p 1") and isinstance(undo, Refused) and has(e, "p", "2")
    return "p 1 is in no repository and in no cache", told, right


SITUATIONS: Final[Register] = {**_OURS, **apt_more.SITUATIONS, **apt_hostile.SITUATIONS}
TRAITS: Final = {
    "held": Trait(hidden=True),
    "phased": Trait(hidden=True),
    "pinned": Trait(hidden=True),
    "held_dependency": Trait(hidden=True),
    "kept_back": Trait(impossible=True),
    "kept_back_run": Trait(impossible=True),
    "removal_run": Trait(impossible=True),
    "new_packages": Trait(alone="only we are given a policy that allows no new packages"),
    "moved_on": Trait(alone="only we have an order from before"),
    "superseded": Trait(alone="only we are asked for one version"),
    "not_yet": Trait(alone="only we are asked for one version"),
    "done_already": Trait(alone="only we have an order from before"),
    "bent": Trait(alone="the wrapper bends our call alone"),
    "conffile_replaced": Trait(alone="only we are given a policy"),
    "way_back": Trait(alone="no peer stores a way back"),
    "no_way_back": Trait(alone="no peer says whether there is a way back"),
    **apt_more.TRAITS,
    **apt_hostile.TRAITS,
}
QUICK: Final = frozenset({"plain", "kept_back", "postinst_fails", "did_nothing", "no_network"})
