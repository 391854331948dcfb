"""Samples of XML of vendors, built in the published shapes of OVAL 5.10 and 5.11 and of CVRF 1.1; none is real."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

WIN = "Windows 10 Version 22H2 for x64-based Systems"
SPACES = (
    'xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5" '
    'xmlns:oval="http://oval.mitre.org/XMLSchema/oval-common-5" '
    'xmlns:red-def="http://oval.mitre.org/XMLSchema/oval-definitions-5#linux" '
    'xmlns:unix-def="http://oval.mitre.org/XMLSchema/oval-definitions-5#unix" '
    'xmlns:ind-def="http://oval.mitre.org/XMLSchema/oval-definitions-5#independent"'
)
CPES = ("cpe:/a:redhat:enterprise_linux:8::appstream", "cpe:/o:redhat:enterprise_linux:8::baseos")


def oval(definitions: str, tests: str = "", objects: str = "", states: str = "", variables: str = "",
         at: str = "2024-01-20T10:00:00") -> bytes:  # fmt: skip
    return (
        f'<?xml version="1.0" encoding="utf-8"?><oval_definitions {SPACES}><generator>'
        f"<oval:product_name>A generator</oval:product_name><oval:schema_version>5.10</oval:schema_version>"
        f"<oval:timestamp>{at}</oval:timestamp></generator><definitions>{definitions}</definitions>"
        f"<tests>{tests}</tests><objects>{objects}</objects><states>{states}</states>"
        f"<variables>{variables}</variables></oval_definitions>"
    ).encode()


def criterion(test: str, comment: str = "", **more: str) -> str:
    said = "".join(f" {key}={quoteattr(value)}" for key, value in more.items())
    return f'<criterion comment={quoteattr(comment)} test_ref="oval:com.redhat.rhsa:tst:{test}"{said}/>'


def all_of(*children: str) -> str:
    return f'<criteria operator="AND">{"".join(children)}</criteria>'


def any_of(*children: str) -> str:
    return f'<criteria operator="OR">{"".join(children)}</criteria>'


def red_hat_definition(criteria: str, number: str = "20240001", *, kind: str = "patch", cpes: tuple[str, ...] = CPES,
                       affected: str = "", cve: str = "CVE-2024-0001") -> str:  # fmt: skip
    advisory = f"RHSA-{number[:4]}:{number[4:]}"
    reference = f'<reference ref_id="{advisory}" ref_url="https://x" source="RHSA"/>' if kind == "patch" else ""
    listed = "".join(f"<cpe>{cpe}</cpe>" for cpe in cpes)
    return (
        f'<definition class="{kind}" id="oval:com.redhat.rhsa:def:{number}" version="635"><metadata>'
        f"<title>{advisory}: thunderbird security update (Important)</title>"
        f'<affected family="unix"><platform>Red Hat Enterprise Linux 8</platform>{affected}</affected>{reference}'
        f'<reference ref_id="{cve}" ref_url="https://x" source="CVE"/><description>…</description>'
        f'<advisory from="secalert@redhat.com"><severity>Important</severity><issued date="2024-01-02"/>'
        f'<updated date="2024-01-03"/><cve cvss3="6.5/CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:N/I:H/A:N" public="20231219">'
        f"{cve}</cve><affected_cpe_list>{listed}</affected_cpe_list></advisory></metadata>{criteria}</definition>"
    )


NO_RELEASE = criterion("90", "Red Hat Enterprise Linux must be installed")
RELEASE = any_of(criterion("91", "Red Hat Enterprise Linux 8 is installed"),
                 criterion("92", "Red Hat CoreOS 4 is installed"))  # fmt: skip
RED_HAT_TESTS = "".join(
    f'<red-def:rpmverifyfile_test check="{check}" comment="x" id="oval:com.redhat.rhsa:tst:{n}" version="1">'
    f'<red-def:object object_ref="o:release"/><red-def:state state_ref="s:release"/></red-def:rpmverifyfile_test>'
    for n, check in (("90", "none satisfy"), ("91", "at least one"), ("92", "at least one"))
)
RED_HAT_OBJECTS = (
    '<red-def:rpmverifyfile_object id="o:release" version="1"><red-def:name operation="pattern match"/>'
    "<red-def:filepath>/etc/redhat-release</red-def:filepath></red-def:rpmverifyfile_object>"
)
RED_HAT_STATES = (
    '<red-def:rpminfo_state id="s:key" version="1"><red-def:signature_keyid operation="equals">199e2f91fd431d51'
    "</red-def:signature_keyid></red-def:rpminfo_state>"
)


def rpm(n: str, name: str, version: str = "", operation: str = "less than", check: str = "at least one",
        more: str = "") -> tuple[str, str, str]:  # fmt: skip
    """Test, object and state of a package; without a version: whether it is installed."""
    state = f'<red-def:state state_ref="s:{n}"/>' if version else ""
    test = (f'<red-def:rpminfo_test check="{check}" comment="{name} is earlier than {escape(version)}" '
            f'id="oval:com.redhat.rhsa:tst:{n}" version="1"><red-def:object object_ref="o:{n}"/>{state}'
            "</red-def:rpminfo_test>")  # fmt: skip
    what = (
        f'<red-def:rpminfo_object id="o:{n}" version="1"><red-def:name>{name}</red-def:name></red-def:rpminfo_object>'
    )
    below = (f'<red-def:rpminfo_state id="s:{n}" version="1"><red-def:arch datatype="string" '
             f'operation="pattern match">aarch64|x86_64</red-def:arch><red-def:evr datatype="evr_string" '
             f'operation="{operation}">{escape(version)}</red-def:evr>{more}</red-def:rpminfo_state>')  # fmt: skip
    return test, what, below if version else ""


def signed(n: str, name: str) -> str:
    return (f'<red-def:rpminfo_test check="at least one" comment="{name} is signed with Red Hat redhatrelease2 key" '
            f'id="oval:com.redhat.rhsa:tst:{n}" version="1"><red-def:object object_ref="o:{n[:-1]}"/>'
            '<red-def:state state_ref="s:key"/></red-def:rpminfo_test>')  # fmt: skip


def red_hat(criteria: str | None = None, *packages: tuple[str, str, str], definitions: str = "", tests: str = "",
            objects: str = "", **more: object) -> bytes:  # fmt: skip
    """One advisory: `criteria` in the place of what is asked of packages."""
    mine = list(packages) or [rpm("1", "thunderbird", "0:115.6.0-1.el8_9")]
    if criteria is None:
        criteria = all_of(criterion("1", "thunderbird is earlier than 0:115.6.0-1.el8_9"), criterion("1s", "signed"))
    whole = any_of(NO_RELEASE, all_of(criteria, RELEASE))
    return oval(
        definitions or red_hat_definition(whole, **more),  # type: ignore[arg-type]
        RED_HAT_TESTS + signed("1s", "thunderbird") + tests + "".join(p[0] for p in mine),
        RED_HAT_OBJECTS + objects + "".join(p[1] for p in mine), RED_HAT_STATES + "".join(p[2] for p in mine),
    )  # fmt: skip


def ubuntu(*packages: tuple[str, str, str], kind: str = "patch", platform: str = "Ubuntu 22.04 LTS",
           words: str = "Does the '{0}' package exist and is the version less than '{1}'?",
           listed: str = "'{0}' package binaries") -> bytes:  # fmt: skip
    """A notice about packages: (source, version, comment of its criterion)."""
    tests, objects, states, variables, criteria = "", "", "", "", ""
    for n, (source, version, comment) in enumerate(packages, 1):
        state = f'<red-def:state state_ref="oval:com.ubuntu.jammy:ste:{n}"/>' if version else ""
        criteria += f'<criterion test_ref="oval:com.ubuntu.jammy:tst:{n}" comment={quoteattr(comment)}/>'
        tests += (f'<red-def:dpkginfo_test id="oval:com.ubuntu.jammy:tst:{n}" version="1" '
                  f'check_existence="at_least_one_exists" check="at least one" comment='
                  f"{quoteattr(words.format(source, version))}><red-def:object "
                  f'object_ref="oval:com.ubuntu.jammy:obj:{n}"/>{state}</red-def:dpkginfo_test>')  # fmt: skip
        objects += (f'<red-def:dpkginfo_object id="oval:com.ubuntu.jammy:obj:{n}" version="1"><red-def:name '
                    f'var_ref="oval:com.ubuntu.jammy:var:{n}" var_check="at least one"/>'
                    "</red-def:dpkginfo_object>")  # fmt: skip
        if version:
            states += (f'<red-def:dpkginfo_state id="oval:com.ubuntu.jammy:ste:{n}" version="1"><red-def:evr '
                       f'datatype="debian_evr_string" operation="less than">0:{version}</red-def:evr>'
                       "</red-def:dpkginfo_state>")  # fmt: skip
        variables += (f'<constant_variable id="oval:com.ubuntu.jammy:var:{n}" version="1" datatype="string" '
                      f"comment={quoteattr(listed.format(source))}><value>{source}</value><value>{source}-common"
                      "</value></constant_variable>")  # fmt: skip
    own = '<reference source="USN" ref_url="https://x" ref_id="USN-5518-1"/>' if kind == "patch" else ""
    runs = (
        '<definition id="oval:com.ubuntu.jammy:def:100" version="1" class="inventory"><metadata><title>Ubuntu</title>'
        '</metadata><criteria><criterion test_ref="oval:com.ubuntu.jammy:tst:100" comment="unix"/></criteria>'
        "</definition>"
    )
    definition = (
        f'{runs}<definition id="oval:com.ubuntu.jammy:def:55181" version="1" class="{kind}"><metadata>'
        f'<title>USN-5518-1 -- Vim vulnerabilities</title><affected family="unix"><platform>{platform}</platform>'
        f'</affected>{own}<reference source="CVE" ref_url="https://x" ref_id="CVE-2022-0943"/><description>…'
        f'</description><advisory from="security@ubuntu.com"><severity>Medium</severity><issued date="2022-07-14"/>'
        f'<cve cvss_vector="CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H">CVE-2022-0943</cve></advisory></metadata>'
        f'<criteria><extend_definition definition_ref="oval:com.ubuntu.jammy:def:100" applicability_check="true" '
        f'comment="Ubuntu 22.04 LTS (jammy) is installed."/><criteria operator="OR">{criteria}</criteria></criteria>'
        "</definition>"
    )
    return oval(definition, tests, objects, states, variables)


def cvrf(id_: str = "2024-Mar", *, cve: str = "CVE-2024-21407", contact: str = "secure@microsoft.com",
         remediation: str | None = None, products: str = "") -> bytes:  # fmt: skip
    """A month of Microsoft as XML."""
    if remediation is None:
        remediation = (
            '<vuln:Remediation Type="Vendor Fix"><vuln:Description>5035845</vuln:Description><vuln:URL>https://x'
            "</vuln:URL><vuln:Supercedence>5034763</vuln:Supercedence><vuln:ProductID>11929</vuln:ProductID>"
            "<vuln:RestartRequired>Yes</vuln:RestartRequired><vuln:SubType>Security Update</vuln:SubType>"
            "<vuln:FixedBuild>10.0.19045.4170</vuln:FixedBuild></vuln:Remediation>"
            '<vuln:Remediation Type="Known Issue"><vuln:Description>5035845</vuln:Description>'
            "<vuln:ProductID>11929</vuln:ProductID></vuln:Remediation>"
        )
    return (
        '<?xml version="1.0" encoding="utf-8"?><cvrf:cvrfdoc xmlns:cvrf="http://www.icasi.org/CVRF/schema/cvrf/1.1">'
        '<cvrf:DocumentTitle xml:lang="en">March 2024 Security Updates</cvrf:DocumentTitle>'
        f'<cvrf:DocumentPublisher Type="Vendor"><cvrf:ContactDetails>{contact}</cvrf:ContactDetails>'
        "</cvrf:DocumentPublisher><cvrf:DocumentTracking><cvrf:Identification>"
        f"<cvrf:ID>{id_}</cvrf:ID></cvrf:Identification><cvrf:Status>Final</cvrf:Status>"
        "<cvrf:InitialReleaseDate>2024-03-12T07:00:00</cvrf:InitialReleaseDate>"
        "<cvrf:CurrentReleaseDate>2024-03-12T07:00:00</cvrf:CurrentReleaseDate></cvrf:DocumentTracking>"
        '<prod:ProductTree xmlns:prod="http://www.icasi.org/CVRF/schema/prod/1.1"><prod:Branch Type="Vendor" '
        f'Name="Microsoft"><prod:FullProductName ProductID="11929">{WIN}</prod:FullProductName></prod:Branch>'
        f'<prod:FullProductName ProductID="11929">{WIN}</prod:FullProductName>{products}</prod:ProductTree>'
        '<vuln:Vulnerability Ordinal="1" xmlns:vuln="http://www.icasi.org/CVRF/schema/vuln/1.1">'
        f"<vuln:Title>Hyper-V</vuln:Title><vuln:CVE>{cve}</vuln:CVE><vuln:ProductStatuses>"
        '<vuln:Status Type="Known Affected"><vuln:ProductID>11929</vuln:ProductID></vuln:Status>'
        "</vuln:ProductStatuses><vuln:CVSSScoreSets><vuln:ScoreSet><vuln:BaseScore>8.1</vuln:BaseScore>"
        "<vuln:Vector>CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H</vuln:Vector><vuln:ProductID>11929"
        f"</vuln:ProductID></vuln:ScoreSet></vuln:CVSSScoreSets><vuln:Remediations>{remediation}</vuln:Remediations>"
        "</vuln:Vulnerability></cvrf:cvrfdoc>"
    ).encode()
