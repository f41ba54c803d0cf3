-- The unfinished work of a lost server carries its name. It falls to the others as soon as they know that the server is lost.

ALTER TABLE servers
    -- Since when its beat has had no gap.
    ADD COLUMN steady_since timestamptz NOT NULL DEFAULT now();

-- Whether a server is lost, as another one may judge. While the database was away no server could beat. So an observer whose
-- own beat has had a gap of late takes no server for lost.
CREATE FUNCTION is_lost(server uuid, observer uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT server IS NOT NULL AND server IS DISTINCT FROM observer
        AND NOT EXISTS (SELECT FROM servers WHERE id = server AND beat > now() - interval '8 seconds')
        AND NOT EXISTS (
            SELECT FROM servers WHERE id = observer
                AND (beat < now() - interval '5 seconds' OR steady_since > now() - interval '5 seconds'))
$$;

ALTER TABLE backend_status
    -- The server that asks the node, or asked it last.
    ADD COLUMN polled_by uuid,
    -- When it was last noted how the node fares. Each node is asked every 20 seconds at least.
    ADD COLUMN seen_at   timestamptz;

ALTER TABLE commands
    -- The server that runs it, or ran it last.
    ADD COLUMN run_by uuid;

-- The node's answers about a copy. Only answers younger than the copy count: an attempt may leave another copy there.
ALTER TABLE meeting_copies
    -- When it last took the end, and so had the meeting.
    ADD COLUMN ended_at      timestamptz,
    -- Since when it has said that it does not run the meeting.
    ADD COLUMN missing_since timestamptz;
