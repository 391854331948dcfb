"""Bills of materials, in and out, and what their authors say of vulnerabilities (VEX).

Owns the tables sbom_asset, sbom_component, vex_document, vex_statement. Promises: what an endpoint or a group has can
be had as CycloneDX 1.6 or SPDX 2.3, with what is *not* known in it; a bill from elsewhere is an asset, assessed like an
endpoint and never changed; a VEX statement is taken in by a person, shown with its source, and hides nothing: what it
speaks of stands beside it and is counted apart. Files are bounded before they are read.

Calls `fleet` and `exposure`. Start at `service`; `purl`, `cyclonedx`, `spdx`, `spdx3`, `reading` and `vex` are pure.
"""
