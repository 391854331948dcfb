-- Endpoints of a rollout are listed page by page in the order of their host names. Owner: brakeline.rollout.
CREATE INDEX rollout_target_by_name ON brakeline.rollout_target (tenant_id, rollout_id, hostname, endpoint_id);
