-- An agent registers its node and drains it. An operator decides what it is used for.
ALTER TABLE backends
    -- When an operator first enabled it. NULL: nothing is sent to that address, which may be anywhere.
    ADD COLUMN enabled_at       timestamptz,
    -- Whether its agent has stopped it, and may start it again.
    ADD COLUMN drained_by_agent boolean NOT NULL DEFAULT false;

UPDATE backends SET enabled_at = created_at
    WHERE admin_state <> 'init' OR EXISTS (SELECT FROM meetings WHERE backend_id = backends.id);

UPDATE backends SET load_factor = least(greatest(load_factor, 0.01), 100) WHERE load_factor NOT BETWEEN 0.01 AND 100;
ALTER TABLE backends
    DROP CONSTRAINT backends_load_factor_check,
    -- A factor near zero would draw every meeting to its node.
    ADD CONSTRAINT backends_load_factor_check CHECK (load_factor BETWEEN 0.01 AND 100);

-- A join link without a `userID` holds one seat until an attendee has joined through it.
ALTER TABLE seats
    -- A digest of the parameters of the link.
    ADD COLUMN link     bytea,
    -- A digest of the name under which the attendee joins.
    ADD COLUMN name     bytea,
    -- Whether it was opened more than once: then one failed join does not give the seat back.
    ADD COLUMN reopened boolean NOT NULL DEFAULT false;

CREATE FUNCTION note_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.admin_state <> 'init' AND NEW.enabled_at IS NULL THEN
        NEW.enabled_at := now();
    END IF;
    -- Any later change of the state ends the agent's drain.
    IF TG_OP = 'UPDATE' AND OLD.drained_by_agent AND NEW.admin_state <> OLD.admin_state THEN
        NEW.drained_by_agent := false;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER note_state BEFORE INSERT OR UPDATE ON backends FOR EACH ROW EXECUTE FUNCTION note_state();
