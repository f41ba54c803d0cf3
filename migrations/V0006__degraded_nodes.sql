-- A node whose list of meetings cannot be used keeps its meetings, and a copy with people in it is ended only on purpose.

ALTER TABLE backend_status
    DROP CONSTRAINT backend_status_node_state_check,
    ADD CONSTRAINT backend_status_node_state_check CHECK (node_state IN ('init', 'ready', 'degraded', 'error')),
    -- Answers in a row without a usable list.
    ADD COLUMN unlisted integer NOT NULL DEFAULT 0;

-- The end of its meeting was asked for, and so the copy is ended with everyone in it.
ALTER TABLE meeting_copies ADD COLUMN doomed boolean NOT NULL DEFAULT false;

CREATE OR REPLACE FUNCTION leave_copy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO meeting_copies (id, backend_id, attempt, internal_id, create_time)
        VALUES (OLD.id, OLD.backend_id, OLD.attempt, OLD.internal_id, OLD.create_time)
        ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now(),
            internal_id = excluded.internal_id, create_time = excluded.create_time, doomed = false;
    UPDATE meeting_history SET ended_at = now() WHERE id = OLD.id AND internal_id = OLD.internal_id;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION end_with_frontend() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A create of the frontend holds this row and is waited for. A later one finds it gone.
    PERFORM FROM frontends WHERE id = OLD.id FOR UPDATE;
    PERFORM pg_notify('b3scale', 'meeting:' || id) FROM meetings WHERE frontend_id = OLD.id;
    -- A meeting is locked before its copies, as everywhere.
    PERFORM FROM meetings WHERE frontend_id = OLD.id ORDER BY id FOR UPDATE;
    UPDATE meeting_copies SET doomed = true WHERE id IN (SELECT id FROM meetings WHERE frontend_id = OLD.id);
    INSERT INTO meeting_copies (id, backend_id, attempt, doomed)
        SELECT id, backend_id, attempt, true FROM meetings WHERE frontend_id = OLD.id
        ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now(), doomed = true;
    UPDATE meeting_history AS past SET ended_at = now() FROM meetings AS ending
        WHERE ending.frontend_id = OLD.id AND past.id = ending.id AND past.internal_id = ending.internal_id;
    DELETE FROM meetings WHERE frontend_id = OLD.id;
    RETURN OLD;
END $$;
