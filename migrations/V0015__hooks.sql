-- Webhooks: who wants to hear of the events of their meetings, and the events that they have not heard yet.

CREATE TABLE hooks (
    id           text PRIMARY KEY,
    frontend_id  uuid NOT NULL REFERENCES frontends ON DELETE CASCADE,
    -- As it was given.
    url          text NOT NULL,
    -- The tenant's id of the one meeting. NULL: all of the frontend's.
    meeting_id   text,
    -- Ids of events, in lower case. Empty: all.
    events       text[] NOT NULL DEFAULT '{}',
    -- Whether it gets the messages of BBB instead.
    raw          boolean NOT NULL DEFAULT false,
    -- Whether it stands in the settings of its frontend.
    permanent    boolean NOT NULL DEFAULT false,
    -- The last event of the feed that is done.
    cursor       bigint NOT NULL,
    -- Tries at the event behind the cursor, and when the first of them was: its `timestamp`.
    tries        integer NOT NULL DEFAULT 0,
    first_try_at timestamptz,
    -- It failed too often, and hears nothing until it is created again or an operator resumes it.
    paused_at    timestamptz,
    -- Of the last answer, and its reason, without the URL.
    status       integer,
    problem      text,
    delivered    bigint NOT NULL DEFAULT 0,
    -- Events that were removed before it heard them.
    lost         bigint NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz
);

-- A URL may be longer than an index takes.
CREATE FUNCTION url_digest(url text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT sha256(convert_to(url, 'UTF8')) $$;
CREATE UNIQUE INDEX hooks_once ON hooks (frontend_id, url_digest(url), coalesce(meeting_id, ''));

-- The events of a frontend, numbered. It is there exactly while the frontend has hooks. Its row lock orders the events, so a number
-- that is committed has no open number before it. The first number is the time in microseconds, so a later feed repeats none.
CREATE TABLE hook_feeds (
    frontend_id uuid PRIMARY KEY REFERENCES frontends ON DELETE CASCADE,
    last        bigint NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000000),
    wants_raw   boolean NOT NULL DEFAULT false
);

-- One event, for all hooks of its frontend. It does not refer to the feed: the end of a feed must not wait for its events.
CREATE TABLE hook_events (
    frontend_id uuid NOT NULL,
    seq         bigint NOT NULL,
    -- The id of bbb-webhooks, such as `user-joined`.
    name        text NOT NULL,
    -- The scoped id, the tenant's and the node's. The scoped one is what to look for in the attributes.
    meeting     text NOT NULL,
    meeting_id  text NOT NULL,
    internal_id text NOT NULL,
    -- `event.ts`: milliseconds since 1970, of the recording's progress seconds.
    ts          bigint NOT NULL,
    -- A JSON object: as bbb-webhooks maps them, with the node's ids. NULL: they are made of what else is known.
    attributes  text,
    -- The entry in lists of a created meeting.
    entry       text,
    -- The message of BBB, where a hook wants it: a JSON object.
    raw         text,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (frontend_id, seq)
);
-- Agents, reports and records all tell of these. The first word counts, and an agent's adds what it lacks.
CREATE UNIQUE INDEX hook_events_once ON hook_events (frontend_id, internal_id, name)
    WHERE name IN ('meeting-created', 'meeting-ended');

-- Whether a hook wants to hear of an event.
CREATE FUNCTION hears(hook hooks, its_name text, its_meeting_id text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (hook.meeting_id IS NULL OR hook.meeting_id = its_meeting_id)
        AND (hook.events = '{}' OR its_name = ANY (hook.events))
$$;

-- The next events of a hook. Read in their order, since a backlog grows faster than statistics do: without these a plan
-- may read and sort the whole of it.
CREATE FUNCTION next_events(hook hooks, most bigint) RETURNS SETOF hook_events LANGUAGE sql STABLE
    SET enable_bitmapscan = off AS $$
    SELECT * FROM hook_events AS one
    WHERE one.frontend_id = hook.frontend_id AND one.seq > hook.cursor AND hears(hook, one.name, one.meeting_id)
    ORDER BY one.seq LIMIT most
$$;

-- A new hook hears of everything from now on.
CREATE FUNCTION begin_hook() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hook_feeds AS feed (frontend_id, wants_raw) VALUES (NEW.frontend_id, NEW.raw)
        ON CONFLICT (frontend_id) DO UPDATE SET wants_raw = feed.wants_raw OR excluded.wants_raw
        RETURNING last INTO NEW.cursor;
    RETURN NEW;
END $$;
CREATE TRIGGER begin_hook BEFORE INSERT ON hooks FOR EACH ROW EXECUTE FUNCTION begin_hook();

-- The last hook takes the feed along. The lock comes first, in a statement of its own, so that a hook made meanwhile is seen.
CREATE FUNCTION end_hook() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM hook_feeds WHERE frontend_id = OLD.frontend_id FOR UPDATE;
    DELETE FROM hook_feeds WHERE frontend_id = OLD.frontend_id
        AND NOT EXISTS (SELECT FROM hooks WHERE frontend_id = OLD.frontend_id);
    UPDATE hook_feeds SET wants_raw = false WHERE frontend_id = OLD.frontend_id AND wants_raw
        AND NOT EXISTS (SELECT FROM hooks WHERE frontend_id = OLD.frontend_id AND raw);
    RETURN NULL;
END $$;
CREATE TRIGGER end_hook AFTER DELETE ON hooks FOR EACH ROW EXECUTE FUNCTION end_hook();

-- Queues the posts of hooks: a job for each whose lane has none that is still to begin. That one is locked, so that no server begins
-- it before the events are there. Returns how many jobs are new.
CREATE FUNCTION queue_hooks(ids text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    queued bigint;
BEGIN
    WITH waiting AS (
        SELECT lane FROM jobs
        WHERE kind = 'post_hooks' AND lane = ANY (ids) AND poisoned_at IS NULL AND run_by IS NULL
        ORDER BY lane FOR SHARE)
    INSERT INTO jobs (kind, lane, payload)
        SELECT 'post_hooks', id, jsonb_build_object('hook', id) FROM unnest(ids) AS id
        WHERE id NOT IN (SELECT lane FROM waiting);
    GET DIAGNOSTICS queued = ROW_COUNT;
    RETURN queued;
END $$;

-- Tells the hooks of events, in this order. A kind is a name in a meeting, and each event is of the kind at that place in the lists
-- of kinds, from 1. Events that no hook hears are left out. A meeting is created and ended once. Returns how many posts were
-- queued: a hook whose post is still to begin needs no other.
CREATE FUNCTION tell_hooks(frontends uuid[], names text[], meetings text[], meeting_ids text[], internal_ids text[],
    kinds integer[], times bigint[], attributes text[], entries text[], raws text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    more  record;
    known text[] := '{}';
    past  bigint[] := '{}';
    due   text[];
BEGIN
    PERFORM FROM hook_feeds WHERE frontend_id = ANY (frontends) ORDER BY frontend_id FOR UPDATE;
    IF names && ARRAY['meeting-created', 'meeting-ended'] THEN
        -- One by one: they are few, and each is found by its index.
        FOR more IN SELECT kind.*, given.attributes, given.raw, concat_ws(' ', frontend, name, internal_id) AS id
            FROM unnest(frontends, names, internal_ids) WITH ORDINALITY AS kind (frontend, name, internal_id, place)
                JOIN unnest(kinds, attributes, raws) AS given (kind, attributes, raw) ON given.kind = kind.place
            WHERE name IN ('meeting-created', 'meeting-ended')
        LOOP
            UPDATE hook_events AS one SET attributes = coalesce(one.attributes, more.attributes),
                raw = CASE WHEN one.attributes IS NULL THEN more.raw ELSE one.raw END
            WHERE one.frontend_id = more.frontend AND one.internal_id = more.internal_id AND one.name = more.name
                AND one.name IN ('meeting-created', 'meeting-ended');
            -- Two nodes may have given one id.
            IF FOUND OR more.id = ANY (known) THEN past := past || more.place; END IF;
            known := known || more.id;
        END LOOP;
    END IF;
    WITH heard AS MATERIALIZED (
            SELECT kind.*, last FROM unnest(frontends, names, meetings, meeting_ids, internal_ids) WITH ORDINALITY
                    AS kind (frontend, name, meeting, meeting_id, internal_id, place)
                JOIN hook_feeds ON hook_feeds.frontend_id = frontend
            WHERE CASE WHEN name IN ('meeting-created', 'meeting-ended') THEN place <> ALL (past)
                ELSE EXISTS (SELECT FROM hooks WHERE frontend_id = frontend AND hears(hooks, name, kind.meeting_id)) END),
        written AS (
            INSERT INTO hook_events (frontend_id, seq, name, meeting, meeting_id, internal_id, ts, attributes, entry, raw)
            SELECT frontend, last + row_number() OVER (PARTITION BY frontend ORDER BY given.place), name, meeting, meeting_id,
                internal_id, ts, given.attributes, entry, raw
            FROM unnest(kinds, times, attributes, entries, raws) WITH ORDINALITY
                AS given (kind, ts, attributes, entry, raw, place) JOIN heard ON heard.place = kind
            RETURNING hook_events.frontend_id, seq),
        moved AS (
            UPDATE hook_feeds SET last = told.last
            FROM (SELECT frontend_id, max(seq) AS last FROM written GROUP BY frontend_id) AS told
            WHERE hook_feeds.frontend_id = told.frontend_id)
        SELECT array_agg(id) FROM hooks WHERE paused_at IS NULL AND EXISTS (
            SELECT FROM heard WHERE frontend = hooks.frontend_id AND hears(hooks, heard.name, heard.meeting_id))
        INTO due;
    RETURN queue_hooks(due);
END $$;

-- An event for the hooks of a frontend: the columns of `hook_events`.
CREATE TYPE told_event AS (
    frontend    uuid,
    name        text,
    meeting     text,
    meeting_id  text,
    internal_id text,
    ts          bigint,
    attributes  text,
    entry       text,
    raw         text
);

-- The same for a few events.
CREATE FUNCTION tell_hooks(told told_event[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT tell_hooks(array_agg(frontend), array_agg(name), array_agg(meeting), array_agg(meeting_id), array_agg(internal_id),
        array_agg(place::integer), array_agg(ts), array_agg(attributes), array_agg(entry), array_agg(raw))
    FROM unnest(told) WITH ORDINALITY
        AS given (frontend, name, meeting, meeting_id, internal_id, ts, attributes, entry, raw, place)
$$;

-- Tells of a meeting by its record: its node may have no agent.
CREATE FUNCTION tell_meeting() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    meeting meetings;
BEGIN
    IF TG_ARGV[0] = 'meeting-created' THEN meeting := NEW; ELSE meeting := OLD; END IF;
    IF EXISTS (SELECT FROM hook_feeds WHERE frontend_id = meeting.frontend_id) THEN
        PERFORM tell_hooks(ARRAY[(meeting.frontend_id, TG_ARGV[0], meeting.id, meeting.meeting_id, meeting.internal_id,
            floor(extract(epoch FROM clock_timestamp()) * 1000), NULL,
            CASE WHEN TG_ARGV[0] = 'meeting-created' THEN meeting.entry END, NULL)::told_event]);
    END IF;
    RETURN NULL;
END $$;

-- One statement may end the meetings of many frontends: together, so that feeds are locked in one order.
CREATE FUNCTION tell_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_hooks(array_agg((frontend_id, 'meeting-ended', id, meeting_id, internal_id,
            floor(extract(epoch FROM clock_timestamp()) * 1000), NULL, NULL, NULL)::told_event))
        FROM gone JOIN hook_feeds USING (frontend_id)
        WHERE state <> 'claimed' AND internal_id IS NOT NULL HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_gone AFTER DELETE ON meetings REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
    EXECUTE FUNCTION tell_gone();

-- The old session ends before the new one is created: triggers run in the order of their names. Here, other than for callbacks, a
-- session on another node is a new one, too: events name it.
CREATE TRIGGER tell_1_renewed AFTER UPDATE OF internal_id ON meetings FOR EACH ROW
    WHEN (NEW.state = 'live' AND OLD.internal_id IS NOT NULL AND OLD.internal_id IS DISTINCT FROM NEW.internal_id)
    EXECUTE FUNCTION tell_meeting('meeting-ended');
CREATE TRIGGER tell_2_born AFTER INSERT ON meetings FOR EACH ROW
    WHEN (NEW.state = 'live' AND NEW.internal_id IS NOT NULL) EXECUTE FUNCTION tell_meeting('meeting-created');
CREATE TRIGGER tell_2_live AFTER UPDATE OF internal_id ON meetings FOR EACH ROW
    WHEN (NEW.state = 'live' AND NEW.internal_id IS NOT NULL AND OLD.internal_id IS DISTINCT FROM NEW.internal_id)
    EXECUTE FUNCTION tell_meeting('meeting-created');

-- Tells of a recording. Its links are made when the event is sent, since they have tickets.
CREATE FUNCTION tell_recording(its_id text, event text, ts bigint, format text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_hooks(ARRAY[(frontend_id, event, '', meeting_id, internal_meeting_id, ts,
            json_strip_nulls(json_build_object('record-id', record_id, 'workflow', format))::text, NULL, NULL)::told_event])
        FROM recordings JOIN hook_feeds USING (frontend_id) WHERE record_id = its_id;
END $$;

-- It is here and published. Seconds, as the scripts of nodes have it.
CREATE FUNCTION tell_ready() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_recording(record_id, 'rap-published', floor(extract(epoch FROM clock_timestamp()))::bigint, NEW.format)
        FROM recordings WHERE record_id = NEW.record_id AND state = 'published';
    RETURN NULL;
END $$;
CREATE TRIGGER tell_ready AFTER INSERT OR UPDATE OF seq ON recordings_ready FOR EACH ROW EXECUTE FUNCTION tell_ready();

-- Its state is changed. Milliseconds, as nodes have it of such calls.
CREATE FUNCTION tell_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_recording(NEW.record_id, 'rap-' || NEW.state,
        floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_state AFTER UPDATE OF state ON recordings FOR EACH ROW
    WHEN (NEW.state <> OLD.state AND NEW.frontend_id = OLD.frontend_id) EXECUTE FUNCTION tell_state();
