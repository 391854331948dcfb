"""Samples of vendors' documents, built in their published shapes; none of them is a real one."""

from __future__ import annotations

from typing import Any

WIN, SERVER, AZL = "Windows 10 Version 22H2 for x64-based Systems", "Windows Server 2012 R2", "azl3 kernel 6.6.1-1"


def fix(kb: str, build: str, replaces: str, *products: str) -> dict[str, Any]:
    return {"Description": {"Value": kb}, "URL": "", "Supercedence": replaces, "ProductID": list(products), "Type": 2,
            "SubType": "Security Update", "FixedBuild": build, "RestartRequired": {"Value": "Yes"}}  # fmt: skip


def month(id_: str = "2024-Mar", day: str = "2024-03-12", *fixes: dict[str, Any], **changed: Any) -> dict[str, Any]:
    products = [("11929", WIN), ("10483", SERVER), ("20001", AZL)]
    one = {
        "CVE": "CVE-2024-21407", "Title": {"Value": "Hyper-V"},
        "ProductStatuses": [{"ProductID": ["11929", "10483", "20001"], "Type": 3}],
        "CVSSScoreSets": [{"BaseScore": 8.1, "Vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O/RC:C",
                           "ProductID": ["11929"]}],
        "Remediations": list(fixes) or [
            fix("5035845", "10.0.19045.4170", "5034763", "11929"),
            fix("5035885", "6.3.9600.21871", "5034819", "10483"),  # the rollup
            fix("5035888", "6.3.9600.21872", "", "10483"),  # security only
            {"Type": 5, "Description": {"Value": "5035845"}, "ProductID": ["11929"]},  # known issues
        ],
    }  # fmt: skip
    return {
        "DocumentTitle": {"Value": "March 2024 Security Updates"}, "DocumentType": {"Value": "Security Update"},
        "DocumentPublisher": {"ContactDetails": {"Value": "secure@microsoft.com"}, "Type": 0},
        "DocumentTracking": {
            "Identification": {"ID": {"Value": id_}}, "Status": 2, "Version": "1.0",
            "InitialReleaseDate": f"{day}T07:00:00", "CurrentReleaseDate": f"{day}T07:00:00Z"},
        "ProductTree": {"FullProductName": [{"ProductID": i, "Value": v} for i, v in products]},
        "Vulnerability": [one | changed],
    }  # fmt: skip


def release(name: str, ended: str | None, extended: str | None = None, build: str = "") -> dict[str, Any]:
    """One release as endoflife.date tells it."""
    latest = {"name": build, "date": "2020-01-01", "link": None} if build else None
    return {"name": name, "codename": None, "label": name, "releaseDate": "2020-01-01", "isLts": False,
            "isEol": None, "eolFrom": ended, "isEoes": None, "eoesFrom": extended, "isMaintained": True,
            "latest": latest, "custom": None}  # fmt: skip


def ends(product: str, *releases: Any) -> dict[str, Any]:
    """A file of one product in the shape of all of them."""
    one = {"name": product, "label": product.title(), "aliases": [], "category": "os", "releases": list(releases)}
    return {"schema_version": "1.2.0", "generated_at": "2026-11-01T00:53:29+00:00", "total": 1, "result": [one]}
