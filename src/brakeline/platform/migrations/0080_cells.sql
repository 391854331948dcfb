-- Cells: who stands together, and who conducts. Owner: brakeline.cells. Each organisation links its own cells.

-- At the conductor: the cells that were invited. The counter only rises, so no message is taken twice.
CREATE TABLE brakeline.cell_member (
    tenant_id   text COLLATE "C" NOT NULL,
    link_id     text COLLATE "C" NOT NULL,
    cell        text COLLATE "C" NOT NULL,
    region      text NOT NULL,
    state       text NOT NULL CHECK (state IN ('invited', 'joined', 'drained', 'isolated')),
    secret_hash bytea,                          -- of the join token; gone once it is redeemed
    secret_ends timestamptz,
    public_key  text NOT NULL DEFAULT '',       -- hex; the cell's own, which signs what it says
    counter     bigint NOT NULL DEFAULT 0,
    version     text NOT NULL DEFAULT '',
    skew_ms     bigint NOT NULL DEFAULT 0,
    heard_at    timestamptz,
    doubt       text NOT NULL DEFAULT '',       -- why it is not believed; a person clears it
    added_at    timestamptz NOT NULL,
    added_by    text NOT NULL,
    PRIMARY KEY (tenant_id, link_id),
    UNIQUE (tenant_id, cell)
);
SELECT brakeline.declare_tenant_table('brakeline.cell_member');

-- In a cell: the one conductor that it believes.
CREATE TABLE brakeline.cell_link (
    tenant_id      text COLLATE "C" NOT NULL,
    link_id        text COLLATE "C" NOT NULL,
    cell           text COLLATE "C" NOT NULL,
    their_tenant   text COLLATE "C" NOT NULL,   -- this organisation's id at the conductor
    url            text NOT NULL,
    ca_pem         text NOT NULL,               -- of the conductor's server, pinned by the join token
    conductor_key  text NOT NULL,               -- hex; believed for grants and for nothing else
    counter        bigint NOT NULL DEFAULT 0,
    asked_at       timestamptz,
    answered_at    timestamptz,
    skew_ms        bigint NOT NULL DEFAULT 0,
    trouble        text NOT NULL DEFAULT '',
    isolated       boolean NOT NULL DEFAULT false,
    joined_at      timestamptz NOT NULL,
    joined_by      text NOT NULL,
    PRIMARY KEY (tenant_id)
);
SELECT brakeline.declare_tenant_table('brakeline.cell_link');
