-- What lies on endpoints beside their package managers. Owner: brakeline.fleet.
-- owner: the system package that the files belong to; module: stream of an rpm module; where: path or container image.
ALTER TABLE brakeline.endpoint_package ADD COLUMN IF NOT EXISTS owner text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE brakeline.endpoint_package ADD COLUMN IF NOT EXISTS module text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE brakeline.endpoint_package ADD COLUMN "where" text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE brakeline.endpoint_status ADD COLUMN software text NOT NULL DEFAULT ''; -- how far the look came; '' = none
