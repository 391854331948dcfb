"""What the use cases of policies keep in memory of one organisation: who matches what, who has what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from brakeline.protocol.messages import Settings
from brakeline.remediation import standing
from brakeline.remediation.decide import effective
from brakeline.remediation.model import Had, SettingsPolicy


@dataclass(slots=True)
class Remembered:
    """Policies and whom each matches; `until_s` on the monotonic clock; `has`: last good settings, by endpoint."""

    until_s: float
    matching: tuple[tuple[SettingsPolicy, frozenset[str]], ...]
    revision: int = 0
    has: Mapping[str, Settings] = field(default_factory=dict)
    since: Mapping[str, Had] = field(default_factory=dict)  # of `has`: by which version, and since when
    good: frozenset[str] = frozenset()  # rollouts of settings that endpoints have for good

    def policies(self, endpoint_id: str) -> tuple[SettingsPolicy, ...]:
        """Those that match an endpoint."""
        return tuple(policy for policy, ids in self.matching if endpoint_id in ids)

    def spoken_for(self) -> frozenset[str]:
        """Endpoints of whose settings any policy speaks."""
        return frozenset[str]().union(*(ids for policy, ids in self.matching if standing.speak((policy,))))

    def wished(self, endpoint_ids: Iterable[str]) -> dict[str, Settings]:
        """What policies wish for these. Few combinations of policies are distinct, so few are decided."""
        decided: dict[tuple[int, ...], Settings] = {}
        found = {}
        for endpoint_id in endpoint_ids:
            key = tuple(i for i, (_, ids) in enumerate(self.matching) if endpoint_id in ids)
            settings = decided.get(key)
            if settings is None:
                settings = decided[key] = effective(self.matching[i][0] for i in key)
            found[endpoint_id] = settings
        return found
