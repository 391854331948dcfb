-- Bills of materials from elsewhere, and VEX files that people have taken in. Owner: brakeline.sbom.

CREATE TABLE brakeline.sbom_asset (
    tenant_id     text COLLATE "C" NOT NULL,
    asset_id      text COLLATE "C" NOT NULL,
    name          text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('image', 'appliance', 'application', 'other')),
    version       text NOT NULL,
    format        text NOT NULL,
    file_name     text NOT NULL,
    sha256        text COLLATE "C" NOT NULL,
    serial        text NOT NULL,
    made          text NOT NULL,             -- as the bill says it
    imported_at   timestamptz NOT NULL,
    imported_by   text NOT NULL,
    components    integer NOT NULL,
    left_out      text[] NOT NULL,           -- components that cannot be assessed, and why
    more_left_out integer NOT NULL,
    PRIMARY KEY (tenant_id, asset_id),
    UNIQUE (tenant_id, name)
);
SELECT brakeline.declare_tenant_table('brakeline.sbom_asset');

CREATE TABLE brakeline.sbom_component (
    tenant_id      text COLLATE "C" NOT NULL,
    asset_id       text COLLATE "C" NOT NULL,
    number         integer NOT NULL,
    name           text COLLATE "C" NOT NULL,
    version        text COLLATE "C" NOT NULL,
    ecosystem      text COLLATE "C" NOT NULL,  -- '' = not known: not assessed
    purl           text COLLATE "C" NOT NULL,
    source         text COLLATE "C" NOT NULL,
    source_version text COLLATE "C" NOT NULL,
    module         text NOT NULL,
    "where"        text NOT NULL,
    PRIMARY KEY (tenant_id, asset_id, number),
    FOREIGN KEY (tenant_id, asset_id) REFERENCES brakeline.sbom_asset ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.sbom_component');

CREATE TABLE brakeline.vex_document (
    tenant_id    text COLLATE "C" NOT NULL,
    sha256       text COLLATE "C" NOT NULL,
    file_name    text NOT NULL,
    format       text NOT NULL,
    author       text NOT NULL,
    issued       text NOT NULL,
    statements   integer NOT NULL,
    taken_at     timestamptz NOT NULL,
    taken_by     text NOT NULL,              -- the person who answers for it
    reason       text NOT NULL,
    withdrawn_at timestamptz,
    withdrawn_by text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, sha256)
);
SELECT brakeline.declare_tenant_table('brakeline.vex_document');

CREATE TABLE brakeline.vex_statement (
    tenant_id     text COLLATE "C" NOT NULL,
    sha256        text COLLATE "C" NOT NULL,
    number        integer NOT NULL,
    vulnerability text COLLATE "C" NOT NULL,
    products      text[] NOT NULL,
    status        text NOT NULL CHECK (status IN ('not_affected', 'affected', 'fixed', 'under_investigation')),
    justification text NOT NULL,
    detail        text NOT NULL,
    PRIMARY KEY (tenant_id, sha256, number),
    FOREIGN KEY (tenant_id, sha256) REFERENCES brakeline.vex_document ON DELETE CASCADE
);
CREATE INDEX vex_statement_vulnerability ON brakeline.vex_statement (tenant_id, vulnerability);
SELECT brakeline.declare_tenant_table('brakeline.vex_statement');
