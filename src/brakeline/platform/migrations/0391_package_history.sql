-- What changed from one inventory of an endpoint to the next. Owner: brakeline.fleet. Pruned by age and number.

CREATE TABLE brakeline.package_step (
    tenant_id   text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    sequence    bigint NOT NULL,                   -- of the inventory that showed it
    at          timestamptz NOT NULL,
    packages    integer NOT NULL,                  -- afterwards
    changes     integer NOT NULL,
    left_out    integer NOT NULL DEFAULT 0,        -- beyond the bound of one inventory: not kept by name
    first       boolean NOT NULL DEFAULT false,    -- nothing is known of before
    PRIMARY KEY (tenant_id, endpoint_id, sequence)
);
CREATE INDEX package_step_at ON brakeline.package_step (tenant_id, at);
SELECT brakeline.declare_tenant_table('brakeline.package_step', 'SELECT, INSERT, DELETE');

CREATE TABLE brakeline.package_change (
    tenant_id    text COLLATE "C" NOT NULL,
    endpoint_id  text COLLATE "C" NOT NULL,
    sequence     bigint NOT NULL,
    name         text NOT NULL,
    architecture text NOT NULL,
    before       text NOT NULL,                    -- '' = it was not installed
    after        text NOT NULL,                    -- '' = it is not installed any more
    PRIMARY KEY (tenant_id, endpoint_id, sequence, name, architecture),
    FOREIGN KEY (tenant_id, endpoint_id, sequence) REFERENCES brakeline.package_step ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.package_change', 'SELECT, INSERT, DELETE');
