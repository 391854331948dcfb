"""The table as people read it: `docs/reference/correctness.md`, written by a run and by nothing else. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tests.correctness.row import NOT_APPLICABLE, RIGHT, WRONG, Row

SIGN = {RIGHT: "right", WRONG: "**wrong**", NOT_APPLICABLE: "–"}
CELL_MAX = 150
PASSING = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1"),
    (re.compile(r"\bpid \d+"), "pid …"),
    (re.compile(r"/tmp/correctness-\w+/?"), "…/"),
)
HEAD = """# What we say, against what the package manager itself says

Written by `./dev correctness` on {date}; do not edit. Each situation was provoked on the real manager; *real manager,
synthetic distribution* for dnf, zypper and pacman, *real manager, synthetic packages* for pip, npm and flatpak, real
Debian 12 for apt. Versions: {versions}.

*Truth* is read by other means than ours: the manager's own tools and records, the files that were laid down, and what
the situation was made of. *We say* is what people read. The columns after it are peers in the same situation, provoked
by the same code, asked at the very moment at which we are asked. The rules (`tests/correctness/standin.py`):

- asked to refresh: it must say that it could not, wherever lists could not be had;
- asked what waits: it must name every package of which the repository has a newer version and that could be installed;
- told to upgrade: "done" is true where every such package is at its newest version, sound, and no script failed;
  "failed" where that is not so; "nothing to do" where nothing was changed and nothing could be. A peer that says what
  it changed is held to that too;
- what its owner has hidden (hold, exclude, lock) need not be named; what a peer does not claim to tell, or cannot be
  asked, is – (not applicable).

A manager's own command is judged by its exit code: what a script around it believes, not what its text would tell a
person. unattended-upgrades is judged by its log's words and its exit code, Salt by what `pkg.refresh_db`,
`pkg.list_upgrades` and `pkg.upgrade` return and by their return code. dnf-automatic is not in Debian 12, so it is not
here. In pacman's rows both columns are in our own codes, the versions in *truth* being pacman's.
unattended-upgrades is apt's alone. Salt is asked on apt alone: the roots of dnf and zypper have no Python that it could
run under, and pacman's is laid over the machine that runs the tests, so it has that machine's Python and also its name,
by which Salt would go to Debian's manager. pip's environments have no peer: pipx of Debian 12 knows no `--global`.
"""


def document(rows: Sequence[Row], versions: Mapping[str, str], date: str, missing: Mapping[str, Sequence[str]]) -> str:
    """`missing`: manager -> what was not provoked, with the reason."""
    listed = ", ".join(f"{n} {v}" for n, v in versions.items())
    parts = [HEAD.format(date=date, versions=listed), "## Sums\n", _table(_sums(rows))]
    for manager in dict.fromkeys(r.manager for r in rows):
        parts += [f"## {manager}\n", _table(_lines([r for r in rows if r.manager == manager]))]
        if missing.get(manager):
            parts.append("Not provoked:\n\n" + "\n".join(f"- {m}" for m in missing[manager]) + "\n")
    parts += ["## Why a peer's answer counted as wrong\n", _wrongs(rows)]
    return "\n".join(parts)


def sums(rows: Iterable[Row]) -> dict[str, dict[str, Counter[str]]]:
    """manager -> who -> how many right, wrong, not applicable."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for row in rows:
        of = found.setdefault(row.manager, {})
        of.setdefault("Brakeline", Counter())[RIGHT if row.right else WRONG] += 1
        for name, word in row.peers.items():
            of.setdefault(name, Counter())[word] += 1
    return found


def _sums(rows: Sequence[Row]) -> list[list[str]]:
    head = ["manager", "who", "right", "wrong", "not applicable"]
    body = [[manager, who, *(str(n[w]) for w in (RIGHT, WRONG, NOT_APPLICABLE))]
            for manager, of in sums(rows).items() for who, n in of.items()]  # fmt: skip
    return [head, *body]


def _lines(rows: Sequence[Row]) -> list[list[str]]:
    names = list(rows[0].peers)
    head = ["situation", "truth", "we say", "", *names]
    body = [[r.situation, _cell(r.truth), _cell(r.ours), SIGN[RIGHT if r.right else WRONG],
             *(SIGN[r.peers[n]] for n in names)] for r in rows]  # fmt: skip
    return [head, *body]


def _wrongs(rows: Sequence[Row]) -> str:
    lines = [f"- {r.manager}, {r.situation}: {n}: {_cell(r.said.get(n, ''), 260)}"
             for r in rows for n, w in r.peers.items() if w == WRONG]  # fmt: skip
    return "\n".join(lines or ["None did."]) + "\n"


def _cell(text: str, most: int = CELL_MAX) -> str:
    """On one line, harmless in Markdown, not endless, and without what another run would have otherwise."""
    for pattern, instead in PASSING:
        text = pattern.sub(instead, text)
    flat = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    for sign, instead in (("|", "/"), ("<", "‹"), (">", "›"), ("`", "'"), ("[", "("), ("]", ")")):
        flat = flat.replace(sign, instead)
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def _table(lines: Sequence[Sequence[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]]) + "\n"
