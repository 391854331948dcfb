-- Harm is more than silence: resources, removals, starts. Owners: brakeline.fleet (presence), brakeline.rollout.
-- readings: numbers of one endpoint, separated by spaces, in the order of fleet.model.Readings; '' = none told.
ALTER TABLE brakeline.presence ADD COLUMN readings text NOT NULL DEFAULT '';
ALTER TABLE brakeline.rollout_subject ADD COLUMN readings text NOT NULL DEFAULT '';
ALTER TABLE brakeline.rollout_subject ADD COLUMN resources integer NOT NULL DEFAULT 0;
ALTER TABLE brakeline.rollout_subject ADD COLUMN troubled_at timestamptz; -- resources are short since
ALTER TABLE brakeline.rollout_subject ADD COLUMN actions integer NOT NULL DEFAULT 0;
ALTER TABLE brakeline.rollout_subject ADD COLUMN often integer NOT NULL DEFAULT 0;
ALTER TABLE brakeline.rollout_subject ADD COLUMN starts integer NOT NULL DEFAULT 0;
ALTER TABLE brakeline.rollout_subject ADD COLUMN last_boot text NOT NULL DEFAULT '';
