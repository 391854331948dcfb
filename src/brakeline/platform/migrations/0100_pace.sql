-- The pace that a rollout was made with, beside what was suggested and why. Owner: brakeline.rollout.
-- NULL = nobody was advised: a rollout from before, of a release, or by a policy of one's own.

ALTER TABLE brakeline.rollout ADD COLUMN pace jsonb;
