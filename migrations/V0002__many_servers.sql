-- Several servers: who asks which node, what the node said, who finishes what a lost server began, and what is to be done in
-- the background.

-- The servers of the cluster. One whose beat has stopped is gone, and others finish its claims.
CREATE TABLE servers (
    id            uuid PRIMARY KEY,
    -- Where it listens.
    address       text NOT NULL,
    version       text NOT NULL,
    -- Of the pipeline that it runs.
    pipeline_hash text NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT now(),
    beat          timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE meetings
    -- How large it is to be, as far as its create says.
    ADD COLUMN size_hint  integer CHECK (size_hint >= 0),
    ADD COLUMN size_limit integer CHECK (size_limit > 0),
    ADD COLUMN breakout   boolean NOT NULL DEFAULT false,
    -- What a list says of it until its node has reported it.
    ADD COLUMN entry      text,
    -- The server that holds the claim. No reference: a server that has gone leaves its claims to be inherited.
    ADD COLUMN claimed_by uuid,
    -- A backend may be removed while meetings are left on it. They are detached then, and wait for a create or for good.
    DROP CONSTRAINT meetings_backend_id_fkey;

-- Nor does a copy that is noted late, when its backend is gone, make anything fail.
ALTER TABLE meeting_copies DROP CONSTRAINT meeting_copies_backend_id_fkey;

-- What was detached when it was claimed anew can be detached again, if the create comes to nothing.
ALTER TABLE meeting_copies
    ADD COLUMN internal_id text,
    ADD COLUMN create_time bigint;

CREATE OR REPLACE FUNCTION leave_copy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO meeting_copies (id, backend_id, attempt, internal_id, create_time)
        VALUES (OLD.id, OLD.backend_id, OLD.attempt, OLD.internal_id, OLD.create_time)
        ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now(),
            internal_id = excluded.internal_id, create_time = excluded.create_time;
    UPDATE meeting_history SET ended_at = now() WHERE id = OLD.id AND internal_id = OLD.internal_id;
    RETURN NULL;
END $$;

-- A node is asked by one server at a time: the one that has taken the poll, until its lease ends.
ALTER TABLE backend_status
    ALTER COLUMN node_state SET DEFAULT 'init',
    ALTER COLUMN latency_ns SET DEFAULT 0,
    ALTER COLUMN attendees SET DEFAULT 0,
    ALTER COLUMN seq SET DEFAULT 1,
    -- Answers missing in a row, and answers in a row.
    ADD COLUMN misses        integer NOT NULL DEFAULT 0,
    ADD COLUMN answers       integer NOT NULL DEFAULT 0,
    ADD COLUMN poll_due      timestamptz NOT NULL DEFAULT now(),
    -- Numbers the poll that is under way. The result of an older one comes too late.
    ADD COLUMN lease         bigint NOT NULL DEFAULT 0,
    -- The node's last list of its meetings, as it sent it.
    ADD COLUMN report        bytea,
    ADD COLUMN report_digest bytea,
    -- The seq with which the report last changed.
    ADD COLUMN report_seq    bigint NOT NULL DEFAULT 0,
    -- When the node was asked for it.
    ADD COLUMN asked_at      timestamptz,
    -- What the agent on the node last said of it. NULL: there is none.
    ADD COLUMN heartbeat     timestamptz,
    ADD COLUMN cpu           real CHECK (cpu BETWEEN 0 AND 1),
    ADD COLUMN memory        real CHECK (memory BETWEEN 0 AND 1);

CREATE FUNCTION begin_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- What was seen at another address says nothing of this one, and a node that is enabled is asked at once.
    IF TG_OP = 'UPDATE' AND OLD.url <> NEW.url THEN
        UPDATE backend_status SET node_state = 'init', misses = 0, answers = 0, last_error = NULL, attendees = 0,
            report = NULL, report_digest = NULL, report_seq = seq + 1, asked_at = NULL, heartbeat = NULL, cpu = NULL,
            memory = NULL, lease = nextval('versions'), poll_due = now(), seq = seq + 1
        WHERE backend_id = NEW.id;
    ELSE
        INSERT INTO backend_status (backend_id) VALUES (NEW.id)
            ON CONFLICT (backend_id) DO UPDATE SET poll_due = now();
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER begin_status AFTER INSERT OR UPDATE OF url, admin_state ON backends
    FOR EACH ROW EXECUTE FUNCTION begin_status();

INSERT INTO backend_status (backend_id) SELECT id FROM backends ON CONFLICT DO NOTHING;

-- Whoever removes a backend takes its meetings their place, be it with plain SQL.
CREATE FUNCTION detach_from_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('b3scale', 'meeting:' || id) FROM meetings WHERE backend_id = OLD.id;
    UPDATE meeting_history AS past SET ended_at = now() FROM meetings AS ending
        WHERE ending.backend_id = OLD.id AND ending.state = 'ending'
            AND past.id = ending.id AND past.internal_id = ending.internal_id;
    DELETE FROM meetings WHERE backend_id = OLD.id AND state = 'ending';
    UPDATE meetings SET state = 'detached', updated_at = now(), version = nextval('versions')
        WHERE backend_id = OLD.id AND state = 'live';
    DELETE FROM meeting_copies WHERE backend_id = OLD.id;
    RETURN NULL;
END $$;

CREATE TRIGGER detach_from_removed AFTER DELETE ON backends FOR EACH ROW EXECUTE FUNCTION detach_from_removed();

-- What some server has to do now and then, and not every server.
CREATE TABLE duties (
    name text PRIMARY KEY,
    due  timestamptz NOT NULL
);

-- What somebody asked for, to be done by whichever server comes first.
CREATE TABLE commands (
    id         uuid PRIMARY KEY,
    seq        bigserial NOT NULL,
    state      text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'running', 'success', 'error')),
    action     text NOT NULL,
    params     jsonb,
    result     jsonb,
    deadline   timestamptz NOT NULL DEFAULT now() + interval '120 seconds',
    -- Until then the server that runs it is believed to be at it.
    lease      timestamptz,
    started_at timestamptz,
    stopped_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX commands_open ON commands (seq) WHERE state IN ('requested', 'running');

CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OF state ON commands FOR EACH ROW EXECUTE FUNCTION announce_change('command');
