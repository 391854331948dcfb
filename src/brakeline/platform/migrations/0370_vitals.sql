-- Errors in the journal are a signal of their own. Owner: brakeline.rollout.
ALTER TABLE brakeline.rollout_subject ADD COLUMN errors integer NOT NULL DEFAULT 0; -- a mask, a bit a checkpoint
