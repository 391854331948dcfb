-- Sheets between installations of several versions. Owner: brakeline.rollout. The level of words that a partner knows,
-- as its newest sheet says (rollout.pool_sheet.LEVELS); 1 = what every version knows.
ALTER TABLE brakeline.pool_partner ADD COLUMN knows integer NOT NULL DEFAULT 1;
