-- Rollbacks: endpoints that an undone update reached and that have no way back. Owner: brakeline.rollout.

CREATE TABLE brakeline.rollout_left_out (
    tenant_id   text COLLATE "C" NOT NULL,
    rollout_id  text COLLATE "C" NOT NULL,   -- of the rollback
    endpoint_id text COLLATE "C" NOT NULL,
    hostname    text NOT NULL,
    region      text NOT NULL,
    harm        text NOT NULL,               -- '' = none is proven
    code        text NOT NULL,
    reason      text NOT NULL,
    PRIMARY KEY (tenant_id, rollout_id, endpoint_id),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES brakeline.rollout ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.rollout_left_out', 'SELECT, INSERT');

-- Who undoes what: asked before every resume.
CREATE INDEX rollout_undoes ON brakeline.rollout (tenant_id, (change->>'undoes')) WHERE change->>'undoes' <> '';
