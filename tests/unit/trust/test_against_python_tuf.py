"""Our verifier against python-tuf's, on damaged, forged and odd documents: nothing is believed that it would refuse.

Where the two differ on purpose stands in `support_fuzz.DIFFERENCES`, each with its reason; anything else fails, with
the seed that shows it.
"""

from __future__ import annotations

from collections import Counter

import pytest
from tests.support_fuzz import DIFFERENCES, case, explained, on_purpose, ours, theirs, world


def compared(seeds: range) -> Counter[str]:
    """How often they agree, and how they differ; fails at the first difference that is not listed."""
    repo, found = world(), Counter[str]()
    for seed in seeds:
        one = case(repo, seed)
        our, their = ours(one), theirs(one)
        if our == their:
            found["believed by both" if our.releases is not None and our.root == 2 else "refused by both"] += 1
            continue
        name = explained(one, our, their)
        assert name, f"{one.what}: ours {our}, python-tuf's {their}"
        found[name] += 1
    return found


def test_an_untouched_repository_is_believed_by_both() -> None:
    repo = world()
    documents = repo.documents()
    one = type(case(repo, 0))("untouched", repo.roots[0], documents)
    our, their = ours(one), theirs(one)
    assert our == their
    assert (our.root, len(our.releases or ()), len(our.content)) == (2, 1, 1)


def test_they_agree() -> None:
    found = compared(range(100))
    assert found["believed by both"] > 20
    assert found["refused by both"] > 20


@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
def test_they_agree_on_many(part: int) -> None:
    found = compared(range(1000 + part * 2500, 1000 + (part + 1) * 2500))
    print(dict(found))
    assert {"unusable root", "many signatures", "kinds of keys"} <= set(found)


def test_each_difference_is_met_and_has_its_reason() -> None:
    """None is there for show: each is what happens to a document made for it."""
    repo = world()
    met = {explained(one, ours(one), theirs(one)) for one in on_purpose(repo)}
    assert met == set(DIFFERENCES)
    assert all(len(difference.why) > 20 for difference in DIFFERENCES.values())
