-- The channel of releases that endpoints of a policy follow: '' = the policy says nothing of it. Owner:
-- brakeline.remediation.
ALTER TABLE brakeline.settings_policy ADD COLUMN channel text NOT NULL DEFAULT ''
  CHECK (channel IN ('', 'stable', 'early'));
