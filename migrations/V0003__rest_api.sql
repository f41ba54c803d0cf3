-- What the REST API and moving in from another system need.

-- Nobody could end the meetings of a frontend that is gone, or see who is in them. So they end with it: each is left to be
-- ended where it runs, as a copy of a meeting is.
CREATE FUNCTION end_with_frontend() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever is placing a meeting of it holds its row, and is waited for. Whoever comes later finds it gone.
    PERFORM FROM frontends WHERE id = OLD.id FOR UPDATE;
    PERFORM pg_notify('b3scale', 'meeting:' || id) FROM meetings WHERE frontend_id = OLD.id;
    INSERT INTO meeting_copies (id, backend_id, attempt)
        SELECT id, backend_id, attempt FROM meetings WHERE frontend_id = OLD.id
        ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now();
    UPDATE meeting_history AS past SET ended_at = now() FROM meetings AS ending
        WHERE ending.frontend_id = OLD.id AND past.id = ending.id AND past.internal_id = ending.internal_id;
    DELETE FROM meetings WHERE frontend_id = OLD.id;
    RETURN OLD;
END $$;

CREATE TRIGGER end_with_frontend BEFORE DELETE ON frontends FOR EACH ROW EXECUTE FUNCTION end_with_frontend();

CREATE INDEX frontends_by_account ON frontends (account_ref);

ALTER TABLE meetings
    -- What somebody set of it by the REST API, and when. It holds until its node is heard of again.
    ADD COLUMN patch      jsonb,
    ADD COLUMN patched_at timestamptz;

ALTER TABLE backend_status
    -- Until then a poll is under way, unless it has come to its end.
    ADD COLUMN polled_until timestamptz,
    -- When somebody last said that something has changed on the node. A poll that began before does not tell.
    ADD COLUMN hastened_at  timestamptz;

-- Of a meeting that ran in another system it is not always known where. Its internal id is '' then.
ALTER TABLE meeting_history ALTER COLUMN backend_id DROP NOT NULL;
