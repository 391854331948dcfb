"""A machine on which the real fwupd runs, with its own test devices: *real manager, test device*.

An overlay of this machine's own root in mount and pid namespaces of its own, without /sys and with no device but
`null`, `zero` and `urandom`: fwupd sees no hardware of this machine. Into that, never onto the machine, Debian's
packages of fwupd are unpacked; the system bus is its own. Cabinets, lists and the authority that signs both are the
test's own. When the root's first process ends, everything is gone.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support import require
from tools.fleetbox import settings

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.fwupd import FwupdProvider
from brakeline.agent.providers.fwupd.devices import Device, label_of
from brakeline.agent.providers.model import Bounds, Planned, Refreshed, Refused
from brakeline.protocol.messages import UpdateRef

PACKAGES = ("fwupd", "jcat")
WEBCAM, MODULE = "08d460be0f1f9f128413f816022a6439e0078018", "c0a0a4aa6480ac28eea1ce164fbb466ca934e1ff"
GUIDS = {"p": "b585990a-003e-5270-89d5-3705a17f9a43", "q": "7fddead7-12b5-4fb9-9fa0-6d30305df755"}
NAMES = {"p": "Integrated-Webcam", "q": "Integrated-Webcam-Module1"}
LIST = "firmware.xml.gz"
LABELS = {name: label_of([guid]) for name, guid in GUIDS.items()}
START = """
mount --make-rprivate /
mount -t tmpfs -o size=300m,mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cp -a "$1/." /mnt/root
mount -t tmpfs -o mode=755 tmpfs /mnt/root/dev
for node in null zero urandom; do
    touch "/mnt/root/dev/$node" && mount --bind "/dev/$node" "/mnt/root/dev/$node"
done
mount -t proc proc /mnt/root/proc
mount -t tmpfs tmpfs /mnt/root/run
rm -rf /mnt/root/var/cache/brakeline /mnt/root/var/lib/brakeline-helper /mnt/root/var/lib/fwupd
rm -rf /mnt/root/etc/brakeline /mnt/root/etc/fwupd/remotes.d
mkdir -p /mnt/root/old /mnt/root/run/dbus /mnt/root/etc/fwupd/remotes.d /mnt/root/etc/brakeline
cd /mnt/root
pivot_root . old
umount -l /old
rmdir /old
ldconfig
dbus-daemon --system --fork --nopidfile
echo ready
exec sleep infinity
"""
METAINFO = """<?xml version="1.0" encoding="UTF-8"?>
<component type="firmware">
  <id>org.example.{name}.firmware</id><name>{name}</name><summary>Firmware of a test's own</summary>
  <description><p>A test's own.</p></description>
  <provides><firmware type="flashed">{guid}</firmware></provides>
  <metadata_license>CC0-1.0</metadata_license><project_license>CC0-1.0</project_license>
  <developer_name>Example</developer_name>
  <custom><value key="LVFS::VersionFormat">{format}</value>
    <value key="LVFS::UpdateProtocol">com.acme.test</value></custom>
  <releases><release version="{version}" date="2026-11-01">
    <checksum type="sha256" filename="firmware.bin" target="content">{content}</checksum>
    <description><p>Version {version}.</p></description></release></releases>
</component>
"""
ROW = """<release version="{version}" timestamp="1793500000">
  <size type="installed">{size}</size><size type="download">{download}</size><location>{location}</location>
  <checksum filename="{file}" target="container" type="sha256">{container}</checksum>
  <checksum filename="firmware.bin" target="content" type="sha256">{content}</checksum>
  {closes}<description><p>Version {version}.</p></description></release>"""
CLOSES = '<issues><issue type="cve">{}</issue></issues>'
COMPONENT = """<component type="firmware"><id>org.example.{name}.firmware</id><name>{name}</name>
<summary>Firmware of a test's own</summary><developer_name>Example</developer_name>
<project_license>CC0-1.0</project_license><description><p>A test's own.</p></description>
<releases>{rows}</releases>
<provides><firmware type="flashed">{guid}</firmware></provides>
<custom><value key="LVFS::VersionFormat">{format}</value>
<value key="LVFS::UpdateProtocol">com.acme.test</value></custom></component>"""
AUTHORITY = (
    "openssl req -x509 -newkey rsa:2048 -nodes -keyout /srv/{name}.key -out /srv/{name}.pem -days 30 -subj "
    "'/O=Example/CN={name}' -addext keyUsage=digitalSignature,keyCertSign,cRLSign"
)
REMOTE = """[fwupd Remote]
Enabled={enabled}
Title=Example
MetadataURI=http://127.0.0.1:{port}/firmware.xml.gz
ApprovalRequired={approval}
"""


class _Quiet(SimpleHTTPRequestHandler):
    hangs = threading.Event()

    def do_GET(self) -> None:
        if self.hangs.is_set():
            threading.Event().wait(60)  # longer than anybody waits in a test; the thread is a daemon
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        return


@cache
def layer() -> Path:
    """The cached files of the packages, and of whatever of theirs this machine has not; needs root."""
    require(os.geteuid() == 0, "root, for namespaces and mounts")
    require(shutil.which("dbus-daemon") and shutil.which("openssl"), "dbus and openssl")
    place = settings.place("fwupdtest").cache / "fwupd-debs"
    if not (place / "layer").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        asked = ["apt-get", "-s", "--no-install-recommends", "install", *PACKAGES]
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        needed = [line.split()[1] for line in told.stdout.splitlines() if line.startswith("Inst ")]
        words = ["apt-get", "-q", "download", *(needed or PACKAGES)]
        done = subprocess.run(words, cwd=place, capture_output=True, check=False)
        require(done.returncode == 0, f"Debian's packages of fwupd: {done.stderr.decode()[-200:]}")
        for deb in place.glob("*.deb"):
            unpack = 'dpkg-deb --fsys-tarfile "$0" | tar -x --keep-directory-symlink --no-same-owner -C "$1"'
            (place / "new").mkdir(exist_ok=True)
            subprocess.run(["sh", "-euc", unpack, str(deb), str(place / "new")], check=True)
        _merged(place / "new")
        (place / "new").rename(place / "layer")
    return place / "layer"


def _merged(root: Path) -> None:
    """As every machine of today has it: `/lib` is a link, and no directory may take its place."""
    for name in ("lib", "bin", "sbin"):
        if (root / name).is_dir():
            subprocess.run(["cp", "-a", f"{root / name}/.", f"{root / 'usr' / name}/"], check=True)
            shutil.rmtree(root / name)


@dataclass
class Endpoint:
    """One endpoint with a webcam (p, version 1.2.2) and a module of it (q, version 1), alive until the `with` ends."""

    machine: Machine
    pid: int
    server: ThreadingHTTPServer
    hangs: threading.Event
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    listed_s: int = 0

    @property
    def provider(self) -> FwupdProvider:
        return FwupdProvider(SystemClock(), self.machine)

    @property
    def served(self) -> Path:
        return self.machine.path("/srv/firmware")

    def sh(self, script: str, timeout_s: float = 60) -> str:
        ran = self.machine.query("sh", "-euc", script, timeout_s=timeout_s)
        assert ran.rc == 0, f"{script}\n{ran.text}"
        return ran.text

    def start(self, **test: str) -> None:
        """Have the daemon started anew, with settings of its test device: `NeedsReboot="true"`."""
        asked = "".join(f"{k}={v}\n" for k, v in {"CompositeChild": "true", **test}.items())
        self.machine.path("/etc/fwupd/fwupd.conf").write_text(
            f"[fwupd]\nTestDevices=true\nIdleTimeout=0\n[test]\n{asked}"
        )
        self.stop_daemon()
        self.sh("fwupdmgr get-devices --json")  # the bus starts it

    def stop_daemon(self, signal: str = "KILL") -> None:
        self.machine.query("sh", "-c", f"while pkill -{signal} --runstates DRST -x fwupd; do sleep 0.02; done")

    def lose_daemon(self) -> None:
        """It ends, and the bus cannot start it any more."""
        self.machine.path("/usr/share/dbus-1/system-services/org.freedesktop.fwupd.service").unlink()
        self.sh(
            "dbus-send --system --dest=org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus.ReloadConfig"
        )
        self.stop_daemon()

    def remote(self, *, enabled: bool = True, approval: bool = False) -> None:
        text = REMOTE.format(enabled=str(enabled).lower(), port=self.server.server_address[1],
                             approval=str(approval).lower())  # fmt: skip
        self.machine.path("/etc/fwupd/remotes.d/example.conf").write_text(text)

    def publish(self, name: str, version: str, *, closes: str = "", signer: str = "ca", really: str = "") -> Path:
        """One release of the webcam or its module, in a cabinet of our own; the remote has it from now on."""
        major, minor, micro = (*map(int, (really or version).split(".")), 0, 0)[:3]
        content = f"0x{major:x}{minor:02x}{micro:04x}\0".encode()  # what the test device takes its version from
        work = self.machine.path("/srv/work")
        work.mkdir(exist_ok=True)
        (work / "firmware.bin").write_bytes(content)
        how = {"name": name, "guid": GUIDS[name], "version": version, "closes": CLOSES.format(closes) if closes else "",
               "format": "triplet" if name == "p" else "plain"}  # fmt: skip
        digest = self.sh("sha256sum /srv/work/firmware.bin").split()[0]
        text = METAINFO.format(**how, content=digest)
        (work / "firmware.metainfo.xml").write_text(text if name == "p" else text.replace("acme.test", "acme"))
        file = f"{name}-{version}.cab"
        self.sh(f"cd /srv/work; rm -f {file}; fwupdtool build-cabinet {file} firmware.bin firmware.metainfo.xml")
        if signer:
            self.sh(f"cd /srv/work; fwupdtool firmware-sign {file} /srv/{signer}.pem /srv/{signer}.key")
        container = self.sh(f"mv /srv/work/{file} /srv/firmware/; sha256sum /srv/firmware/{file}").split()[0]
        self.rows[file] = how | {"file": file, "container": container, "content": digest, "size": str(len(content)),
                                 "location": file, "download": str((self.served / file).stat().st_size)}  # fmt: skip
        self.list_again()
        return self.served / file

    def list_again(self, signer: str = "ca") -> None:
        """Write and sign the remote's list anew, in a later second than the last: fwupd takes no list of the same."""
        while int(time.time()) <= self.listed_s:
            time.sleep(0.02)
        self.listed_s, parts = int(time.time()), []
        for name, guid in GUIDS.items():
            rows = [ROW.format(**r) for r in reversed(self.rows.values()) if r["name"] == name]
            form = "triplet" if name == "p" else "plain"
            made = COMPONENT.format(name=name, guid=guid, format=form, rows="".join(rows))
            parts.append(made if name == "p" else made.replace("acme.test", "acme"))
        head = '<?xml version="1.0" encoding="UTF-8"?>\n<components version="0.9" origin="example">'
        (self.served / LIST).write_bytes(gzip.compress(f"{head}{''.join(parts)}</components>\n".encode()))
        self.sh(
            f"cd /srv/firmware; rm -f {LIST}.jcat; jcat-tool --basename --kind sha256 self-sign {LIST}.jcat {LIST}; "
            f"jcat-tool --basename sign {LIST}.jcat {LIST} /srv/{signer}.pem /srv/{signer}.key"
        )

    def authority(self, name: str) -> None:
        self.sh(AUTHORITY.format(name=name))

    def device(self, name: str = "p") -> Device:
        """As our reader sees it."""
        return next(d for d in self.provider.daemon.devices() if d.label == LABELS[name])

    def has(self, name: str = "p") -> str:
        """The version that fwupd's own program prints."""
        text = self.sh(f"fwupdmgr get-devices {WEBCAM if name == 'p' else MODULE} --no-unreported-check")
        return next(line.split()[-1] for line in text.splitlines() if "Current version:" in line)

    def refreshed(self) -> None:
        answer = self.provider.refresh()
        assert isinstance(answer, Refreshed), answer

    def planned(self, version: str, name: str = "p", bounds: Bounds | None = None) -> Planned:
        answer = self.provider.plan((UpdateRef(f"{NAMES[name]}:{LABELS[name]}", version),), bounds or Bounds())
        assert isinstance(answer, Planned), answer
        return answer

    def refusal(self, version: str, name: str = "p", bounds: Bounds | None = None) -> Refused:
        answer = self.provider.plan((UpdateRef(f"{NAMES[name]}:{LABELS[name]}", version),), bounds or Bounds())
        assert isinstance(answer, Refused), answer
        return answer

    def cut_network(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def endpoint(**test: str) -> Iterator[Endpoint]:
    """A fresh machine whose fwupd runs, with one remote that has nothing yet."""
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    holder = subprocess.Popen(
        [*command, "sh", "-euc", START, "sh", str(layer())], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    server: ThreadingHTTPServer | None = None
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n", "the machine could not be mounted"
        pid = int(Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0])
        prefix = ("nsenter", "--mount", "--pid", "--root", "--wdns=/", f"--target={pid}")
        machine, hangs = Machine(prefix, Path(f"/proc/{pid}/root"), "/usr/bin/python3", 5.0), threading.Event()
        machine.path("/srv/firmware").mkdir(parents=True)
        handler = partial(type("Handler", (_Quiet,), {"hangs": hangs}), directory=f"/proc/{pid}/root/srv/firmware")
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = Endpoint(machine, pid, server, hangs)
        made.authority("ca")
        made.sh("rm -f /usr/share/fwupd/remotes.d/*.conf; cp /srv/ca.pem /etc/pki/fwupd/; "
                "cp /srv/ca.pem /etc/pki/fwupd-metadata/")  # fmt: skip
        made.list_again()
        made.remote()
        made.start(**test)
        yield made
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()
        holder.kill()
        holder.communicate()
