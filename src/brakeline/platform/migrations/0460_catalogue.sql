-- What was adopted from the curated catalogue, and how new the vendor's signatures were. Owner: brakeline.catalog.

CREATE TABLE brakeline.catalogue_adoption (
    tenant_id    text COLLATE "C" NOT NULL,
    product      text COLLATE "C" NOT NULL,
    architecture text COLLATE "C" NOT NULL,
    version      text COLLATE "C" NOT NULL,
    sha256       text COLLATE "C" NOT NULL,
    url          text NOT NULL,
    vouched      text NOT NULL,               -- in a sentence: what proves it
    key          text NOT NULL,               -- the vendor's; '' = nobody has signed
    signed_at    timestamptz,                 -- by the vendor's clock; NULL = not said
    adopted_at   timestamptz NOT NULL,
    adopted_by   text NOT NULL,
    PRIMARY KEY (tenant_id, product, architecture, version, sha256)
);
SELECT brakeline.declare_tenant_table('brakeline.catalogue_adoption');
