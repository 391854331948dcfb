-- What a vendor says beside versions: that no fix is to come soon, and why something is not affected.
ALTER TABLE brakeline.advisory_span
  ADD COLUMN IF NOT EXISTS related text[] NOT NULL DEFAULT '{}',
  ADD COLUMN IF NOT EXISTS reason text NOT NULL DEFAULT '',
  DROP CONSTRAINT IF EXISTS advisory_span_state_check,
  ADD CONSTRAINT advisory_span_state_check
    CHECK (state IN ('fixed', 'open', 'deferred', 'not_affected', 'withdrawn'));
