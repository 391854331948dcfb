-- A rollout over several distributions. Owner: brakeline.rollout.

-- Which of the rollout's pins are this endpoint's, "NAME VERSION" a line; '' = all of them, as in a rollout over one.
ALTER TABLE brakeline.rollout_target ADD COLUMN pins text NOT NULL DEFAULT '';
