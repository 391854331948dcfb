"""Who reads `/metrics`, and what everybody else is told."""

from __future__ import annotations

import pytest

from brakeline.core.errors import Invalid
from brakeline.events.decide import networks_of
from brakeline.platform.settings import Settings
from brakeline.server.metrics import readable

HERE = networks_of(Settings().metrics_networks)


@pytest.mark.parametrize("who", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])
def test_a_monitor_on_this_machine_reads_them(who: str) -> None:
    status, _, body = readable({"client": (who, 1)}, HERE)
    assert (status, b"# HELP brakeline_" in body) == (200, True)


@pytest.mark.parametrize("client", [("10.1.2.3", 1), ("2001:db8::1", 1), ("::ffff:10.1.2.3", 1), ("", 0), None])
def test_whoever_merely_reaches_the_port_is_told_how_and_nothing_else(client: tuple[str, int] | None) -> None:
    status, _, body = readable({"client": client}, HERE)
    assert (status, b"metrics_networks" in body, b"brakeline_" in body) == (403, True, False)


def test_a_network_that_the_setting_names_is_let_in() -> None:
    named = networks_of(["10.1.0.0/16"], "metrics_networks")
    assert readable({"client": ("10.1.2.3", 1)}, named)[0] == 200
    assert readable({"client": ("127.0.0.1", 1)}, named)[0] == 403
    with pytest.raises(Invalid, match="metrics_networks"):
        networks_of(["10.1.2.3/16"], "metrics_networks")
