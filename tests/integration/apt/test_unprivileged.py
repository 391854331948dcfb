"""Reading needs no privilege: the agent's own user sees the same as root, and who holds a lock."""

from __future__ import annotations

import json

from tests.aptrepo import Built, Repository
from tests.aptroot import Clone
from tests.integration.apt.steps import prepare
from tests.integration.apt.test_faults import lock_held

LOOK = """
import json
from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt import AptProvider
from brakeline.agent.providers.model import Bounds
from brakeline.protocol.codec import to_plain
from brakeline.protocol.messages import UpdateRef
p = AptProvider(SystemClock())
print(json.dumps(to_plain([p.inventory(), p.available(), p.health(), p.plan((UpdateRef("p", "2"),), Bounds())])))
"""


def look(endpoint: Clone, user: str) -> list[object]:
    endpoint.machine.path("/tmp/look.py").write_text(LOOK)
    become = f"setpriv --reuid={user} --clear-groups --no-new-privs"
    text = endpoint.sh(f"env PYTHONPATH=/srv/source {become} /usr/bin/python3 /tmp/look.py")
    found: list[object] = json.loads(text)
    return found


def test_the_agents_user_sees_what_root_sees(endpoint: Clone, repository: Repository) -> None:
    newer = (Built("p", "2", depends="fresh"), Built("fresh", "1"), Built("q", "2"))
    prepare(endpoint, repository, *newer, first=(Built("p", "1"), Built("q", "1")))
    assert look(endpoint, "nobody") == look(endpoint, "root")


def test_the_agents_user_learns_who_holds_the_lock(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, first=(Built("p", "1"),))
    with lock_held(endpoint, "/var/lib/dpkg/lock-frontend"):
        health = look(endpoint, "nobody")[2]
    assert isinstance(health, dict)
    assert health["lock_holder"].startswith("python3 (pid ")
