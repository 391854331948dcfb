"""Makes `packaging/content/catalogue.json`, the curated catalogue, of the sources below `packaging/catalogue`.

    python tools/catalogue.py [--check]

`--check` writes nothing and fails if the file is not what the sources make of it. Whatever the strict reader refuses is
never written. How each kind of package is installed and taken away without a question is said once, here.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from brakeline.catalog.curated.definitions import read
from brakeline.catalog.curated.model import CATALOGUE, FORMAT

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = ROOT / "packaging" / "catalogue"
MADE: Final = ROOT / "packaging" / "content" / CATALOGUE
EDITION: Final = "2026.11.27"
DEB_ARCHITECTURES: Final = {"amd64": "amd64", "arm64": "arm64"}
RPM_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64"}

APT: Final = "apt-get -y -o DPkg::Lock::Timeout=120"
DEB_INSTALL: Final = f"""set -e
{APT} -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \\
    --no-install-recommends --no-remove --allow-downgrades install "$BRAKELINE_ARTIFACT"
"""
RPM_INSTALL: Final = """set -e
rpm -U --oldpackage --replacepkgs "$BRAKELINE_ARTIFACT"
"""
# A new directory beside the old one, then one rename; what a run that was lost has left is cleared first.
OPT: Final = """set -e
umask 022
at=/opt/{name}
rm -rf "$at.new"
mkdir -p "$at.new"
{unpack}
printf 'version=%s\\n' "$BRAKELINE_VERSION" > "$at.new/BRAKELINE"
rm -rf "$at.old"
[ ! -e "$at" ] || mv "$at" "$at.old"
mv "$at.new" "$at"
rm -rf "$at.old"
{link}"""
UNPACK: Final = {
    "tar": 'tar -xf "$BRAKELINE_ARTIFACT" -C "$at.new" --strip-components=1 --no-same-owner',
    "zip": 'python3 -m zipfile -e "$BRAKELINE_ARTIFACT" "$at.new"\nchmod 0755 "$at.new/{run}"',
    "program": 'install -m 0755 "$BRAKELINE_ARTIFACT" "$at.new/{run}"',
}
LINK: Final = 'ln -sfn "$at/{run}" /usr/local/bin/{called}\n'
OPT_GONE: Final = """set -e
rm -rf /opt/{name} /opt/{name}.new /opt/{name}.old
{unlink}"""
UNLINK: Final = "case $(readlink /usr/local/bin/{called}) in /opt/{name}/*) rm -f /usr/local/bin/{called} ;; esac\n"

WORDS: Final = {"inno": "/VERYSILENT /SUPPRESSMSGBOXES /NORESTART /SP-", "nsis": "/S"}
# What the list of programs says takes it away, with the words that make it ask nothing.
GONE: Final = """$roots = 'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\*',
  'HKLM:\\SOFTWARE\\WOW6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\*'
$found = Get-ItemProperty $roots -ErrorAction SilentlyContinue | Where-Object { $_.DisplayName -like '{display}' }
foreach ($entry in $found) {
  if ($entry.WindowsInstaller -eq 1) { $words = '/c', ('msiexec.exe /x ' + $entry.PSChildName + ' /qn /norestart') }
  elseif ($entry.QuietUninstallString) { $words = '/c', ('"' + $entry.QuietUninstallString + '"') }
  else { $words = '/c', ('"' + $entry.UninstallString + ' {words}"') }
  $run = Start-Process cmd.exe -ArgumentList $words -Wait -PassThru -WindowStyle Hidden
  if ($run.ExitCode -notin 0, 3010) { exit $run.ExitCode }
}
"""


def main() -> int:
    text = made()
    if "--check" in sys.argv[1:]:
        if not MADE.exists() or MADE.read_text(encoding="utf-8") != text:
            print(
                f"{MADE.name} is not what packaging/catalogue makes of it: python tools/catalogue.py", file=sys.stderr
            )
            return 1
        return 0
    MADE.write_text(text, encoding="utf-8")
    print(f"{MADE.relative_to(ROOT)}: {len(json.loads(text)['products'])} products, edition {EDITION}")
    return 0


def made() -> str:
    """The whole file. Raises `BadCatalogue`."""
    products = sorted((*linux(_source("linux")), *windows(_source("windows"))), key=lambda p: str(p["name"]))
    plain = {"format": FORMAT, "edition": EDITION, "products": products}
    text = json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
    read(text.encode())
    return text


def _source(name: str) -> dict[str, Any]:
    return tomllib.loads((SOURCES / f"{name}.toml").read_text(encoding="utf-8"))


def linux(plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in plain["packages"]:
        repository = plain["repository"][group["of"]]
        for product in group["products"]:
            yield of_repository(repository, group, *product)
    for archive in plain["archive"]:
        yield of_archive(archive)


def of_repository(
    r: dict[str, Any], group: dict[str, Any], name: str, title: str, licence: str, about: str, package: str = ""
) -> dict[str, Any]:
    """One package of a vendor's apt or rpm repository."""
    package, apt = package or name, r["form"] == "apt"
    known = DEB_ARCHITECTURES if apt else RPM_ARCHITECTURES
    architectures = {a: known[a] for a in group["architectures"]}
    gone = f"{APT} remove {package}\n" if apt else f"rpm -e {package}\n"
    site = urlsplit(r["base"])
    return {
        "name": name, "title": title, "vendor": r["vendor"], "homepage": f"{site.scheme}://{site.netloc}/",
        "licence": licence, "about": f"{about}, from {r['vendor']}'s own {'apt' if apt else 'rpm'} repository",
        "platform": "linux", "architectures": architectures,
        "detection": {"kind": "deb" if apt else "rpm", "package": package},
        "source": _repository(r, package), "trust": {"by": r["by"], "keys": r["keys"]},
        "install": _script("sh", DEB_INSTALL if apt else RPM_INSTALL, 1800), "uninstall": _script("sh", gone, 900),
        "note": group.get("note", ""),
    }  # fmt: skip


def _repository(r: dict[str, Any], package: str) -> dict[str, Any]:
    shared = {"form": r["form"], "key": r["key"], "product": package, "base": r["base"]}
    if r["form"] == "rpm":
        at = r["repodata"]
        signed = {"index": f"{at}repomd.xml", "signature": f"{at}repomd.xml.asc"} if r["by"] == "release" else {}
        return {**shared, "listing": f"{at}primary.xml.gz", **signed}
    below = f"{r['component']}/binary-{{architecture}}/Packages" if r["component"] else "Packages"
    return {**shared, "listing": f"{r['dists']}{below}", "index": f"{r['dists']}InRelease"}


def of_archive(a: dict[str, Any]) -> dict[str, Any]:
    """A file that is unpacked below /opt."""
    run, name = a["run"], a["name"]
    words = {"{name}": name, "{run}": run, "{called}": run.rpartition("/")[2]}
    unpack, link = UNPACK[a["unpack"]], LINK if run else ""
    install = OPT.replace("{unpack}", unpack).replace("{link}", link)
    gone = OPT_GONE.replace("{unlink}", UNLINK if run else "")
    for hole, word in words.items():
        install, gone = install.replace(hole, word), gone.replace(hole, word)
    source = {key: a[key] for key in ("form", "listing", "signature", "key", "artifact") if key in a}
    return {
        **{key: a[key] for key in ("name", "title", "vendor", "homepage", "licence", "about", "architectures")},
        "platform": "linux",
        "detection": {"kind": "file", "path": f"/opt/{name}/BRAKELINE", "pattern": "version=([0-9A-Za-z.~-]+)"},
        "source": source, "trust": {"by": a["by"], "keys": a["keys"]},
        "install": _script("sh", install, 900), "uninstall": _script("sh", gone, 300), "note": a.get("note", ""),
    }  # fmt: skip


def windows(plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for p in plain["program"]:
        words = p.get("words", WORDS.get(p["form"], ""))
        if p["form"] == "msi":
            install = _script("msiexec", '/i "%BRAKELINE_ARTIFACT%" /qn /norestart', 1800, [0, 3010])
        else:
            install = _script("cmd", f'"%BRAKELINE_ARTIFACT%" {words}\r\n', 1800, [0, 3010])
        gone = GONE.replace("{display}", p["display"]).replace("{words}", words)
        trust = {"by": "publisher", "publisher": p["publisher"]} if p["publisher"] else {"by": "said"}
        yield {
            **{key: p[key] for key in ("name", "title", "vendor", "homepage", "licence", "about")},
            "platform": "windows", "architectures": {a: a for a in p["architectures"]},
            "detection": {"kind": "program", "package": p["display"]},
            "source": {"form": "scoop", "product": p["name"],
                       "listing": f"https://raw.githubusercontent.com/ScoopInstaller/Extras/master/bucket/{p['name']}.json"},
            "trust": trust, "install": install, "uninstall": _script("powershell", gone, 900, [0, 3010]),
            "note": "Nothing of it was run on the real system.",
        }  # fmt: skip


def _script(interpreter: str, text: str, timeout_s: int, success: list[int] | None = None) -> dict[str, Any]:
    plain = {"interpreter": interpreter, "text": text, "timeout_s": timeout_s}
    return {**plain, "success": success} if success else plain


if __name__ == "__main__":
    sys.exit(main())
