"""Takes this machine into a cell: makes its key, shows the token once, remembers what the cell says.

Order: key on disk, then the request, then the configuration; so a crash in between leaves a machine that is not
enrolled and can try again, never one that believes it is.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from brakeline.agent import config as configuration
from brakeline.agent import facts
from brakeline.agent.cell import Cell
from brakeline.agent.config import Config
from brakeline.agent.events import Failure, FailureKind
from brakeline.agent.identity import Identity
from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Fault, Invalid, Unauthenticated
from brakeline.protocol import routes
from brakeline.protocol.messages import EnrolReply, EnrolRequest

STDIN = "-"  # instead of a token: it comes by standard input
TOKEN_CHARS_MAX = 200
TOKEN_PROBLEMS = (routes.P_TOKEN_UNKNOWN, routes.P_TOKEN_USED, routes.P_TOKEN_EXPIRED)


class TokenRefused(Unauthenticated):
    """The enrolment token was refused."""

    code = "token-refused"


class EnrolFailed(Fault):
    """Enrolment did not succeed."""

    code = "enrol-failed"


class AlreadyEnrolled(Conflict):
    """This machine is enrolled already."""

    code = "already-enrolled"
    hint = "To give it a new identity (after cloning a disk, for instance), run the same with --force."


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller wants: `config` still lacks what only the cell can say."""

    config: Config
    config_path: Path
    state_dir: Path
    token: str
    force: bool
    agent_version: str


def given_token(text: str) -> str:
    """The token that a person names: itself, a file with it, or `-`, so that no command line shows it. `Invalid`."""
    try:
        if text == STDIN:
            token = sys.stdin.readline(TOKEN_CHARS_MAX).strip()
        elif os.path.isabs(text):
            with open(text, encoding="ascii") as file:
                token = file.readline(TOKEN_CHARS_MAX).strip()
        else:
            return text
    except OSError as e:
        raise Invalid(f"the file with the token cannot be read: {e.strerror}: {e.filename}") from None
    except ValueError:
        raise Invalid("that is no token: it holds other characters than ASCII") from None
    if not token:
        raise Invalid(f"no token came by {'standard input' if text == STDIN else text}")
    return token


def enrol(wish: Wish, clock: Clock, connect: Callable[[Identity], Cell]) -> Config:
    """The finished configuration, saved. `TokenRefused`, `EnrolFailed`, `AlreadyEnrolled`."""
    if wish.config_path.exists() and not wish.force:
        known = configuration.load(wish.config_path)
        raise AlreadyEnrolled(f"It is endpoint {known.endpoint_id} of {known.server_url}.")
    _forget_old_identity(wish.state_dir)
    identity = Identity.create(wish.state_dir)
    cell = connect(identity)
    reply = _ask(cell, wish, identity, clock.now_ms())
    cell.close()
    config = replace(
        wish.config, endpoint_id=reply.endpoint_id, cell_key=reply.cell_key, cell=reply.cell, region=reply.region,
        channel=reply.channel,
    )  # fmt: skip
    configuration.save(wish.config_path, config)
    return config


def _ask(cell: Cell, wish: Wish, identity: Identity, now_ms: int) -> EnrolReply:
    about = facts.gather(wish.agent_version)
    request = EnrolRequest(wish.token, identity.public_hex, about.hostname, about, wish.agent_version)
    answer = cell.enrol(request, now_ms)
    if isinstance(answer, Failure) and answer.kind is FailureKind.SKEW and answer.server_ms:
        answer = cell.enrol(request, answer.server_ms)  # our clock is wrong; the cell has told the time
    if not isinstance(answer, Failure):
        return answer
    if answer.code in TOKEN_PROBLEMS:
        raise TokenRefused(answer.detail)
    raise EnrolFailed(answer.detail)


def _forget_old_identity(state_dir: Path) -> None:
    """Everything that belonged to another identity: its inventory, its offers, its counter. Results go with it."""
    for name in ("state.json", "acknowledged.tsv", "acknowledged-status.json", "status.json"):
        (state_dir / name).unlink(missing_ok=True)
    for name in ("spool", "work"):
        shutil.rmtree(state_dir / name, ignore_errors=True)


def hand_over(state_dir: Path, user: str) -> None:
    """Give the state to the unprivileged user that the agent runs as (called as root by the installer)."""
    if sys.platform == "win32":
        from brakeline.agent import windows_accounts

        return windows_accounts.hand_over(state_dir, user)
    import grp
    import pwd

    owner, group = pwd.getpwnam(user).pw_uid, grp.getgrnam(user).gr_gid
    os.chmod(state_dir, 0o700)
    # By open directories and never by a link: an agent that was taken over may have laid one, or lay it meanwhile.
    for _, folders, files, place in os.fwalk(state_dir.resolve()):
        for name in (*folders, *files):
            if not _another_name(os.stat(name, dir_fd=place, follow_symlinks=False), owner):
                os.chown(name, owner, group, dir_fd=place, follow_symlinks=False)
        os.chown(place, owner, group)


def _another_name(about: os.stat_result, owner: int) -> bool:
    """A hard link to somebody else's file, which some systems let everybody make: it is not ours to give away."""
    return stat.S_ISREG(about.st_mode) and about.st_nlink > 1 and about.st_uid != owner
