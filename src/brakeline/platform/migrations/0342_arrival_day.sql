-- Of which day a held file is that does not say its own, so that it can go live once it is accepted.
ALTER TABLE brakeline.feed_arrival ADD COLUMN day text NOT NULL DEFAULT '';
