"""Where the embedded PostgreSQL keeps its things, and the files that we write for it.

    DATA/pg/              the cluster (0700, owned by the identity that runs it)
    DATA/log/postgres.log what it says
    DATA/run/             socket directory, 0700; a short directory elsewhere when the path would be too long
    DATA/postgres.lock    held by the one process that supervises this cluster

There is no TCP listener, so the socket directory's mode is the first gate and peer authentication the second.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from brakeline.core.errors import Fault
from brakeline.platform.postgres_identity import DROP_USERS, Identity

SOCKET_PATH_MAX = 107  # bytes: sun_path of Linux, without its closing zero
PORT = 5432  # only part of the socket's file name
DATABASE = "brakeline"
SUPERUSER = "postgres"  # used by the supervisor alone, to make roles and databases
OWNER, APP, FEED = "brakeline_owner", "brakeline_app", "brakeline_feed"

# Idle memory is part of the promise of 150 MiB together with the API; pages of shared buffers count once touched.
OPTIONS = {
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "48MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "48MB",
    "max_worker_processes": "4",
    "max_parallel_workers": "2",
    "max_parallel_workers_per_gather": "1",
    "autovacuum_max_workers": "2",
    "max_wal_senders": "2",
    "min_wal_size": "32MB",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
}
OPTIONS_FROM = {18: {"io_method": "sync"}}  # spares three idle input/output workers


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one cluster."""

    data_dir: Path

    @property
    def cluster(self) -> Path:
        return self.data_dir / "pg"

    @property
    def log(self) -> Path:
        return self.data_dir / "log" / "postgres.log"

    @property
    def lock(self) -> Path:
        return self.data_dir / "postgres.lock"

    @property
    def socket_dir(self) -> Path:
        """Same for every start with this data directory, so that a running cluster can be found again."""
        near = self.data_dir / "run"
        if len(os.fsencode(near / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_MAX:
            return near
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        if os.geteuid() == 0:
            return Path("/run") / f"brakeline-{digest}"
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        return Path(runtime or "/tmp") / f"brakeline-{os.geteuid()}-{digest}"  # noqa: S108 - checked when made

    def dsn(self, role: str, database: str = DATABASE) -> str:
        """Connection address for `role`; peer authentication, so it holds no secret."""
        return f"postgresql:///{database}?host={quote(str(self.socket_dir), safe='')}&port={PORT}&user={role}"


def layout_at(data_dir: Path) -> Layout:
    """The layout below `data_dir`, which is made if need be, as an absolute path without symbolic links."""
    data_dir.mkdir(parents=True, exist_ok=True)
    return Layout(data_dir.resolve())


def own_directory(path: Path, identity: Identity) -> None:
    """Make `path` a 0700 directory of `identity`; refuses what somebody else put there."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        ours = found.st_uid in {os.geteuid(), identity.uid}
        if not stat.S_ISDIR(found.st_mode) or not ours:
            raise Fault(f"{path} is not a directory of ours; remove it or choose another data directory") from None
    path.chmod(0o700)
    _own(path, identity)


def refuse_foreign_owner(layout: Layout, identity: Identity) -> None:
    """Root does not take a cluster away from the person who runs it without root."""
    if os.geteuid() != 0 or not layout.cluster.exists():
        return
    owner = layout.cluster.stat().st_uid
    dropped = {pwd.getpwnam(name).pw_uid for name in DROP_USERS if name in {p.pw_name for p in pwd.getpwall()}}
    if owner not in {0, identity.uid, *dropped}:
        raise Fault(
            f"{layout.cluster} belongs to user id {owner}. Start Brakeline as that user; or, to let root have it "
            f"from now on, stop it and run: chown -R root {layout.data_dir}"
        )


def own_tree(path: Path, identity: Identity) -> None:
    """Give a whole cluster to `identity` (only root can): a copied or restored directory has the wrong owner."""
    if os.geteuid() != 0 or path.stat().st_uid == identity.uid:
        return
    for parent, directories, files in os.walk(path):
        for name in (*directories, *files):
            os.chown(Path(parent) / name, identity.uid, identity.gid, follow_symlinks=False)
    os.chown(path, identity.uid, identity.gid)


def write_access_rules(layout: Layout, identity: Identity, extra_hba: str = "") -> None:
    """pg_hba.conf and pg_ident.conf: our own operating-system users, at the socket, and nobody else."""
    roles = (SUPERUSER, OWNER, APP, FEED)
    idents = "".join(f'brakeline "{peer}" {role}\n' for peer in identity.peers for role in roles)
    _write(layout.cluster / "pg_ident.conf", idents, identity)
    rules = f"{extra_hba}local all all peer map=brakeline\nlocal replication postgres peer map=brakeline\n"
    _write(layout.cluster / "pg_hba.conf", rules, identity)


def options(major: int, extra: dict[str, str]) -> list[str]:
    """Command-line options of the server; they win over postgresql.conf."""
    chosen = dict(OPTIONS)
    for since, more in OPTIONS_FROM.items():
        if major >= since:
            chosen |= more
    return [part for key, value in (chosen | extra).items() for part in ("-c", f"{key}={value}")]


def _own(path: Path, identity: Identity) -> None:
    if os.geteuid() == 0:
        os.chown(path, identity.uid, identity.gid)


def _write(path: Path, text: str, identity: Identity) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.chmod(0o600)
    _own(part, identity)
    part.replace(path)
