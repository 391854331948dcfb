-- Own packages as their authors signed them, and the artifacts that travel in content. Owner: brakeline.catalog.

CREATE TABLE brakeline.software (
    tenant_id        text COLLATE "C" NOT NULL,
    name             text COLLATE "C" NOT NULL,
    version          text COLLATE "C" NOT NULL,   -- the author's
    full_version     text COLLATE "C" NOT NULL,   -- with 12 hex of what was signed
    title            text NOT NULL,
    vendor           text NOT NULL,
    platform         text NOT NULL CHECK (platform IN ('linux', 'windows')),
    script_only      boolean NOT NULL,
    artifact         text NOT NULL,               -- file name; '' = none
    artifact_bytes   bigint NOT NULL,
    artifact_sha256  text COLLATE "C" NOT NULL,
    artifact_url     text NOT NULL,               -- '' = it travels in content
    signed_by        text[] NOT NULL,
    takes_back       boolean NOT NULL,
    document         text NOT NULL,               -- as it came, signatures and all
    added_at         timestamptz NOT NULL,
    added_by         text NOT NULL,
    withdrawn_at     timestamptz,
    withdrawn_by     text NOT NULL DEFAULT '',
    withdrawn_reason text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, name, version)
);
SELECT brakeline.declare_tenant_table('brakeline.software');

CREATE TABLE brakeline.software_payload (
    tenant_id text COLLATE "C" NOT NULL,
    sha256    text COLLATE "C" NOT NULL,
    bytes     bigint NOT NULL,
    data      bytea NOT NULL,
    PRIMARY KEY (tenant_id, sha256)
);
SELECT brakeline.declare_tenant_table('brakeline.software_payload');
