"""What npm prints and resolves, read. Recorded from npm 11.19.1 on Debian 12 against a registry of the tests' own."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.agent.providers.model import Refused
from brakeline.agent.providers.npm.answers import (
    actions,
    key,
    labelled,
    lock,
    newer,
    older,
    origin,
    own_registries,
    why,
)
from brakeline.protocol.managers import belongs, slug
from brakeline.protocol.messages import ActionKind

ENGINE = """npm error code EBADENGINE
npm error engine Unsupported engine
npm error engine Not compatible with your version of node/npm: @sc/ope@2.0.0
npm error notsup Not compatible with your version of node/npm: @sc/ope@2.0.0
npm error notsup Required: {"node":">=99"}
npm error notsup Actual:   {"node":"v20.20.2","npm":"11.19.1"}
npm error A complete log of this run can be found in: /root/.npm/_logs/x-debug-0.log
"""
GONE = "npm error code ETARGET\nnpm error notarget No matching version found for app@9.\n"
REFUSED = (
    "npm error code ECONNREFUSED\nnpm error FetchError: request to http://127.0.0.1:9/app failed, reason: connect\n"
)
OLD_NPM = "npm ERR! code ETARGET\nnpm ERR! notarget No matching version found for app@9.\n"  # as npm 9 begins its lines
FULL = "npm warn tar TAR_ENTRY_ERROR ENOSPC: no space left on device, write\n\nchanged 2 packages in 2s\n"
UNREACHABLE = json.dumps({"error": {"code": "ECONNREFUSED", "summary": "FetchError: request failed", "detail": ""}})
OUTDATED = json.dumps({
    "app": {"current": "1.0.0", "wanted": "1.1.0", "latest": "1.1.0", "dependent": "global", "location": "/x"},
    "ahead": {"current": "2.0.0-beta.2", "wanted": "1.0.0", "latest": "1.0.0", "dependent": "global", "location": "/x"},
})  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [(ENGINE, "refused", '{"node":">=99"}'), (GONE, "lists_stale", "app@9"), (OLD_NPM, "lists_stale", "app@9"),
     (REFUSED, "network", "could not be reached"), (FULL, "no_space", "disk was full"),
     ("npm error code EINTEGRITY", "hash_mismatch", "checksum"),
     ("npm ERR! zlib: incorrect header check\n", "hash_mismatch", "damaged"),
     ("npm error code 7\nnpm error command failed\nnpm error command sh\n", "maintainer_script_failed", "script"),
     ("?", "npm_failed", "npm failed")],
)  # fmt: skip
def test_why(text: str, code: str, part: str) -> None:
    found = why(text)
    assert (found.code, part in found.reason, found.reason[-1]) == (code, True, "."), found


def test_what_is_newer_and_what_is_only_different() -> None:
    assert newer(OUTDATED, {"app": "1.0.0", "ahead": "2.0.0-beta.2"}) == (("app", "1.1.0"),)
    assert newer("{}\n", {"app": "1.0.0"}) == ()
    assert newer("", {"app": "1.0.0"}) == ()
    for text in (UNREACHABLE, "no json at all\n"):
        assert isinstance(newer(text, {"app": "1.0.0"}), Refused)


def lock_of(**packages: dict[str, object]) -> str:
    named = {f"node_modules/{path.replace('__', '/')}": entry for path, entry in packages.items()}
    return json.dumps({"lockfileVersion": 3, "packages": {"": {"dependencies": {"app": "1.0.0"}}, **named}})


def test_only_what_is_for_this_machine_is_in_a_tree() -> None:
    sha = {"integrity": "sha512-x"}
    text = lock_of(
        app={"version": "1.0.0", **sha},
        a={"version": "1.0.0", **sha, "optional": True, "os": ["win32"], "cpu": ["x64"]},
        b={"version": "1.0.0", **sha, "optional": True, "os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]},
        c={"version": "1.0.0", **sha, "optional": True, "os": ["linux"], "libc": ["musl"]},
        d={"version": "1.0.0", **sha, "optional": True, "os": ["!linux"]},
        e={"name": "real-name", "version": "2.0.0", **sha},
    )
    found = lock(text, "x86_64")
    assert not isinstance(found, Refused)
    assert [(p.name, p.version) for p in found] == [("app", "1.0.0"), ("b", "1.0.0"), ("real-name", "2.0.0")]


def test_a_tree_without_digests_could_be_anything() -> None:
    found = lock(lock_of(app={"version": "1.0.0", "integrity": ""}, git={"version": "1.0.0"}), "x86_64")
    assert isinstance(found, Refused)
    assert (found.code, "app, git" in found.reason) == ("hash_mismatch", True)
    assert isinstance(lock("{}", "x86_64"), Refused)


def test_every_version_of_one_name_has_a_label_of_its_own() -> None:
    tree = labelled("@a/b", "npm", [("@a/b", "1.0.0"), ("x", "10.0.0"), ("x", "9.0.0"), ("x", "9.0.0"), ("y", "1.0.0")])
    assert tree == {
        ("@a/b", "npm"): "1.0.0", ("x", "npm-in-a+b"): "9.0.0", ("x", "npm-in-a+b~2"): "10.0.0",
        ("y", "npm-in-a+b"): "1.0.0",
    }  # fmt: skip
    assert all(belongs("@a/b", "npm", named) for named in tree)
    assert not belongs("b", "npm", ("x", "npm-in-a+b"))
    assert slug("@a/b") != slug("a-b")


def test_only_what_the_public_registry_has_is_judged_by_its_advisories() -> None:
    plain = '; "global" config from /usr/etc/npmrc\n\naudit = false \n\n; "cli" config from command line options\n'
    scoped = f'{plain}@acme:registry = "http://127.0.0.1:1/" \n//127.0.0.1:1/:_authToken = (protected)\n'
    assert [own_registries(t) for t in (plain, scoped, f'{plain}registry = "http://x/"\n')] == [(), ("@acme",), ("",)]
    assert [origin(n, ["@acme"]) for n in ("@acme/tool", "typescript")] == ["registry of your own", "npm"]
    assert (origin("typescript", [""]), origin("typescript", None)) == (
        "registry of your own",
        "registry not known yet",
    )


def test_actions_between_trees() -> None:
    before = {("app", "npm"): "1.0.0", ("gone", "npm-in-app"): "1.0.0", ("same", "npm-in-app"): "1.0.0",
              ("down", "npm-in-app"): "2.0.0"}  # fmt: skip
    after = {("app", "npm"): "1.10.0", ("new", "npm-in-app"): "1.0.0", ("same", "npm-in-app"): "1.0.0",
             ("down", "npm-in-app"): "1.9.0"}  # fmt: skip
    kinds = {a.name: a.kind for a in actions(before, after)}
    assert kinds == {"app": ActionKind.UPGRADE, "gone": ActionKind.REMOVE, "new": ActionKind.INSTALL,
                     "down": ActionKind.DOWNGRADE}  # fmt: skip


def test_the_order_of_the_specification() -> None:
    """Semantic Versioning 2.0.0, section 11, and what has no version at all."""
    ordered = ["latest", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
               "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.9.0", "1.10.0", "2.0.0"]  # fmt: skip
    assert sorted(sorted(ordered), key=key) == ordered
    assert not older("1.0.0+a", "1.0.0+b")


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_two_texts_can_be_ordered(left: str, right: str) -> None:
    assert not (older(left, right) and older(right, left))
