"""A signed package repository that a test builds, and that endpoints see as one of their own apt sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.system.box import Box
from tools.fleetbox.settings import LOCAL_REPOSITORY_HOST

SIGNER = "Repository of a test <test@example.invalid>"
KEYRING = "/etc/apt/keyrings/test.asc"


@dataclass(frozen=True, slots=True)
class Built:
    """One binary package. `postinst`: body of a shell script, "" = none; `files`: path -> content."""

    name: str
    version: str
    postinst: str = ""
    files: tuple[tuple[str, str], ...] = ()


class Repository:
    """`directory` is served to every endpoint of the fleet (tools.fleetbox.proxy); `work` holds key and sources."""

    def __init__(self, box: Box, work: Path) -> None:
        self._box, self._directory, self._work = box, box.place.repository, work
        self._home = work / "gnupg"
        self._home.mkdir(mode=0o700, parents=True)
        self._gpg("--quick-generate-key", SIGNER, "ed25519", "sign", "never")
        self._key = self._gpg("--armor", "--export")

    def publish(self, *packages: Built) -> None:
        """Build these packages, add them to what was published before, and sign the indexes."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for package in packages:
            self._build(package)
        listed = self._tool("apt-ftparchive", "packages", ".")
        (self._directory / "Packages").write_text(listed)
        release = self._tool(
            "apt-ftparchive", "-o", "APT::FTPArchive::Release::Label=Test", "-o",
            "APT::FTPArchive::Release::Origin=Test", "release", ".",
        )  # fmt: skip
        (self._work / "Release").write_text(release)
        signed = self._gpg("--clearsign", "--output", "-", str(self._work / "Release"))
        (self._directory / "InRelease").write_text(signed)

    def introduce(self, name: str, *install: str) -> None:
        """Make it a source of endpoint `name` and install these `package=version`s from it by real apt."""
        source = f"Types: deb\\nURIs: http://{LOCAL_REPOSITORY_HOST}/\\nSuites: ./\\nSigned-By: {KEYRING}\\n"
        self._box.run(
            name,
            f"mkdir -p /etc/apt/keyrings && cat > {KEYRING} <<'KEY'\n{self._key}KEY\n"
            f"printf '{source}' > /etc/apt/sources.list.d/test.sources\n"
            f"apt-get -q -eany update && apt-get -qy install {' '.join(install)}",
        )

    def _build(self, package: Built) -> None:
        tree = self._work / f"{package.name}_{package.version}"
        control = tree / "DEBIAN"
        control.mkdir(parents=True)
        (control / "control").write_text(
            f"Package: {package.name}\nVersion: {package.version}\nArchitecture: all\nSection: misc\n"
            f"Priority: optional\nMaintainer: {SIGNER}\nDescription: built by a system test\n"
        )
        for path, content in package.files:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(content)
        if package.postinst:
            script = control / "postinst"
            script.write_text(f"#!/bin/sh\nset -e\n{package.postinst}\n")
            script.chmod(0o755)
        target = self._directory / f"{package.name}_{package.version}_all.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, target], check=True, capture_output=True
        )
        shutil.rmtree(tree)

    def _tool(self, *command: str) -> str:
        return subprocess.run(command, cwd=self._directory, capture_output=True, text=True, check=True).stdout

    def _gpg(self, *arguments: str) -> str:
        command = ["gpg", "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", *arguments]
        environment = {**os.environ, "GNUPGHOME": str(self._home)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        """End the agent that gpg started."""
        environment = {**os.environ, "GNUPGHOME": str(self._home)}
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)
