-- Callbacks of a meeting: the addresses that its node got in place of its frontend's URLs, and the deliveries of its end.

ALTER TABLE meetings
    -- The callbacks of its create: [{name, kind, url, token}]. Servers restore the originals from memory. NULL: it has none.
    ADD COLUMN callbacks jsonb;

-- For ends that were missed.
CREATE INDEX meeting_history_by_end ON meeting_history (ended_at);

-- The callbacks of a session of a meeting, as `meetings.callbacks` has them.
CREATE FUNCTION callbacks_of(its_id text, its_internal_id text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_agg(jsonb_build_object('name', name, 'kind', kind, 'url', url, 'token', token) ORDER BY name)
    FROM meeting_callbacks WHERE meeting = its_id AND internal_id = its_internal_id
$$;

-- Queues the end of a session, once for each of its callbacks. Nodes report no end of a breakout.
CREATE FUNCTION queue_end(its_id text, its_internal_id text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO deliveries (callback_id, subject, kind, marks)
    SELECT id, '', kind, marks FROM meeting_callbacks
    WHERE meeting = its_id AND internal_id = its_internal_id AND kind IN ('end', 'ended') AND NOT breakout
    ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM queue_end(OLD.id, OLD.internal_id);
    RETURN NULL;
END $$;

-- The meeting is gone, or its node is given up. A claim that is released was no meeting yet.
CREATE TRIGGER end_gone AFTER DELETE ON meetings FOR EACH ROW
    WHEN (OLD.state <> 'claimed' AND OLD.internal_id IS NOT NULL) EXECUTE FUNCTION end_session();

-- Its node runs a new session of it. A meeting that moves to another node is only replaced there, and goes on for its frontend.
CREATE TRIGGER end_renewed AFTER UPDATE OF internal_id ON meetings FOR EACH ROW
    WHEN (OLD.state IN ('live', 'ending') AND NEW.state = 'live' AND OLD.backend_id = NEW.backend_id
        AND OLD.internal_id IS NOT NULL AND OLD.internal_id IS DISTINCT FROM NEW.internal_id)
    EXECUTE FUNCTION end_session();

-- A session that is there again has not ended: its end is withdrawn, if it was not tried yet.
CREATE FUNCTION withdraw_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM deliveries USING meeting_callbacks AS kept
    WHERE kept.id = callback_id AND kept.meeting = NEW.id AND kept.internal_id = NEW.internal_id
        AND subject = '' AND state = 'waiting' AND attempts = 0;
    RETURN NULL;
END $$;

CREATE TRIGGER withdraw_end AFTER INSERT ON meetings FOR EACH ROW
    WHEN (NEW.state = 'live' AND NEW.internal_id IS NOT NULL) EXECUTE FUNCTION withdraw_end();

-- A forgotten meeting is claimed again, and its node answers that it has it still. Or its lost node has come back.
CREATE TRIGGER withdraw_end_of_returned AFTER UPDATE OF state ON meetings FOR EACH ROW
    WHEN (NEW.state = 'live' AND (OLD.state = 'detached' OR OLD.state = 'claimed' AND NEW.callbacks IS NOT NULL))
    EXECUTE FUNCTION withdraw_end();
