"""One row of the table of correctness: what is true on a real endpoint, what we say about it, what peers say.

`truth` is read by other means than the provider's own: the manager's own tools and records, the files it laid down, or
what the situation was made of (nothing listens, a script ends with 3). `ours` is what people would read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RIGHT, WRONG, NOT_APPLICABLE = "right", "wrong", "not applicable"


@dataclass(frozen=True, slots=True)
class Row:
    """`right`: whether `ours` tells the truth; left out, whether the two are the same words."""

    manager: str
    situation: str
    truth: str
    ours: str
    right: bool | None = None
    peers: dict[str, str] = field(default_factory=dict)  # name -> right | wrong | not applicable
    said: dict[str, str] = field(default_factory=dict)  # name -> why, in a few words

    def __post_init__(self) -> None:
        if self.right is None:
            object.__setattr__(self, "right", self.truth == self.ours)
