-- A lead changes hands. Owners: brakeline.cells, brakeline.rollout. The generation of a conductor rises with each
-- hand-over; cells refuse grants of an older one. Columns have defaults: the version before goes on writing its rows.

ALTER TABLE brakeline.cell_member ADD COLUMN generation bigint NOT NULL DEFAULT 0;      -- in which it was invited
ALTER TABLE brakeline.cell_member ADD COLUMN left_generation bigint NOT NULL DEFAULT 0; -- it believes that of another
ALTER TABLE brakeline.cell_member ADD COLUMN left_for text NOT NULL DEFAULT '';
ALTER TABLE brakeline.cell_link ADD COLUMN generation bigint NOT NULL DEFAULT 0;
ALTER TABLE brakeline.cell_link ADD COLUMN fast boolean NOT NULL DEFAULT false;         -- may lead in the fast lane
ALTER TABLE brakeline.lead ADD COLUMN told jsonb NOT NULL DEFAULT '[]'; -- change and policy word for word, if taken over

-- In a cell: conductors that it has left, to be told so.
CREATE TABLE brakeline.cell_former_link (
    tenant_id     text COLLATE "C" NOT NULL,
    link_id       text COLLATE "C" NOT NULL,
    cell          text COLLATE "C" NOT NULL,
    their_tenant  text COLLATE "C" NOT NULL,
    url           text NOT NULL,
    ca_pem        text NOT NULL,
    conductor_key text NOT NULL,
    generation    bigint NOT NULL,
    counter       bigint NOT NULL DEFAULT 0,
    left_at       timestamptz NOT NULL,
    told_at       timestamptz,
    PRIMARY KEY (tenant_id, link_id)
);
SELECT brakeline.declare_tenant_table('brakeline.cell_former_link');

-- At a conductor: leads of another one, as its cells last had them granted.
CREATE TABLE brakeline.lead_orphan (
    tenant_id text COLLATE "C" NOT NULL,
    lead_id   text COLLATE "C" NOT NULL,
    cell      text COLLATE "C" NOT NULL,
    body      jsonb NOT NULL,
    heard_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, lead_id, cell)
);
SELECT brakeline.declare_tenant_table('brakeline.lead_orphan');
