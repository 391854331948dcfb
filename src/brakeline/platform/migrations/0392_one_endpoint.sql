-- One endpoint of a rollout: stopped by a person (blocked_code 'stopped'), or asked to try once more. Owner: rollout.

ALTER TABLE brakeline.rollout_target ADD COLUMN retry boolean NOT NULL DEFAULT false;
CREATE INDEX rollout_target_by_hand ON brakeline.rollout_target (tenant_id, rollout_id)
    WHERE blocked_code = 'stopped' OR retry;
