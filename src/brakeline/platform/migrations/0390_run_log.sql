-- What package transactions print while they run, as endpoints tell it. Owner: brakeline.runlog. Pruned by age and size.

CREATE TABLE brakeline.run (
    tenant_id      text COLLATE "C" NOT NULL,
    endpoint_id    text COLLATE "C" NOT NULL,
    transaction_id text COLLATE "C" NOT NULL,
    offer_id       text COLLATE "C" NOT NULL,
    rollout_id     text COLLATE "C" NOT NULL,
    began_at       timestamptz NOT NULL,           -- when the cell heard of it first
    heard_at       timestamptz NOT NULL,
    ended_at       timestamptz,                    -- its last entry is here
    next           integer NOT NULL DEFAULT 1,     -- number of the first entry that is not here
    bytes          bigint NOT NULL DEFAULT 0,
    missing        integer NOT NULL DEFAULT 0,     -- entries that the endpoint's spool has lost
    refused        boolean NOT NULL DEFAULT false, -- longer than a transaction's log may be: the rest is not here
    PRIMARY KEY (tenant_id, endpoint_id, transaction_id)
);
CREATE INDEX run_heard ON brakeline.run (tenant_id, heard_at);
SELECT brakeline.declare_tenant_table('brakeline.run');

CREATE TABLE brakeline.run_part (
    tenant_id      text COLLATE "C" NOT NULL,
    endpoint_id    text COLLATE "C" NOT NULL,
    transaction_id text COLLATE "C" NOT NULL,
    first          integer NOT NULL,
    next           integer NOT NULL,
    body           text NOT NULL,                  -- entries as JSON, their times by the cell's clock
    PRIMARY KEY (tenant_id, endpoint_id, transaction_id, first),
    FOREIGN KEY (tenant_id, endpoint_id, transaction_id) REFERENCES brakeline.run ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.run_part', 'SELECT, INSERT, DELETE');
