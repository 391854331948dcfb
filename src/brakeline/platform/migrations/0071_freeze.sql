-- Freezes: presses that stop everything of a tenant. Owner: brakeline.rollout. What is in force is said by the brake
-- journal, which needs no database; here it is for lists, for other processes, and for whoever lost the journal.

CREATE TABLE brakeline.freeze (
    tenant_id     text COLLATE "C" NOT NULL,
    freeze_id     text COLLATE "C" NOT NULL,
    pressed_at    timestamptz NOT NULL,
    pressed_by    text NOT NULL,
    pressed_by_id text COLLATE "C" NOT NULL,
    reason        text NOT NULL DEFAULT '',
    presses       integer NOT NULL DEFAULT 1 CHECK (presses > 0), -- of different people
    lifted_at     timestamptz,
    lifted_by     text NOT NULL DEFAULT '',
    lifted_reason text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, freeze_id)
);
CREATE INDEX freeze_open ON brakeline.freeze (tenant_id) WHERE lifted_at IS NULL;
SELECT brakeline.declare_tenant_table('brakeline.freeze', 'SELECT, INSERT, UPDATE');
