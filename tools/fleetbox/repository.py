"""A signed package repository built here, that endpoints of one fleet see as one of their own apt sources.

Key and sources of the packages stay outside of what is served. For tests and for `bad_update`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tools.fleetbox.endpoint import execute
from tools.fleetbox.process import run
from tools.fleetbox.settings import LOCAL_REPOSITORY_HOST, FleetError, Place

SIGNER = "Repository of a fleet <fleet@example.invalid>"
KEYRING = "/etc/apt/keyrings/fleet.asc"
LINES_SHOWN = 8
# apt does not wait for the lock of its lists, which an agent may hold that refreshes them at this moment
UPDATE = "{ n=0; until apt-get -q -eany update; do n=$((n + 1)); [ $n -lt 5 ] || exit 100; sleep 2; done; }"


@dataclass(frozen=True, slots=True)
class Built:
    """One binary package. `postinst`: body of a shell script, "" = none; `files`: path -> content."""

    name: str
    version: str
    postinst: str = ""
    files: tuple[tuple[str, str], ...] = ()


class Repository:
    """`Place.repository` is served to every endpoint of the fleet (proxy.py); `work` holds the key, kept if there."""

    def __init__(self, place: Place, work: Path) -> None:
        self._place, self._directory, self._work = place, place.repository, work
        self._home = work / "gnupg"
        if not self._home.exists():
            self._home.mkdir(mode=0o700, parents=True)
            self._gpg("--quick-generate-key", SIGNER, "ed25519", "sign", "never")
        self._key = self._gpg("--armor", "--export")

    def versions(self, name: str) -> tuple[str, ...]:
        """The versions of `name` published so far, in no order."""
        return tuple(p.name.split("_")[1] for p in self._directory.glob(f"{name}_*_all.deb"))

    def publish(self, *packages: Built) -> None:
        """Build these packages, add them to what was published before, and sign the indexes."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for package in packages:
            self._build(package)
        listed = self._index("packages")
        (self._directory / "Packages").write_text(listed)
        labels = ("-o", "APT::FTPArchive::Release::Label=Fleet", "-o", "APT::FTPArchive::Release::Origin=Fleet")
        (self._work / "Release").write_text(self._index(*labels, "release"))
        signed = self._gpg("--clearsign", "--output", "-", str(self._work / "Release"))
        (self._directory / "InRelease").write_text(signed)

    def introduce(self, name: str, *install: str) -> None:
        """Make it a source of endpoint `name` and install these `package=version`s from it by real apt."""
        source = f"Types: deb\\nURIs: http://{LOCAL_REPOSITORY_HOST}/\\nSuites: ./\\nSigned-By: {KEYRING}\\n"
        self._inside(
            name,
            f"mkdir -p /etc/apt/keyrings && cat > {KEYRING} <<'KEY'\n{self._key}KEY\n"
            f"printf '{source}' > /etc/apt/sources.list.d/fleet.sources\n"
            f"{UPDATE} && apt-get -qy -o DPkg::Lock::Timeout=60 install {' '.join(install)}",
        )

    def refresh(self, name: str) -> None:
        """Have endpoint `name` read the package lists again, so that it knows what was published since."""
        self._inside(name, UPDATE)

    def _inside(self, name: str, script: str) -> None:
        done = execute(self._place, name, ["bash", "-c", script])
        if done.returncode:
            said = dict.fromkeys((done.stdout + done.stderr).splitlines())  # it was tried again: each line once
            raise FleetError(f"{name}: apt ended with {done.returncode}:\n" + "\n".join([*said][-LINES_SHOWN:]))

    def _build(self, package: Built) -> None:
        tree = self._work / f"{package.name}_{package.version}"
        control = tree / "DEBIAN"
        control.mkdir(parents=True)
        (control / "control").write_text(
            f"Package: {package.name}\nVersion: {package.version}\nArchitecture: all\nSection: misc\n"
            f"Priority: optional\nMaintainer: {SIGNER}\nDescription: built for a fleet in a box\n"
        )
        for path, content in package.files:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(content)
        if package.postinst:
            script = control / "postinst"
            script.write_text(f"#!/bin/sh\nset -e\n{package.postinst}\n")
            script.chmod(0o755)
        target = self._directory / f"{package.name}_{package.version}_all.deb"
        run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(tree), str(target)])
        shutil.rmtree(tree)

    def _index(self, *words: str) -> str:
        return run(["apt-ftparchive", *words, "."], cwd=self._directory)

    def _gpg(self, *arguments: str) -> str:
        command = ["gpg", "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", *arguments]
        return run(command, env=self._environment())

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "GNUPGHOME": str(self._home)}

    def close(self) -> None:
        """End the agent that gpg started."""
        run(["gpgconf", "--kill", "all"], env=self._environment())
