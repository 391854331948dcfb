"""An own package is not assessed, and the reason is its own: it is never "not vulnerable"."""

from __future__ import annotations

from brakeline.exposure.match import Book, judge
from brakeline.exposure.units import Installed


def test_no_advisory_speaks_of_an_own_package_whatever_is_loaded() -> None:
    own = Installed("openssl", "openssl", "1", "1+3f2a9c04d1e5", "own", "ii", "own", "own")
    for book in (Book([]), Book([], ecosystems=frozenset({"debian:12", "own"}))):
        judged, missing = judge([own], book, "debian:12")
        assert judged == []
        assert [(m.code, m.reason) for m in missing] == [
            ("third_party", "is an own package: no vendor's advisory speaks of it")
        ]
