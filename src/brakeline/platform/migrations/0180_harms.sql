-- Blocks, deletions and patch failures are signals of their own. Owners: brakeline.fleet (presence), brakeline.rollout.
-- harms: what was done to the endpoint, as its agent tells it (fleet.harms); '' = it tells nothing.
ALTER TABLE brakeline.presence ADD COLUMN harms text NOT NULL DEFAULT '';
ALTER TABLE brakeline.rollout_subject ADD COLUMN harms text NOT NULL DEFAULT ''; -- at ready
ALTER TABLE brakeline.rollout_subject ADD COLUMN patches integer NOT NULL DEFAULT 0;
ALTER TABLE brakeline.rollout_subject ADD COLUMN blocks integer NOT NULL DEFAULT 0;
ALTER TABLE brakeline.rollout_subject ADD COLUMN deletions integer NOT NULL DEFAULT 0;
