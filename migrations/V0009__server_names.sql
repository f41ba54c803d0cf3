-- A server is known by its machine and where it listens. One that starts where another ran takes the place of that one's row.
ALTER TABLE servers
    -- The name of its machine. Empty: it is of a release that did not say.
    ADD COLUMN host text NOT NULL DEFAULT '';
