"""`exposure assess` as people meet it: bad input is named, exit codes are kept, the text says what it rests on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard

from brakeline.cli.assess import LIMITS, main

ROW = {"source": "curl", "cve": "CVE-2025-1", "fixed": "2-1", "date": "2025-01-01", "urgency": "low", "dist": "x"}
KEV = {
    "catalogVersion": "1", "count": 1,
    "vulnerabilities": [{"cveID": "CVE-2025-1", "dateAdded": "2025-02-02", "dueDate": "2025-02-20"}],
}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    contents = {
        "inventory": json.dumps({"package": "curl", "version": "1-1"}),
        "advisories": json.dumps(ROW),
        "kev": json.dumps(KEV),
        "empty": "",
        "garbage": "{]\n",
        "damaged": "",
        "list": "[]\n",
        "short_row": json.dumps({"source": "curl", "cve": "CVE-1"}),
        "number": json.dumps({**ROW, "fixed": 7}),
        "bad_version": json.dumps({**ROW, "fixed": "not a version"}),
        "no_fix": json.dumps({**ROW, "fixed": ""}),
        "strange_state": json.dumps({**ROW, "state": "perhaps"}),
        "nameless": json.dumps({"version": "1"}),
        "tricky": '{"a":"b\nc"}\n{},{}\n',
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    packed = zstandard.ZstdCompressor().compress(json.dumps(ROW).encode() * 500)
    (tmp_path / "damaged").write_bytes(packed[: len(packed) // 2])
    return {name: str(tmp_path / name) for name in contents}


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_findings_as_json(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(
        capsys, "--inventory", files["inventory"], "--advisories", files["advisories"], files["kev"], "--json"
    )
    (found,) = json.loads(out)["findings"]
    assert (code, err) == (0, "")
    assert {k: found[k] for k in ("package", "source", "installed", "cve", "fixed", "kev")} == {
        "package": "curl", "source": "curl", "installed": "1-1", "cve": "CVE-2025-1", "fixed": "2-1", "kev": True,
    }  # fmt: skip


def test_findings_as_text_with_what_they_rest_on(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--inventory", files["inventory"], "--advisories", files["advisories"])
    assert code == 0
    assert out.splitlines()[0] == "CVE-2025-1\tcurl\t1-1 -> 2-1"
    assert "1 findings: 1 CVEs" in out
    assert LIMITS in out


def test_another_release_finds_nothing_and_says_so_of_every_package(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "rows").write_text(json.dumps({**ROW, "ecosystem": "debian:13"}))
    code, out, _ = run(capsys, "--inventory", files["inventory"], "--advisories", str(tmp_path / "rows"), "--json")
    document = json.loads(out)
    assert (code, document["findings"]) == (0, [])
    assert document["not_assessed"][0]["code"] == "no_data"


def test_a_machine_without_findings_is_assessed_and_clean(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "patched").write_text(json.dumps({"package": "curl", "version": "2-1"}))
    code, out, _ = run(capsys, "--inventory", str(tmp_path / "patched"), "--advisories", files["advisories"], "--json")
    document = json.loads(out)
    assert (code, document["findings"], document["assessed"], document["not_assessed"]) == (0, [], 1, [])


def test_the_oldest_of_several_installed_versions_decides_which_rows_are_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Two kernels of one source; the signed one is judged as the source that was signed."""
    images = [
        {"package": f"linux-image-{v}-amd64", "version": f"{v}-1", "source": "linux-signed-amd64",
         "source_version": f"{v}+1"}
        for v in ("6.1.3", "6.1.1")
    ]  # fmt: skip
    (tmp_path / "i").write_text("\n".join(map(json.dumps, images)))
    rows = [{**ROW, "source": "linux", "cve": f"CVE-2025-{n}", "fixed": f"6.1.{n}-1"} for n in (1, 2, 3, 4)]
    (tmp_path / "a").write_text("\n".join(map(json.dumps, rows)))
    code, out, _ = run(capsys, "--inventory", str(tmp_path / "i"), "--advisories", str(tmp_path / "a"), "--json")
    found = [(f["source_version"], f["cve"]) for f in json.loads(out)["findings"]]
    assert code == 0
    assert found == [("6.1.1-1", f"CVE-2025-{n}") for n in (2, 3, 4)] + [("6.1.3-1", "CVE-2025-4")]


@pytest.mark.parametrize(
    ("inventory", "advisories", "says"),
    [
        ("missing", "advisories", "A file cannot be read."),
        ("inventory", "missing", "A file cannot be read."),
        ("empty", "advisories", "expected 1 to 20000 packages"),
        ("garbage", "advisories", "line 1 is not one JSON object"),
        ("nameless", "advisories", "line=1"),
        ("tricky", "advisories", "line 1 is not one JSON object"),
        ("inventory", "empty", "expected 1 to 2000000 rows"),
        ("inventory", "garbage", "line 1 is not one JSON object"),
        ("inventory", "list", "line 1 is not one JSON object"),
        ("inventory", "damaged", "damaged"),
        ("inventory", "short_row", "row 1 misses or garbles a field"),
        ("inventory", "number", "row 1 misses or garbles a field"),
        ("inventory", "bad_version", "no version"),
        ("inventory", "no_fix", "row 1 misses or garbles a field"),
        ("inventory", "strange_state", "unknown state perhaps"),
    ],
)
def test_bad_input_is_named_and_nothing_is_printed(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], inventory: str, advisories: str, says: str
) -> None:
    code, out, err = run(
        capsys, "--inventory", files.get(inventory, "/nowhere"), "--advisories", files.get(advisories, "/nowhere")
    )
    assert (code, out) == (2, "")
    assert says in err
    assert err.startswith("Error: ")


def test_an_error_with_json_is_one_document_too(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--inventory", files["garbage"], "--advisories", files["advisories"], "--json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == "bad-inventory"
    assert "line 1" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "--inventory needs exactly one value"),
        (["--inventory", "a", "b"], "--inventory needs exactly one value"),
        (["--inventory", "a"], "--advisories needs at least one file"),
        (["--inventory", "a", "--advisories"], "--advisories needs at least one file"),
        (["--inventory", "a", "--advisories", "b", "--jsn"], "no such option: --jsn"),
        (["word"], "unexpected word: word"),
        (["--inventory", "a", "--advisories", "b", "--json", "x"], "--json takes no value"),
    ],
)
def test_wrong_usage(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *words)
    assert code == 2
    assert (json.loads(out)["error"]["code"] == "usage") if "--json" in words else (out == "")
    assert says in err
    assert "exposure assess --help" in err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert out.startswith("Usage: brakeline exposure assess")


def test_one_inventory_with_packages_of_every_ecosystem(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A system of rpms with Python, npm and Maven packages on it; rows of one file, each in its own order."""
    items = [
        {"package": "curl", "version": "7.76.1-26.el9"},
        {"package": "Py.YAML", "version": "6.0rc1", "ecosystem": "pypi"},
        {"package": "dnf-lib", "version": "1", "ecosystem": "pypi", "owner": "python3-dnf"},
        {"package": "left", "version": "1.0.0", "ecosystem": "npm"},
        {"package": "org:core", "version": "2.0-rc1", "ecosystem": "maven"},
    ]
    rows = [
        {"source": "curl", "cve": "CVE-2025-1", "fixed": "7.76.1-29.el9", "ecosystem": "AlmaLinux:9"},
        {"source": "curl", "cve": "CVE-2025-2", "fixed": "7.76.1-25.el9"},
        {"source": "py-yaml", "cve": "CVE-2025-3", "fixed": "6.0", "ecosystem": "PyPI"},
        {
            "source": "left",
            "cve": "CVE-2025-4",
            "fixed": "",
            "last_affected": "1.0.0",
            "state": "open",
            "ecosystem": "npm",
        },
        {
            "source": "left",
            "cve": "CVE-2025-5",
            "fixed": "9.0.0",
            "state": "withdrawn",
            "reason": "wrong",
            "ecosystem": "npm",
        },
        {"source": "org:core", "cve": "CVE-2025-6", "fixed": "2.0", "ecosystem": "Maven"},
        {"source": "other", "cve": "CVE-2025-7", "fixed": "2.0", "ecosystem": "Maven"},
    ]
    (tmp_path / "i").write_text("\n".join(map(json.dumps, items)))
    (tmp_path / "a").write_text("\n".join(map(json.dumps, rows)))
    words = ("--inventory", str(tmp_path / "i"), "--advisories", str(tmp_path / "a"), "--release", "almalinux:9.4")
    code, out, _ = run(capsys, *words, "--json")
    document = json.loads(out)
    assert code == 0
    assert [(f["ecosystem"], f["cve"]) for f in document["findings"]] == [
        ("pypi", "CVE-2025-3"), ("almalinux:9", "CVE-2025-1"), ("npm", "CVE-2025-4"), ("maven", "CVE-2025-6"),
    ]  # fmt: skip
    assert [n["code"] for n in document["not_assessed"]] == ["owned"]
    assert [(d["cve"], d["code"], d["reason"]) for d in document["dismissed"]] == [("CVE-2025-5", "withdrawn", "wrong")]
    assert "1 rows" not in run(capsys, *words)[1]
    assert "one row speaks of what is installed and makes no finding: 1 withdrawn" in run(capsys, *words)[1].lower()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"fixed": "2", "last_affected": "1"}, "not with both"),
        ({"fixed": "", "state": "open", "introduced": "2.0.0", "last_affected": "1.0.0"}, "last_affected is before"),
        ({"fixed": "1.0.0", "introduced": "1.0.0"}, "introduced is not before fixed"),
        ({"fixed": "1.0.0", "ecosystem": "packagist"}, "orders its versions is not known"),
        ({"fixed": "one", "ecosystem": "npm"}, "no version"),
        ({"fixed": "1.0.0", "module": 1}, "row 1 misses or garbles a field"),
    ],
)  # fmt: skip
def test_a_row_that_says_nothing_sensible_refuses_its_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, row: dict[str, object], says: str
) -> None:
    (tmp_path / "i").write_text(json.dumps({"package": "x", "version": "1.0.0", "ecosystem": "npm"}))
    (tmp_path / "a").write_text(json.dumps({"source": "x", "cve": "CVE-1", "ecosystem": "npm", **row}))
    code, out, err = run(capsys, "--inventory", str(tmp_path / "i"), "--advisories", str(tmp_path / "a"))
    assert (code, out) == (2, "")
    assert says in err


def test_an_inventory_with_text_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "i").write_text('{"package":"x","version":"\\ud800"}')
    (tmp_path / "a").write_text(json.dumps(ROW))
    code, _, err = run(capsys, "--inventory", str(tmp_path / "i"), "--advisories", str(tmp_path / "a"))
    assert (code, "no valid text" in err) == (2, True)
