"""RustSec as its repository has it: TOML above Markdown in an archive; requirements and what they leave vulnerable."""

from __future__ import annotations

import io
import zipfile

import pytest

from brakeline.advisories.importers import BadFeed
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.rustsec import complement, requirement

PAGE = """```toml
[advisory]
id = "RUSTSEC-2024-0001"
package = "demo"
date = "2024-01-02"
aliases = ["CVE-2024-1"]

[versions]
patched = [">= 1.2.3"]
unaffected = ["< 1.0"]
```

# Demo reads too far

Prose.
"""


def archive(text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("advisory-db-main/README.md", "# Not an advisory")
        made.writestr("advisory-db-main/support.toml", "[a]\n")
        made.writestr("advisory-db-main/crates/demo/RUSTSEC-2024-0001.md", text)
    return out.getvalue()


def test_the_repository_s_archive_is_read_and_its_other_pages_are_not() -> None:
    (row,) = read("rustsec", archive(PAGE)).spans
    assert (row.ecosystem, row.name, row.id, row.aliases) == (
        "crates.io", "demo", "RUSTSEC-2024-0001", ("CVE-2024-1",)
    )  # fmt: skip
    assert (row.introduced, row.fixed, row.state, row.summary) == ("1.0.0", "1.2.3", "fixed", "Demo reads too far")


@pytest.mark.parametrize(
    ("was", "now"),
    [('">= 1.2.3"', '"~> 1"'), ('"2024-01-02"', '"soon"'), ("[versions]", "[versions"), ('"demo"', '"../x"')],
)
def test_an_advisory_that_is_not_understood_refuses_the_archive(was: str, now: str) -> None:
    with pytest.raises(BadFeed, match=r"RUSTSEC-2024-0001\.md"):
        read("rustsec", archive(PAGE.replace(was, now)))


@pytest.mark.parametrize(
    ("safe", "left"),
    [
        ([], [("", "", "")]),
        ([">= 1.0"], [("", "1.0.0", "")]),
        (["> 1.0"], [("", "", "1.0.0")]),
        (["<= 1.0"], [("1.0.1-0", "", "")]),
        (["=1.2.3"], [("", "1.2.3", ""), ("1.2.4-0", "", "")]),
        (["^0.3.4", ">= 0.5"], [("", "0.3.4", ""), ("0.4.0-0", "0.5.0", "")]),
        ([">= 0.5", ">= 0.3, < 0.6"], [("", "0.3.0", "")]),
        (["< 2", ">= 1"], []),
    ],
)
def test_what_requirements_leave(safe: list[str], left: list[tuple[str, str, str]]) -> None:
    found = [(low.text if low else "", high) for low, high in complement(map(requirement, safe))]
    ends = [(low, "" if h is None or h.after else h.text, h.after if h else "") for low, h in found]
    assert ends == left
