"""One statement of a VEX file, checked, whatever shape it came in (OpenVEX, CycloneDX, SPDX 3). Pure.

A statement without a product says nothing here: "not affected" of everything would hide everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from brakeline.sbom.model import STATEMENTS_MAX, BadBill, Statement, Status

PRODUCTS_MAX: Final = 2_000  # of one statement
NAMES_MAX: Final = 50  # of one vulnerability


def statements(
    number: int, names: Sequence[str], products: Sequence[str], status: str, justification: str, detail: str
) -> Iterator[Statement]:
    """What is said, once for each name that the vulnerability has: findings are looked up by any of them.

    Raises `BadBill`, which says which statement is wrong, and why."""
    where = f"statement {number + 1}"
    if number >= STATEMENTS_MAX:
        raise BadBill(f"it has more than {STATEMENTS_MAX} statements")
    called = list(dict.fromkeys(name.upper() for name in names if name))
    if not called or len(called) > NAMES_MAX:
        raise BadBill(f"{where} names no vulnerability, or over {NAMES_MAX} names of one")
    where = f"{where} about {called[0]}"
    if not products or len(products) > PRODUCTS_MAX:
        raise BadBill(f"{where} names no product by a package URL, or more than {PRODUCTS_MAX}")
    if status not in Status._value2member_map_:
        raise BadBill(f"{where} has the status {status[:40]!r}; known: {', '.join(Status)}")
    if status == Status.NOT_AFFECTED and not (justification or detail):
        raise BadBill(f"{where} says not_affected and not why")
    each = tuple(dict.fromkeys(products))
    for name in called:
        yield Statement(name, each, Status(status), justification, detail)
