-- Rollouts: blueprints, arms, offers, evidence, what is quarantined. Owner: brakeline.rollout.
-- Every table is of class tenant; its primary key leads with the tenant.

CREATE TABLE brakeline.rollout (
    tenant_id          text COLLATE "C" NOT NULL,
    rollout_id         text COLLATE "C" NOT NULL,
    title              text NOT NULL,
    change             jsonb NOT NULL,
    policy             jsonb NOT NULL,
    salt               bytea NOT NULL CHECK (length(salt) = 32), -- drawn after the change was fixed
    attributes         text[] NOT NULL,                          -- values tested, frozen at creation
    created_at         timestamptz NOT NULL,
    created_by         text NOT NULL,
    wish               text NOT NULL CHECK (wish IN ('draft', 'run', 'pause', 'brake', 'withdraw')),
    wish_by            text NOT NULL,
    wish_reason        text NOT NULL DEFAULT '',
    wish_at            timestamptz NOT NULL,
    resumed_at         timestamptz,
    resumed_generation bigint NOT NULL DEFAULT 0,
    phase              text NOT NULL,                            -- of the newest blueprint, for lists
    report             jsonb NOT NULL DEFAULT '[]',
    report_at          timestamptz,
    PRIMARY KEY (tenant_id, rollout_id)
);
SELECT brakeline.declare_tenant_table('brakeline.rollout');

-- Compare and swap: a blueprint is inserted only while its parent is the newest; the key lets one of two win.
CREATE TABLE brakeline.rollout_blueprint (
    tenant_id  text COLLATE "C" NOT NULL,
    rollout_id text COLLATE "C" NOT NULL,
    generation bigint NOT NULL CHECK (generation > parent),
    parent     bigint NOT NULL,
    made_at    timestamptz NOT NULL,
    phase      text NOT NULL,
    body       jsonb NOT NULL,
    PRIMARY KEY (tenant_id, rollout_id, generation),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES brakeline.rollout ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.rollout_blueprint', 'SELECT, INSERT');

-- Who may take part, frozen at creation. blocked_*: the endpoint's own words for why it cannot start now.
CREATE TABLE brakeline.rollout_target (
    tenant_id      text COLLATE "C" NOT NULL,
    rollout_id     text COLLATE "C" NOT NULL,
    endpoint_id    text COLLATE "C" NOT NULL,
    hostname       text NOT NULL,
    region         text NOT NULL,
    machine_class  text NOT NULL,
    attributes     text[] NOT NULL,
    u              bigint NOT NULL CHECK (u >= 0),
    blocked_code   text NOT NULL DEFAULT '',
    blocked_reason text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, rollout_id, endpoint_id),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES brakeline.rollout ON DELETE CASCADE
);
CREATE INDEX rollout_target_endpoint ON brakeline.rollout_target (tenant_id, endpoint_id);
SELECT brakeline.declare_tenant_table('brakeline.rollout_target');

CREATE TABLE brakeline.rollout_tick (
    tenant_id  text COLLATE "C" NOT NULL,
    rollout_id text COLLATE "C" NOT NULL,
    region     text NOT NULL,
    tick       bigint NOT NULL,
    ring       integer NOT NULL,
    budget     integer NOT NULL CHECK (budget > 0),
    treated    integer NOT NULL DEFAULT 0 CHECK (treated <= budget),
    closed_at  timestamptz,
    PRIMARY KEY (tenant_id, rollout_id, region, tick),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES brakeline.rollout ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.rollout_tick');

-- Assignments with their evidence: an endpoint is treated once, and a control at most once a ring.
CREATE TABLE brakeline.rollout_subject (
    tenant_id       text COLLATE "C" NOT NULL,
    rollout_id      text COLLATE "C" NOT NULL,
    endpoint_id     text COLLATE "C" NOT NULL,
    arm             text NOT NULL CHECK (arm IN ('treated', 'control')),
    ring            integer NOT NULL,
    tick            bigint NOT NULL,
    region          text NOT NULL,
    machine_class   text NOT NULL,
    attributes      text[] NOT NULL,
    u               bigint NOT NULL,
    generation      bigint NOT NULL,
    ready_at        timestamptz NOT NULL,
    baseline_failed text[] NOT NULL,
    heard           integer NOT NULL DEFAULT 0,
    unhealthy       integer NOT NULL DEFAULT 0,
    asleep          integer NOT NULL DEFAULT 0,
    progress        text NOT NULL DEFAULT 'none',
    explicit        boolean NOT NULL DEFAULT false,
    detail          text NOT NULL DEFAULT '',
    ended_at        timestamptz,
    proven_at       timestamptz,
    crossed_at      timestamptz,
    set_aside_at    timestamptz,
    PRIMARY KEY (tenant_id, rollout_id, endpoint_id, arm, tick),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES brakeline.rollout ON DELETE CASCADE
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX rollout_subject_once ON brakeline.rollout_subject
    (tenant_id, rollout_id, endpoint_id, arm, (CASE WHEN arm = 'treated' THEN -1 ELSE ring END));
CREATE INDEX rollout_subject_endpoint ON brakeline.rollout_subject (tenant_id, endpoint_id);
SELECT brakeline.declare_tenant_table('brakeline.rollout_subject');

-- The signed order exactly as it left, so that it can only be sent again, never made again.
CREATE TABLE brakeline.rollout_offer (
    tenant_id   text COLLATE "C" NOT NULL,
    offer_id    text COLLATE "C" NOT NULL,
    rollout_id  text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    attempt     integer NOT NULL,
    payload     text NOT NULL,
    signature   text NOT NULL,
    issued_at   timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    closed_at   timestamptz,
    outcome     text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, offer_id),
    UNIQUE (tenant_id, rollout_id, endpoint_id, attempt),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES brakeline.rollout ON DELETE CASCADE
);
-- At most one open offer an endpoint, over all rollouts.
CREATE UNIQUE INDEX rollout_offer_open ON brakeline.rollout_offer (tenant_id, endpoint_id) WHERE closed_at IS NULL;
SELECT brakeline.declare_tenant_table('brakeline.rollout_offer');

CREATE TABLE brakeline.rollout_result (
    tenant_id      text COLLATE "C" NOT NULL,
    transaction_id text COLLATE "C" NOT NULL,
    offer_id       text COLLATE "C" NOT NULL,
    rollout_id     text COLLATE "C" NOT NULL,
    endpoint_id    text COLLATE "C" NOT NULL,
    outcome        text NOT NULL,
    code           text NOT NULL,
    received_at    timestamptz NOT NULL,
    body           jsonb NOT NULL,
    PRIMARY KEY (tenant_id, endpoint_id, transaction_id)
);
CREATE INDEX rollout_result_rollout ON brakeline.rollout_result (tenant_id, rollout_id, endpoint_id);
SELECT brakeline.declare_tenant_table('brakeline.rollout_result', 'SELECT, INSERT');

CREATE TABLE brakeline.rollout_event (
    tenant_id  text COLLATE "C" NOT NULL,
    rollout_id text COLLATE "C" NOT NULL,
    sequence   bigint GENERATED ALWAYS AS IDENTITY,
    at         timestamptz NOT NULL,
    kind       text NOT NULL,
    who        text NOT NULL,
    text       text NOT NULL,
    PRIMARY KEY (tenant_id, rollout_id, sequence),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES brakeline.rollout ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.rollout_event', 'SELECT, INSERT');

-- The chart's series: written when the counts change.
CREATE TABLE brakeline.rollout_sample (
    tenant_id  text COLLATE "C" NOT NULL,
    rollout_id text COLLATE "C" NOT NULL,
    at         timestamptz NOT NULL,
    n_t        integer NOT NULL,
    x_t        integer NOT NULL,
    n_c        integer NOT NULL,
    x_c        integer NOT NULL,
    PRIMARY KEY (tenant_id, rollout_id, at),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES brakeline.rollout ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.rollout_sample', 'SELECT, INSERT');

CREATE TABLE brakeline.quarantine (
    tenant_id   text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    version     text COLLATE "C" NOT NULL,
    rollout_id  text COLLATE "C" NOT NULL,
    since       timestamptz NOT NULL,
    reason      text NOT NULL,
    released_at timestamptz,
    released_by text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, name, version, rollout_id)
);
SELECT brakeline.declare_tenant_table('brakeline.quarantine');
