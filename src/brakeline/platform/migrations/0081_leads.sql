-- Leads: one change over several cells. Owner: brakeline.rollout. Counts only: nothing here names an endpoint.

-- At the conductor.
CREATE TABLE brakeline.lead (
    tenant_id   text COLLATE "C" NOT NULL,
    lead_id     text COLLATE "C" NOT NULL,
    title       text NOT NULL,
    change      jsonb NOT NULL,
    policy      jsonb NOT NULL,
    filter      text NOT NULL,
    cells       text[] NOT NULL,                -- in the order in which they open
    wish        text NOT NULL CHECK (wish IN ('draft', 'run', 'pause', 'brake', 'withdraw')),
    wish_by     text NOT NULL,
    wish_reason text NOT NULL DEFAULT '',
    phase       text NOT NULL,
    blueprint   jsonb NOT NULL,
    plan        jsonb NOT NULL,
    opened      jsonb NOT NULL,
    report      jsonb NOT NULL DEFAULT '[]',
    moved_at    timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    created_by  text NOT NULL,
    PRIMARY KEY (tenant_id, lead_id)
);
SELECT brakeline.declare_tenant_table('brakeline.lead');

-- The newest report of each cell.
CREATE TABLE brakeline.lead_report (
    tenant_id text COLLATE "C" NOT NULL,
    lead_id   text COLLATE "C" NOT NULL,
    cell      text COLLATE "C" NOT NULL,
    body      jsonb NOT NULL,
    heard_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, lead_id, cell),
    FOREIGN KEY (tenant_id, lead_id) REFERENCES brakeline.lead ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.lead_report');

-- In a cell: the newest grant that it believes, word for word; rollout_id NULL = no endpoint of this cell is meant.
CREATE TABLE brakeline.rollout_led (
    tenant_id  text COLLATE "C" NOT NULL,
    lead_id    text COLLATE "C" NOT NULL,
    link_id    text COLLATE "C" NOT NULL,
    rollout_id text COLLATE "C",
    grant_text text NOT NULL,
    taken_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, lead_id),
    UNIQUE (tenant_id, rollout_id),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES brakeline.rollout ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.rollout_led');
