-- What agents since 0.2 say of a package beyond its version: whose files these are, and the module stream of an rpm.
ALTER TABLE brakeline.endpoint_package
  ADD COLUMN IF NOT EXISTS owner  text NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS module text NOT NULL DEFAULT '';
