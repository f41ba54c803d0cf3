-- The cluster: who may call, where calls may go, and which meeting lives where.
--
-- Times are the database's now(), so that the clocks of the servers never meet.

-- One sequence numbers the changes of every table. A row that is deleted and made again thus gets a higher version than
-- it ever had, and memory, which takes only newer versions, can never go back.
CREATE SEQUENCE versions;

CREATE TABLE frontends (
    id                  uuid PRIMARY KEY,
    key                 text NOT NULL UNIQUE CHECK (key <> ''),
    secret              text NOT NULL CHECK (secret <> ''),
    -- Valid beside the first one while a tenant is moved to a new secret.
    next_secret         text CHECK (next_secret <> ''),
    -- NULL: every algorithm.
    checksum_algorithms text[],
    active              boolean NOT NULL DEFAULT true,
    settings            jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    account_ref         text,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    version             bigint NOT NULL DEFAULT 0
);

CREATE TABLE backends (
    id          uuid PRIMARY KEY,
    -- Calls are made by appending to it.
    url         text NOT NULL UNIQUE CHECK (url ~ '^https?://.*/$'),
    secret      text NOT NULL CHECK (secret <> ''),
    tags        text[] NOT NULL DEFAULT '{}',
    load_factor float8 NOT NULL DEFAULT 1 CHECK (load_factor > 0 AND load_factor < 'Infinity'),
    admin_state text NOT NULL DEFAULT 'init' CHECK (admin_state IN ('init', 'ready', 'stopped', 'decommissioned')),
    agent_ref   text UNIQUE,
    -- What other tools keep here and we only hand back.
    settings    jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    version     bigint NOT NULL DEFAULT 0
);

-- The moving figures. Apart from backends because these change all the time and must not be announced: PostgreSQL commits
-- announcements one after the other. Servers follow seq, which counts without gaps per backend.
CREATE TABLE backend_status (
    backend_id uuid PRIMARY KEY REFERENCES backends ON DELETE CASCADE,
    node_state text NOT NULL CHECK (node_state IN ('init', 'ready', 'error')),
    last_error text,
    latency_ns bigint NOT NULL CHECK (latency_ns >= 0),
    attendees  integer NOT NULL CHECK (attendees >= 0),
    -- The last time the node answered.
    synced_at  timestamptz,
    seq        bigint NOT NULL
);

CREATE TABLE meetings (
    -- The scoped id: what the node knows it by.
    id          text PRIMARY KEY,
    frontend_id uuid NOT NULL REFERENCES frontends,
    -- The tenant's id.
    meeting_id  text NOT NULL,
    backend_id  uuid NOT NULL REFERENCES backends,
    -- Counts its places: an answer that belongs to an earlier one changes nothing.
    attempt     integer NOT NULL,
    state       text NOT NULL CHECK (state IN ('claimed', 'live', 'ending', 'detached')),
    internal_id text,
    -- The node's, in milliseconds since 1970.
    create_time bigint,
    -- The number of the claim that holds it. Of many simultaneous claims, the one that finds its own number here has won.
    claim       bigint NOT NULL,
    claimed_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    version     bigint NOT NULL
);

CREATE INDEX meetings_by_backend ON meetings (backend_id);
CREATE INDEX meetings_by_frontend ON meetings (frontend_id);
CREATE INDEX meetings_claimed ON meetings (claimed_at) WHERE state = 'claimed';

-- Every meeting that ever ran. Recordings come days after the end, and a hashed id can be read back only here; so nothing
-- refers to rows that may be deleted.
CREATE TABLE meeting_history (
    id          text NOT NULL,
    internal_id text NOT NULL,
    frontend_id uuid NOT NULL,
    meeting_id  text NOT NULL,
    backend_id  uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    PRIMARY KEY (id, internal_id)
);

CREATE INDEX meeting_history_by_internal_id ON meeting_history (internal_id);

-- Nodes that may run a meeting which now lives elsewhere or nowhere: they got its create and we gave up on the answer, or
-- they were lost with it. Each is sent an end until it says that it has none.
CREATE TABLE meeting_copies (
    id         text NOT NULL,
    backend_id uuid NOT NULL REFERENCES backends ON DELETE CASCADE,
    attempt    integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Until then the meeting may be created on that node again, and is not ended there.
    spared_until timestamptz,
    -- Until then an end may be on its way, and the meeting is not created there.
    ending_until timestamptz,
    PRIMARY KEY (id, backend_id)
);

-- What all servers of a cluster share and nobody configured, such as the generated signing secret.
CREATE TABLE cluster_settings (
    name  text PRIMARY KEY,
    value text NOT NULL
);

-- Frontends and backends are numbered and announced by triggers, so that plain SQL reaches every server, too. Meetings are
-- not: only the transitions that decide routing announce, and the statements of the store say which.
CREATE FUNCTION number_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := nextval('versions');
    NEW.updated_at := now();
    RETURN NEW;
END $$;

CREATE FUNCTION announce_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('b3scale', TG_ARGV[0] || ':' || coalesce(NEW.id, OLD.id));
    RETURN NULL;
END $$;

CREATE TRIGGER number_change BEFORE INSERT OR UPDATE ON frontends FOR EACH ROW EXECUTE FUNCTION number_change();
CREATE TRIGGER number_change BEFORE INSERT OR UPDATE ON backends FOR EACH ROW EXECUTE FUNCTION number_change();
CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON frontends
    FOR EACH ROW EXECUTE FUNCTION announce_change('frontend');
CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON backends
    FOR EACH ROW EXECUTE FUNCTION announce_change('backend');

-- A detached meeting that is claimed anew may still run on the node that was lost, be it the same. A trigger, because only it
-- sees the place the row had when it was locked.
CREATE FUNCTION leave_copy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO meeting_copies (id, backend_id, attempt) VALUES (OLD.id, OLD.backend_id, OLD.attempt)
        ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now();
    RETURN NULL;
END $$;

CREATE TRIGGER leave_copy AFTER UPDATE ON meetings
    FOR EACH ROW WHEN (OLD.state = 'detached' AND NEW.state = 'claimed') EXECUTE FUNCTION leave_copy();
