"""Whether people at the machine let a restart go on now: `people` asked with what is there, what it says done. Root.

The record of a boot's people is on disk before anybody is told, so whatever ends the helper in the middle, no deferral
is counted twice and no warning is taken for longer than it was. A record that cannot be read has no deferral left.
Next: `reboots`, which asks once everything else allows the restart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from brakeline.agent import people, people_words
from brakeline.agent.desk import Person
from brakeline.agent.files import write_durably
from brakeline.agent.people import Damaged, Goes, Waits, Warned
from brakeline.core.errors import Fault
from brakeline.protocol import codec
from brakeline.protocol.messages import PeopleTerms, PeopleWait

RECORD: Final = "people"  # in the helper's state directory
KEYS: Final = {"warn_min": ("warn_s", 60), "deferrals": ("deferrals", 1), "defer_min": ("defer_s", 60),
               "deadline_h": ("deadline_s", 3600)}  # fmt: skip


class Tells(Protocol):
    """What `desk.Desk` is."""

    def there(self) -> tuple[Person, ...] | None: ...
    def asked(self, people: Iterable[Person]) -> bool: ...
    def show(self, standing: str, left: int, boot_id: str) -> None: ...
    def call(self, news: str, people: Iterable[Person]) -> None: ...
    def clear(self) -> None: ...


def terms_of(path: Path) -> PeopleTerms:
    """Root's terms, in the file that allows restarts. No key, or one that makes no sense: it asks for nothing; and so
    nobody is overruled."""
    try:
        plain: Any = json.loads(path.read_bytes())
        said = {key: plain[key] for key in KEYS if key in plain}
    except (OSError, ValueError, TypeError):
        return PeopleTerms()
    if not all(type(n) is int and n >= 0 for n in said.values()):
        return PeopleTerms()
    terms = {name: said[key] * unit for key, (name, unit) in KEYS.items() if key in said}
    return people.kinder(PeopleTerms(**terms), None)


@dataclass(frozen=True, slots=True)
class Warnings:
    """See the module. `clock`: a moment so many seconds from now, in local time, as people read it."""

    state_dir: Path
    terms: Callable[[], PeopleTerms]
    desk: Tells
    boot_id: str
    up_s: Callable[[], float]
    clock: Callable[[float], str]

    def ask(self, order: PeopleTerms | None, now_ms: int) -> Goes | PeopleWait:
        """Whether it goes on; else for whom it waits, written down and told. OSError when it cannot be kept."""
        terms = people.kinder(self.terms(), order)
        there = self.desk.there() if terms.warn_s else None
        if there is None:
            return Goes()  # as without terms: systemd refuses where somebody is logged in
        known, up_s = self._read(), self.up_s()
        anew = not isinstance(known, Warned) or known.boot_id != self.boot_id
        asked = self.desk.asked(there) and not anew
        found = people.judge(terms, known, self.boot_id, len(there), asked, up_s)
        if isinstance(found, Goes):
            return found
        self._write(found.warned)
        self._tell(terms, found, there)
        return people_words.told(terms, found, len(there), now_ms)

    def off(self) -> None:
        """The order was taken back: whoever was told hears of it."""
        warned = people.stood_down(self._read(), self.up_s())
        self.desk.clear()
        if warned is not None and warned.boot_id == self.boot_id:
            self._write(warned)
            self.desk.call(people_words.OFF, self.desk.there() or ())

    def _tell(self, terms: PeopleTerms, found: Waits, there: tuple[Person, ...]) -> None:
        notice = people_words.notice(terms, found, self.clock(found.left_s or 0.0))
        self.desk.show(notice.standing, notice.left, self.boot_id)
        if notice.news:
            self.desk.call(notice.news, there)

    def _read(self) -> Warned | Damaged | None:
        try:
            found: Warned = codec.decode(Warned, (self.state_dir / RECORD).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, Fault):
            return Damaged()
        return found

    def _write(self, warned: Warned) -> None:
        write_durably(self.state_dir / RECORD, json.dumps(asdict(warned)).encode())
