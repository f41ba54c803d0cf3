-- Where a frontend wants to hear of a meeting. The original URL, byte for byte. Kept for the recordings of weeks later.
CREATE TABLE meeting_callbacks (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    token       text NOT NULL UNIQUE,          -- what the node got; text of a legacy JWT: its SHA-256 in hex, `:` and the internal id
    meeting     text NOT NULL,                 -- the scoped id
    internal_id text NOT NULL,
    frontend_id uuid NOT NULL REFERENCES frontends ON DELETE CASCADE,
    meeting_id  text NOT NULL,                 -- the tenant's
    backend_id  uuid NOT NULL,                 -- no reference: history
    name        text NOT NULL,                 -- `meta_endCallbackUrl`, metadata in lower case behind `meta_`
    kind        text NOT NULL CHECK (kind IN ('end', 'ended', 'ready', 'analytics', 'other')),
    url         text NOT NULL,
    breakout    boolean NOT NULL DEFAULT false,  -- its meeting is one: nodes report no end of it
    marks       boolean,                         -- recordingmarks of the node's call, which came before the end was known here
    -- The delivery that is under way there: it is the only one until that time, or until its try ends.
    held_by     uuid,
    held_until  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (meeting, internal_id, name)
);
CREATE INDEX meeting_callbacks_by_internal_id ON meeting_callbacks (internal_id);
CREATE INDEX meeting_callbacks_by_frontend ON meeting_callbacks (frontend_id);
CREATE INDEX meeting_callbacks_by_age ON meeting_callbacks (created_at);

-- One message to one URL. A row of it and its job commit with their cause.
CREATE TABLE deliveries (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),   -- also the `webhook-id`
    callback_id uuid NOT NULL REFERENCES meeting_callbacks ON DELETE CASCADE,
    -- '' for ends: one per callback. 'ready:<record_id>' for the first word of a recording, by its node or its import; further
    -- ones 'ready:<seq>' of recordings_ready. Analytics and others: the SHA-256 of the body.
    subject     text NOT NULL,
    kind        text NOT NULL,
    record_id   text,
    breakout    text,                           -- of a breakout's recording: the tenant's id of the breakout
    marks       boolean,                        -- recordingmarks, once the node has said it
    method      text NOT NULL DEFAULT 'POST',   -- 'other' only: GET or POST
    media       text,
    query       text,                           -- 'other' only: what the node appended, until it is delivered
    body        bytea,                          -- analytics, others: in the tenant's terms, until it is delivered
    bearer      text,                           -- 'HS512' | 'HS256': with which the node signed; signed again per try
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'refused', 'dropped', 'dead')),
    attempts    integer NOT NULL DEFAULT 0,
    status      integer,                        -- of the last answer
    problem     text,                           -- its reason, without URL, <= 200 characters
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- The three days of its tries begin then: with the row, or with an operator's wish for another try.
    since       timestamptz NOT NULL DEFAULT now(),
    tried_at    timestamptz,
    settled_at  timestamptz,
    UNIQUE (callback_id, subject)
);
CREATE INDEX deliveries_open ON deliveries (created_at) WHERE state = 'waiting';
CREATE INDEX deliveries_listed ON deliveries (settled_at DESC NULLS FIRST, created_at, id);

-- Of a hundred thousand jobs that are due, a server reads those that it takes.
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (kind, run_after, seq) WHERE lane IS NULL AND poisoned_at IS NULL;
CREATE INDEX jobs_of_deliveries ON jobs ((payload->>'id')) WHERE kind = 'deliver';

CREATE FUNCTION queue_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The node's own word brings `marks`: it gets 15 s for that. An end by our own knowledge alone says false.
    INSERT INTO jobs (kind, payload, run_after)
        SELECT 'deliver', jsonb_build_object('id', NEW.id, 'frontend', kept.frontend_id),
            now() + CASE WHEN NEW.kind IN ('end', 'ended') AND NEW.marks IS NULL THEN interval '15 seconds' ELSE interval '0' END
        FROM meeting_callbacks AS kept WHERE kept.id = NEW.callback_id;
    RETURN NULL;
END $$;
CREATE TRIGGER queue_delivery AFTER INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION queue_delivery();

-- Queues the announcement of a recording. Key order of BBB: bbb-, bn-, canvas-; then any other. A breakout has the callbacks of
-- its parent.
CREATE FUNCTION queue_ready(its_seq bigint, its_subject text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO deliveries (callback_id, subject, kind, record_id, breakout)
    SELECT found.id, 'ready:' || its_subject, 'ready', record_id, CASE WHEN is_parents THEN recordings.meeting_id END
    FROM recordings_ready AS ready JOIN recordings USING (record_id) JOIN LATERAL (
        SELECT id, kept.internal_id <> recordings.internal_meeting_id AS is_parents FROM meeting_callbacks AS kept
        WHERE kept.internal_id IN (recordings.internal_meeting_id, recordings.breakout->>'parent_id')
            AND kept.frontend_id = ready.frontend_id AND kept.kind = 'ready'
        ORDER BY kept.internal_id <> recordings.internal_meeting_id,
            array_position(ARRAY['meta_bbb-recording-ready-url', 'meta_bn-recording-ready-url',
                'meta_canvas-recording-ready-url'], name) NULLS LAST LIMIT 1) AS found ON true
    WHERE seq = its_seq ON CONFLICT DO NOTHING
$$;

-- A recording is visible, and its frontend is called.
CREATE FUNCTION announce_ready() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_first boolean := TG_OP = 'INSERT'
        AND NOT EXISTS (SELECT FROM recordings_ready WHERE record_id = NEW.record_id AND seq < NEW.seq);
BEGIN
    PERFORM queue_ready(NEW.seq, CASE WHEN is_first THEN NEW.record_id ELSE NEW.seq::text END);
    RETURN NULL;
END $$;
CREATE TRIGGER announce_ready AFTER INSERT OR UPDATE OF seq ON recordings_ready FOR EACH ROW EXECUTE FUNCTION announce_ready();
