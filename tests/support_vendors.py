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


MAIN, EUS, MODULE = "AppStream-9.4.0.Z.MAIN", "AppStream-9.2.0.Z.EUS", "AppStream-8.10.0.Z.MAIN"
STREAM = "container-tools:rhel8:8100020240808093819:afee755d"


def product(id_: str, **helper: str) -> dict[str, Any]:
    return {"product": {"name": id_, "product_id": id_, "product_identification_helper": helper}}


def within(component: str, platform: str) -> dict[str, Any]:
    return {"category": "default_component_of", "product_reference": component,
            "relates_to_product_reference": platform,
            "full_product_name": {"name": "x", "product_id": f"{platform}:{component}"}}  # fmt: skip


def vex(**vulnerability: Any) -> dict[str, Any]:
    """A document of Red Hat about one CVE, as it publishes them."""
    curl = "curl-0:7.76.1-29.el9_4.1"
    tree = {
        "branches": [
            {"category": "vendor", "name": "Red Hat", "branches": [
                product(MAIN, cpe="cpe:/a:redhat:enterprise_linux:9::appstream"),
                product(EUS, cpe="cpe:/a:redhat:rhel_eus:9.2::appstream"),
                product(MODULE, cpe="cpe:/a:redhat:enterprise_linux:8::appstream"),
                product("red_hat_enterprise_linux_7", cpe="cpe:/o:redhat:enterprise_linux:7"),
                product(f"{curl}.src", purl="pkg:rpm/redhat/curl@7.76.1-29.el9_4.1?arch=src"),
                product(f"{curl}.x86_64", purl="pkg:rpm/redhat/curl@7.76.1-29.el9_4.1?arch=x86_64"),
                product("libcurl-0:7.76.1-29.el9_4.1.x86_64",
                        purl="pkg:rpm/redhat/libcurl@7.76.1-29.el9_4.1?arch=x86_64"),
                product("curl-0:7.76.1-23.el9_2.6.src", purl="pkg:rpm/redhat/curl@7.76.1-23.el9_2.6?arch=src"),
                product(STREAM, purl="pkg:rpmmod/redhat/container-tools@rhel8:8100020240808093819:afee755d"),
                product("buildah-2:1.33.8-4.module+el8.10.0.src",
                        purl="pkg:rpm/redhat/buildah@1.33.8-4.module%2Bel8.10.0?arch=src&epoch=2"),
                product("curl", purl="pkg:rpm/redhat/curl?arch=src"),
                product("ubi9/ubi", purl="pkg:oci/ubi@sha256:00?arch=amd64"),
            ]},
        ],
        "relationships": [
            within(f"{curl}.src", MAIN), within(f"{curl}.x86_64", MAIN),
            within("libcurl-0:7.76.1-29.el9_4.1.x86_64", MAIN), within("curl-0:7.76.1-23.el9_2.6.src", EUS),
            within(STREAM, MODULE), within("buildah-2:1.33.8-4.module+el8.10.0.src", f"{MODULE}:{STREAM}"),
            within("curl", "red_hat_enterprise_linux_7"), within("ubi9/ubi", MAIN),
        ],
    }  # fmt: skip
    status = {
        "fixed": [f"{MAIN}:{curl}.src", f"{MAIN}:{curl}.x86_64", f"{MAIN}:libcurl-0:7.76.1-29.el9_4.1.x86_64",
                  f"{EUS}:curl-0:7.76.1-23.el9_2.6.src",
                  f"{MODULE}:{STREAM}:buildah-2:1.33.8-4.module+el8.10.0.src", f"{MAIN}:ubi9/ubi"],
        "known_affected": ["red_hat_enterprise_linux_7:curl"],
    }  # fmt: skip
    fix = {"category": "vendor_fix", "details": "Update.", "url": "https://access.redhat.com/errata/RHSA-2024:0001",
           "product_ids": status["fixed"][:3]}  # fmt: skip
    said = {
        "cve": "CVE-2024-0001",
        "product_status": status,
        "remediations": [fix],
        "scores": [{"cvss_v3": {"vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}, "products": []}],
    }
    tracking = {
        "id": "CVE-2024-0001",
        "status": "final",
        "version": "3",
        "revision_history": [],
        "initial_release_date": "2024-03-05T01:00:00+01:00",
        "current_release_date": "2024-08-13T15:14:45+00:00",
    }
    return {
        "document": {"category": "csaf_vex", "csaf_version": "2.0", "title": "curl: a flaw", "tracking": tracking,
                     "publisher": {"category": "vendor", "name": "Red Hat", "namespace": "https://www.redhat.com"}},
        "product_tree": tree, "vulnerabilities": [said | vulnerability],
    }  # fmt: skip
