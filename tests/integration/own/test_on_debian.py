"""An own package on a real Debian root, with the endpoint's own Python: found beside apt, prepared, run, taken back.

The programs are the agent's own (`wiring`, `transaction`), as they are put together on an endpoint; only the socket
between agent and helper is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.aptroot import Clone, clone
from tests.ownpackages import ANN, artifact, package, script, signed

from brakeline.agent.transaction import read_result
from brakeline.protocol.messages import Outcome, TransactionResult
from brakeline.protocol.software import PAYLOADS, Document, write
from brakeline.trust import ed25519

STATE, CONTENT = "/var/lib/brakeline-helper", "/srv/content"
HEAD = """
import json, sys, dataclasses
from pathlib import Path
from brakeline.agent import wiring, transaction
from brakeline.agent.providers.model import Bounds, Order
from brakeline.protocol.messages import UpdateRef
provider = wiring.provider()
"""
PLAN = (
    HEAD
    + """
done = provider.plan((UpdateRef(sys.argv[1], sys.argv[2]),), Bounds())
if hasattr(done, "code"):
    print(json.dumps([done.code, done.reason])); sys.exit()
refused = wiring.prepare(done.transaction, Path("/var/lib/brakeline-helper"))
assert refused is None, refused
number = sys.argv[3]
order = Order(f"tx_{number}", f"of_{number}", f"ro_{number}", 1, done.transaction)
transaction.write_order(Path("/var/lib/brakeline-helper"), order)
print(json.dumps([]))
"""
)
UNDO = (
    HEAD
    + """
found = provider.undo(sys.argv[1], look=True)
number, bounds = sys.argv[2], Bounds(allow_downgrades=True, allow_removals=True)
order = Order(f"tx_{number}", f"of_{number}", f"ro_{number}", 1, found.transaction, bounds, inverse=found)
transaction.write_order(Path("/var/lib/brakeline-helper"), order)
"""
)
LOOK = (
    HEAD
    + """
packages, updates = provider.survey()
own = [[p.name, p.version, p.state] for p in packages if p.architecture == "own"]
print(json.dumps([len(packages) > 50, own, [[u.name, u.candidate] for u in updates if ":own" in u.name]]))
"""
)
RUN = "from brakeline.agent.transaction import main; import sys; sys.exit(main([sys.argv[1]]))"


@pytest.fixture
def endpoint() -> Iterator[Clone]:
    with clone() as made:
        for directory in ("/etc/brakeline", f"{CONTENT}/software", f"{CONTENT}/payloads", f"{STATE}/tx"):
            made.machine.path(directory).mkdir(parents=True, exist_ok=True)
        made.machine.path(f"{CONTENT}/rules.json").write_text('{"format": 1}')
        yield made


def python(endpoint: Clone, program: str, *arguments: str, content: bool = True) -> str:
    given = (f"BRAKELINE_CONTENT={CONTENT}",) if content else ()
    words = ("env", "PYTHONPATH=/srv/source", "PYTHONDONTWRITEBYTECODE=1", *given, "/usr/bin/python3", "-c", program)
    ran = endpoint.machine.query(*words, *arguments, timeout_s=120)
    assert ran.rc == 0, ran.text
    return ran.text


def publish(endpoint: Clone, document: Document, payload: bytes) -> Document:
    endpoint.machine.path(f"{CONTENT}/{document.file}").write_bytes(write(document))
    artifact = document.software.artifact
    assert artifact is not None
    endpoint.machine.path(f"{CONTENT}/{PAYLOADS}{artifact.sha256}").write_bytes(payload)
    return document


def ordered(endpoint: Clone, number: int) -> TransactionResult:
    """In a unit of its own: without content."""
    assert python(endpoint, RUN, f"tx_{number}", content=False) == ""
    found = read_result(endpoint.machine.path(STATE), f"tx_{number}")
    assert found is not None
    return found


def version(number: str, data: bytes) -> dict[str, Any]:
    return package(
        version=number, artifact=artifact(data),
        detection={"kind": "file", "path": "/opt/payroll/VERSION", "pattern": "version=([0-9.]+)"},
        install=script('mkdir -p /opt/payroll; cp "$BRAKELINE_ARTIFACT" /opt/payroll/VERSION; id -u'),
        uninstall=script("rm -r /opt/payroll"),
    )  # fmt: skip


def test_beside_apt_from_content_to_the_way_back(endpoint: Clone) -> None:
    one = publish(endpoint, signed(version("1", b"version=1\n")), b"version=1\n")
    refused = json.loads(python(endpoint, PLAN, "payroll:own", one.version, "1"))
    assert refused[0] == "not_allowed"  # root has named no author yet
    authors = {"authors": {"ann": ed25519.public_key(ANN).hex()}, "needed": 1}
    endpoint.machine.path("/etc/brakeline/authors.json").write_text(json.dumps(authors))
    assert json.loads(python(endpoint, PLAN, "payroll:own", one.version, "1")) == []
    done = ordered(endpoint, 1)
    assert (done.outcome, done.code) == (Outcome.INSTALLED, "ok"), done
    two = publish(endpoint, signed(version("2", b"version=2\n")), b"version=2\n")
    with_apt, own, updates = json.loads(python(endpoint, LOOK))
    assert (with_apt, own, updates) == (True, [["payroll", one.version, "ii"]], [["payroll:own", two.version]])
    assert json.loads(python(endpoint, PLAN, "payroll:own", two.version, "2")) == []
    assert ordered(endpoint, 2).outcome is Outcome.INSTALLED
    endpoint.sh(f"rm -r {CONTENT}; grep -q version=2 /opt/payroll/VERSION")  # that content is no longer there
    python(endpoint, UNDO, "ro_2", "3", content=False)
    back = ordered(endpoint, 3)
    assert (back.outcome, [(c.before, c.after) for c in back.changes]) == (
        Outcome.INSTALLED, [(two.version, one.version)],
    )  # fmt: skip
    assert endpoint.sh("cat /opt/payroll/VERSION") == "version=1\n"
