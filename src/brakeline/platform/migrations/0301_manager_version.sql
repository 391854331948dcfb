-- Which version of its package manager an endpoint has, as that says itself; '' = not told. Owner: brakeline.fleet.
ALTER TABLE brakeline.endpoint ADD COLUMN package_manager_version text NOT NULL DEFAULT '';
