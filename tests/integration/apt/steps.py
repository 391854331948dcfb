"""Steps that several tests share."""

from __future__ import annotations

from tests.aptrepo import Built, Repository
from tests.aptroot import Clone


def prepare(endpoint: Clone, repository: Repository, *newer: Built, first: tuple[Built, ...]) -> None:
    """Install `first`, then let the repository have `newer` too."""
    repository.publish(*first)
    endpoint.use(repository)
    endpoint.sh("apt-get -qy install " + " ".join(f"{b.name}={b.version}" for b in first))
    repository.publish(*newer)
    endpoint.sh("apt-get -q -eany update")
