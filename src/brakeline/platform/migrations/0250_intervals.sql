-- Rows of every ecosystem: several intervals and builds of one CVE for one package, a last vulnerable version where no
-- fixed one is known, the module stream that a row is of, the vendor's reason for what makes no finding.
ALTER TABLE brakeline.advisory
  ADD COLUMN last_affected text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN module        text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN reason        text NOT NULL DEFAULT '',
  DROP CONSTRAINT advisory_pkey,
  DROP CONSTRAINT advisory_state_check,
  ADD CONSTRAINT advisory_state_check CHECK (state IN ('fixed', 'open', 'deferred', 'not_affected', 'withdrawn')),
  ADD PRIMARY KEY (feed, ecosystem, source, cve, introduced, module, fixed, last_affected, advisory_id);
COMMENT ON COLUMN brakeline.advisory.fixed_key IS 'NULL = not fixed yet, or an order that has no keys (Maven, Arch)';
