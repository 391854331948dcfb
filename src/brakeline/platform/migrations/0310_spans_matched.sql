-- Rows of OSV are matched with inventories: what a distribution's advisory repairs stands in `related`, ecosystems have
-- the names of units, and who looks for a CVE finds the rows that name it.

ALTER TABLE brakeline.advisory_span
  ADD COLUMN related text[] NOT NULL DEFAULT '{}',
  ADD COLUMN reason  text NOT NULL DEFAULT '',  -- why not affected, withdrawn or deferred, in the vendor's words
  DROP CONSTRAINT advisory_span_state_check,
  ADD CONSTRAINT advisory_span_state_check CHECK (state IN ('fixed', 'open', 'deferred', 'not_affected', 'withdrawn'));

UPDATE brakeline.advisory_span SET ecosystem = 'golang' WHERE ecosystem = 'go';
UPDATE brakeline.advisory_span SET ecosystem = 'rocky' || substr(ecosystem, 12) WHERE starts_with(ecosystem, 'rocky-linux:');
UPDATE brakeline.advisory_span SET ecosystem = 'alpine:' || substr(ecosystem, 9) WHERE ecosystem ~ '^alpine:v[0-9]';
UPDATE brakeline.advisory_span s SET ecosystem = substring(s.ecosystem FROM '^ubuntu:[0-9]+\.[0-9]+')
  WHERE s.ecosystem ~ '^ubuntu:[0-9]+\.[0-9]+:'
    AND NOT EXISTS (SELECT FROM brakeline.advisory_span o
                    WHERE (o.feed, o.name, o.id, o.part) = (s.feed, s.name, s.id, s.part)
                      AND o.ecosystem = substring(s.ecosystem FROM '^ubuntu:[0-9]+\.[0-9]+'));
UPDATE brakeline.feed_state SET limits = regexp_replace(limits, ', and no inventory is matched with it: .*$', '.')
  WHERE kind = 'osv';

CREATE INDEX advisory_span_aliases ON brakeline.advisory_span USING gin (aliases);
CREATE INDEX advisory_span_related ON brakeline.advisory_span USING gin (related);
CREATE INDEX advisory_span_id ON brakeline.advisory_span (id);
