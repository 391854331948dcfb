"""What was done to this machine and how it works, for the cell to compare: at check-ins, at most every 20 seconds.

Cheap and unprivileged parts come from `ports` and `losses`. What security modules refused, and the journal, only root
may read: the helper is asked for its counts every ten minutes (of check-ins a minute apart) while a rollout names this
endpoint and for three days after, in which it may be compared; else nothing of root is started for it. How long the
start took is from `starting`, people's own probes are `probes`. Whatever cannot be read is not told, and nothing waits
for it: being heard comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brakeline.agent import losses, ports
from brakeline.agent.ceiling import running
from brakeline.agent.files import write_durably
from brakeline.agent.losses import Kept, Losses
from brakeline.agent.model import Instant, State
from brakeline.protocol import codec
from brakeline.protocol.messages import Harms

if TYPE_CHECKING:
    from brakeline.agent.probes import Prober, Tried

EVERY_S: Final = 20.0
PORTS_EVERY_S: Final = (
    300.0  # the kernel walks all its buckets to show a few listeners: ten milliseconds of a large machine
)
ASK_EVERY_S: Final = 600.0  # a first checkpoint comes 30 minutes after ready
ASK_CHECK_INS: Final = 10  # where those are less than a minute apart, in rehearsals: after so many
WATCHED_MS: Final = 3 * 86_400_000  # the last checkpoint of a last ring
FILE: Final = "harms.json"
Ask = Callable[[], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Remembered:
    """On disk; lost or damaged = counted from now on, which the cell takes for nothing."""

    kept: Kept = field(default_factory=Kept)
    watched_until_ms: int = 0


class HarmsProbe:
    """Remembers the last look. Never raises."""

    def __init__(self, state_dir: Path, ask: Ask, seconds: Callable[[], float], root: Path = Path("/"),
                 start_s: Callable[[], int | None] = lambda: None) -> None:  # fmt: skip
        """`seconds`: a monotonic clock, by which a look is bounded; `start_s`: how long the system took to start."""
        self._start_s = start_s
        self._prober: Prober | None = None
        self._path, self._ask, self._seconds, self._root = state_dir / FILE, ask, seconds, root
        self._saved = self._known = _load(self._path)
        self._last: Harms | None = None
        self._looked_s = self._asked_s = -1e9
        self._refused: dict[str, Any] = {}
        self._ports: tuple[int, ...] = ()  # at the look before
        self._open: tuple[int, ...] | None = None
        self._listened_s = -1e9

    def sample(self, state: State, at: Instant) -> Harms | None:
        """What can be told now; nothing before the first check-in."""
        if not state.link.ever:
            return None
        named = bool(state.preparations or state.releases or state.durable.sessions)
        if named:
            self._known = replace(self._known, watched_until_ms=at.wall_ms + WATCHED_MS)
        asks = state.me.can_patch and at.wall_ms < self._known.watched_until_ms
        every_s = min(ASK_EVERY_S, ASK_CHECK_INS * state.durable.settings.check_in_interval_s)
        due = asks and at.monotonic_s >= self._asked_s + every_s
        if due or self._last is None or at.monotonic_s >= self._looked_s + EVERY_S:
            self._last, self._looked_s = self._look(at, due), at.monotonic_s
        tried = self._tried(running(state).probes, at.monotonic_s)
        return replace(self._last, probes=tried.passing, probes_failed=tried.failing) if tried else self._last

    def _tried(self, texts: tuple[str, ...], now_s: float) -> Tried | None:
        """None where nobody has set any: most machines need neither the thread nor the code."""
        if self._prober is None and texts:
            from brakeline.agent.probes import Prober

            self._prober = Prober()
        return self._prober.sample(texts, now_s) if self._prober is not None else None

    def _look(self, at: Instant, ask: bool) -> Harms:
        if ask:
            self._refused, self._asked_s = self._ask() or {}, at.monotonic_s
        lost = self._losses(at)
        if at.monotonic_s >= self._listened_s + PORTS_EVERY_S:
            self._open, self._listened_s = self._listening(), at.monotonic_s
        names, loud = ([n for n in self._refused.get(k) or () if isinstance(n, str)] for k in ("named", "loud"))
        self._save()
        return Harms(
            _number(self._refused.get("refused")), _number(self._refused.get("quarantined")), lost.files_gone,
            lost.units_masked, lost.accounts_closed, self._open, (*loud, *self._known.kept.named, *names),
            _number(self._refused.get("errors")), self._start_s(),
        )  # fmt: skip

    def _losses(self, at: Instant) -> Losses:
        try:
            lost, kept = losses.look(self._root, self._known.kept, at.wall_ms * 1_000_000, self._seconds)
        except (OSError, ValueError):
            return Losses(None, None, None)
        self._known = replace(self._known, kept=kept)
        return lost

    def _listening(self) -> tuple[int, ...] | None:
        """Open now or at the look before: a service that is just being restarted has closed nothing."""
        now = ports.listening(self._root)
        before, self._ports = self._ports, now or ()
        return None if now is None else tuple(sorted({*now, *before}))

    def _save(self) -> None:
        """Times of looking are not worth a write; what they found is."""
        if replace(self._known, watched_until_ms=0) == replace(self._saved, watched_until_ms=0) and (
            self._known.watched_until_ms - self._saved.watched_until_ms < WATCHED_MS // 24
        ):
            return
        try:
            write_durably(self._path, codec.encode(self._known))
        except OSError:
            return  # a full disk must not silence the agent
        self._saved = self._known


def _load(path: Path) -> Remembered:
    try:
        return codec.decode(Remembered, path.read_bytes())
    except (OSError, codec.Malformed, UnicodeDecodeError):
        return Remembered()


def _number(told: Any) -> int | None:
    return told if type(told) is int else None
