"""Who may be patched, and what a deployment pins: each rule as a small story."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.protocol.messages import Mode, PendingUpdate, UpdateState
from brakeline.remediation.decide import effective, followers, self_update, why
from brakeline.remediation.model import Plan, Selection, SettingsPolicy, Situation
from brakeline.remediation.planner import default_title, newer, plan

OUT = {("openssl", "2"): "is quarantined by a halted rollout"}


def policy(name: str, mode: str, refresh: int | None = None) -> SettingsPolicy:
    return SettingsPolicy("po_" + name, name, "", Mode(mode), refresh, None, 0, "me")


def said(name: str, on: bool | None = None, pin: str = "") -> SettingsPolicy:
    return SettingsPolicy("po_" + name, name, "", None, None, None, 0, "me", on, pin)


@pytest.mark.parametrize(
    ("policies", "on", "pin", "why"),
    [
        ([], True, "", "takes the releases of its channel"),
        ([said("a", True), said("b")], True, "", "takes the releases of its channel"),
        ([said("a", True), said("b", False)], False, "", "the policy b says so"),
        ([said("a", pin="1-x"), said("b", pin="1-x")], True, "1-x", "stays at release 1-x, by the policy a"),
        ([said("a", pin="1-x"), said("b", pin="2-y")], False, "", "the policies a and b pin two releases"),
    ],
)
def test_self_update_is_on_unless_a_policy_says_otherwise(
    policies: list[SettingsPolicy], on: bool, pin: str, why: str
) -> None:
    found = self_update(policies, 7)
    assert (found.generation, found.on, found.pin) == (7, on, pin)
    assert why in found.why


def follows(name: str, channel: str) -> SettingsPolicy:
    return replace(said(name), channel=channel)


@pytest.mark.parametrize(
    ("policies", "channel", "why"),
    [
        ([], "stable", "because no policy says otherwise"),
        ([said("a", True)], "stable", "because no policy says otherwise"),
        ([follows("b", "early"), follows("a", "early")], "early", "by the policy a"),
        ([follows("b", "early"), follows("c", "stable")], "stable", "because the policy c says so"),
    ],
)
def test_an_endpoint_follows_early_if_a_policy_says_so_and_none_says_stable(
    policies: list[SettingsPolicy], channel: str, why: str
) -> None:
    found = self_update(policies, 7)
    assert (found.channel, found.on, found.generation) == (channel, True, 7)
    assert found.channel_why == f"follows {channel}, {why}"
    assert ("ep" in followers((p, frozenset({"ep"})) for p in policies)) == (channel == "early")


def test_self_update_that_is_off_says_its_channel_all_the_same() -> None:
    found = self_update([said("a", on=False), follows("b", "early")], 7)
    assert (found.on, found.channel) == (False, "early")


def test_a_policy_that_leaves_the_mode_to_others_lets_nothing_be_patched() -> None:
    assert effective([said("a", True)]).mode is Mode.ASSESS
    assert effective([said("a", True), policy("b", "patch")]).mode is Mode.PATCH


def test_without_a_policy_nothing_is_patched() -> None:
    assert effective(()).mode is Mode.ASSESS
    assert "no policy" in why(())


@pytest.mark.parametrize("order", list(itertools.permutations(("all", "databases", "web"))))
def test_the_most_careful_wins_in_any_order(order: tuple[str, ...]) -> None:
    made = {
        "all": policy("all", "patch", 7200),
        "databases": policy("databases", "assess"),
        "web": policy("web", "patch", 600),
    }
    policies = [made[name] for name in order]
    assert (effective(policies).mode, effective(policies).refresh_interval_s) == (Mode.ASSESS, 600)
    assert "databases" in why(policies)
    assert effective(p for p in policies if p.name != "databases").mode is Mode.PATCH


@given(st.lists(st.sampled_from(["assess", "patch"])))
def test_adding_a_careful_policy_never_allows_more(modes: list[str]) -> None:
    policies = [policy(str(i), mode) for i, mode in enumerate(modes)]
    assert effective([*policies, policy("careful", "assess")]).mode is Mode.ASSESS


def pending(
    name: str, candidate: str = "2", *, security: bool = True, state: str = "available", reason: str = ""
) -> PendingUpdate:
    return PendingUpdate(name, "amd64", "1", candidate, "suite", security, UpdateState(state), reason)


def situation(
    host: str,
    *updates: PendingUpdate,
    blocked: tuple[str, str] | None = None,
    release: str = "debian:12",
    wanted: str = "",
) -> Situation:
    return Situation("ep_" + host, host, "eu", release, updates, blocked, frozenset(filter(None, [wanted])))


def left_out(planned: Plan) -> dict[str, str]:
    return {s.hostname: s.code for s in planned.skipped}


def test_security_takes_what_the_suite_calls_security() -> None:
    endpoints = [
        situation("a", pending("curl"), pending("bash", security=False)),
        situation("b", pending("bash", security=False)),
    ]
    planned = plan(endpoints, Selection.SECURITY)
    assert [(u.name, u.version, u.endpoints) for u in planned.updates] == [("curl", "2", 1)]
    assert left_out(planned) == {"b": "nothing_pending"}
    everything = plan(endpoints, Selection.ALL)
    assert [(u.name, u.endpoints, u.security) for u in everything.updates] == [("bash", 2, False), ("curl", 1, True)]


def test_names_take_only_these() -> None:
    planned = plan([situation("a", pending("curl"), pending("bash"))], Selection.NAMES, frozenset({"bash"}))
    assert planned.targets[0].updates == {"bash": "2"}


def test_one_version_a_package_the_newest_on_offer() -> None:
    """1.10 is newer than 1.9, and who still offers 1.9 is named instead of getting another change."""
    endpoints = [situation("old", pending("curl", "1.9")), situation("new", pending("curl", "1.10"))]
    planned = plan(endpoints, Selection.SECURITY)
    assert [(t.hostname, t.updates) for t in planned.targets] == [("new", {"curl": "1.10"})]
    assert left_out(planned) == {"old": "other_version"}
    assert "offers 1.9, not 1.10" in planned.skipped[0].reason


def test_one_release_at_a_time() -> None:
    endpoints = [situation(h, pending("curl")) for h in "ab"] + [
        situation("c", pending("curl", "3"), release="debian:13")
    ]
    planned = plan(endpoints, Selection.SECURITY)
    assert (planned.release, [u.version for u in planned.updates], left_out(planned)) == (
        "debian:12",
        ["2"],
        {"c": "other_release"},
    )


def fedora(host: str, *updates: PendingUpdate) -> Situation:
    return replace(situation(host, *updates, release="fedora:40"), manager="dnf")


def test_across_distributions_each_endpoint_gets_its_own_ones_versions() -> None:
    endpoints = [
        situation("a", pending("curl", "8.5.0-2"), pending("dpkg", "2")),
        situation("b", pending("curl", "8.5.0-2")),
        fedora("c", pending("curl", "8.9.1-2.fc40"), pending("NetworkManager", "1:1.44-2.fc40")),
        fedora("d", pending("curl", "8.6.0-1.fc40")),
    ]
    planned = plan(endpoints, Selection.ALL, across=True)
    assert {t.hostname: t.updates for t in planned.targets} == {
        "a": {"curl": "8.5.0-2", "dpkg": "2"},
        "b": {"curl": "8.5.0-2"},
        "c": {"curl": "8.9.1-2.fc40", "NetworkManager": "1:1.44-2.fc40"},
    }
    assert [(u.name, u.version, u.endpoints) for u in planned.updates if u.name == "curl"] == [
        ("curl", "8.5.0-2", 2),
        ("curl", "8.9.1-2.fc40", 1),
    ]
    assert (planned.across, planned.release) == (True, "debian:12, fedora:40")
    assert left_out(planned) == {"d": "other_version"}  # one version a package and distribution, as ever
    assert not plan(endpoints[:2], Selection.ALL, across=True).across


APP = "org.example.App:flatpak-x86_64-stable"


@pytest.mark.parametrize(
    ("manager", "name", "newer", "older"),
    [
        ("apt", "p", "1.0", "1.0~rc1"),
        ("dnf", "p", "1.0^git1-1", "1.0-1"),  # after it, as rpm has it; Debian knows no ^
        ("zypper", "p", "1:1.0-1", "2.0-1"),
        ("dnf", "p", "1.0-1", "1.0~rc1-1"),
        ("pacman", "p", "1.0-2", "1.0-1"),
        ("apt", "black:pypi-black", "1.0", "1.0rc1"),  # PEP 440, on an endpoint of apt
        ("apt", "app:npm", "1.0.0", "1.0.0-rc.1"),  # Debian has it the other way round
        ("apt", "@scope/app:npm-usr", "1.0.0-rc.10", "1.0.0-rc.9"),
        ("dnf", "app:npm", "1.10.0", "1.9.0"),
        ("apt", APP, f"20261126193227.{'0' * 32}", f"20261126193226.{'9' * 32}"),
        ("pacman", APP, f"20261126193227.{'0' * 32}", f"20261126193226.{'f' * 32}"),
        ("dnf", APP, f"20261126193227.{'a' * 32}", f"20261126193227.{'9' * 32}"),  # rpm has it the other way round
    ],
)
def test_versions_are_compared_as_their_own_manager_does(manager: str, name: str, newer: str, older: str) -> None:
    for order in ((newer, older), (older, newer)):
        endpoints = [replace(situation(v, pending(name, v)), manager=manager) for v in order]
        assert [u.version for u in plan(endpoints, Selection.ALL).updates] == [newer]


def test_what_nobody_understands_is_never_the_newest() -> None:
    for order in (("1.0-1", "a b"), ("a b", "1.0-1")):
        endpoints = [replace(situation(v, pending("p", v)), manager="dnf") for v in order]
        assert [u.version for u in plan(endpoints, Selection.ALL).updates] == ["1.0-1"]


@pytest.mark.parametrize("state", ["held", "kept_back", "phased", "needs_removal"])
def test_what_would_not_be_installed_is_left_out_with_its_reason(state: str) -> None:
    mixed = situation("a", pending("curl", state=state, reason="because"), pending("bash"))
    only = situation("b", pending("curl", state=state, reason="because"))
    planned = plan([mixed, only], Selection.SECURITY)
    assert planned.targets[0].updates == {"bash": "2"}
    assert planned.targets[0].left_out == ("curl: because",)
    assert (left_out(planned), planned.skipped[0].reason) == ({"b": "blocked"}, "curl: because")


def test_new_packages_are_installable() -> None:
    assert plan([situation("a", pending("linux-image-amd64", state="needs_new_packages"))], Selection.ALL).updates


def test_blocked_endpoints_are_named_and_pin_nothing() -> None:
    endpoints = [
        situation("a", pending("curl", "9"), blocked=("assess_only", "no policy")),
        situation("b", pending("curl", "2")),
    ]
    planned = plan(endpoints, Selection.SECURITY)
    assert [(u.version, u.endpoints) for u in planned.updates] == [("2", 1)]
    assert left_out(planned) == {"a": "assess_only"}


def test_a_cve_takes_what_closes_it_there() -> None:
    endpoints = [
        situation("a", pending("libcurl4"), pending("bash"), wanted="libcurl4"),
        situation("b", pending("bash")),
    ]
    planned = plan(endpoints, Selection.CVE)
    assert [(t.hostname, t.updates) for t in planned.targets] == [("a", {"libcurl4": "2"})]


def test_the_digest_is_of_pins_and_endpoints() -> None:
    one = plan([situation("a", pending("curl"))], Selection.SECURITY).digest
    assert one == plan([situation("a", pending("curl"), pending("bash", security=False))], Selection.SECURITY).digest
    assert one != plan([situation("a", pending("curl", "3"))], Selection.SECURITY).digest
    assert one != plan([situation("b", pending("curl"))], Selection.SECURITY).digest


hosts = st.lists(
    st.builds(
        lambda names, version, state, blocked: situation(
            "x",
            *[pending(n, version, state=state) for n in sorted(names)],
            blocked=("unhealthy", "x") if blocked else None,
        ),
        st.sets(st.sampled_from(["a", "b", "c"])), st.sampled_from(["1.9", "1.10", "2"]),
        st.sampled_from(["available", "held"]), st.booleans(),
    ),
    max_size=8,
)  # fmt: skip


@given(hosts)
def test_everybody_is_either_in_or_named_and_gets_only_pins(drawn: list[Situation]) -> None:
    import dataclasses

    endpoints = [dataclasses.replace(s, endpoint_id=f"ep_{i}") for i, s in enumerate(drawn)]
    planned = plan(endpoints, Selection.ALL)
    named = [t.endpoint_id for t in planned.targets] + [s.endpoint_id for s in planned.skipped]
    assert sorted(named) == sorted(s.endpoint_id for s in endpoints)
    assert all(s.reason for s in planned.skipped)
    pins = {u.name: u.version for u in planned.updates}
    assert all(t.updates.items() <= pins.items() for t in planned.targets)


def test_a_title_drops_no_name_without_a_sign() -> None:
    names = ("jq", "unzip", "libssh2-1", "curl")
    assert default_title(Selection.NAMES, names, 6) == "jq, unzip, libssh2-1 and 1 more on 6 endpoints"
    assert default_title(Selection.NAMES, names[:3], 1) == "jq, unzip, libssh2-1 on 1 endpoint"
    assert default_title(Selection.SECURITY, (), 6) == "Security updates on 6 endpoints"
    assert default_title(Selection.NAMES, ("x" * 300,) * 9, 200_000).endswith(" and 6 more on 200000 endpoints")
    assert len(default_title(Selection.NAMES, ("x" * 300,) * 500, 10_000_000)) <= 120


def test_a_quarantined_version_is_pinned_by_no_deployment_and_says_why() -> None:
    situations = [
        situation("a", pending("openssl", "2"), pending("curl", "2")),
        situation("b", pending("openssl", "2")),
    ]
    found = plan(situations, Selection.ALL, quarantined=OUT)
    assert [(u.name, u.version) for u in found.updates] == [("curl", "2")]
    (target,) = found.targets
    assert target.left_out == ("openssl: 2 is quarantined by a halted rollout",)
    (skipped,) = found.skipped
    assert (skipped.hostname, skipped.code) == ("b", "blocked")
    assert "2 is quarantined by a halted rollout" in skipped.reason
    said = plan(situations, Selection.ALL, quarantined={("openssl", "2"): "was declined by Ann: breaks the till"})
    assert any("2 was declined by Ann: breaks the till" in s.reason for s in said.skipped)
    newer = plan([situation("b", pending("openssl", "3"))], Selection.ALL, quarantined=OUT)
    assert [(u.name, u.version) for u in newer.updates] == [("openssl", "3")], "a fixed version goes on"


def test_one_package_manager_at_a_time_the_system_s_first() -> None:
    tool = "tool:pypi-tool"
    both = [situation("a", pending("openssl", "2"), pending(tool, "1.1")), situation("b", pending(tool, "1.1"))]
    planned = plan(both, Selection.ALL)
    assert [u.name for u in planned.updates] == ["openssl"]
    assert planned.targets[0].left_out == (
        f"{tool}: is another package manager's: make a deployment of its own for it",
    )
    assert "deployment of its own" in planned.skipped[0].reason
    alone = plan(both, Selection.NAMES, frozenset([tool]))
    assert ([u.name for u in alone.updates], len(alone.targets)) == ([tool], 2)


@pytest.mark.parametrize("revision", ["²", "x1", "", "9" * 5000])
def test_a_revision_that_is_no_number_is_never_the_newest_and_stops_nothing(revision: str) -> None:
    """Inventories say what they like: what nobody can compare must not end the plan for everybody else."""
    assert not newer("apt", "jq:snap", f"1.7+{revision}", "1.6+1")
    assert newer("apt", "jq:snap", "1.6+1", f"1.7+{revision}")
    assert newer("apt", "jq:snap", "1.7+12", "1.7+2")
