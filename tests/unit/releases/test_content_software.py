"""Own packages inside content: what is neither built nor published."""

from __future__ import annotations

import hashlib

import pytest
from tests.ownpackages import artifact, package, signed

from brakeline.protocol.software import Document, read_package, write
from brakeline.releases.content_software import software_refusal
from brakeline.releases.contents import refusal

DATA = b"payload"
PAYLOAD = f"payloads/{hashlib.sha256(DATA).hexdigest()}"


def why(document: Document, name: str = "", payloads: dict[str, int] | None = None) -> str:
    data = write(document)
    sizes = {name or document.file: len(data)} | ({PAYLOAD: len(DATA)} if payloads is None else payloads)
    return software_refusal(sizes, {name or document.file: data})


def test_a_signed_package_with_its_artifact_is_content() -> None:
    made = signed(package(artifact=artifact(DATA)))
    assert why(made) == ""
    sizes = {"rules.json": 13, made.file: len(write(made)), PAYLOAD: len(DATA)}
    assert refusal(sizes, b'{"format": 1}', {made.file: write(made)}) == ""
    assert "is not JSON" in refusal(sizes, b'{"format": 1}')  # bytes that nobody has looked into are no package


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("unsigned", "nobody has signed it"), ("renamed", "it has to be called"),
        ("no artifact", "is not in payloads/"),
        ("another size", "or not of its size"), ("stray", "belongs to no package"), ("odd", "is no artifact"),
        ("nonsense", "timeout_s is 1 to 3600"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(case: str, says: str) -> None:
    made = signed(package(artifact=artifact(DATA)))
    match case:
        case "unsigned":
            told = why(Document(made.text, made.software))
        case "renamed":
            told = why(made, "software/other.json")
        case "no artifact":
            told = why(made, payloads={})
        case "another size":
            told = why(made, payloads={PAYLOAD: 3})
        case "stray":
            told = why(signed(package()))
        case "odd":
            told = why(made, payloads={"payloads/x": 3})
        case _:
            text = made.text.replace('"text": "rm', '"timeout_s": 0, "text": "rm')
            told = why(Document(text, read_package(text.encode()), made.signatures))
    assert says in told
