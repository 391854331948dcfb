"""What the root helper takes for a package, per manager: everything that is legal there, and no attack."""

from __future__ import annotations

import pytest

from brakeline.agent import naming, orders
from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.protocol import software_rules
from brakeline.protocol.messages import Action, ActionKind
from brakeline.protocol.software import LABEL

LEGAL = [
    ("apt", "libstdc++6", "amd64", "12.2.0-14+deb12u1"),
    ("apt", "linux-image-6.1.0-18-amd64", "amd64", "2:6.1.76-1~bpo11+1"),
    ("apt", "black", "pypi-black", "24.1.0"),
    ("dnf", "NetworkManager", "x86_64", "1:1.44.0-5.el9_3"),
    ("dnf", "perl-Params-Check", "noarch", "1:0.38-461.el9"),
    ("dnf", "java-1.8.0-openjdk", "x86_64", "1:1.8.0.402.b06-2.el9"),
    ("dnf", "libsigc++20", "aarch64", "2.10.8-4.fc40"),
    ("dnf", "rust-srpm-macros", "noarch", "25.2^20240101git1a2b3c-1.fc40"),
    ("dnf", "kernel", "x86_64", "6.9.0~rc1-3.fc40"),
    ("zypper", "libopenssl1_1", "x86_64", "1.1.1w-150600.5.3.1"),
    ("zypper", "kernel-default", "x86_64", "6.4.0-150600.23.7.3"),
    ("pacman", "lib32-gcc-libs", "x86_64", "13.2.1+r814+g7b9c3e2-1"),
    ("pacman", "gtk-sharp-2", "any", "2.12.45-1.1"),
    ("pacman", "r", "x86_64", "4.3.2-1"),
    ("pacman", "qt6-base@local", "x86_64", "1:6.6.1-3"),
    ("pacman", "openssl", "x86_64", "3.2.1-1"),
    ("dnf", "ruff", "pypi-ruff", "1!0.2.0+local.1"),
    ("windows", "acme-reader", "x86", "2.1.0"),
    ("windows", "7-zip-23.01-x64", "x64-user-0a1b2c3d", "0"),
    ("windows", "KB5034441", "wua", "ca3bb521-0000-4e26-a563-2ad6e3108b9a.200"),
    ("windows", "KB5034441.ca3bb521", "wua", "ca3bb521-0000-4e26-a563-2ad6e3108b9a.1"),
    ("windows", "Microsoft.VisualStudio.2022.Professional", "winget", "17.14.41"),
]


@pytest.mark.parametrize(("system", "name", "architecture", "version"), LEGAL)
def test_what_is_legal_there_is_taken(system: str, name: str, architecture: str, version: str) -> None:
    assert naming.illegal(system, name, architecture, [version]) == ""


ATTACKS = [
    "--root=/", "-e", "p;reboot", "p\nq", "p q", "p/../../x", "../p", "/etc/passwd", "p*", "p?", "p[0]", "p`id`",
    "$(id)",
    "p\x00", "p'", 'p"', "p%{lua:x}", "p{a}", "p|q", "p&q", "p>q", "p\\q", "", "p" * 129, "p\u00e9", "p\u202e", "~root",
]  # fmt: skip


@pytest.mark.parametrize("system", list(naming.SYSTEMS))
@pytest.mark.parametrize("bad", ATTACKS)
def test_no_attack_is_a_name_an_architecture_or_a_version(system: str, bad: str) -> None:
    version = "1.0" if system == "apt" else "1.0-1"
    label = {"apt": "all", "windows": "x64", "softwareupdate": "macos"}.get(system, "noarch")
    assert naming.illegal(system, "pp", label, [version]) == ""
    assert naming.illegal(system, bad, label, [version])
    assert naming.illegal(system, "pp", bad, [version])
    assert naming.illegal(system, "pp", label, [bad])
    assert naming.illegal(system, "pp", label, [version, f"{version}\n{bad}"])


@pytest.mark.parametrize("label", ["wua", "winget"])
@pytest.mark.parametrize("bad", ATTACKS)
def test_no_attack_is_an_update_of_windows_or_a_program_of_winget(label: str, bad: str) -> None:
    name, version = {"wua": ("KB1", "ca3bb521-0000-4e26-a563-2ad6e3108b9a.1"), "winget": ("A.b", "1.0")}[label]
    assert naming.illegal("windows", name, label, [version]) == ""
    assert naming.illegal("windows", bad, label, [version])
    assert naming.illegal("windows", name, label, [bad])


@pytest.mark.parametrize(
    ("system", "name", "architecture", "version"),
    [
        ("apt", "NetworkManager", "amd64", "1.0"),  # capitals are no Debian's
        ("apt", "p1", "x86_64", "1.0"),
        ("apt", "p1", "amd64", "1.0^1"),
        ("apt", "p_1", "amd64", "1.0"),
        ("dnf", "p@1", "x86_64", "1.0-1"),  # Arch's, not rpm's
        ("dnf", "p", "x86_64", "1.0"),  # no release
        ("dnf", "p", "x86_64", "1-2-3"),
        ("dnf", "p", "x86_64", "a:1-1"),
        ("dnf", "p..q", "x86_64", "1-1"),
        ("zypper", "p", "x86_64", "1!1-1"),
        ("pacman", "Capital", "x86_64", "1-1"),
        ("pacman", ".hidden", "x86_64", "1-1"),
        ("pacman", "p", "x86_64", "1-1.1.1"),
        ("pacman", "p", "x86_64", "1-a"),
        ("", "p1", "amd64", "1.0"),  # a system whose manager nobody knows
        ("yum", "p", "x86_64", "1-1"),
        ("dnf", "p", "npm-x", "1-1"),  # nobody here has npm's
        ("dnf", "p", "pypi-Black", "1.0"),
    ],
)
def test_what_is_legal_elsewhere_is_not_taken_here(system: str, name: str, architecture: str, version: str) -> None:
    assert naming.illegal(system, name, architecture, [version])


def test_an_order_is_judged_action_by_action_by_the_systems_manager() -> None:
    good = Action(ActionKind.UPGRADE, "NetworkManager", "x86_64", "1:1.44.0-4.el9", "1:1.44.0-5.el9_3")
    bad = Action(ActionKind.UPGRADE, "-rf", "x86_64", "1-1", "1-2")
    assert orders.unsafe(make_transaction([good]), "dnf") is None
    assert orders.unsafe(make_transaction([good]), "apt") is not None
    refused = orders.unsafe(make_transaction([good, bad]), "dnf")
    assert refused is not None
    assert refused.code == "refused"
    assert naming.illegal("dnf", "p", "x86_64", [])


def test_own_packages_are_called_as_their_form_says() -> None:
    """Written twice, because the resident agent does not load the form."""
    own = naming.BESIDE["own"]
    assert own.name.pattern == software_rules.NAME.pattern
    assert own.version.pattern.replace("(?:", "(") == software_rules.FULL_VERSION.pattern
    assert own.architecture.pattern == LABEL
