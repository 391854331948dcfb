-- Canaries that consent are restarted within the bake. Owner: brakeline.rollout.
-- boot_id: of the first check-in after ready (treated: after the update was installed); restarted_at: heard from another.
ALTER TABLE brakeline.rollout_subject ADD COLUMN consents boolean NOT NULL DEFAULT false;
ALTER TABLE brakeline.rollout_subject ADD COLUMN boot_id text NOT NULL DEFAULT '';
ALTER TABLE brakeline.rollout_subject ADD COLUMN restarted_at timestamptz;
ALTER TABLE brakeline.rollout_subject ADD COLUMN restart_refused text NOT NULL DEFAULT '';
